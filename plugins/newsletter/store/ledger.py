"""The sends, recipient by recipient: what every store keeps of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from newsletter.states import Evidence, State
from newsletter.store.door import Digests

if TYPE_CHECKING:
    from newsletter.models import Package  # the door keeps a ledger too, and mails no package


# Why a recipient of what an operator has withdrawn is skipped.
WITHDRAWN = "withdrawn by the operator"
# What a history says of a call.
CALLED = "called"
# So long an event may wait for the answer of its call, or for another event that names its mail. Both come within
# minutes, unless the sender was stopped in between.
_STRAYS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One frozen recipient in a claim. `number` is its subscriber's, or, where an older version of this program began
    the sending, one of its own, below zero; in the mail's tags it is without its sign. `public_id` (16 bytes) is what
    its tokens carry; `tries` is how often SES has answered FAILED for it.
    """

    number: int
    address: str
    public_id: bytes
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """Recipients taken for one call of SES: durably, so that no other call can have them.

    `attempt` is the call's own id (tokens.attempt_id); it goes into the mails' tags, so that SES's events can be
    matched with it.
    """

    briefing: str
    attempt: str
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call did for one recipient: the state, why in words, and SES's message id if it accepted.

    `tried` says that SES did try to mail it and failed, which it may do only so often.
    """

    number: int
    state: State
    evidence: str
    message_id: str = ""
    tried: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing SES told of one mail. `number` is None where SES leaves our tags out: then `message_id` tells, for some
    stores only together with the `recipient`, to whose address SES says that the mail went ("" where it does not).
    """

    kind: Evidence
    message_id: str
    at: datetime
    briefing: str = ""
    attempt: str = ""
    number: int | None = None
    detail: str = ""
    recipient: str = ""

    @property
    def tagged(self) -> bool:
        """Whether it says by our own tags whose mail it is about."""
        return bool(self.briefing) and self.number is not None

    def may_be_ours_yet(self, at: datetime) -> bool:
        """Whether it can be about a mail of ours that is not known by its message id yet. Only a Rendering Failure
        comes without our tags (SES developer guide, "Examples of event data"), and it may come before the answer of
        the call it is about is written down.
        """
        untagged = self.kind is Evidence.RENDERING_FAILURE and not self.tagged
        return untagged and self.message_id != "" and at - self.at < _STRAYS


@dataclass(frozen=True, slots=True)
class Turn:
    """A sender's turn at a briefing: the how-manieth, whose (random), and whether SES has said that it is ours.

    Workers may act under it until `open_until` (None: never), unless it was `stopped`: why, in words.
    """

    number: int
    owner: str
    taken: bool
    open_until: datetime | None = None
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One call of which nobody knows whether SES took it: `held` recipients are in doubt because of it.

    `seen` is how many recipients of the call SES has told anything of; `since` is when the call was made.
    """

    attempt: str
    since: datetime
    held: int
    seen: int


@dataclass(frozen=True, slots=True)
class Trace:
    """All that is known of one recipient (or exclusion): for `newsletter audit`.

    `history` has one line for each thing known, oldest first: (moment, what, message id or words). Every call that was
    made for the recipient is in it, as "called" with its id, and what became of it.
    """

    address: str
    state: str
    history: tuple[tuple[str, str, str], ...]


def when(line: tuple[str, str, str]) -> tuple[str, int]:
    """By what to sort a history: in the order of time; of one moment the call first, and then the weaker first, for a
    mail is taken before it bounces.
    """
    told = [CALLED, *map(str, Evidence)]
    return line[0], told.index(line[1]) if line[1] in told else len(told)


@dataclass(frozen=True, slots=True)
class Counts:
    """A briefing's recipients by state, and how many subscribers were left out by reason."""

    states: Mapping[State, int]
    exclusions: Mapping[str, int]

    @property
    def recipients(self) -> int:
        """How many recipients were frozen."""
        return sum(self.states.values())

    def of(self, *states: State) -> int:
        """How many are in any of these states."""
        return sum(self.states.get(state, 0) for state in states)


@dataclass(frozen=True, slots=True)
class Send:
    """One sending: of which briefing, since when, through which SES ("" where nobody said), what it corrects ("" for
    a briefing), the hash of what was frozen, and for how many recipients.
    """

    briefing: str
    frozen_at: datetime
    through: str
    corrects: str
    content_hash: str
    recipients: int


class Ledger(Protocol):
    """What was frozen, claimed, answered and seen. Nothing here is ever guessed."""

    def freeze(self, package: Package, at: datetime, through: str = "", corrects: str = "") -> bool:
        """Fix what is mailed, to whom and through which SES: the package, every confirmed and unsuppressed subscriber as a
        pending recipient, every other one as an exclusion with its reason. False if that was done before.

        With `corrects` it is an erratum, and only those to whom that briefing was submitted come into question.
        """
        ...

    def join(self, briefing: str, at: datetime) -> int:
        """Make pending recipients of a frozen briefing of those who have signed up at the door since it was frozen; how
        many. Whoever else has come since, or may not be mailed, becomes an exclusion. 0 for an erratum, and for a
        briefing that was corrected or withdrawn: nobody new is to get that.
        """
        ...

    def frozen(self, briefing: str) -> Package | None:
        """The package that was frozen for this briefing, or None."""
        ...

    def sends(self) -> list[Send]:
        """All sendings that have begun, oldest first."""
        ...

    def audience(self, at: datetime, corrects: str = "") -> Counts:
        """What a freeze at that moment would give: the pending recipients, and the exclusions by reason."""
        ...

    def last_event(self, briefing: str) -> datetime | None:
        """When the last thing happened that SES told of a briefing's mails."""
        ...

    def through(self, briefing: str) -> str:
        """Through which SES this briefing was frozen to go; "" if it was not, or nobody said."""
        ...

    def discard(self, briefing: str) -> int:
        """Forget a briefing's sending, recipients, suppressions by its bounces and all, as if it had never begun; how
        many recipients. Turns stay.
        """
        ...

    def found_sound(self, briefing: str, at: datetime) -> None:
        """Note that the events of the first slice were found sound, so that the rest may follow."""
        ...

    def sound(self, briefing: str) -> bool:
        """Whether that was noted."""
        ...

    def turn(self, briefing: str) -> Turn | None:
        """The newest turn at this briefing, or None. `discard` leaves turns alone."""
        ...

    def take_turn(self, briefing: str, number: int, owner: str, at: datetime) -> None:
        """Note that SES is about to be asked for this turn. StoreError if the number is taken."""
        ...

    def turn_taken(self, briefing: str, number: int, at: datetime) -> None:
        """Note that SES has said that this turn is ours."""
        ...

    def drop_turn(self, briefing: str, number: int) -> None:
        """Forget a turn that turned out to be another's; one that was ours stays."""
        ...

    def hold_orphans(self, briefing: str, at: datetime) -> int:
        """Put in doubt what a sender that died had claimed. Only whoever holds `sending` may call it."""
        ...

    def claim(
        self, briefing: str, limit: int, attempt: str, at: datetime, first: Collection[str] = ()
    ) -> Claim | None:
        """Take up to `limit` pending recipients for one call; those who have unsubscribed or been suppressed
        since the freeze become skipped instead. None when nobody is pending. Those whose address keys are in `first` come first.
        """
        ...

    def record(self, claim: Claim, outcomes: Sequence[Outcome], at: datetime) -> None:
        """Write down what a claim's call did. Only recipients of that claim can change, and only by a step of
        the table in states.py. An answer that comes after the claim was held in doubt settles it.
        """
        ...

    def apply(self, sightings: Sequence[Sighting], at: datetime, digests: Digests = ...) -> int:
        """Take in what SES told; how many of the sightings were about our mails and new.

        The state of a recipient is what the strongest of all its evidence proves (states.proven), so neither
        order nor repetition matters. A hard bounce or a complaint suppresses the address; so do soft bounces
        in three briefings in a row. That is noted outside the database too, with the address's `digests`.

        What may be ours yet, without a mail that it is known to be about, is kept, and tried again with each call of
        this: so with nothing to take in it is worth calling too.
        """
        ...

    def attempted(self, briefing: str, attempt: str) -> bool:
        """Whether this ledger has made that call."""
        ...

    def seen(self, briefing: str) -> Mapping[Evidence, int]:
        """Of how many recipients SES has told each thing."""
        ...

    def canary_mailed(self, canary: str, at: datetime) -> None:
        """Note that a canary is about to be mailed."""
        ...

    def canary_seen(self, canary: str, at: datetime) -> None:
        """Note that SES has told of a canary; an unknown one is none of ours."""
        ...

    def newest_canary(self) -> datetime | None:
        """When the newest canary that has come back was mailed."""
        ...

    def doubts(self, briefing: str) -> list[Doubt]:
        """The unanswered calls that still hold recipients in doubt, oldest first."""
        ...

    def blind(self, briefing: str, since: datetime) -> int:
        """Of the recipients whose mail SES accepted since then, how many it has told nothing of."""
        ...

    def release(self, briefing: str, attempt: str, state: State, evidence: str, at: datetime) -> int:
        """Take the recipients that one unanswered call holds in doubt out of it, to `state`; how many. Those who would be
        pending in what was withdrawn are skipped.
        """
        ...

    def withdraw(self, briefing: str, at: datetime) -> int:
        """Mail a briefing to nobody further, and let nobody join it: those still pending become skipped; how many. Nobody
        else changes.
        """
        ...

    def trace(self, briefing: str, address_key: str = "") -> Iterator[Trace]:
        """What is known of each recipient and exclusion, or of the one with that key."""
        ...

    def counts(self, briefing: str) -> Counts:
        """The recipients by state and the exclusions by reason."""
        ...

    def sending(self, briefing: str) -> AbstractContextManager[None]:
        """Hold the right to send this briefing on this machine. StoreError if another process has it."""
        ...
