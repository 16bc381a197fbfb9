"""What was mailed so far, and what a freeze now would give."""

from __future__ import annotations

from datetime import datetime

from newsletter.states import State
from newsletter.store.ledger import Counts, Send
from newsletter.store.sqlite import queries
from newsletter.store.sqlite.database import Database, moment

_AUDIENCE = f"""
{queries.SUPPRESSED} SELECT {queries.REASON}, count(*) FROM {queries.EVERYBODY} WHERE {queries.AUDIENCE} GROUP BY 1
"""  # noqa: S608 - put together from constants


class SqliteSends(Database):
    """Keeps those promises of `Ledger` that compare one sending with another."""

    def sends(self) -> list[Send]:
        """See Store."""
        rows = self.db.execute(
            "SELECT briefing, frozen_at, through, corrects, content_hash, "
            "(SELECT count(*) FROM recipient WHERE recipient.briefing = send.briefing) "
            "FROM send ORDER BY frozen_at, briefing"
        )
        return [Send(row[0], datetime.fromisoformat(row[1]), *row[2:]) for row in rows]

    def audience(self, at: datetime, corrects: str = "") -> Counts:
        """See Store."""
        rows = dict(self.db.execute(_AUDIENCE, {"at": moment(at), "corrects": corrects}).fetchall())
        recipients = rows.pop(None, 0)
        return Counts({State.PENDING: recipients}, dict(sorted(rows.items())))

    def last_event(self, briefing: str) -> datetime | None:
        """See Store."""
        row = self.db.execute("SELECT max(at) FROM evidence WHERE briefing = ?", (briefing,)).fetchone()
        return datetime.fromisoformat(row[0]) if row[0] else None
