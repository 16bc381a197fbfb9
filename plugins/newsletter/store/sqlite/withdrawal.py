"""A sending that is given up, in SQLite."""

from __future__ import annotations

from datetime import datetime

from newsletter.store.ledger import WITHDRAWN
from newsletter.store.sqlite import queries
from newsletter.store.sqlite.database import Database, moment

_MARK = "UPDATE send SET withdrawn = ? WHERE briefing = ? AND withdrawn = ''"


class SqliteWithdrawal(Database):
    """Keeps the promise of `Ledger` to mail nobody further."""

    def withdraw(self, briefing: str, at: datetime) -> int:
        """See Store."""
        with self.writing() as db:
            db.execute(_MARK, (moment(at), briefing))
            return db.execute(queries.CLOSE_WITHDRAWN, (WITHDRAWN, moment(at), briefing)).rowcount
