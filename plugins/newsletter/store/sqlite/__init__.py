"""The store in one SQLite file."""

from newsletter.store.sqlite.erasure import SqliteErasure
from newsletter.store.sqlite.evidence import SqliteEvidence
from newsletter.store.sqlite.fanout import SqliteFanOut
from newsletter.store.sqlite.health import SqliteHealth
from newsletter.store.sqlite.latecomers import SqliteLatecomers
from newsletter.store.sqlite.letters import SqliteLetters
from newsletter.store.sqlite.lists import SqliteLists
from newsletter.store.sqlite.moving import SqliteMoving
from newsletter.store.sqlite.people import SqlitePeople
from newsletter.store.sqlite.proofs import SqliteProofs
from newsletter.store.sqlite.sends import SqliteSends
from newsletter.store.sqlite.withdrawal import SqliteWithdrawal


class SqliteStore(
    SqlitePeople,
    SqliteFanOut,
    SqliteEvidence,
    SqliteSends,
    SqliteProofs,
    SqliteWithdrawal,
    SqliteLatecomers,
    SqliteLetters,
    SqliteLists,
    SqliteErasure,
    SqliteHealth,
    SqliteMoving,
):
    """Keeps all promises of `Store`, each noun in its own module."""
