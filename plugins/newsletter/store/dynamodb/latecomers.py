"""Whoever signed up after a briefing was frozen, in DynamoDB: recipients of it too, by the numbers that follow its last."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from itertools import islice

from newsletter.store.dynamodb import batch, keys
from newsletter.store.dynamodb.batch import Batch
from newsletter.store.dynamodb.freezing import DynamoFreezing, entry_of, reason_against
from newsletter.store.dynamodb.item import Key
from newsletter.store.dynamodb.sends import LEFT_OUT, Sending, sending_of
from newsletter.store.dynamodb.work import Work, moment

# So many are looked at for one transaction: were each in a partition of its own, it could just hold their batches.
_AT_ONCE = 90


class DynamoLatecomers(DynamoFreezing):
    """Keeps the promise of `Ledger` about those who have come since."""

    def join(self, briefing: str, at: datetime) -> int:
        """See Store. Step by step, each whole: the sending's last number moves on with its recipients."""
        sendings = self.sendings()
        if any(one.corrects == briefing or (one.briefing == briefing and one.corrects) for one in sendings):
            return 0
        joined = 0
        while (step := self.write(lambda work: self._join_some(work, briefing, moment(at)))) is not None:
            joined += step
        return joined

    def _join_some(self, work: Work, briefing: str, at: str) -> int | None:
        """How many of the next ones joined; None when all who have come were looked at."""
        item = work.get(keys.send(briefing))
        sending = sending_of(item)
        if item is None or sending is None or sending.withdrawn:
            return None
        come = list(islice(self.subscribers(first=sending.last + 1), _AT_ONCE))
        if not come:
            return None
        found = work.get_many(keys.suppression(str(one["address_key"])) for one in come)
        suppressed = {key[1]: str(one["reason"]) for key, one in found.items()}
        open_batch = self._last_batch(work, sending)
        left_out: dict[str, list[tuple[int, str]]] = {}
        changed: dict[Key, Batch] = {}
        joined = 0
        for subscriber in come:
            number, key = int(subscriber["number"]), str(subscriber["address_key"])
            partition = keys.shard(briefing, sending.draft, number)
            reason = reason_against(subscriber, at, suppressed)
            # Who came by a list has not asked for this briefing; the next one comes to them.
            if not reason and (subscriber["source"] != "sign-up" or self.stands(work, sending, key, number)):
                reason = "came later"
            if reason:
                left_out.setdefault(partition, []).append((number, reason))
                continue
            if open_batch is None or open_batch.key[0] != partition or len(open_batch.entries) >= batch.MOST:
                open_batch = Batch(batch.key_of(partition, number), [])
            open_batch.entries.append(entry_of(subscriber, at))
            changed[open_batch.key] = open_batch
            joined += 1
        for one in changed.values():
            work.put(batch.closed(one))
        for partition, some in left_out.items():
            sk = f"{LEFT_OUT}{keys.digits(some[0][0])}"
            work.put({"pk": partition, "sk": sk, "left_out": json.dumps(some)})
        reasons = Counter(sending.exclusions)
        reasons.update(why for some in left_out.values() for _, why in some)
        last = int(come[-1]["number"])
        told = json.dumps(dict(sorted(reasons.items())))
        work.put({**item, "last": last, "recipients": sending.recipients + joined, "exclusions": told})
        return joined

    def _last_batch(self, work: Work, sending: Sending) -> Batch | None:
        """The batch with the highest numbers, if it is in the partition in which the next ones begin."""
        partition = keys.shard(sending.briefing, sending.draft, sending.last + 1)
        found = work.query(partition, batch.PREFIX, f"{batch.PREFIX}~", most=1, backwards=True)
        return batch.opened(found[0]) if found else None
