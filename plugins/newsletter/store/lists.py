"""What an operator does with the whole list, or with one who is on it: what every store keeps its word on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from newsletter.store.door import Digests
from newsletter.store.people import Subscription

# The `source` of an address that is suppressed and nobody's.
NOBODY = "suppressed, and nobody's"


class Known(NamedTuple):
    """Whoever has an address at the moment."""

    public_id: bytes
    subscription: Subscription


class Listed(NamedTuple):
    """All that is kept of one on the list, in the order of an export's columns; texts, "" where there is nothing.

    `suppressed` is the reason, `suppressed_at` and `evidence` go with it; the rest is how the subscriber agreed.
    `form_text` stands beside the first who agreed to that `form`, and not again; `id` is the public id in hex, which the
    links in mails that are out carry. Of an address that is suppressed and
    nobody's, `status` is "unsubscribed" and `source` says so.
    """

    email: str
    status: str
    name: str = ""
    subscribed_at: str = ""
    confirmed_at: str = ""
    source: str = ""
    paused_until: str = ""
    suppressed: str = ""
    suppressed_at: str = ""
    evidence: str = ""
    asked_at: str = ""
    asked_ip: str = ""
    page: str = ""
    form: str = ""
    form_text: str = ""
    message_id: str = ""
    confirmed_ip: str = ""
    id: str = ""


class Suppression(NamedTuple):
    """Why and since when an address is never mailed. `at` is an ISO 8601 text in UTC."""

    reason: str
    at: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """The list in numbers. `joined` and `left` go by the month ("2020-11", "" where it is not known), `paused` are
    among the confirmed, `suppressed` goes by the reason.
    """

    subscriptions: Mapping[Subscription, int]
    paused: int
    suppressed: Mapping[str, int]
    joined: Mapping[str, int]
    left: Mapping[str, int]


class Lists(Protocol):
    """Reading the list whole, and the operator's own decisions about one address."""

    def known(self, address_keys: Collection[str]) -> Mapping[str, Known]:
        """Whoever has one of these addresses, by its key."""
        ...

    def listed(self, only: Collection[Subscription] = ()) -> Iterator[Listed]:
        """Everybody, in the order in which they came, or `only` those; without `only` the suppressed addresses that
        are nobody's come last. It is read in slices, so that it holds no writer up, and sees what changes meanwhile.
        """
        ...

    def restore(self, address_key: str, kept: Listed) -> None:
        """Give somebody who was just imported the public id, the pause and the proof of consent that an export of ours
        had. A public id that somebody else has by now stays theirs.
        """
        ...

    def vouch(self, address_key: str, source: str, at: datetime) -> bool:
        """The operator's word for somebody pending: confirmed from now on. False for everybody else."""
        ...

    def suppression(self, address_key: str, digests: Digests) -> Suppression | None:
        """Why this address is never mailed, were it erased meanwhile or not."""
        ...

    def block(self, address_key: str, digests: Digests, at: datetime, why: str) -> bool:
        """Suppress an address by the operator's decision, noted outside the database too, where `why` must hold no
        address. False if it was suppressed already.
        """
        ...

    def unblock(self, address_key: str, digests: Digests, at: datetime, why: str) -> bool:
        """End a suppression, whatever its reason; there is no other way. It is noted as that of `block`, and nobody
        is confirmed by it. False if it was not suppressed.
        """
        ...

    def letters_to(self, address_key: str) -> Sequence[tuple[str, str, str]]:
        """The letters to this address, on the list or not: when something last became of it, its kind, its state; the
        newest first.
        """
        ...

    def decisions(self, address_key: str, digests: Digests) -> Sequence[tuple[str, str, str]]:
        """What operators decided about this address: when, what, why."""
        ...

    def numbers(self, at: datetime) -> Numbers:
        """The list in numbers at that moment."""
        ...

    def outdated(self, before: datetime) -> Mapping[str, int]:
        """What `prune` would delete, by what it is."""
        ...
