"""The store in one SQLite file."""

from newsletter.store.sqlite.evidence import SqliteEvidence
from newsletter.store.sqlite.ledger import SqliteLedger
from newsletter.store.sqlite.people import SqlitePeople


class SqliteStore(SqlitePeople, SqliteLedger, SqliteEvidence):
    """Keeps all promises of `Store`, each noun in its own module."""
