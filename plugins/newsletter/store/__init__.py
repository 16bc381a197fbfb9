"""Where subscribers and sends are kept: what every store promises, and how one is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from newsletter.address import Address
from newsletter.errors import SettingsError
from newsletter.models import Package
from newsletter.states import Evidence, State


class Subscription(StrEnum):
    """Whether a subscriber wants the briefing. Only the confirmed are mailed."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One line of a list to import: an address, what it said, and where from. Moments are ISO 8601 texts."""

    address: Address
    subscription: Subscription
    name: str = ""
    subscribed_at: str = ""
    confirmed_at: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One frozen recipient in a claim. `public_id` (16 bytes) is what its tokens carry."""

    number: int
    address: str
    public_id: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """Recipients taken for one call of SES: durably, so that no other call can have them.

    `attempt` is the call's own id (32 hex digits); it goes into the mails' tags, so that SES's events can be
    matched with it.
    """

    briefing: str
    attempt: str
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call did for one recipient: the state, why in words, and SES's message id if it accepted."""

    number: int
    state: State
    evidence: str
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing SES told of one mail. `number` is None where SES leaves our tags out: then `message_id` tells."""

    kind: Evidence
    message_id: str
    at: datetime
    briefing: str = ""
    attempt: str = ""
    number: int | None = None
    detail: str = ""


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

    `history` has one line for each thing known, oldest first: (moment, what, message id or words).
    """

    address: str
    state: str
    history: tuple[tuple[str, str, str], ...]


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


class Store(Protocol):
    """The promises every store keeps; tests/store_contract.py holds each one to them.

    Every method that changes something is one transaction, durable when it returns. Texts come back as they
    went in; moments are aware datetimes. A store that cannot be reached or is too new raises StoreError.
    """

    def import_subscribers(self, subscribers: Iterable[Subscriber]) -> ImportCounts:
        """Add the new and note the withdrawn. An import never raises a status: whoever is unsubscribed or
        suppressed here stays so, and a confirmed one whom the list has unsubscribed becomes unsubscribed.
        """
        ...

    def suppress(self, key: str, reason: str, at: datetime, evidence: str) -> None:
        """Never mail this address key again, whatever its subscription; the first reason stays."""
        ...

    def subscription_counts(self) -> Mapping[Subscription, int]:
        """How many subscribers there are of each kind."""
        ...

    def freeze(self, package: Package, at: datetime, through: str = "") -> bool:
        """Fix what is mailed, to whom and through which SES: the package, every confirmed and unsuppressed subscriber as a
        pending recipient, every other one as an exclusion with its reason. False if that was done before.
        """
        ...

    def frozen(self, briefing: str) -> Package | None:
        """The package that was frozen for this briefing, or None."""
        ...

    def through(self, briefing: str) -> str:
        """Through which SES this briefing was frozen to go; "" if it was not, or nobody said."""
        ...

    def discard(self, briefing: str) -> int:
        """Forget a briefing's sending, recipients and all, as if it had never begun; how many recipients."""
        ...

    def hold_orphans(self, briefing: str, at: datetime) -> int:
        """Put in doubt what a sender that died had claimed. Only whoever holds `sending` may call it."""
        ...

    def claim(self, briefing: str, limit: int, attempt: str, at: datetime) -> Claim | None:
        """Take up to `limit` pending recipients for one call; those who have unsubscribed or been suppressed
        since the freeze become skipped instead. None when nobody is pending.
        """
        ...

    def record(self, claim: Claim, outcomes: Sequence[Outcome], at: datetime) -> None:
        """Write down what a claim's call did. Only recipients of that claim can change, and only by a step of
        the table in states.py.
        """
        ...

    def apply(self, sightings: Sequence[Sighting], at: datetime) -> int:
        """Take in what SES told; how many of the sightings were about our mails and new.

        The state of a recipient is what the strongest of all its evidence proves (states.proven), so neither
        order nor repetition matters. A hard bounce or a complaint suppresses the address; so do soft bounces
        in three briefings in a row.
        """
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
        """Take the recipients that one unanswered call holds in doubt out of it, to `state`; how many."""
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

    def close(self) -> None:
        """Let go of the database."""
        ...


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """What an import did: `added`, `withdrawn` (confirmed here, unsubscribed there), `known` (unchanged)."""

    added: int
    withdrawn: int
    known: int


def open_store(url: str, make: bool = True) -> Store:
    """Open the store that a URL names: sqlite:///path. Without `make`, one that is not there yet is an empty one
    and stays not there. Raises SettingsError for another scheme, StoreError.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator and rest.startswith("/") and len(rest) > 1:
        from newsletter.store.sqlite import SqliteStore  # a store pays only for itself

        return SqliteStore(rest[1:], make)
    raise SettingsError(
        f"STORE_URL: {url!r} is no store this program knows. Write sqlite:///var/newsletter.db."
    )
