"""Watching what becomes of the first mails before the others follow, and of all of them while they do.

    first slice ─► its events ─► settle.judge_slice ─► the rest, or a person
    the rest    ─► events, every half minute ─► settle.brakes ─► on, or a person

SES accepts what it cannot render, and mail that bounces or is complained about; it tells so only in its events.
They are read beside the mailing, a few at a time, so that reading them does not hold it up: `newsletter events`,
running beside it, reads them all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from newsletter import settle
from newsletter.aftermath import Aftermath
from newsletter.errors import SesError, StoreBusy
from newsletter.settle import Signs, Verdict
from newsletter.states import ACCEPTED, State
from newsletter.store import Store

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Vigil:
    """Watches one briefing for the sender. Whoever uses it holds `store.sending(briefing)`."""

    # How long to wait for the events of the first slice, and how long between two looks at them, in seconds.
    patience, between = 600.0, 2.0
    # How often to look during the mailing, in seconds; and how many messages to read then.
    every, most = 30.0, 200
    # Looks take no more than such a part of the time, however many events the ledger holds.
    share = 0.02

    def __init__(
        self,
        store: Store,
        aftermath: Aftermath,
        clock: Callable[[], datetime],
        tell: Callable[[str], None] = lambda words: None,
        brakes: bool = True,
        quiet: timedelta = settle.QUIET,
    ) -> None:
        """`tell` is told, in words, what is waited for. Without `brakes`, bounces and complaints stop nothing: a
        person has looked at them. `quiet` is how long without an event a call may be judged that nobody answered.
        """
        self._store, self._aftermath, self._clock = store, aftermath, clock
        self._tell, self._brakes, self._quiet = tell, brakes, quiet
        self._looked: datetime | None = None
        self._rest = timedelta(seconds=self.every)

    def catch_up(self, briefing: str) -> None:
        """Before mailing on: all that SES has told meanwhile, since it can show that somebody pending was mailed, and
        what that says of the calls that nobody answered. Raises SesError, StoreError.
        """
        self._tell("reading SES's events first")
        self._aftermath.read()
        for held, verdict, why in self._aftermath.settle(briefing, self._quiet):
            self._tell(f"{verdict}: {held:,} in doubt: {why}")

    def first_slice(self, briefing: str, wait: Callable[[float], bool]) -> str:
        """Wait until the events of what was submitted so far are sound: "", or why they are not.

        `wait` waits seconds, and returns False when there is to be no more waiting.
        """
        counts = self._store.counts(briefing)
        first = counts.recipients - counts.of(State.PENDING, State.SKIPPED)
        self._tell(f"waiting for what SES tells of the first {first:,} mails")
        for look in range(int(self.patience / self.between)):
            if look and not wait(self.between):
                return "it was asked to, before the first mails were known to be sound"
            if unreadable := self._read(10 * self.most):
                return unreadable
            verdict, why = settle.judge_slice(self._signs(briefing), self._brakes)
            if verdict is Verdict.RELEASE:
                self._store.found_sound(briefing, self._clock())
                return ""
            if verdict is Verdict.HOLD:
                return why
        return f"the first mails are not known to be sound after {self.patience / 60:.0f} minutes: {why}"

    def alarm(self, briefing: str, now: bool = False) -> str:
        """Look at the events if it is time: the reason to stop the mailing, or "". `now`: in any case, and at more
        of them, since nobody is held up.
        """
        began = self._clock()
        if not now and self._looked and timedelta(0) <= began - self._looked < self._rest:
            return ""
        if unreadable := self._read(self.most * (10 if now else 1)):
            return unreadable
        reason = settle.brakes(self._store.seen(briefing)) if self._brakes else ""
        self._looked = self._clock()
        took = (self._looked - began).total_seconds()
        self._rest = timedelta(seconds=min(max(self.every, took / self.share), self.patience))
        return reason

    def _read(self, most: int) -> str:
        try:
            self._aftermath.read(most=most)
        except (SesError, StoreBusy) as error:
            return f"SES's events cannot be read: {error}"
        return ""

    def _signs(self, briefing: str) -> Signs:
        counts = self._store.counts(briefing)
        # A mail that SES could not render is failed, and was accepted all the same: it is among those seen.
        return Signs(counts.of(*ACCEPTED), self._store.blind(briefing, _EVER), self._store.seen(briefing))
