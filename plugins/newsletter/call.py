"""One call of SES for a claim's recipients, and what its answer means for each of them.

    accepted, refused for good or for now        by the entry's own status
    the whole call refused                       nobody was mailed; if one entry may be to blame, halves find it
    no answer, or none of SES's own              in doubt, and not called again

Sources: API reference V2, SendBulkEmail and BulkEmailEntryResult (its prose and its enum spell some statuses
differently). A status that is not here is in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from newsletter.errors import Ambiguous, Refused, Throttled
from newsletter.models import Package
from newsletter.ses.submit import Entry, EntryResult
from newsletter.states import State
from newsletter.store import Claim, Outcome, Recipient

# How often SES may answer FAILED, its word for nothing in particular, before a recipient is given up.
MOST_TRIES = 3
_AGAIN = {"ACCOUNT_THROTTLED", "TRANSIENT_FAILURE"}
_FINAL = {"MESSAGE_REJECTED", "INVALID_PARAMETER", "INVALID_PARAMETER_VALUE"}
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
# The refusals that one bad entry can have caused. Every other one is about the account, the sender or the template
# (MessageRejected of a whole call: "Email address is not verified"), and stops the run.
_BLAMES_THE_REQUEST = {"BadRequestException", "InvalidParameterValue", "ValidationException"}


def judge(number: int, result: EntryResult, tries: int = 0) -> Outcome:
    """What SES's word on an entry makes of its recipient, for whom it has answered FAILED `tries` times before."""
    said = f"{result.status}: {result.error}" if result.error else result.status
    if result.status == "SUCCESS" and result.message_id:
        return Outcome(number, State.SUBMITTED, "accepted by SES", result.message_id)
    if result.message_id:  # SES never names a mail that it has not taken
        return Outcome(number, State.IN_DOUBT, f"contradictory answer: {said}", "")
    if result.status in _AGAIN | _STOP:
        return Outcome(number, State.PENDING, said)
    if result.status == "FAILED":
        last = tries + 1 >= MOST_TRIES
        return Outcome(number, State.FAILED if last else State.PENDING, said, tried=True)
    if result.status in _FINAL:
        return Outcome(number, State.FAILED, said)
    return Outcome(number, State.IN_DOUBT, f"unknown answer: {said}")


class Submitter(Protocol):
    """Whoever can make a call; `ses.submit.Ses` can."""

    def submit(
        self, template: str, package: Package, entries: Sequence[Entry], tags: dict[str, str]
    ) -> list[EntryResult]:
        """One POST."""
        ...


class Calls:
    """The calls of one run of the sender; `made` counts them."""

    def __init__(
        self,
        ses: Submitter,
        template: str,
        package: Package,
        entry: Callable[[Recipient], Entry],
        stopping: Callable[[], bool],
    ) -> None:
        """`entry` says what a recipient is mailed, `stopping` whether no further call is to be made."""
        self._ses, self._template, self._package = ses, template, package
        self._entry, self._stopping = entry, stopping
        self.made = 0

    def ask(self, claim: Claim, crowd: bool) -> tuple[list[Outcome], str]:
        """Ask SES to mail a claim's recipients: an outcome for each of them, and the reason to stop the run, or "".

        `crowd` says that all of them together cannot be at fault: nobody is given up for what the call did wrong.
        """
        outcomes, reason = self._ask(claim, claim.recipients)
        if len(outcomes) == 1 or reason or outcomes[0].state is State.SUBMITTED:
            return outcomes, reason
        if all(outcome.tried for outcome in outcomes):
            # Tried again, it counts as their fault only if SES has taken others.
            return (_all(claim.recipients, State.PENDING, outcomes[0].evidence) if crowd else outcomes), ""
        if all(outcome.state is State.FAILED for outcome in outcomes):
            reason = f"SES refuses every recipient: {outcomes[0].evidence}"
            return _all(claim.recipients, State.PENDING, outcomes[0].evidence), reason
        return outcomes, ""

    def _ask(
        self, claim: Claim, recipients: Sequence[Recipient], to_blame: bool = False
    ) -> tuple[list[Outcome], str]:
        """`to_blame`: one of them is known to be what SES refuses, so asking for all of them would be in vain."""
        if not to_blame or len(recipients) == 1:
            tags = {"briefing": self._package.month, "attempt": claim.attempt}
            self.made += 1
            try:
                results = self._ses.submit(
                    self._template, self._package, [self._entry(one) for one in recipients], tags
                )
            except Throttled as refusal:
                reason = str(refusal) if "daily" in refusal.message.lower() else ""
                return _all(recipients, State.PENDING, str(refusal)), reason
            except Refused as refusal:
                if refusal.code not in _BLAMES_THE_REQUEST:
                    return _all(recipients, State.PENDING, str(refusal)), str(refusal)
                if len(recipients) == 1:
                    return _all(recipients, State.FAILED, str(refusal)), ""
            except Ambiguous as doubt:
                return _all(recipients, State.IN_DOUBT, str(doubt)), ""
            else:
                said = zip(recipients, results, strict=True)
                outcomes = [judge(one.number, result, one.tries) for one, result in said]
                bad = (result for result in results if result.status in _STOP)
                return outcomes, next((f"{one.status}: {one.error}".rstrip(": ") for one in bad), "")
        # Nothing of the call was accepted: halving it finds the one entry that SES will not take.
        middle = len(recipients) // 2
        first, reason = self._ask(claim, recipients[:middle])
        if reason or self._stopping():
            return first + _all(recipients[middle:], State.PENDING, "not asked"), reason
        clean = all(outcome.state is State.SUBMITTED for outcome in first)
        second, reason = self._ask(claim, recipients[middle:], to_blame=clean)
        return first + second, reason


def _all(recipients: Sequence[Recipient], state: State, evidence: str) -> list[Outcome]:
    return [Outcome(recipient.number, state, evidence) for recipient in recipients]
