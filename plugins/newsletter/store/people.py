"""Subscribers and suppressions: what every store keeps of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from newsletter.address import Address


class Subscription(StrEnum):
    """Whether a subscriber wants the briefing. Only the confirmed are mailed."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


class Subscriber(NamedTuple):
    """One line of a list to import: an address, what it said, and where from. Moments are ISO 8601 texts."""

    address: Address
    subscription: Subscription
    name: str = ""
    subscribed_at: str = ""
    confirmed_at: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """What an import did: `added`, `withdrawn` (confirmed here, unsubscribed there), `known` (unchanged)."""

    added: int
    withdrawn: int
    known: int


class People(Protocol):
    """Who wants the briefing, and who must never be mailed again."""

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
