"""A sending that is given up, in SQLite."""

from __future__ import annotations

from datetime import datetime

from newsletter.store.sqlite.database import Database, moment

_WITHDRAW = """
UPDATE recipient SET state = 'skipped', evidence = 'withdrawn by the operator', changed_at = ?
WHERE briefing = ? AND state = 'pending'
"""
_MARK = "UPDATE send SET withdrawn = ? WHERE briefing = ? AND withdrawn = ''"


class SqliteWithdrawal(Database):
    """Keeps the promise of `Ledger` to mail nobody further."""

    def withdraw(self, briefing: str, at: datetime) -> int:
        """See Store."""
        with self.writing() as db:
            db.execute(_MARK, (moment(at), briefing))
            return db.execute(_WITHDRAW, (moment(at), briefing)).rowcount
