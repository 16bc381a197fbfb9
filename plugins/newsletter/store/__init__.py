"""Where subscribers and sends are kept: what every store promises, and how one is opened.

    people.py   subscribers, suppressions
    ledger.py   sends, recipients, the evidence of what became of each mail
    fanout.py   what workers share, where several mail one briefing
    proofs.py   what all of that can be examined by; health.py whether the store can be relied on
    lists.py    the list read whole, and what an operator decides about one address
    moving.py   taking one store over into another
    door.py     what strangers and subscribers ask for; journal.py what of it outlives the database

Every method that changes something is one transaction, durable when it returns. Texts come back as they went
in; moments are aware datetimes. A store that cannot be reached or is too new raises StoreError.
tests/store_contract.py holds every store to it.
"""

from __future__ import annotations

from typing import Protocol

from newsletter.errors import SettingsError
from newsletter.store.door import Door
from newsletter.store.fanout import FanOut
from newsletter.store.health import Health
from newsletter.store.ledger import (
    Claim,
    Counts,
    Doubt,
    Ledger,
    Outcome,
    Recipient,
    Send,
    Sighting,
    Trace,
    Turn,
)
from newsletter.store.lists import Lists
from newsletter.store.moving import Moving
from newsletter.store.people import ImportCounts, People, Subscriber, Subscription
from newsletter.store.proofs import Proofs

__all__ = [
    "Claim",
    "Counts",
    "Doubt",
    "ImportCounts",
    "Outcome",
    "Recipient",
    "Send",
    "Sighting",
    "Store",
    "Subscriber",
    "Subscription",
    "Trace",
    "Turn",
    "open_store",
]


class Store(People, Lists, Ledger, FanOut, Proofs, Door, Health, Moving, Protocol):
    """All of it, in one place, so that one transaction can span it."""

    def close(self) -> None:
        """Let go of the database."""
        ...


def open_store(url: str, make: bool = True) -> Store:
    """Open the store that a URL names: sqlite:///path or dynamodb://TABLE. Without `make`, a file that is not there yet
    is an empty one and stays not there. Raises SettingsError for another scheme, StoreError.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator and rest.startswith("/") and len(rest) > 1:
        from newsletter.store.sqlite import SqliteStore  # a store pays only for itself

        return SqliteStore(rest[1:], make)
    if scheme == "dynamodb" and separator:
        from newsletter.store.dynamodb import DynamoStore

        return DynamoStore(url)
    raise SettingsError(
        f"STORE_URL: {url!r} is no store this program knows. Write sqlite:///var/newsletter.db, or dynamodb://TABLE."
    )
