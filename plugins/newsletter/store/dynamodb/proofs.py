"""What a ledger in DynamoDB can be examined by: one reading of it, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b

from newsletter.states import Evidence
from newsletter.store.dynamodb import keys
from newsletter.store.dynamodb.batch import Batch, Entry
from newsletter.store.dynamodb.item import Item
from newsletter.store.dynamodb.sends import DynamoSends
from newsletter.store.proofs import DECIDED, Kept, Shape, Some, Suppressed

_MEMBERSHIP = ("confirmed", "unsubscribed", "erased")


class DynamoProofs(DynamoSends):
    """Keeps the promises of `Proofs`."""

    def shapes(self, briefing: str) -> list[Shape]:
        """See Store."""
        sending = self.sending_named(briefing)
        if sending is None:
            return []
        since = {
            str(item["sk"]): str(item["at"])
            for partition in keys.spread("SUPPRESSED")
            for item in self.table.query(partition)
        }
        excluded = {number for number, _ in self.left_out(sending)}
        counts: Counter[Shape] = Counter()
        examples: dict[Shape, int] = {}
        for each in self.batches(sending):
            here = self.table.get_many(keys.subscriber(abs(one.number)) for one in each.entries)
            for entry in each.entries:
                subscriber = here.get(keys.subscriber(abs(entry.number)))
                shape = self._shape(each, entry, since.get(entry.key), entry.number in excluded, subscriber)
                counts[shape] += 1
                examples[shape] = min(entry.number, examples.get(shape, entry.number))
        return [
            Shape(
                one.state, one.claimed, one.called, one.named, one.decided, one.evidence, one.another,
                one.suppressed, one.left, one.excluded, count, examples[one],
            )
            for one, count in counts.items()
        ]  # fmt: skip

    def doubled(self, briefing: str) -> Some:
        """See Store. A digest is remembered of each address, 8 bytes, and not the address."""
        sending = self.sending_named(briefing)
        first: dict[bytes, int] = {}
        twice: Counter[int] = Counter()
        for each in self.batches(sending) if sending else ():
            for entry in each.entries:
                digest = blake2b(entry.key.encode(), digest_size=8).digest()
                if digest in first:
                    twice[first[digest]] += 1
                else:
                    first[digest] = entry.number
        return Some(twice.total() + len(twice), min(twice, default=0))

    def unaccounted(self, briefing: str) -> Some:
        """See Store."""
        sending = self.sending_named(briefing)
        if sending is None or sending.corrects:
            return Some(0, 0)
        known = {abs(one.number) for each in self.batches(sending) for one in each.entries}
        known |= {abs(number) for number, _ in self.left_out(sending)}
        missing = [
            int(item["number"])
            for partition in keys.subscribers(0, sending.last)
            for item in self.table.query(partition, last=keys.digits(sending.last), only=("number",))
            if int(item["number"]) not in known
        ]
        return Some(len(missing), min(missing, default=0))

    def uncorrected(self, briefing: str) -> Some:
        """See Store."""
        sending = self.sending_named(briefing)
        before = self.sending_named(sending.corrects) if sending and sending.corrects else None
        if sending is None or not sending.corrects:
            return Some(0, 0)
        had = {
            abs(one.number)
            for each in (self.batches(before) if before else ())
            for one in each.entries
            if one.attempt
        }
        wrong = [
            one.number for each in self.batches(sending) for one in each.entries if abs(one.number) not in had
        ]
        return Some(len(wrong), min(wrong, default=0))

    def kept(self, briefing: str) -> Iterator[Kept]:
        """See Store."""
        sending = self.sending_named(briefing)
        for each in self.batches(sending) if sending else ():
            for one in each.entries:
                yield Kept(abs(one.number), one.address, one.state, one.attempt, one.message_id)

    def unsafe(self) -> list[str]:
        """See Store. DynamoDB writes to three places before it answers, and there is nothing to set wrong."""
        return []

    def _shape(
        self, each: Batch, entry: Entry, since: str | None, excluded: bool, subscriber: Item | None
    ) -> Shape:
        made = each.calls[entry.attempt].made if entry.attempt in each.calls else ""
        mails = {one.message_id for one in entry.told}
        named = {entry.message_id} - {""}
        return Shape(
            state=entry.state,
            claimed=bool(entry.attempt),
            called=bool(made),
            named=bool(entry.message_id),
            decided=entry.words.startswith(DECIDED) or entry.words == "(erased)",
            evidence=frozenset(Evidence(one.kind) for one in entry.told),
            another=len(mails) > 1 or bool(named and not mails - {""} <= named),
            suppressed=(
                Suppressed.NEVER if since is None else Suppressed.BEFORE if since < made else Suppressed.SINCE
            ),
            left=bool(made) and self._had_left(entry, subscriber, made),
            excluded=excluded,
            count=0,
            example=0,
        )

    def _had_left(self, entry: Entry, subscriber: Item | None, made: str) -> bool:
        """Whether the last that it did before a call was to leave."""
        if subscriber and subscriber["public_id"] == entry.public_id and not subscriber["left_at"]:
            return False  # it never has
        last = ""
        partition, first = keys.history(entry.public_id)
        for line in self.table.query(partition, first, f"{first}~"):
            if line["what"] in _MEMBERSHIP and str(line["at"]) < made:
                last = str(line["what"])
        return last not in ("", "confirmed")
