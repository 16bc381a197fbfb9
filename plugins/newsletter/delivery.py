"""A frozen briefing to its recipients: claim durably, call once, write down what SES said.

    freeze ─► claim ─► one POST ─► record ─► claim … until nobody is pending

The order of those steps is the whole safety. A claim is committed before the call, so a sender that dies
leaves a claim and never a mail that nobody remembers; what a dead or unanswered call did is in doubt, and is
not called again. SES can promise no more (ses.md: it has no idempotency key), so this promises: no recipient
is mailed twice, and none is forgotten without a name.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from newsletter.errors import Ambiguous, Refused, SesError, StoreBusy, Throttled
from newsletter.models import Package
from newsletter.pace import Pace
from newsletter.ses.submit import Entry, EntryResult, Quota
from newsletter.states import OPEN, State
from newsletter.store import Claim, Counts, Outcome, Recipient, Store
from newsletter.tokens import Purpose, mint


class Mailer(Protocol):
    """What delivery needs of SES; `ses.submit.Ses` is it."""

    def quota(self) -> Quota:
        """What the account may send."""
        ...

    def store_template(self, name: str, package: Package) -> None:
        """Store what is mailed."""
        ...

    def submit(
        self, template: str, package: Package, entries: Sequence[Entry], tags: dict[str, str]
    ) -> list[EntryResult]:
        """One POST."""
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
    """How a run of the sender ended: the counts now, what it did itself, and why it stopped early ("" if not)."""

    counts: Counts
    submitted_now: int
    calls: int
    stopped: str = ""


# What each status of an entry means for its recipient (API reference, BulkEmailEntryResult; its prose and its
# enum spell some differently). A status that is not here is in doubt.
_AGAIN = {"ACCOUNT_THROTTLED", "TRANSIENT_FAILURE"}
_FINAL = {"MESSAGE_REJECTED", "INVALID_PARAMETER", "INVALID_PARAMETER_VALUE", "FAILED"}
_STOP = {
    "ACCOUNT_DAILY_QUOTA_EXCEEDED",
    "ACCOUNT_SUSPENDED",
    "ACCOUNT_SENDING_PAUSED",
    "CONFIGURATION_SET_SENDING_PAUSED",
    "CONFIGURATION_SET_NOT_FOUND",
    "CONFIGURATION_SET_DOES_NOT_EXIST",
    "TEMPLATE_NOT_FOUND",
    "TEMPLATE_DOES_NOT_EXIST",
    "MAIL_FROM_DOMAIN_NOT_VERIFIED",
    "INVALID_SENDING_POOL_NAME",
    "INVALID_SENDING_POOL",
}


def judge(number: int, result: EntryResult) -> Outcome:
    """What SES's word on an entry makes of its recipient."""
    said = f"{result.status}: {result.error}" if result.error else result.status
    if result.status == "SUCCESS" and result.message_id:
        return Outcome(number, State.SUBMITTED, "accepted by SES", result.message_id)
    if result.message_id:  # SES never names a mail that it has not taken
        return Outcome(number, State.IN_DOUBT, f"contradictory answer: {said}", "")
    if result.status in _AGAIN | _STOP:
        return Outcome(number, State.PENDING, said)
    if result.status in _FINAL:
        return Outcome(number, State.FAILED, said)
    return Outcome(number, State.IN_DOUBT, f"unknown answer: {said}")


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

    def __init__(
        self,
        store: Store,
        mailer: Mailer,
        links: Links,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
        progress: Callable[[int], None] = lambda done: None,
        through: str = "",
    ) -> None:
        """`clock` tells the time, `pause` waits seconds, `progress` is told how many recipients are done;
        `through` names the SES that the mail goes through, for the ledger.
        """
        self._through = through
        self._store, self._mailer, self._links = store, mailer, links
        self._clock, self._pause, self._progress = clock, pause, progress
        self._calls = self._submitted = 0

    def run(self, package: Package) -> Report:
        """Freeze `package` if its briefing is not frozen, then submit to everyone still pending.

        What was frozen is what is mailed, whatever `package` says now. Raises SesError when SES cannot be
        asked at all; then nothing has been frozen.
        """
        briefing = package.month
        frozen = self._store.frozen(briefing)
        if frozen is not None:
            package = frozen
            self._store.hold_orphans(briefing, self._clock())
            if not self._store.counts(briefing).of(State.PENDING):
                return self._report(briefing)
        quota = self._mailer.quota()
        if not quota.enabled:
            raise SesError(
                "SES: sending is switched off for this account. See the account's page in the AWS console."
            )
        template = template_name(package)
        self._mailer.store_template(template, package)
        self._store.freeze(package, self._clock(), self._through)
        return self._report(briefing, self._submit_all(package, template, quota))

    def _submit_all(self, package: Package, template: str, quota: Quota) -> str:
        """Submit batch after batch; the reason for stopping early, or ""."""
        pace = Pace(quota.per_second)
        in_vain = unanswered = 0
        left = quota.left_today
        while True:
            size = int(min(quota.batch, left))
            if size < 1:
                return "the account's daily quota is used up"
            # First the pause, then the claim: whoever unsubscribes meanwhile is heeded, and a sender that is
            # stopped while it waits leaves nobody in doubt.
            self._pause(pace.wait(size))
            claim = self._store.claim(package.month, size, secrets.token_hex(16), self._clock())
            if claim is None:
                return ""
            outcomes, stop = self._call(package, template, claim)
            submitted = sum(outcome.state is State.SUBMITTED for outcome in outcomes)
            self._submitted += submitted
            left -= submitted
            self._progress(sum(outcome.state not in OPEN for outcome in outcomes))
            if stop:
                return stop
            unanswered = unanswered + 1 if _nobody_knows(outcomes) else 0
            if unanswered >= self.most_unanswered:
                return f"{unanswered} calls in a row went unanswered: {outcomes[0].evidence}"
            if all(outcome.state is State.PENDING for outcome in outcomes):
                in_vain += 1
                if in_vain > self.patience:
                    return f"SES keeps refusing: {outcomes[0].evidence}"
                self._pause(Pace.backoff(in_vain, secrets.SystemRandom().random()))
            else:
                in_vain = 0

    def _call(self, package: Package, template: str, claim: Claim) -> tuple[list[Outcome], str]:
        """Make the call a claim was taken for and record what it did; with the reason to stop the run, or ""."""
        outcomes, stop = self._ask(package, template, claim, claim.recipients)
        if len(outcomes) > 1 and not stop and all(outcome.state is State.FAILED for outcome in outcomes):
            # Fifty bad addresses in a row are no addresses' fault: nobody is given up for what the call did wrong.
            stop = f"SES refuses every recipient: {outcomes[0].evidence}"
            outcomes = _all(claim.recipients, State.PENDING, outcomes[0].evidence)
        self._record(claim, outcomes)
        return outcomes, stop

    def _record(self, claim: Claim, outcomes: Sequence[Outcome]) -> None:
        """Write an answer down; a database that another process holds is waited for, since SES will not say it again."""
        for _ in range(self.record_tries):
            try:
                self._store.record(claim, outcomes, self._clock())
                return
            except StoreBusy:
                self._pause(1.0)
        self._store.record(claim, outcomes, self._clock())

    def _ask(
        self, package: Package, template: str, claim: Claim, recipients: Sequence[Recipient]
    ) -> tuple[list[Outcome], str]:
        tags = {"briefing": package.month, "attempt": claim.attempt}
        self._calls += 1
        try:
            results = self._mailer.submit(template, package, [self._entry(r) for r in recipients], tags)
        except Throttled as refusal:
            stop = str(refusal) if "daily" in refusal.message.lower() else ""
            return _all(recipients, State.PENDING, str(refusal)), stop
        except Refused as refusal:
            if refusal.code not in _BLAMES_THE_REQUEST:
                return _all(recipients, State.PENDING, str(refusal)), str(refusal)
            if len(recipients) == 1:
                return _all(recipients, State.FAILED, str(refusal)), ""
            # Nothing of the call was accepted: halving it finds the one entry that SES will not take.
            middle = len(recipients) // 2
            first, stop = self._ask(package, template, claim, recipients[:middle])
            if stop:
                return first + _all(recipients[middle:], State.PENDING, "not asked"), stop
            second, stop = self._ask(package, template, claim, recipients[middle:])
            return first + second, stop
        except Ambiguous as doubt:
            return _all(recipients, State.IN_DOUBT, str(doubt)), ""
        outcomes = [
            judge(recipient.number, result) for recipient, result in zip(recipients, results, strict=True)
        ]
        stops = (
            f"{result.status}: {result.error}".rstrip(": ") for result in results if result.status in _STOP
        )
        return outcomes, next(stops, "")

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
            tags={"recipient": str(recipient.number)},
        )

    def _report(self, briefing: str, stopped: str = "") -> Report:
        return Report(self._store.counts(briefing), self._submitted, self._calls, stopped)


# The refusals that one bad entry can have caused. Every other one is about the account, the sender or the template
# (MessageRejected of a whole call: "Email address is not verified"), and stops the run.
_BLAMES_THE_REQUEST = {"BadRequestException", "InvalidParameterValue", "ValidationException"}


def _nobody_knows(outcomes: Sequence[Outcome]) -> bool:
    return bool(outcomes) and all(outcome.state is State.IN_DOUBT for outcome in outcomes)


def _all(recipients: Sequence[Recipient], state: State, evidence: str) -> list[Outcome]:
    return [Outcome(recipient.number, state, evidence) for recipient in recipients]
