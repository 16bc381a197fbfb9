"""A frozen briefing to its recipients: claim durably, call once, write down what SES said.

    quota ─► turn ─► template ─► freeze ─► claim ─► one POST ─► record ─► claim … until nobody is pending ─► turn

The order of those steps is the whole safety. A claim is committed before the call, so a sender that dies
leaves a claim and never a mail that nobody remembers; what a dead or unanswered call did is in doubt, and is
not called again. SES can promise no more (ses.md: it has no idempotency key), so this promises: no recipient
is mailed twice, and none is forgotten without a name. Nothing is frozen before SES has given this ledger its
turn (turn.py), so an old copy of it neither mails nor changes.

Where SES's events can be read, a slice of the recipients comes first, and the others only when its mails are
known to be sound (vigil.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from newsletter.call import Submitter
from newsletter.errors import SesError
from newsletter.mailing import Links, Mailing, template_name
from newsletter.models import Package
from newsletter.pace import USED_UP, Allowance, Pace, patiently
from newsletter.ses.submit import Quota
from newsletter.states import ACCEPTED, OPEN, State
from newsletter.store import Counts, Store
from newsletter.turn import ANSWERED, TurnMaker, Turns, recall
from newsletter.vigil import Vigil

__all__ = ["Delivery", "Links", "Mailer", "Report", "template_name"]


class Mailer(Submitter, TurnMaker, Protocol):
    """What delivery needs of SES; `ses.submit.Ses` is it."""

    def quota(self) -> Quota:
        """What the account may send."""
        ...

    def store_template(self, name: str, package: Package) -> None:
        """Store what is mailed."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """How a run of the sender ended: the counts now, what it did itself, and why it stopped early ("" if not).

    `warning` is what somebody should look at though it stopped nothing.
    """

    counts: Counts
    submitted_now: int
    calls: int
    stopped: str = ""
    warning: str = ""


BY_HAND = "it was asked to"


class Delivery:
    """One run of the sender over one briefing. Whoever runs it holds `store.sending(briefing)`."""

    # So long after its claim a worker's call is over.
    answered = ANSWERED
    # The longest pause in one piece, in seconds: so soon a request to stop is heeded.
    longest_pause = 0.5

    def __init__(
        self,
        store: Store,
        mailer: Mailer,
        links: Links,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
        progress: Callable[[int], None] = lambda done: None,
        through: str = "",
        vigil: Vigil | None = None,
        slice_size: int = 0,
        testers: Collection[str] = (),
    ) -> None:
        """`clock` tells the time, `pause` waits seconds, `progress` is told how many recipients are done;
        `through` names the SES that the mail goes through, for the ledger.

        With a `vigil`, `slice_size` recipients come first (0: no slice), and of those the address keys in `testers`.
        """
        self._store, self._mailer, self._links, self._through = store, mailer, links, through
        self._clock, self._pause, self._progress = clock, pause, progress
        self._vigil, self._slice_size, self._testers = vigil, slice_size, testers
        self._stopping = False

    def stop(self) -> None:
        """End the run after the call that is under way, its answer written down. May come from a signal's handler."""
        self._stopping = True

    def run(self, package: Package, takeover: bool = False, corrects: str = "") -> Report:
        """Freeze `package` if its briefing is not frozen, then submit to everyone still pending.

        What was frozen is what is mailed, whatever `package` says now. `takeover` goes on with this ledger although
        another has had its turn; with `corrects` it is an erratum to those who were mailed that briefing.

        Raises SesError when SES cannot be asked at all, StoreError when another ledger has had this one's turn: nobody
        was mailed then, and nothing has been frozen unless only the events could not be read.
        """
        briefing, accepted = package.month, 0
        frozen = self._store.frozen(briefing)
        if frozen is not None:
            package = frozen
            recall(self._store, briefing, self._clock, self._pause, self.answered)
            counts = self._store.counts(briefing)
            # Events can tell of those in doubt. They are read after the turn is had: an old copy of the ledger would
            # take them out of the queue, and the newest would wait for them in vain, and mail again.
            if not counts.of(State.PENDING, *([State.IN_DOUBT] if self._vigil else [])):
                return Report(counts, 0, 0)
            accepted = counts.of(*ACCEPTED)
        quota = self._mailer.quota()
        if not quota.enabled:
            raise SesError(
                "SES: sending is switched off for this account. See the account's page in the AWS console."
            )
        turns = Turns(self._store, self._mailer, briefing, self._through, self._clock, self._pause)
        turns.take(takeover)
        template = template_name(package)
        patiently(lambda: self._mailer.store_template(template, package), self._pause)
        self._store.freeze(package, self._clock(), self._through, corrects)
        if self._vigil and (frozen is not None or takeover):
            self._vigil.catch_up(briefing)
        mailing = Mailing(
            self._store,
            self._mailer,
            self._links,
            package,
            self._clock,
            self._pause,
            lambda: self._stopping,
            accepted,
        )
        warnings = []
        try:
            stopped = self._submit_all(mailing, Allowance(quota, self._mailer.quota, self._clock), turns)
        finally:
            if self.has_mailed(
                mailing
            ):  # however it ended: a copy of the ledger from before this moment is an old one
                warnings.append(turns.close())
        if self._vigil and not stopped:
            warnings.append(self._vigil.alarm(briefing, now=True))
        warning = " ".join(filter(None, warnings))
        counts = self._store.counts(briefing)
        return Report(counts, self.submitted_now(mailing), mailing.made, stopped, warning)

    def has_mailed(self, mailing: Mailing) -> bool:
        """Whether this run may have mailed anybody."""
        return mailing.made > 0

    def submitted_now(self, mailing: Mailing) -> int:
        """How many were submitted by this run."""
        return mailing.submitted

    def others(self, mailing: Mailing, allowance: Allowance, turns: Turns) -> str:
        """Submit to all who are pending; the reason for stopping early, or ""."""
        return self._submit(mailing, allowance, math.inf) or ""

    def _submit_all(self, mailing: Mailing, allowance: Allowance, turns: Turns) -> str:
        """First the slice, then the others; the reason for stopping early, or ""."""
        room = self._room(mailing.briefing)
        if room < math.inf:
            stopped = self._submit(mailing, allowance, room)
            if stopped is not None:
                return stopped
            if reason := self._rest_may_follow(mailing.briefing):
                return reason
        return self.others(mailing, allowance, turns)

    def _submit(self, mailing: Mailing, allowance: Allowance, room: float) -> str | None:
        """Submit batch after batch, to `room` recipients (then None); the reason for stopping early, or "" when nobody
        is pending.
        """
        briefing, pace = mailing.briefing, Pace(allowance.quota.per_second)
        first = () if room == math.inf else self._testers
        while not self._stopping:
            if room < 1:
                return None
            if self._vigil and (reason := self._vigil.alarm(briefing)):
                return reason
            if allowance.renewed():
                pace.change(allowance.quota.per_second)
            size = int(min(allowance.quota.batch, allowance.left, room))
            if size < 1:
                return USED_UP
            # First the pause, then the claim: whoever unsubscribes meanwhile is heeded, and a sender that is
            # stopped while it waits leaves nobody in doubt.
            if not self._wait(pace.wait(size)):
                break
            claim = self._store.claim(briefing, size, mailing.attempt(), self._clock(), first)
            if claim is None:
                return ""
            step = mailing.post(claim, full=len(claim.recipients) == size)
            allowance.spend(step.submitted)
            room -= sum(outcome.state is not State.PENDING for outcome in step.outcomes)
            self._progress(sum(outcome.state not in OPEN for outcome in step.outcomes))
            if step.stop:
                return step.stop
            if step.rest:
                self._wait(step.rest)
        return BY_HAND

    def _room(self, briefing: str) -> float:
        """How many may still be mailed before the first slice is known to be sound."""
        if self._vigil is None or not self._slice_size or self._store.sound(briefing):
            return math.inf
        counts = self._store.counts(briefing)
        return self._slice_size - (counts.recipients - counts.of(State.PENDING, State.SKIPPED))

    def _rest_may_follow(self, briefing: str) -> str:
        """Wait for the first slice; why the others may not follow it, or ""."""
        if self._vigil is None or not self._store.counts(briefing).of(State.PENDING):
            return ""  # there are no others
        return self._vigil.first_slice(briefing, self._wait)

    def _wait(self, seconds: float) -> bool:
        """Pause, but no longer than until the run is to stop; False then."""
        while not self._stopping:
            self._pause(min(seconds, self.longest_pause))
            seconds -= self.longest_pause
            if seconds <= 0:
                break
        return not self._stopping
