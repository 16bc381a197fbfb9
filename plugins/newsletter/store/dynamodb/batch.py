"""A batch: at most 50 recipients of one sending in one item, which is what the ledger writes at a time.

    frozen ─► claimed (one write) ─► answered (one write) ─► what SES tells (one write for all that is told at once)

A recipient's number is its subscriber's, a batch holds neighbours in the order of the numbers, and its sort key is
its first number: so a recipient is found by the number in its mail's tags, by one query and without an index.

The recipients are JSON, compressed: DynamoDB asks its price for each kilobyte written, and a batch is 3 to 6 KB so
instead of 15. `tally` is what they add up to, for whoever counts.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from newsletter.states import Evidence, State
from newsletter.store.dynamodb import keys
from newsletter.store.dynamodb.item import Item, Key, raw

MOST = 50
PREFIX = "BATCH#"


class Told(NamedTuple):
    """One thing SES told of a mail."""

    kind: str
    message_id: str
    attempt: str
    at: str
    detail: str


class Earlier(NamedTuple):
    """A call before the last one that a recipient was claimed for: when it was over, and why it was claimed again."""

    attempt: str
    ended: str
    words: str


@dataclass(slots=True)
class Entry:
    """One recipient. `number` is below zero where an older version of the SQLite store has counted."""

    number: int
    address: str
    key: str
    public_id: bytes
    changed: str
    state: State = State.PENDING
    attempt: str = ""
    message_id: str = ""
    words: str = ""
    tries: int = 0
    told: list[Told] = field(default_factory=list)
    subscriber: int = 0  # whose it is, where its own number does not say so
    earlier: list[Earlier] = field(default_factory=list)

    def has(self, kind: Evidence) -> bool:
        """Whether SES has told that of it."""
        return any(one.kind == kind for one in self.told)


@dataclass(slots=True)
class Call:
    """A call of SES that was made for a batch; `answered` is "" while nobody knows."""

    made: str
    answered: str = ""


@dataclass(slots=True)
class Batch:
    """Recipients, in the order of their numbers' size, and the calls made for them."""

    key: Key
    entries: list[Entry]
    calls: dict[str, Call] = field(default_factory=dict)

    def of(self, number: int) -> Entry | None:
        """The recipient that bears that number in its mail's tags, where numbers have no sign."""
        return next((entry for entry in self.entries if abs(entry.number) == abs(number)), None)


def key_of(partition: str, first: int) -> Key:
    """Where the batch lies whose first number that is."""
    return partition, f"{PREFIX}{keys.digits(abs(first))}"


def opened(item: Item) -> Batch:
    """The batch that an item holds."""
    document = json.loads(zlib.decompress(raw(item["recipients"])))
    calls = {attempt: Call(*times) for attempt, *times in document["calls"]}
    names = ["", *calls]
    entries = []
    for number, address, key, public_id, changed, state, call, message_id, words, tries, told, *rest in document["recipients"]:  # fmt: skip
        entries.append(
            Entry(
                number, address, key or address.lower(), b64decode(public_id), changed, State(state),
                names[call] if isinstance(call, int) else call, message_id, words, tries,
                [Told(*one) for one in told], *rest[:1],
            )
        )  # fmt: skip
        if len(rest) > 1:
            entries[-1].earlier = [Earlier(*one) for one in rest[1]]
    return Batch((str(item["pk"]), str(item["sk"])), entries, calls)


def closed(batch: Batch) -> Item:
    """The item that holds a batch. Calls that were answered and left no trace are forgotten."""
    named = {entry.attempt for entry in batch.entries}
    named |= {one.attempt for entry in batch.entries for one in entry.told}
    named |= {one.attempt for entry in batch.entries for one in entry.earlier}
    calls = {name: call for name, call in batch.calls.items() if name in named or not call.answered}
    places = {"": 0} | {name: place for place, name in enumerate(calls, start=1)}
    document = {
        "calls": [[name, call.made, call.answered] for name, call in calls.items()],
        "recipients": [
            [
                one.number, one.address, "" if one.key == one.address.lower() else one.key,
                b64encode(one.public_id).decode(), one.changed, str(one.state), places.get(one.attempt, one.attempt),
                one.message_id, one.words, one.tries, one.told, *_rest(one),
            ]
            for one in batch.entries
        ],
    }  # fmt: skip
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return {
        "pk": batch.key[0],
        "sk": batch.key[1],
        "recipients": zlib.compress(text.encode()),
        "tally": json.dumps(_tally(batch), separators=(",", ":")),
    }


def _rest(entry: Entry) -> list[Any]:
    """What only few recipients have."""
    if entry.earlier:
        return [entry.subscriber, entry.earlier]
    return [entry.subscriber] if entry.subscriber else []


def _tally(batch: Batch) -> dict[str, Any]:
    """How many recipients are in each state, SES has told what of, and are waited for since when and by which call."""
    states = Counter(str(entry.state) for entry in batch.entries)
    seen = Counter(kind for entry in batch.entries for kind in {one.kind for one in entry.told})
    silent: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for entry in batch.entries:
        if entry.state is State.SUBMITTED and not entry.told and entry.attempt in batch.calls:
            silent[batch.calls[entry.attempt].made] += 1
        if entry.state is State.IN_DOUBT:
            held[entry.attempt] += 1
    return {
        "states": states,
        "seen": seen,
        "silent": silent,
        "doubt": {
            attempt: [batch.calls[attempt].made, count, _told_of(batch.entries, attempt)]
            for attempt, count in held.items()
        },
        "last": max((one.at for entry in batch.entries for one in entry.told), default=""),
    }


def _told_of(entries: Iterable[Entry], attempt: str) -> int:
    return sum(any(one.attempt == attempt for one in entry.told) for entry in entries)
