#!/bin/sh
# A backup of the database while it is in use: deploy/backup.sh FOLDER, from the project's folder.
#
#   FOLDER/database/TIME/newsletter.db   as it was at that time, checked
#   FOLDER/newsletter.journal.jsonl      who left since, always the newest: a restored database is told by it
#
# The secret key is not in it: keep that once, elsewhere. Copy FOLDER off this machine.
set -eu
store=${STORE_URL:-sqlite:///var/newsletter.db}
database=${store#sqlite:///}
if [ "$database" = "$store" ]; then
  echo "STORE_URL: $store is no SQLite database; DynamoDB backs itself up (docs/operators.md)." >&2
  exit 1
fi
journal=${database%.db}.journal.jsonl
folder=${1:?usage: deploy/backup.sh FOLDER}
umask 077
target=$folder/database/$(date -u +%Y-%m-%dT%H%M%SZ)
mkdir -p "$target"
"${PYTHON:-.venv/bin/python}" - "$database" "$target/newsletter.db" <<'PY'
import os, sqlite3, sys

if not os.path.exists(sys.argv[1]):
    sys.exit(f"{sys.argv[1]}: not there")
source, target = (sqlite3.connect(path) for path in sys.argv[1:])
source.backup(target)  # page by page, and whole: SQLite's own way, with writers beside it
[(said,)] = target.execute("PRAGMA integrity_check").fetchall()
if said != "ok":
    sys.exit(f"{sys.argv[2]}: {said}")
PY
if [ -e "$journal" ]; then
  cp "$journal" "$folder/.journal.new" && mv "$folder/.journal.new" "$folder/newsletter.journal.jsonl"
fi
echo "backup      $target/newsletter.db"
