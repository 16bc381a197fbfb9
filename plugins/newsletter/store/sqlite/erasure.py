"""Forgetting a subscriber in SQLite, and not forgetting that it was forgotten."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from newsletter.errors import StoreBusy, StoreError
from newsletter.store.door import ERASED, Digests, stand_in
from newsletter.store.journal import Line
from newsletter.store.people import Subscription
from newsletter.store.sqlite.database import moment
from newsletter.store.sqlite.membership import SqliteMembership
from newsletter.store.sqlite.queries import MINE

_GONE = "(erased)"
# Every address a subscriber has had, as it stands in the ledger and in requests for a change.
_KEYS = f"""
SELECT address_key FROM subscriber WHERE public_id = :public_id
UNION SELECT address_key FROM recipient WHERE {MINE} AND address != '(erased)'
UNION SELECT address_key FROM letter WHERE public_id = :public_id AND state = 'answered'
"""  # noqa: S608 - put together from constants
_BLANK = f"UPDATE recipient SET address = :gone, address_key = :left WHERE {MINE} AND address_key = :key"  # noqa: S608
# What was typed into a request for a change may be anybody's: it goes, but is not noted as erased.
_ASKED = "SELECT address_key FROM letter WHERE public_id = :public_id"
# What SES tells of a mail quotes the address in whatever form a mail server likes, so none of it stays.
_LEDGER = (
    f"""
    UPDATE evidence SET detail = '(erased)' WHERE detail != ''
      AND (briefing, number) IN (SELECT briefing, number FROM recipient WHERE {MINE})
    """,  # noqa: S608 - put together from constants
    f"UPDATE recipient SET evidence = '(erased)' WHERE {MINE} AND evidence != ''",  # noqa: S608
    f"""
    UPDATE earlier SET evidence = '(erased)' WHERE evidence != ''
      AND (briefing, number) IN (SELECT briefing, number FROM recipient WHERE {MINE})
    """,  # noqa: S608 - put together from constants
)
# For what SES's events lead to; what operators say instead are words.
_REASONS = ("hard_bounce", "soft_bounces", "complaint")
_CHUNK = 1 << 20
_open_files: dict[tuple[int, int], int] = {}


class SqliteErasure(SqliteMembership):
    """Keeps those promises of `Door` that are about erasing, and about what was put back since."""

    def erase(self, public_id: bytes, digests: Digests, at: datetime) -> bool:
        """See Door. The address goes out of the file before this returns, or StoreBusy says that it may not have."""
        row = self.db.execute(
            "SELECT id, address_key FROM subscriber WHERE public_id = ?", (public_id,)
        ).fetchone()
        if row is None:
            return False
        self._erase(public_id, row[0], row[1], digests, at)
        return True

    def erase_address(self, address_key: str, digests: Digests, at: datetime) -> bool:
        """See Door."""
        row = self.db.execute(
            "SELECT public_id, id FROM subscriber WHERE address_key = ?", (address_key,)
        ).fetchone()
        kept = self.db.execute(
            "SELECT 1 FROM letter WHERE address_key = :key OR instr(lower(words), :key) "
            "UNION ALL SELECT 1 FROM suppression WHERE address_key = :key LIMIT 1",
            {"key": address_key},
        ).fetchone()
        if row is None and kept is None:
            return False
        public_id, number = row or (b"", 0)
        self._erase(public_id, number, address_key, digests, at)
        return True

    def erased(self, digests: Iterable[bytes]) -> set[bytes]:
        """See Door."""
        if self.db.execute("SELECT 1 FROM erased LIMIT 1").fetchone() is None:
            return set()
        wanted = json.dumps([digest.hex() for digest in digests])
        rows = self.db.execute(
            "SELECT digest FROM erased WHERE lower(hex(digest)) IN (SELECT value FROM json_each(?))",
            (wanted,),
        )
        return {digest for (digest,) in rows}

    def stood_in(self, digests: Iterable[bytes]) -> Mapping[bytes, str]:
        """See Door."""
        if not self.db.execute(
            "SELECT 1 FROM suppression WHERE address_key >= ? AND address_key < ? LIMIT 1",
            (ERASED, f"{ERASED}g"),
        ).fetchone():
            return {}
        wanted = json.dumps([stand_in(digest) for digest in digests])
        rows = self.db.execute(
            "SELECT address_key, reason FROM suppression WHERE address_key IN (SELECT value FROM json_each(?))",
            (wanted,),
        )
        return {bytes.fromhex(key.removeprefix(ERASED)): reason for key, reason in rows}

    def lagging(self, digests: Digests | None = None) -> int:
        """See Door. The journal has a line before the database has the change: whoever is leaving at this moment is
        not forgotten, so a suspicion is looked at again while nobody else can write.
        """
        if not any(True for _ in self._lagging(digests)):
            return 0
        with self.writing():
            return sum(1 for _ in self._lagging(digests))

    def replay(self, at: datetime, digests: Digests | None = None) -> int:
        """See Door."""
        again = list(self._lagging(digests))
        for mend in again:
            mend(at)
        return len(again)

    def _lagging(self, digests: Digests | None) -> Iterator[Callable[[datetime], object]]:
        """What this database has forgotten, each as what mends it. Suppressions come first: an erasure that follows
        takes its own along.
        """
        yield from self._unsuppressed(digests)
        back = set()
        for public_id, entry in self.journal.last().items():
            now = self._subscription(public_id)
            if now is None:
                continue
            if entry.what == "erased":
                back.add(public_id)
                yield partial(self._erase_again, public_id, entry.digests)
            elif entry.what == "unsubscribed" and now is not Subscription.UNSUBSCRIBED:
                yield partial(self.unsubscribe, public_id, how="replayed from the journal")
        for line in self.journal.erased():
            if line.who not in back and self.erased(line.digests) != set(line.digests):
                yield partial(self._remember, line.digests)

    def _erase_again(self, public_id: bytes, digests: Sequence[bytes], at: datetime) -> None:
        self.erase(public_id, lambda key: digests, at)

    def _remember(self, digests: Sequence[bytes], at: datetime) -> None:
        """That these were erased, of somebody whom this database never knew."""
        with self.writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO erased VALUES (?, ?)", [(digest, moment(at)) for digest in digests]
            )

    def _unsuppressed(self, digests: Digests | None) -> Iterator[Callable[[datetime], object]]:
        lines = self.journal.suppressions()
        if not lines:
            return
        held = {key for (key,) in self.db.execute("SELECT address_key FROM suppression")}
        if digests is not None:
            held |= {
                stand_in(one) for key in list(held) if not key.startswith(ERASED) for one in digests(key)
            }
        missing = []
        for line in lines:
            if not line.digests:
                row = self.db.execute(
                    "SELECT address_key FROM subscriber WHERE public_id = ?", (line.who,)
                ).fetchone()
                if row and row[0] not in held:
                    yield partial(self._suppress_again, row[0], line)
            elif digests is not None and held.isdisjoint(map(stand_in, line.digests)):
                missing.append(line)
        if not missing or digests is None:
            return
        wanted = {one for line in missing for one in line.digests}
        known = {
            one: key
            for (key,) in self.db.execute("SELECT address_key FROM subscriber")
            for one in digests(key)
            if one in wanted
        }
        for line in missing:
            key = next((known[one] for one in line.digests if one in known), stand_in(line.digests[0]))
            yield partial(self._suppress_again, key, line)

    def _suppress_again(self, address_key: str, line: Line, at: datetime) -> None:
        # An operator's line has the reason in words, one that SES's events led to has it in our own.
        reason = line.how if line.how in _REASONS else "operator"
        with self.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO suppression VALUES (?, ?, ?, ?)",
                (address_key, reason, line.at or moment(at), "replayed from the journal"),
            )

    def _erase(self, public_id: bytes, number: int, address_key: str, digests: Digests, at: datetime) -> None:
        if self.db.in_transaction:
            raise StoreError(f"{self.path}: nobody can be erased together with other changes.")
        about = {"public_id": public_id, "number": number}
        with self.writing() as db:
            keys = asked = {address_key}
            if public_id:
                keys = keys | {key for (key,) in db.execute(_KEYS, about)}
                asked = keys | {key for (key,) in db.execute(_ASKED, about)}
                for statement in _LEDGER:
                    db.execute(statement, about)
            for key in keys:
                _erase_key(db, key, number, digests(key), moment(at))
            if public_id:
                for table in ("letter", "consent", "history", "subscriber"):
                    db.execute(f"DELETE FROM {table} WHERE public_id = :public_id", about)  # noqa: S608
                self.note(db, public_id, at, "erased", "", digests(address_key))
            else:
                self.journal.append(b"", at, "erased", "", digests(address_key))
        self._overwrite(asked)

    def _overwrite(self, keys: Collection[str]) -> None:
        """See that the file itself has no copy left.

        secure_delete overwrites what is deleted, but where SQLite has moved rows from page to page it leaves their
        old bytes in the free middle of a page (in about one erasure of 600, measured). Making the file anew is slow
        where it is large, so that is done only when a copy is found.
        """
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        wanted = [key.encode() for key in keys]
        if not self._holds(wanted) or not self._holds(wanted, self._longer(keys)):
            return
        try:
            self.db.execute("VACUUM")
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except StoreError as error:
            raise StoreBusy(
                f"{self.path}: the subscriber is erased, but free space in the file still has the address: {error}. "
                f"When nothing else is running: sqlite3 {self.path} VACUUM"
            ) from error

    def _longer(self, keys: Collection[str]) -> list[bytes]:
        """Addresses of others that end like one of these: jsmith@example.org has smith@example.org in it."""
        found: list[bytes] = []
        for key in keys:
            for table in ("subscriber", "letter", "suppression"):
                rows = self.db.execute(f"SELECT address_key FROM {table} WHERE instr(address_key, ?)", (key,))  # noqa: S608
                found += [longer.encode() for (longer,) in rows]
        return found

    def _holds(self, wanted: Collection[bytes], but: Collection[bytes] = ()) -> bool:
        """Whether the file has any of these in small or capital letters, where it is not within one of `but`."""
        file = _descriptor(str(self.path))
        place, tail = 0, b""
        overlap = max(map(len, [*wanted, *but]))
        while chunk := os.pread(file, _CHUNK, place):
            text = tail + chunk.lower()
            place += len(chunk)
            tail = text[-overlap:]
            for longer in but:
                text = text.replace(longer, b"\0")
            if any(one in text for one in wanted):
                return True
        return False


def _erase_key(db: sqlite3.Connection, key: str, number: int, digests: Sequence[bytes], at: str) -> None:
    """One address of a subscriber, or of nobody (number 0), out of every table."""
    left = stand_in(digests[0])
    mine = {"gone": _GONE, "left": left, "number": number, "key": key}
    db.execute(_BLANK, mine)
    if db.execute("SELECT 1 FROM subscriber WHERE address_key = ? AND id != ?", (key, number)).fetchone():
        return  # left behind for a newer one, and now somebody else's: what else there is of it is theirs
    db.execute(
        "INSERT OR IGNORE INTO suppression SELECT ?, reason, at, '(erased)' FROM suppression WHERE address_key = ?",
        (left, key),
    )
    db.execute("DELETE FROM suppression WHERE address_key = ?", (key,))
    db.execute("DELETE FROM letter WHERE address_key = ?", (key,))
    db.execute("DELETE FROM stray WHERE lower(recipient) = ?", (key,))
    _erase_from_words(db, key)
    db.executemany("INSERT OR IGNORE INTO erased VALUES (?, ?)", [(digest, at) for digest in digests])


def _erase_from_words(db: sqlite3.Connection, key: str) -> None:
    """What the address's owner wrote to the house goes; where others mention it, the address alone does."""
    db.execute(
        "DELETE FROM letter WHERE kind = 'contact' AND lower(json_extract(words, '$.email')) = ?", (key,)
    )
    mention = re.compile(rf"(?<![\w.+-]){re.escape(key)}(?![\w-]|\.\w)", re.IGNORECASE | re.ASCII)
    rows = db.execute("SELECT id, words FROM letter WHERE instr(lower(words), ?)", (key,)).fetchall()
    for letter_id, words in rows:
        db.execute("UPDATE letter SET words = ? WHERE id = ?", (mention.sub(_GONE, words), letter_id))


def _descriptor(path: str) -> int:
    """The file, open for reading, once a process and for good.

    Closing it would take away the locks that other connections of this process hold on it
    (sqlite.org/howtocorrupt.html, "POSIX advisory locks canceled by a separate thread doing close()").
    """
    found = os.stat(path)
    file = (found.st_dev, found.st_ino)
    if file not in _open_files:
        _open_files[file] = os.open(path, os.O_RDONLY)
    return _open_files[file]
