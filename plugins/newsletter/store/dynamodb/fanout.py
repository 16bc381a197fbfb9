"""What workers share, in DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from newsletter.states import State
from newsletter.store.dynamodb import batch, keys
from newsletter.store.dynamodb.item import Key
from newsletter.store.dynamodb.ledger import DynamoLedger
from newsletter.store.dynamodb.sends import Sending
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.ledger import Claim


class DynamoFanOut(DynamoLedger):
    """Keeps all promises of `FanOut`. A batch is an item; its name is its key, with a blank between."""

    def open_turn(self, briefing: str, number: int, until: datetime) -> bool:
        """See FanOut."""

        def opened(work: Work) -> bool:
            item = self.newest_turn(work, briefing)
            if not item or item["number"] != number or not item["taken_at"] or item.get("stopped"):
                return False
            work.put({**item, "open_until": moment(until)})
            return True

        return self.write(opened)

    def stop_turn(self, briefing: str, number: int, reason: str) -> None:
        """See FanOut."""

        def stop(work: Work) -> None:
            item = work.get(keys.turn(briefing, number))
            if item and not item.get("stopped"):
                work.put({**item, "stopped": reason})

        self.write(stop)

    def batches_open(self, briefing: str) -> Iterator[str]:
        """See FanOut."""
        if sending := self.sending_named(briefing):
            for (partition, sk), tally in self.tallies(sending):
                if tally["states"].get(State.PENDING):
                    yield f"{partition} {sk}"

    def waiting(self, briefing: str, name: str) -> int:
        """See FanOut."""
        sending = self.sending_named(briefing)
        key = _key(sending, name) if sending else None
        item = self.table.get(key) if key else None
        return int(json.loads(str(item["tally"]))["states"].get(State.PENDING, 0)) if item else 0

    def claim_batch(self, briefing: str, name: str, limit: int, attempt: str, at: datetime) -> Claim | None:
        """See FanOut."""
        sending = self.sending_named(briefing)
        key = _key(sending, name) if sending else None
        if sending is None or key is None:
            return None
        taken = self.claim_some(sending, key, limit, attempt, at)
        return Claim(briefing, attempt, taken) if taken else None

    def begin_pace(self, account: str, now: int, until: int) -> tuple[bool, int | None]:
        """See FanOut."""
        told = {":now": now, ":until": until}
        condition = "attribute_not_exists(free_at) OR free_at < :now"
        return self.table.advance(keys.pace(account), "free_at", ":until", condition, told)

    def extend_pace(self, account: str, by: int, now: int, latest: int) -> tuple[bool, int | None]:
        """See FanOut."""
        told = {":by": by, ":now": now, ":latest": latest}
        condition = "free_at BETWEEN :now AND :latest"
        return self.table.advance(keys.pace(account), "free_at", "free_at + :by", condition, told)


def _key(sending: Sending, name: str) -> Key | None:
    """The key of a batch of this sending, by its name."""
    partition, _, sk = name.partition(" ")
    ours = partition in keys.shards(sending.briefing, sending.draft, sending.last)
    return (partition, sk) if ours and sk.startswith(batch.PREFIX) else None
