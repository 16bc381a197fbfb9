"""One run's calls over one frozen briefing: what everybody does with a claim, one sender or many workers.

claim (durable) ─► post: one POST ─► the answer, written down ─► what follows from it: on, a rest, or stop
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.call import Calls, Submitter
from newsletter.errors import StoreBusy
from newsletter.models import Package
from newsletter.pace import Pace
from newsletter.ses.submit import Entry
from newsletter.states import State
from newsletter.store import Claim, Outcome, Recipient, Store
from newsletter.tokens import Purpose, attempt_id, mint


@dataclass(frozen=True, slots=True)
class Links:
    """Where the links of a mail lead: the site's address and the keys that sign them."""

    site_url: str
    secret_keys: Sequence[bytes]

    def unsubscribe(self, public_id: bytes) -> str:
        """The address whose POST unsubscribes this one subscriber (RFC 8058)."""
        return f"{self.site_url}/u/{mint(Purpose.UNSUBSCRIBE, public_id, self.secret_keys)}"


@dataclass(frozen=True, slots=True)
class Step:
    """What became of a claim: each recipient's outcome, why the run must stop ("": it need not), and for how many
    seconds to rest before the next call.
    """

    outcomes: Sequence[Outcome]
    stop: str = ""
    rest: float = 0.0

    @property
    def submitted(self) -> int:
        """How many SES has accepted."""
        return sum(one.state is State.SUBMITTED for one in self.outcomes)


def template_name(package: Package) -> str:
    """The name under which SES keeps what is mailed: equal names mean equal content."""
    return f"briefing-{package.month}-{package.content_hash[:16]}"


class Mailing:
    """The calls of one process for one briefing."""

    # How often in a row SES may refuse all of a call, for the moment, before the run gives up for now.
    patience = 8
    # How often in a row a call may go unanswered: something is broken then, and each further call puts more in doubt.
    most_unanswered = 2
    # How long after its claim a call may be begun. A machine that slept in between must not make it: another may have
    # taken the recipients over meanwhile, which takes a quarter of an hour at least (settle.QUIET). A worker's claim
    # may wait for two slots (shared_pace.HORIZON).
    longest_held = timedelta(seconds=120)
    # How often to try to write down an answer while another process holds the database, half a minute each.
    record_tries = 20

    def __init__(
        self,
        store: Store,
        ses: Submitter,
        links: Links,
        package: Package,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
        stopping: Callable[[], bool],
        accepted: int = 0,
    ) -> None:
        """`stopping` says whether no further call is to be made; `accepted` is of how many recipients SES has accepted
        a mail already.
        """
        self._store, self._links, self._clock, self._pause = store, links, clock, pause
        self._calls = Calls(ses, template_name(package), package, self._entry, stopping)
        self.briefing = package.month
        self.accepted, self.submitted = accepted, 0
        self._in_vain = self._unanswered = 0
        self._claimed = clock()

    @property
    def made(self) -> int:
        """How many calls were made."""
        return self._calls.made

    def attempt(self) -> str:
        """The id of a new call, for a claim that is made now."""
        self._claimed = self._clock()
        return attempt_id(self.briefing, self._links.secret_keys)

    def post(self, claim: Claim, full: bool) -> Step:
        """Call SES for a claim's recipients and write down what it says. `full`: there are as many as a call may have.

        Raises StoreError where the answer could not be written down: they stay claimed, and are held in doubt.
        """
        if self._clock() - self._claimed > self.longest_held:
            self.give_back(claim)
            return Step([Outcome(one.number, State.PENDING, "held too long") for one in claim.recipients])
        # All of a full call, or all there are, cannot be refused for what they are.
        outcomes, reason = self._calls.ask(claim, crowd=full or not self.accepted)
        self._record(claim, outcomes)
        step = Step(outcomes, reason)
        self.submitted += step.submitted
        self.accepted += step.submitted
        if reason:
            return step
        said = outcomes[0].evidence
        self._unanswered = self._unanswered + 1 if all(one.state is State.IN_DOUBT for one in outcomes) else 0
        if self._unanswered >= self.most_unanswered:
            return Step(outcomes, f"{self._unanswered} calls in a row went unanswered: {said}")
        self._in_vain = self._in_vain + 1 if all(one.state is State.PENDING for one in outcomes) else 0
        if self._in_vain > self.patience:
            return Step(outcomes, f"SES keeps refusing: {said}")
        if self._in_vain:
            return Step(outcomes, rest=Pace.backoff(self._in_vain, secrets.SystemRandom().random()))
        return step

    def give_back(self, claim: Claim) -> None:
        """Make a claim's recipients pending again: they were not mailed, because no call was made. Raises StoreError."""
        self._record(claim, [Outcome(one.number, State.PENDING, "not asked") for one in claim.recipients])

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
