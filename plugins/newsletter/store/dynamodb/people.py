"""Subscribers and suppressions in DynamoDB."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from itertools import islice

from newsletter.store.dynamodb import keys
from newsletter.store.dynamodb.item import Item, raw
from newsletter.store.dynamodb.work import Base, Work, moment
from newsletter.store.people import ImportCounts, Subscriber, Subscription

# Lines of a list at a time, in one transaction: three items for each.
_IMPORT_STEP = 30
# What stands for the letter of a subscriber's consent where there is no record of one.
NO_CONSENT = "none"


class DynamoPeople(Base):
    """Keeps the promises of `People`."""

    def import_subscribers(self, subscribers: Iterable[Subscriber]) -> ImportCounts:
        """See Store. Commits step by step: running it again goes on where it was cut off."""
        added = withdrawn = known = 0
        rows = iter(subscribers)
        while step := list(islice(rows, _IMPORT_STEP)):
            new, gone = self.write(partial(_import, step=step))
            added, withdrawn, known = added + new, withdrawn + gone, known + len(step) - new - gone
        return ImportCounts(added, withdrawn, known)

    def suppress(self, key: str, reason: str, at: datetime, evidence: str) -> None:
        """See Store."""
        self.write(lambda work: suppress(work, key, reason, moment(at), evidence))

    def subscription_counts(self) -> Mapping[Subscription, int]:
        """See Store."""
        counts: dict[Subscription, int] = {}
        for item in self.subscribers():
            kind = Subscription(str(item["subscription"]))
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    def subscribers(self, last: int | None = None, first: int = 0) -> Iterator[Item]:
        """Every subscriber from the one number to the other, in the order of the numbers."""
        last = self.last_number() if last is None else last
        for partition in keys.subscribers(first, last):
            yield from self.table.query(partition, keys.digits(first), keys.digits(last))

    def last_number(self) -> int:
        """The number that was given last."""
        found = self.table.get(keys.SUBSCRIBER_COUNT)
        return int(found["n"]) if found else 0

    def suppressions(self) -> dict[str, str]:
        """Every suppression's reason, by address key."""
        return {
            str(item["sk"]): str(item["reason"])
            for partition in keys.spread("SUPPRESSED")
            for item in self.table.query(partition)
        }


def holder(work: Work, public_id: bytes, guard: bool = False) -> Item | None:
    """The subscriber of a public id."""
    found = work.get(keys.holder_of_id(public_id))
    subscriber = work.get(keys.subscriber(int(found["number"])), guard) if found else None
    # The one who has the id now, if it has gone from one to another by an import.
    return subscriber if subscriber and subscriber["public_id"] == public_id else None


def holder_of_address(work: Work, address_key: str) -> Item | None:
    """The subscriber of an address."""
    found = work.get(keys.holder_of_address(address_key))
    return work.get(keys.subscriber(int(found["number"]))) if found else None


def items(number: int, facts: Item) -> list[Item]:
    """A new subscriber and the items of its names. `facts` are all but its number."""
    pk, sk = keys.subscriber(number)
    empty: Item = {"name": "", "paused_until": "", "left_at": "", "former": "[]", "consent": NO_CONSENT}
    names = (
        keys.holder_of_address(str(facts["address_key"])),
        keys.holder_of_id(raw(facts["public_id"])),
    )
    beside: list[Item] = [{"pk": name[0], "sk": name[1], "number": number} for name in names]
    return [{**empty, **facts, "pk": pk, "sk": sk, "number": number}, *beside]


def add(work: Work, number: int, facts: Item) -> Item:
    """Write a new subscriber under all of its names. `facts` are all but its number."""
    made = items(number, facts)
    for item in made:
        work.insert(item)
    return made[0]


def take_numbers(work: Work, count: int) -> int:
    """The first of so many new numbers."""
    pk, sk = keys.SUBSCRIBER_COUNT
    item = work.get((pk, sk)) or {"pk": pk, "sk": sk, "n": 0}
    first = int(item["n"]) + 1
    work.put({**item, "n": first + count - 1})
    return first


def suppress(work: Work, key: str, reason: str, at: str, evidence: str) -> bool:
    """Note a suppression; False if there is one already."""
    pk, sk = keys.suppression(key)
    if work.get((pk, sk)):
        return False
    work.put({"pk": pk, "sk": sk, "reason": reason, "at": at, "evidence": evidence})
    return True


def _import(work: Work, step: list[Subscriber]) -> tuple[int, int]:
    people: dict[str, list[Subscriber]] = {}
    for one in step:  # named twice, the first line makes them; one that says they have left counts
        people.setdefault(one.address.key, []).append(one)
    names = {keys.holder_of_address(key): key for key in people}
    here = {names[name]: int(item["number"]) for name, item in work.get_many(names).items()}
    known = work.get_many(keys.subscriber(number) for number in here.values())
    new = [key for key in people if key not in here]
    first = take_numbers(work, len(new)) if new else 0
    withdrawn = 0
    for key, lines in people.items():
        if key in here:
            item = known[keys.subscriber(here[key])]
        else:
            line = lines[0]
            item = add(
                work,
                first + new.index(key),
                {
                    "public_id": secrets.token_bytes(16),
                    "address": line.address.text,
                    "address_key": key,
                    "subscription": str(line.subscription),
                    "name": line.name,
                    "subscribed_at": line.subscribed_at,
                    "confirmed_at": line.confirmed_at,
                    "source": line.source,
                },
            )
        leaves = any(line.subscription == Subscription.UNSUBSCRIBED for line in lines)
        if leaves and item["subscription"] != Subscription.UNSUBSCRIBED:
            work.put({**item, "subscription": str(Subscription.UNSUBSCRIBED)})
            withdrawn += 1
    return len(new), withdrawn


def remove(work: Work, subscriber: Item) -> None:
    """Delete a subscriber under all of its names."""
    number = int(subscriber["number"])
    work.delete(keys.subscriber(number))
    for name in (
        keys.holder_of_address(str(subscriber["address_key"])),
        keys.holder_of_id(raw(subscriber["public_id"])),
    ):
        found = work.get(name)
        if found and found["number"] == number:
            work.delete(name)
