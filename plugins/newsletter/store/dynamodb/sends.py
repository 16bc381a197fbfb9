"""The sendings in DynamoDB: how one is found, read through, and counted.

A sending's item comes first as a draft, which nobody else looks at; `frozen_at` makes it what is mailed (freezing.py).
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from typing import Any

from newsletter.errors import StoreError
from newsletter.models import Package
from newsletter.states import State
from newsletter.store.dynamodb import batch, keys
from newsletter.store.dynamodb.batch import Batch, Entry
from newsletter.store.dynamodb.item import Item, Key, raw
from newsletter.store.dynamodb.people import DynamoPeople
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.ledger import Counts, Send, Turn

LEFT_OUT = "LEFTOUT#"
_LAST = "~"  # sorts behind every digit


@dataclass(frozen=True, slots=True)
class Sending:
    """A sending's item. `draft` names its recipients' partitions, `last` is the highest number in them."""

    briefing: str
    draft: str
    content_hash: str
    frozen_at: str
    through: str
    corrects: str
    last: int
    recipients: int
    exclusions: dict[str, int]
    sound_at: str
    withdrawn: str
    counted_anew: bool = False


def sending_of(item: Item | None) -> Sending | None:
    """What an item says, if it is frozen."""
    if item is None or not item["frozen_at"]:
        return None
    return Sending(
        briefing=str(item["sk"]),
        draft=str(item["draft"]),
        content_hash=str(item["content_hash"]),
        frozen_at=str(item["frozen_at"]),
        through=str(item["through"]),
        corrects=str(item["corrects"]),
        last=int(item["last"]),
        recipients=int(item["recipients"]),
        exclusions=json.loads(str(item["exclusions"])),
        sound_at=str(item["sound_at"]),
        withdrawn=str(item.get("withdrawn", "")),
        counted_anew=bool(item.get("counted_anew")),
    )


class DynamoSends(DynamoPeople):
    """Keeps those promises of `Ledger` that are about sendings as wholes."""

    # -- what other parts look it up by

    def sending_named(self, briefing: str) -> Sending | None:
        """The sending of that briefing, if it is frozen."""
        return sending_of(self.table.get(keys.send(briefing)))

    def sendings(self) -> list[Sending]:
        """All that are frozen, in the order of their names."""
        found = map(sending_of, self.table.query("SEND"))
        return [one for one in found if one]

    def batches(self, sending: Sending) -> Iterator[Batch]:
        """All of its recipients, in the order of the numbers."""
        for item in self._items(sending, batch.PREFIX):
            yield batch.opened(item)

    def tallies(self, sending: Sending) -> Iterator[tuple[Key, dict[str, Any]]]:
        """Each batch's key, and what its recipients add up to."""
        for item in self._items(sending, batch.PREFIX, "tally"):
            yield (str(item["pk"]), str(item["sk"])), json.loads(str(item["tally"]))

    def left_out(self, sending: Sending) -> Iterator[tuple[int, str]]:
        """The number of each who was left out, and why."""
        for item in self._items(sending, LEFT_OUT):
            yield from json.loads(str(item["left_out"]))

    def left_out_for(self, sending: Sending, number: int) -> Iterator[str]:
        """Why somebody was left out, if so."""
        partition = keys.shard(sending.briefing, sending.draft, abs(number))
        last = f"{LEFT_OUT}{keys.digits(abs(number))}"
        for item in self.table.query(partition, LEFT_OUT, last, most=1, backwards=True):
            yield from (why for who, why in json.loads(str(item["left_out"])) if who == number)

    def _items(self, sending: Sending, prefix: str, *only: str) -> Iterator[Item]:
        for partition in keys.shards(sending.briefing, sending.draft, sending.last):
            yield from self.table.query(partition, prefix, f"{prefix}{_LAST}", only=only)

    # -- promises

    def frozen(self, briefing: str) -> Package | None:
        """See Store."""
        sending = self.sending_named(briefing)
        if sending is None:
            return None
        item = self.table.get(keys.package(briefing, sending.draft))
        return package_of(raw(item["package"])) if item else None

    def sends(self) -> list[Send]:
        """See Store."""
        found = sorted(self.sendings(), key=lambda one: (one.frozen_at, one.briefing))
        return [
            Send(
                one.briefing,
                datetime.fromisoformat(one.frozen_at),
                one.through,
                one.corrects,
                one.content_hash,
                one.recipients,
            )
            for one in found
        ]

    def through(self, briefing: str) -> str:
        """See Store."""
        sending = self.sending_named(briefing)
        return sending.through if sending else ""

    def counts(self, briefing: str) -> Counts:
        """See Store."""
        sending = self.sending_named(briefing)
        if sending is None:
            return Counts({}, {})
        states: Counter[str] = Counter()
        for _, tally in self.tallies(sending):
            states.update(tally["states"])
        return Counts({State(state): count for state, count in states.items()}, sending.exclusions)

    def discard(self, briefing: str) -> int:
        """See Store. It is gone as soon as its own item is; the rest follows."""
        sending = self.sending_named(briefing)
        if sending is None:
            return 0
        mails = {one.message_id for each in self.batches(sending) for who in each.entries for one in who.told}
        for partition in keys.spread("SUPPRESSED"):
            for item in self.table.query(partition):
                cause = str(item["evidence"]).split(" ")[0]
                if item["reason"] != "operator" and cause and cause in mails:
                    self.write(partial(Work.delete, key=(partition, str(item["sk"]))))
        self.write(lambda work: work.delete(keys.send(briefing)))
        self.clear_draft(briefing, sending.draft, sending.last)
        return sending.recipients

    def clear_draft(self, briefing: str, draft: str, last: int) -> None:
        """Delete what is kept of a sending that is none any more."""
        for partition in keys.shards(briefing, draft, last):
            self.table.delete_all(
                (str(item["pk"]), str(item["sk"])) for item in self.table.query(partition, only=("v",))
            )
        self.table.delete_all([keys.package(briefing, draft)])

    def found_sound(self, briefing: str, at: datetime) -> None:
        """See Store."""

        def note(work: Work) -> None:
            item = work.get(keys.send(briefing))
            if item and sending_of(item) and not item["sound_at"]:
                work.put({**item, "sound_at": moment(at)})

        self.write(note)

    def sound(self, briefing: str) -> bool:
        """See Store."""
        sending = self.sending_named(briefing)
        return bool(sending and sending.sound_at)

    def turn(self, briefing: str) -> Turn | None:
        """See Store."""
        newest = self.newest_turn(self.read(), briefing)
        return _turn(newest) if newest else None

    def newest_turn(self, work: Work, briefing: str) -> Item | None:
        """The newest turn's item."""
        found = work.query("TURN", keys.turn(briefing, 0)[1], f"{briefing}#{_LAST}", most=1, backwards=True)
        return found[0] if found else None

    def take_turn(self, briefing: str, number: int, owner: str, at: datetime) -> None:
        """See Store."""
        pk, sk = keys.turn(briefing, number)

        def take(work: Work) -> None:
            if work.get((pk, sk)):
                raise self._taken(briefing, number)
            work.put(
                {
                    "pk": pk,
                    "sk": sk,
                    "book": briefing,
                    "number": number,
                    "owner": owner,
                    "made_at": moment(at),
                    "taken_at": "",
                }
            )

        self.write(take)

    def turn_taken(self, briefing: str, number: int, at: datetime) -> None:
        """See Store."""

        def note(work: Work) -> None:
            if item := work.get(keys.turn(briefing, number)):
                work.put({**item, "taken_at": moment(at)})

        self.write(note)

    def drop_turn(self, briefing: str, number: int) -> None:
        """See Store."""

        def drop(work: Work) -> None:
            key = keys.turn(briefing, number)
            if (item := work.get(key)) and not item["taken_at"]:
                work.delete(key)

        self.write(drop)

    # -- finding one recipient

    def find(self, work: Work, sending: Sending, number: int) -> tuple[Batch, Entry] | None:
        """A recipient by its number, with the batch it is in as this step has left it."""
        partition = keys.shard(sending.briefing, sending.draft, abs(number))
        last = batch.key_of(partition, number)[1]
        found = work.query(partition, batch.PREFIX, last, most=1, backwards=True)
        if not found:
            return None
        opened = batch.opened(found[0])
        entry = opened.of(number)
        return (opened, entry) if entry else None

    def find_subscriber(
        self, work: Work, sending: Sending, number: int, public_id: bytes
    ) -> tuple[Batch, Entry] | None:
        """A subscriber as a recipient: under its number, or, in a sending that an older version has counted, by looking
        through all of it.
        """
        if not sending.counted_anew:
            return self.find(work, sending, number)
        for each in self.batches(sending):
            for entry in each.entries:
                if entry.public_id == public_id:
                    return self.find(work, sending, entry.number)
        return None

    def _taken(self, briefing: str, number: int) -> StoreError:
        return StoreError(f"{self.path}: turn {number} at {briefing} is taken.")


def _turn(item: Item) -> Turn:
    until = str(item.get("open_until", ""))
    return Turn(
        int(item["number"]),
        str(item["owner"]),
        bool(item["taken_at"]),
        datetime.fromisoformat(until) if until else None,
        str(item.get("stopped", "")),
    )


def package_of(kept: bytes) -> Package:
    """A package as it was frozen."""
    document = json.loads(zlib.decompress(kept))
    known = {field.name for field in fields(Package)}
    document = {key: value for key, value in document.items() if key in known}
    document["placeholders"] = tuple(document["placeholders"])
    document["items"] = tuple(document["items"])
    return Package(**document)
