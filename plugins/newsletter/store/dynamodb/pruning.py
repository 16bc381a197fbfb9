"""What is too old to be kept, in DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial

from newsletter.store.door import LetterKind, LetterState
from newsletter.store.dynamodb import keys, people
from newsletter.store.dynamodb.item import Item, Key, raw
from newsletter.store.dynamodb.letters import COUNTS_KEPT, DynamoLetters, keep
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.people import Subscription

_AT_ONCE = 10  # letters deleted in one transaction: each has up to seven items


class DynamoPruning(DynamoLetters):
    """Keeps those promises of `Door` and `Lists` that are about what is too old."""

    def prune(self, before: datetime) -> int:
        """See Door."""
        old = [keys.letter(raw(item["id"])) for item in self.letters() if _outdated(item, before)]
        for start in range(0, len(old), _AT_ONCE):
            self.write(partial(_drop, letters=old[start : start + _AT_ONCE]))
        counts = list(self._old_counts(before))
        self.table.delete_all(counts)
        waiting = [int(item["number"]) for item in self._unconfirmed(before)]
        for number in waiting:
            self.write(partial(_forget, number=number))
        return len(old) + len(counts) + len(waiting)

    def outdated(self, before: datetime) -> Mapping[str, int]:
        """See Lists."""
        return {
            "letters": sum(_outdated(item, before) for item in self.letters()),
            "limit counts": sum(1 for _ in self._old_counts(before)),
            "unconfirmed": sum(1 for _ in self._unconfirmed(before)),
        }

    def _old_counts(self, before: datetime) -> Iterator[Key]:
        last: date = before.astimezone(UTC).date()
        for back in range(COUNTS_KEPT.days + 1):
            partition = f"TALLY#{(last - timedelta(days=back)).isoformat()}"
            for item in self.table.query(partition, only=("v",)):
                _, seconds, stretch = str(item["sk"]).rsplit("#", 2)
                if (int(stretch) + 1) * int(seconds) < before.timestamp():
                    yield partition, str(item["sk"])

    def _unconfirmed(self, before: datetime) -> Iterator[Item]:
        """Whoever was imported as pending and does not say since when is not known to be old."""
        for item in self.subscribers():
            since = str(item["subscribed_at"])
            if item["subscription"] == Subscription.PENDING and since and since < moment(before):
                yield item


def _drop(work: Work, letters: Sequence[Key]) -> None:
    for item in work.get_many(letters).values():
        keep(work, item, None)


def _forget(work: Work, number: int) -> None:
    """Delete somebody who never confirmed."""
    item = work.get(keys.subscriber(number))
    if item and item["subscription"] == Subscription.PENDING:
        people.remove(work, item)


def _outdated(item: Item, before: datetime) -> bool:
    # A message that the house has not had is not thrown away; every other letter has lost its use long before.
    waits = item["kind"] == LetterKind.CONTACT and item["state"] == LetterState.ASKED
    return str(item["asked_at"]) < moment(before) and not waits
