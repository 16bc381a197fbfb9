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
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from newsletter.call import Calls, Submitter
from newsletter.errors import SesError, StoreBusy
from newsletter.models import Package
from newsletter.pace import Every, Pace, patiently
from newsletter.ses.submit import Entry, Quota
from newsletter.states import ACCEPTED, OPEN, State
from newsletter.store import Claim, Counts, Outcome, Recipient, Store
from newsletter.tokens import Purpose, attempt_id, mint
from newsletter.turn import TurnMaker, Turns
from newsletter.vigil import Vigil


class Mailer(Submitter, TurnMaker, Protocol):
    """What delivery needs of SES; `ses.submit.Ses` is it."""

    def quota(self) -> Quota:
        """What the account may send."""
        ...

    def store_template(self, name: str, package: Package) -> None:
        """Store what is mailed."""
        ...


@dataclass(frozen=True, slots=True)
class Links:
    """Where the links of a mail lead: the site's address and the keys that sign them."""

    site_url: str
    secret_keys: Sequence[bytes]

    def unsubscribe(self, public_id: bytes) -> str:
        """The address whose POST unsubscribes this one subscriber (RFC 8058)."""
        return f"{self.site_url}/u/{mint(Purpose.UNSUBSCRIBE, public_id, self.secret_keys)}"


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


_BY_HAND = "it was asked to"
_USED_UP = (
    "the account's daily quota is used up; it is counted over 24 hours, so the rest can follow tomorrow"
)


def template_name(package: Package) -> str:
    """The name under which SES keeps what is mailed: equal names mean equal content."""
    return f"briefing-{package.month}-{package.content_hash[:16]}"


class Delivery:
    """One run of the sender over one briefing. Whoever runs it holds `store.sending(briefing)`."""

    # How often in a row SES may refuse all of a call, for the moment, before the run gives up for now.
    patience = 8
    # How often in a row a call may go unanswered: something is broken then, and each further call puts more in doubt.
    most_unanswered = 2
    # How often to try to write down an answer while another process holds the database, half a minute each.
    record_tries = 20
    # How often to ask what is left of the quota, in seconds: other mail of the account uses it too.
    quota_every = 60.0
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
        self._submitted = 0
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
            self._store.hold_orphans(briefing, self._clock())
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
        calls = Calls(self._mailer, template, package, self._entry, lambda: self._stopping)
        warnings = []
        try:
            stopped = self._submit_all(briefing, calls, quota, accepted)
        finally:
            if calls.made:  # however it ended: a copy of the ledger from before this moment is an old one
                warnings.append(turns.close())
        if self._vigil and not stopped:
            warnings.append(self._vigil.alarm(briefing, now=True))
        warning = " ".join(filter(None, warnings))
        return Report(self._store.counts(briefing), self._submitted, calls.made, stopped, warning)

    def _submit_all(self, briefing: str, calls: Calls, quota: Quota, accepted: int) -> str:
        """Submit batch after batch; the reason for stopping early, or "". `accepted` were so before this run."""
        pace, ask_quota = Pace(quota.per_second), Every(self.quota_every, self._clock)
        in_vain = unanswered = 0
        left, room = quota.left_today, self._room(briefing)
        while not self._stopping:
            if room < 1:
                if reason := self._rest_may_follow(briefing):
                    return reason
                room = math.inf
            if self._vigil and (reason := self._vigil.alarm(briefing)):
                return reason
            if ask_quota.due():
                quota = self._quota_now(quota)
                left = quota.left_today
                pace.change(quota.per_second)
            size = int(min(quota.batch, left, room))
            if size < 1:
                return _USED_UP
            # First the pause, then the claim: whoever unsubscribes meanwhile is heeded, and a sender that is
            # stopped while it waits leaves nobody in doubt.
            if not self._wait(pace.wait(size)):
                break
            first = () if room == math.inf else self._testers
            attempt = attempt_id(briefing, self._links.secret_keys)
            claim = self._store.claim(briefing, size, attempt, self._clock(), first)
            if claim is None:
                return ""
            # All of a full call, or all there are, cannot be refused for what they are.
            outcomes, reason = calls.ask(claim, crowd=len(claim.recipients) == size or not accepted)
            self._record(claim, outcomes)
            submitted = sum(outcome.state is State.SUBMITTED for outcome in outcomes)
            self._submitted += submitted
            accepted += submitted
            left -= submitted
            room -= sum(outcome.state is not State.PENDING for outcome in outcomes)
            self._progress(sum(outcome.state not in OPEN for outcome in outcomes))
            if reason:
                return reason
            unanswered = unanswered + 1 if all(one.state is State.IN_DOUBT for one in outcomes) else 0
            if unanswered >= self.most_unanswered:
                return f"{unanswered} calls in a row went unanswered: {outcomes[0].evidence}"
            in_vain = in_vain + 1 if all(one.state is State.PENDING for one in outcomes) else 0
            if in_vain > self.patience:
                return f"SES keeps refusing: {outcomes[0].evidence}"
            if in_vain:
                self._wait(Pace.backoff(in_vain, secrets.SystemRandom().random()))
        return _BY_HAND

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

    def _quota_now(self, before: Quota) -> Quota:
        """What the account may do now, or what it might before if SES cannot be asked; the next call will tell."""
        try:
            return self._mailer.quota()
        except SesError:
            return before

    def _wait(self, seconds: float) -> bool:
        """Pause, but no longer than until the run is to stop; False then."""
        while not self._stopping:
            self._pause(min(seconds, self.longest_pause))
            seconds -= self.longest_pause
            if seconds <= 0:
                break
        return not self._stopping

    def _record(self, claim: Claim, outcomes: Sequence[Outcome]) -> None:
        """Write an answer down; a database that another process holds is waited for, since SES will not say it again."""
        for _ in range(self.record_tries):
            try:
                self._store.record(claim, outcomes, self._clock())
                return
            except StoreBusy:
                self._pause(1.0)  # not cut short by a request to stop
        self._store.record(claim, outcomes, self._clock())

    def _entry(self, recipient: Recipient) -> Entry:
        address = self._links.unsubscribe(recipient.public_id)
        return Entry(
            to=recipient.address,
            data={"unsubscribe_url": address},
            # The two belong together (RFC 8058 section 3.1), so they travel together.
            headers={
                "List-Unsubscribe": f"<{address}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            },
            tags={"recipient": str(abs(recipient.number))},
        )
