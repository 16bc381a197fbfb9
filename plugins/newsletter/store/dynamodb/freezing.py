"""Freezing in DynamoDB: a draft that nobody sees is written batch by batch, and one last write makes it the sending.

    sending's item: draft D ─► subscribers in the order of their numbers ─► batches and exclusions of D
                                    ─► frozen_at, if the item still says D

A freezer that dies leaves a draft that nobody mails; the next one takes another and deletes it. Two that freeze at once
write into drafts of their own, and the item's condition lets one of them win.

Each subscriber is read once, because numbers only grow. An address that went from one subscriber to another while the
draft was written could stand in it twice; so those who ever had another address are looked at again, and the draft is
thrown away if one does.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime

from newsletter.errors import StoreBusy
from newsletter.models import Package
from newsletter.states import ACCEPTED, State
from newsletter.store.dynamodb import batch, keys
from newsletter.store.dynamodb.batch import Batch, Entry
from newsletter.store.dynamodb.item import Item, raw
from newsletter.store.dynamodb.sends import LEFT_OUT, DynamoSends, Sending, sending_of
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.ledger import Counts
from newsletter.store.people import Subscription

# So many who were left out are in one item.
_LEFT_OUT = 500
_TRIES = 3


class DynamoFreezing(DynamoSends):
    """Keeps those promises of `Ledger` that are about who is mailed."""

    def freeze(self, package: Package, at: datetime, through: str = "", corrects: str = "") -> bool:
        """See Store."""
        for _ in range(_TRIES):
            if self.sending_named(package.month):
                return False
            draft = self._begin(package.month)
            if draft is None:
                return False
            item = self._drafted(package, draft, moment(at), corrects)
            if item and self._keep(package.month, draft, {**item, "through": through, "corrects": corrects}):
                return True
        if self.sending_named(package.month):
            return False
        raise StoreBusy(
            f"{self.path}: {package.month} could not be frozen, because another process freezes it too, or addresses "
            "change hands meanwhile. Nobody was mailed. Run the same command again."
        )

    def audience(self, at: datetime, corrects: str = "") -> Counts:
        """See Store."""
        reasons = Counter(reason for _, reason in self._candidates(moment(at), corrects, self.last_number()))
        recipients = reasons.pop("", 0)
        return Counts({State.PENDING: recipients}, dict(sorted(reasons.items())))

    def _begin(self, briefing: str) -> str | None:
        """A new draft of this briefing, after what an earlier one has left; None if it is frozen."""
        draft = secrets.token_hex(4)
        pk, sk = keys.send(briefing)
        last = self.last_number()

        def begin(work: Work) -> Item | bool | None:
            item = work.get((pk, sk))
            if sending_of(item):
                return False
            work.put({"pk": pk, "sk": sk, "draft": draft, "frozen_at": "", "last": last})
            return item

        before = self.write(begin)
        if before is False:
            return None
        if isinstance(before, dict):
            self.clear_draft(briefing, str(before["draft"]), int(before["last"]))
        return draft

    def _drafted(self, package: Package, draft: str, at: str, corrects: str) -> Item | None:
        """Write a draft; what its item shall say, or None if an address stands in it twice."""
        last = self.last_number()
        exclusions: Counter[str] = Counter()
        moved: list[Item] = []
        count = 0

        def items() -> Iterator[Item]:
            nonlocal count
            entries: list[Entry] = []
            left_out: list[tuple[int, str]] = []
            partition = ""

            def full(most: int = 1, most_left_out: int = 1) -> Iterator[Item]:
                if len(entries) >= most:
                    yield batch.closed(Batch(batch.key_of(partition, entries[0].number), entries.copy()))
                    entries.clear()
                if len(left_out) >= most_left_out:
                    sk = f"{LEFT_OUT}{keys.digits(left_out[0][0])}"
                    yield {"pk": partition, "sk": sk, "left_out": json.dumps(left_out)}
                    left_out.clear()

            for subscriber, reason in self._candidates(at, corrects, last):
                number = int(subscriber["number"])
                here = keys.shard(package.month, draft, number)
                if here != partition:
                    yield from full()
                    partition = here
                if reason:
                    left_out.append((number, reason))
                    exclusions[reason] += 1
                else:
                    entries.append(entry_of(subscriber, at))
                    count += 1
                    if subscriber["former"] != "[]":
                        moved.append(subscriber)
                yield from full(batch.MOST, _LEFT_OUT)
            yield from full()
            document = json.dumps(asdict(package), ensure_ascii=False, sort_keys=True)
            pk, sk = keys.package(package.month, draft)
            yield {"pk": pk, "sk": sk, "package": zlib.compress(document.encode())}

        self.table.put_all(items())
        item: Item = {
            "draft": draft,
            "content_hash": package.content_hash,
            "frozen_at": at,
            "last": last,
            "recipients": count,
            "exclusions": json.dumps(dict(sorted(exclusions.items()))),
            "sound_at": "",
        }
        facts = Sending(package.month, draft, "", at, "", "", last, count, {}, "", "")
        if any(self.stands(self.read(), facts, str(one["address_key"]), int(one["number"])) for one in moved):
            return None
        return item

    def _keep(self, briefing: str, draft: str, facts: Item) -> bool:
        """Make a draft the sending, if it is still the draft."""
        pk, sk = keys.send(briefing)

        def keep(work: Work) -> bool:
            item = work.get((pk, sk))
            if item is None or item["draft"] != draft or item["frozen_at"]:
                return False
            work.put({"pk": pk, "sk": sk, **facts})
            return True

        return self.write(keep)

    def stands(self, work: Work, sending: Sending, address_key: str, but: int) -> bool:
        """Whether an address is already that of another recipient: of one who had it before and left it."""
        partition = keys.address(address_key)
        for former in work.query(partition, "LEFT#", "LEFT#~"):
            number = int(str(former["sk"]).removeprefix("LEFT#"))
            found = self.find(work, sending, number) if number != but else None
            if found and found[1].key == address_key:
                return True
        return False

    def _candidates(self, at: str, corrects: str, last: int) -> Iterator[tuple[Item, str]]:
        """Whoever comes into question, in the order of the numbers, with why they must not be mailed, or ""."""
        suppressed = self.suppressions()
        for subscriber in self._had(corrects) if corrects else self.subscribers(last):
            yield subscriber, reason_against(subscriber, at, suppressed)

    def _had(self, corrects: str) -> Iterator[Item]:
        """Those subscribers to whom a briefing was submitted."""
        sending = self.sending_named(corrects)
        for each in self.batches(sending) if sending else ():
            names = [
                keys.subscriber(one.subscriber or one.number) for one in each.entries if one.state in ACCEPTED
            ]
            found = self.table.get_many(names)
            yield from (found[name] for name in names if name in found)


def reason_against(subscriber: Item | None, at: str, suppressed: Mapping[str, str], key: str = "") -> str:
    """Why a subscriber must not be mailed, or "": every way to a mail goes through this. `key` is the address's own,
    where it is not the subscriber's; `suppressed` has the reasons by address key.
    """
    key = key or str(subscriber["address_key"] if subscriber else "")
    if key in suppressed:
        return f"suppressed: {suppressed[key]}"
    if subscriber is None:
        return "erased"
    if subscriber["subscription"] != Subscription.CONFIRMED:
        return str(subscriber["subscription"])
    return "paused" if str(subscriber["paused_until"]) > at else ""


def entry_of(subscriber: Item, at: str) -> Entry:
    """A subscriber as a pending recipient."""
    return Entry(
        int(subscriber["number"]),
        str(subscriber["address"]),
        str(subscriber["address_key"]),
        raw(subscriber["public_id"]),
        at,
    )
