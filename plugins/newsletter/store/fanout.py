"""What several workers need to mail one briefing together: every store lends it to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from newsletter.store.ledger import Claim


class FanOut(Protocol):
    """Who may act, on which batch, and when. A batch is at most fifty recipients of one briefing, under a name of the
    store's own; whoever is told its name twice can claim its recipients only once.
    """

    def open_turn(self, briefing: str, number: int, until: datetime) -> bool:
        """Let workers act under a turn until that moment. False, changing nothing, if it is not the newest, not taken,
        or was stopped.
        """
        ...

    def stop_turn(self, briefing: str, number: int, reason: str) -> None:
        """Let no worker act under a turn any more; of several reasons the first one stays."""
        ...

    def batches_open(self, briefing: str) -> Iterator[str]:
        """The name of each batch in which somebody is pending."""
        ...

    def waiting(self, briefing: str, name: str) -> int:
        """How many of the batch of that name are pending; 0 for a name that is none."""
        ...

    def claim_batch(self, briefing: str, name: str, limit: int, attempt: str, at: datetime) -> Claim | None:
        """As `claim`, of one batch alone. None when nobody in it is pending."""
        ...

    def begin_pace(self, account: str, now: int, until: int) -> tuple[bool, int | None]:
        """Store `until` for an account if what is stored lies before `now`, or nothing is: whether that was so, and
        what is stored then. Moments are microseconds since 1970.
        """
        ...

    def extend_pace(self, account: str, by: int, now: int, latest: int) -> tuple[bool, int | None]:
        """Add `by` to what is stored for an account if that lies between `now` and `latest`, both included; answers as
        `begin_pace` does.
        """
        ...
