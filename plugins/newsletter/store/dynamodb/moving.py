"""A DynamoDB store taken over into another, and another into it."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Any

from newsletter.states import State
from newsletter.store.dynamodb import batch, keys, people
from newsletter.store.dynamodb.batch import Batch, Call, Earlier, Entry, Told
from newsletter.store.dynamodb.erasure import DynamoErasure
from newsletter.store.dynamodb.item import Item, Key, raw
from newsletter.store.dynamodb.letters import beside, tally_expires
from newsletter.store.dynamodb.sends import LEFT_OUT, Sending
from newsletter.store.moving import COLUMNS, Kind, Row, line_row, missing_lines

# The recipients of a sending that was taken over have this for the name of their draft.
_DRAFT = "moved"
_LEFT_OUT = 500
_STEP = 100  # people looked up at a time
# Longer than any stretch of time in which something is limited.
_LONGEST = timedelta(days=31)
_MONTH = len("2020-11")


class DynamoMoving(DynamoErasure):
    """Keeps the promises of `Moving`."""

    def rows(self, kind: Kind, briefing: str = "", at: datetime | None = None) -> Iterator[Row]:
        """See Moving."""
        if kind is Kind.RECIPIENT:
            yield from self._recipient_rows(briefing)
        elif kind is Kind.EXCLUSION:
            for number, reason in self.left_out(self._sending(briefing)):
                yield {"briefing": briefing, "subscriber": number, "reason": reason}
        elif kind is Kind.JOURNAL:
            yield from map(line_row, self.journal.lines())
        elif kind is Kind.NUMBER:
            yield {"last": self.last_number()}
        elif kind is Kind.LIMIT:
            yield from self._counts(at or datetime.now(UTC))
        else:
            for item in self._items_of(kind):
                yield {name: _shown(item[name]) for name in COLUMNS[kind]}

    def _items_of(self, kind: Kind) -> Iterator[Item]:
        """Every item of a kind, with its columns."""
        match kind:
            case Kind.SUBSCRIBER:
                yield from ({**item, "id": item["number"]} for item in self.subscribers())
            case Kind.SUPPRESSION:
                yield from ({**item, "address_key": item["sk"]} for item in self._spread("SUPPRESSED"))
            case Kind.ERASED:
                yield from ({**item, "digest": item["sk"]} for item in self._spread("ERASED"))
            case Kind.CONSENT:
                yield from self._spread("CONSENT")
            case Kind.HISTORY:
                yield from self._spread("HISTORY")
            case Kind.FORM:
                yield from self.table.query("FORM")
            case Kind.LETTER:
                yield from self.letters()
            case Kind.TURN:
                yield from ({"open_until": "", "stopped": "", **item} for item in self.table.query("TURN"))
            case Kind.CANARY:
                yield from ({**item, "id": item["sk"]} for item in self.table.query("CANARY"))
            case Kind.STRAY:
                yield from self.table.query("STRAY")
            case Kind.SEND:
                for item in self.table.query("SEND"):
                    if item["frozen_at"]:
                        package = self.table.get(keys.package(str(item["sk"]), str(item["draft"])))
                        document = zlib.decompress(raw(package["package"])).decode() if package else ""
                        yield {"withdrawn": "", **item, "briefing": item["sk"], "package": document}

    def _counts(self, at: datetime) -> Iterator[Row]:
        """What is counted in stretches of time that are not over."""
        for day in range(_LONGEST.days + 1):
            for item in self.table.query(keys.tallies(at + timedelta(days=day))):
                key, seconds, stretch = str(item["sk"]).rsplit("#", 2)
                if (int(stretch) + 1) * int(seconds) > at.timestamp():
                    row = {
                        "key": key,
                        "seconds": int(seconds),
                        "stretch": int(stretch),
                        "count": int(item["n"]),
                    }
                    yield row

    def _spread(self, name: str) -> Iterator[Item]:
        for partition in keys.spread(name):
            yield from self.table.query(partition)

    def _sending(self, briefing: str) -> Sending:
        return self.sending_named(briefing) or self._draft(briefing)

    def _draft(self, briefing: str) -> Sending:
        """A sending whose recipients are taken over, before it is there itself."""
        return Sending(briefing, _DRAFT, "", "", "", "", self.last_number(), 0, {}, "", "")

    def _recipient_rows(self, briefing: str) -> Iterator[Row]:
        for each in self.batches(self._sending(briefing)):
            none = Call("", "")
            for one in each.entries:
                call = each.calls.get(one.attempt, none)
                yield {
                    "briefing": briefing, "number": one.number, "subscriber": one.subscriber or one.number,
                    "public_id": one.public_id.hex(), "address": one.address, "address_key": one.key,
                    "state": str(one.state), "attempt": one.attempt, "message_id": one.message_id, "evidence": one.words,
                    "tries": one.tries, "changed_at": one.changed, "made_at": call.made, "answered_at": call.answered,
                    "told": sorted(
                        [*told, each.calls.get(told.attempt, none).made, each.calls.get(told.attempt, none).answered]
                        for told in one.told
                    ),
                    "earlier": sorted(
                        [*call, each.calls.get(call.attempt, none).made, each.calls.get(call.attempt, none).answered]
                        for call in one.earlier
                    ),
                }  # fmt: skip

    # -- taking over

    def take(self, kind: Kind, rows: Iterable[Row], briefing: str = "") -> None:
        """See Moving. History and letters have no key of their own here, so what is there of them goes first."""
        match kind:
            case Kind.SUBSCRIBER:
                self.table.put_all(self._subscriber_items(rows))
            case Kind.HISTORY:
                self.table.delete_all(_key(item) for item in list(self._spread("HISTORY")))
                left: dict[bytes, list[str]] = {}
                self.table.put_all(_history_items(rows, left))
                self.table.put_all(self._leavings(left))
            case Kind.CONSENT:
                self.table.put_all(self._consent_items(rows))
            case Kind.LETTER:
                old = [key for item in self.letters() for key in (_key(item), *beside(item))]
                self.table.delete_all(old)
                self.table.put_all(item for row in rows for item in _letter_items(row))
            case Kind.RECIPIENT:
                self._clear(briefing, batch.PREFIX)
                self.table.put_all(_batch_items(briefing, rows))
            case Kind.EXCLUSION:
                self._clear(briefing, LEFT_OUT)
                self.table.put_all(_left_out_items(briefing, rows))
            case Kind.SEND:
                for row in rows:
                    self.table.put_all(self._send_items(row))
            case Kind.JOURNAL:
                self.journal.write(missing_lines(rows, self.journal.lines()))
            case Kind.NUMBER:
                pk, sk = keys.SUBSCRIBER_COUNT
                self.table.put_all({"pk": pk, "sk": sk, "n": row["last"]} for row in rows)
            case _:
                self.table.put_all(_plain_item(kind, row) for row in rows)

    def _subscriber_items(self, rows: Iterable[Row]) -> Iterator[Item]:
        for row in rows:
            number = int(row["id"])
            facts: Item = {
                name: row[name] for name in COLUMNS[Kind.SUBSCRIBER] if name not in ("id", "public_id")
            }
            yield from people.items(number, {**facts, "public_id": bytes.fromhex(row["public_id"])})

    def _leavings(self, left: Mapping[bytes, list[str]]) -> Iterator[Item]:
        """When each left last, and how many left in each month."""
        months = Counter(at[:_MONTH] for moments in left.values() for at in moments)
        for month, count in months.items():
            yield {"pk": "COUNT", "sk": month, "n": count}
        for mine in self._holders(left):
            yield {**mine, "left_at": max(left[raw(mine["public_id"])])}

    def _consent_items(self, rows: Iterable[Row]) -> Iterator[Item]:
        waiting = iter(rows)
        while some := list(islice(waiting, _STEP)):
            agreed = {}
            for row in some:
                public_id = bytes.fromhex(row["public_id"])
                pk, sk = keys.consent(public_id, row["letter"])
                yield {
                    "pk": pk,
                    "sk": sk,
                    **row,
                    "public_id": public_id,
                    "letter": bytes.fromhex(row["letter"]),
                }
                agreed[public_id, row["confirmed_at"]] = str(row["letter"])
            for mine in self._holders({public_id for public_id, _ in agreed}):
                now = raw(mine["public_id"]), mine["confirmed_at"]
                if now in agreed:
                    yield {**mine, "consent": agreed[now]}

    def _holders(self, public_ids: Iterable[bytes]) -> Iterator[Item]:
        """The subscribers of these public ids, where there are any."""
        waiting = iter(public_ids)
        while some := list(islice(waiting, _STEP)):
            names = self.table.get_many(keys.holder_of_id(public_id) for public_id in some)
            yield from self.table.get_many(
                keys.subscriber(int(name["number"])) for name in names.values()
            ).values()

    def _clear(self, briefing: str, prefix: str) -> None:
        """What an earlier try has left of a sending."""
        last = self.last_number()
        for partition in keys.shards(briefing, _DRAFT, last):
            found = self.table.query(partition, prefix, f"{prefix}~", only=("v",))
            self.table.delete_all([_key(item) for item in found])

    def _send_items(self, row: Row) -> Iterator[Item]:
        """A sending, when all of it is there."""
        briefing = str(row["briefing"])
        pk, sk = keys.package(briefing, _DRAFT)
        yield {"pk": pk, "sk": sk, "package": zlib.compress(row["package"].encode())}
        facts = self._draft(briefing)
        last = count = anew = 0
        for each in self.batches(facts):
            for one in each.entries:
                last, count = max(last, abs(one.number)), count + 1
                anew = anew or int(one.number < 0)
        reasons: Counter[str] = Counter()
        for number, reason in self.left_out(facts):
            last = max(last, number)
            reasons[reason] += 1
        pk, sk = keys.send(briefing)
        kept = {name: row[name] for name in COLUMNS[Kind.SEND] if name not in ("briefing", "package")}
        yield {
            "pk": pk, "sk": sk, **kept, "draft": _DRAFT, "last": last, "recipients": count,
            "exclusions": json.dumps(dict(sorted(reasons.items()))), "counted_anew": anew,
        }  # fmt: skip


def _plain_item(kind: Kind, row: Row) -> Item:
    """An item that has the columns of its row and nothing beside it."""
    match kind:
        case Kind.SUPPRESSION:
            pk, sk = keys.suppression(row["address_key"])
        case Kind.ERASED:
            pk, sk = keys.erased(bytes.fromhex(row["digest"]))
        case Kind.FORM:
            pk, sk = keys.form(row["version"])
        case Kind.TURN:
            pk, sk = keys.turn(row["book"], row["number"])
        case Kind.LIMIT:
            stretch = int(row["seconds"]), int(row["stretch"])
            pk, sk = keys.tally(row["key"], *stretch)
            return {"pk": pk, "sk": sk, "n": row["count"], "expires": tally_expires(*stretch)}
        case Kind.STRAY:
            pk, sk = keys.stray(row["message_id"], row["kind"], row["recipient"])
        case _:
            pk, sk = "CANARY", row["id"]
    return {"pk": pk, "sk": sk, **row}


def _history_items(rows: Iterable[Row], left: dict[bytes, list[str]]) -> Iterator[Item]:
    for row in rows:
        public_id = bytes.fromhex(row["public_id"])
        if row["what"] == "unsubscribed":
            left.setdefault(public_id, []).append(row["at"])
        pk, sk = keys.history(public_id, keys.order())
        yield {
            "pk": pk,
            "sk": sk,
            **row,
            "public_id": public_id,
        }


def _letter_items(row: Row) -> Iterator[Item]:
    letter_id = bytes.fromhex(row["id"])
    pk, sk = keys.letter(letter_id)
    public_id = bytes.fromhex(row["public_id"])
    item: Item = {"pk": pk, "sk": sk, **row, "id": letter_id, "public_id": public_id, "order": keys.order()}
    yield item
    for key, facts in beside(item).items():
        yield {"pk": key[0], "sk": key[1], **facts}


def _batch_items(briefing: str, rows: Iterable[Row]) -> Iterator[Item]:
    """Recipients in the order of their numbers, as batches."""

    def partition(row: Row) -> str:
        return keys.shard(briefing, _DRAFT, abs(int(row["number"])))

    for here, some in groupby(rows, key=partition):
        waiting = Batch(("", ""), [])
        for row in some:
            entry, calls = _entry(row)
            if not waiting.entries:
                waiting = Batch(batch.key_of(here, entry.number), [])
            waiting.entries.append(entry)
            waiting.calls |= calls
            if len(waiting.entries) == batch.MOST:
                yield batch.closed(waiting)
                waiting = Batch(("", ""), [])
        if waiting.entries:
            yield batch.closed(waiting)


def _entry(row: Row) -> tuple[Entry, dict[str, Call]]:
    calls = {row["attempt"]: Call(row["made_at"], row["answered_at"])} if row["made_at"] else {}
    told = []
    for *one, made, answered in row["told"]:
        told.append(Told(*one))
        if made:
            calls[told[-1].attempt] = Call(made, answered)
    earlier = []
    for *call, made, answered in row["earlier"]:
        earlier.append(Earlier(*call))
        calls[earlier[-1].attempt] = Call(made, answered)
    number, subscriber = int(row["number"]), int(row["subscriber"])
    entry = Entry(
        number, row["address"], row["address_key"], bytes.fromhex(row["public_id"]), row["changed_at"],
        State(row["state"]), row["attempt"], row["message_id"], row["evidence"], row["tries"], told,
        0 if subscriber == number else subscriber, sorted(earlier, key=lambda one: one.ended),
    )  # fmt: skip
    return entry, calls


def _left_out_items(briefing: str, rows: Iterable[Row]) -> Iterator[Item]:
    def partition(row: Row) -> str:
        return keys.shard(briefing, _DRAFT, int(row["subscriber"]))

    for here, some in groupby(sorted(rows, key=lambda row: int(row["subscriber"])), key=partition):
        numbers = [(int(row["subscriber"]), row["reason"]) for row in some]
        for start in range(0, len(numbers), _LEFT_OUT):
            part = numbers[start : start + _LEFT_OUT]
            yield {"pk": here, "sk": f"{LEFT_OUT}{keys.digits(part[0][0])}", "left_out": json.dumps(part)}


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _key(item: Item) -> Key:
    return str(item["pk"]), str(item["sk"])
