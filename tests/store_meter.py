"""What a DynamoDB store is asked in the course of a mailing, and what AWS bills for it.

Counted at boto3's own client, call by call. A unit is what DynamoDB bills (developer guide, "DynamoDB on-demand
capacity mode"): a write for each kilobyte of an item, two in a transaction; a consistent read for each four kilobytes
of an item or of a query's answer. What an update adds to is a counter, so it counts as one kilobyte.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from newsletter import address
from newsletter.states import Evidence, State
from newsletter.store import Outcome, Sighting, Store, Subscriber, Subscription
from newsletter.store.dynamodb.table import Table
from tests.store_contract import NOW, PACKAGE

_BATCH = 50
# Of each mail SES tells that it was accepted, within two seconds, and that it was delivered, within thirty: so the
# events of a batch come mixed with those of others. At 450 mails a second five seconds bring more than a function is
# handed (infra/template.yaml, BatchSize).
_PER_SECOND, _SOON, _LATER, HANDED = 450, 2.0, 30.0, 1000


@dataclass
class Meter:
    """What has been asked since it was made."""

    calls: int = 0
    writes: int = 0  # items written, deleted or checked
    write_units: int = 0
    read_units: int = 0

    def __sub__(self, other: Meter) -> Meter:
        return Meter(
            self.calls - other.calls,
            self.writes - other.writes,
            self.write_units - other.write_units,
            self.read_units - other.read_units,
        )

    def copy(self) -> Meter:
        return Meter(self.calls, self.writes, self.write_units, self.read_units)

    def _asked(self, params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["asked"] = params

    def _answered(self, parsed: Mapping[str, Any], context: Mapping[str, Any], model: Any, **_: Any) -> None:
        asked = context["asked"]
        self.calls += 1
        match model.name:
            case "GetItem":
                self.read_units += _reads([parsed.get("Item", {})])
            case "BatchGetItem":
                for items in parsed.get("Responses", {}).values():
                    self.read_units += sum(_reads([item]) for item in items)
            case "Query":
                self.read_units += _reads(parsed.get("Items", []))
            case "BatchWriteItem":
                for requests in asked["RequestItems"].values():
                    for request in requests:
                        self._write(request.get("PutRequest", {}).get("Item", {}), 1)
            case "PutItem" | "UpdateItem" | "DeleteItem":
                self._write(asked.get("Item", {}), 1)
            case "TransactWriteItems":
                for action in asked["TransactItems"]:
                    [one] = action.values()
                    self._write(one.get("Item", {}), 2)
            case name:
                assert name.startswith("Describe"), name

    def _write(self, item: Mapping[str, Any], times: int) -> None:
        self.writes += 1
        self.write_units += times * max(1, math.ceil(size_of(item) / 1024))


def size_of(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of an item: its names and values (developer guide, "DynamoDB item sizes and formats")."""
    return sum(
        len(name.encode()) + len(value if isinstance(value, bytes) else str(value).encode())
        for name, typed in item.items()
        for value in typed.values()
    )


def _reads(items: list[Mapping[str, Any]]) -> int:
    return max(1, math.ceil(sum(map(size_of, items)) / 4096))


@contextmanager
def metered(url: str) -> Iterator[Meter]:
    """Count what the stores of this URL are asked while the block lasts."""
    meter, events = Meter(), Table(url).client.meta.events
    hooks = (("before-parameter-build.dynamodb", meter._asked), ("after-call.dynamodb", meter._answered))
    for name, hook in hooks:
        events.register(name, hook)
    try:
        yield meter
    finally:
        for name, hook in hooks:
            events.unregister(name, hook)


def mailing(store: Store, meter: Meter, recipients: int) -> dict[str, Meter]:
    """One mailing from the import on: what each part of it asked of the store."""
    parts: dict[str, Meter] = {}
    before = meter.copy()

    def part(name: str) -> None:
        nonlocal before
        parts[name] = meter - before
        before = meter.copy()

    rng = random.Random(7)  # noqa: S311 - the same list each time
    store.import_subscribers(_subscribers(rng, recipients))
    part("import")
    store.freeze(PACKAGE, NOW)
    part("freeze")
    mailed: list[tuple[int, str]] = []
    while taken := store.claim(PACKAGE.month, _BATCH, f"{len(mailed):x}-{rng.randbytes(16).hex()}", NOW):
        outcomes = [
            Outcome(one.number, State.SUBMITTED, "accepted by SES", _message_id(one.number))
            for one in taken.recipients
        ]
        store.record(taken, outcomes, NOW)
        mailed += [(one.number, taken.attempt) for one in taken.recipients]
    assert len(mailed) == recipients
    part("claim, submit, record")
    for some in _as_they_come(mailed):
        store.apply(some, NOW + timedelta(seconds=9))
    part("events")
    return parts


def _subscribers(rng: random.Random, count: int) -> Iterator[Subscriber]:
    """Addresses as unlike one another as people's are: alike ones would pack into nothing."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    domains = ["".join(rng.choices(letters, k=rng.randint(5, 12))) + ".example" for _ in range(60)]
    for number in range(count):
        name = "".join(rng.choices(letters, k=rng.randint(6, 14)))
        yield Subscriber(address.parse(f"{name}{number}@{rng.choice(domains)}"), Subscription.CONFIRMED)


def _message_id(number: int) -> str:
    """As long and as random as SES's."""
    return f"0102019a{random.Random(number).randbytes(20).hex()}-000000"  # noqa: S311 - the same one each time


def _as_they_come(mailed: list[tuple[int, str]]) -> Iterator[list[Sighting]]:
    """SES's events of these mails, in the order and the portions in which a function would have them."""
    rng = random.Random(7)  # noqa: S311 - the same order each time
    told = sorted(
        (place // _BATCH * _BATCH / _PER_SECOND + rng.uniform(0, within), place, kind)
        for place in range(len(mailed))
        for kind, within in ((Evidence.SEND, _SOON), (Evidence.DELIVERY, _LATER))
    )
    for first in range(0, len(told), HANDED):
        yield [
            Sighting(
                kind,
                _message_id(mailed[place][0]),
                NOW,
                PACKAGE.month,
                mailed[place][1],
                mailed[place][0],
            )
            for _, place, kind in told[first : first + HANDED]
        ]
