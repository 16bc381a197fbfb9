"""Whoever signed up after a briefing was frozen, in SQLite: recipients of it too, by the numbers that follow its last."""

from __future__ import annotations

from datetime import datetime

from newsletter.store.sqlite import queries
from newsletter.store.sqlite.database import Database, moment

# Numbers of subscribers only grow: whoever has a greater one than the last of the freeze has come since.
_LAST = """
SELECT max(coalesce((SELECT max(subscriber) FROM recipient WHERE briefing = :briefing), 0),
           coalesce((SELECT max(subscriber) FROM exclusion WHERE briefing = :briefing), 0))
FROM send WHERE briefing = :briefing AND corrects = '' AND withdrawn = ''
  AND NOT EXISTS (SELECT 1 FROM send AS erratum WHERE erratum.corrects = :briefing)
"""
# Who came by a list has not asked for this briefing; the next one comes to them.
_SINCE = "subscriber.id > :last"
_JOIN = f"""
{queries.FREEZE} AND {_SINCE} AND source = 'sign-up' AND NOT EXISTS
    (SELECT 1 FROM recipient AS other WHERE other.briefing = :briefing AND other.address_key = subscriber.address_key)
"""  # noqa: S608 - put together from constants
_EXCLUDE = f"""
{queries.SUPPRESSED}
INSERT INTO exclusion (briefing, subscriber, reason)
SELECT :briefing, subscriber.id, coalesce({queries.REASON}, 'came later') FROM {queries.EVERYBODY}
WHERE {_SINCE} AND subscriber.id NOT IN (SELECT subscriber FROM recipient WHERE briefing = :briefing)
"""  # noqa: S608 - put together from constants


class SqliteLatecomers(Database):
    """Keeps the promise of `Ledger` about those who have come since."""

    def join(self, briefing: str, at: datetime) -> int:
        """See Store."""
        to = {"briefing": briefing, "at": moment(at), "last": 0}
        with self.writing() as db:
            row = db.execute(_LAST, to).fetchone()
            if row is None:
                return 0
            to["last"] = row[0]
            db.execute(_JOIN, to)
            (joined,) = db.execute("SELECT changes()").fetchone()
            db.execute(_EXCLUDE, to)
        return int(joined)
