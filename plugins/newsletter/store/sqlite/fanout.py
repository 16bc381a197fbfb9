"""What workers share, in SQLite: several processes on one file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from newsletter.store.ledger import Claim
from newsletter.store.sqlite import queries
from newsletter.store.sqlite.database import moment
from newsletter.store.sqlite.ledger import SqliteLedger


class SqliteFanOut(SqliteLedger):
    """Keeps all promises of `FanOut`. A batch is named by its first and its last number: "1 50"."""

    def open_turn(self, briefing: str, number: int, until: datetime) -> bool:
        """See FanOut."""
        to = {"briefing": briefing, "number": number, "until": moment(until)}
        with self.writing() as db:
            return db.execute(queries.OPEN_TURN, to).rowcount > 0

    def stop_turn(self, briefing: str, number: int, reason: str) -> None:
        """See FanOut."""
        with self.writing() as db:
            db.execute(queries.STOP_TURN, (reason, briefing, number))

    def batches_open(self, briefing: str) -> Iterator[str]:
        """See FanOut. All are read at once: whoever reads on and on keeps others from writing."""
        for first, last in self.db.execute(queries.BATCHES, (briefing,)).fetchall():
            yield f"{first} {last}"

    def waiting(self, briefing: str, name: str) -> int:
        """See FanOut."""
        (count,) = self.db.execute(queries.WAITING, (briefing, *_bounds(name))).fetchone()
        return int(count)

    def claim_batch(self, briefing: str, name: str, limit: int, attempt: str, at: datetime) -> Claim | None:
        """See FanOut."""
        first, last = _bounds(name)
        wanted = {"limit": limit, "first": first, "last": last}
        return self.claim_some(briefing, [queries.NEXT_OF_BATCH], wanted, attempt, moment(at))

    def begin_pace(self, account: str, now: int, until: int) -> tuple[bool, int | None]:
        """See FanOut."""
        return self._paced(queries.BEGIN_PACE, account, {"now": now, "until": until})

    def extend_pace(self, account: str, by: int, now: int, latest: int) -> tuple[bool, int | None]:
        """See FanOut."""
        return self._paced(queries.EXTEND_PACE, account, {"by": by, "now": now, "latest": latest})

    def _paced(self, change: str, account: str, by: dict[str, int]) -> tuple[bool, int | None]:
        with self.writing() as db:
            made = db.execute(change, {"account": account, **by}).rowcount > 0
            row = db.execute("SELECT free_at FROM pace WHERE account = ?", (account,)).fetchone()
        return made, row[0] if row else None


def _bounds(name: str) -> tuple[int, int]:
    """The first and the last number of a batch; of what is no batch's name, bounds that hold nobody."""
    first, _, last = name.partition(" ")
    try:
        return int(first), int(last)
    except ValueError:
        return 1, 0
