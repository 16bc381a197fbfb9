"""Claims and answers in DynamoDB: a batch at a time, each by one conditional write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Any

from newsletter.errors import StoreError
from newsletter.states import ACCEPTED, ANSWERS, State
from newsletter.store.door import ERASED
from newsletter.store.dynamodb import batch, keys
from newsletter.store.dynamodb.batch import Batch, Call, Earlier, Entry
from newsletter.store.dynamodb.freezing import reason_against
from newsletter.store.dynamodb.item import Key
from newsletter.store.dynamodb.latecomers import DynamoLatecomers
from newsletter.store.dynamodb.lease import Lease
from newsletter.store.dynamodb.sends import Sending
from newsletter.store.dynamodb.table import Table
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.ledger import WITHDRAWN, Claim, Outcome, Recipient

_PROVEN = ACCEPTED | {State.FAILED}
# Batches looked at in one go for those with somebody pending.
_PAGE = 200


class DynamoLedger(DynamoLatecomers):
    """Keeps those promises of `Ledger` that are about a mail until it is submitted."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._ways: dict[str, _Way] = {}

    def claim(
        self, briefing: str, limit: int, attempt: str, at: datetime, first: Collection[str] = ()
    ) -> Claim | None:
        """See Store. All that are taken are of one batch."""
        sending = self.sending_named(briefing)
        if sending is None:
            return None
        for key, numbers in self._preferred(sending, first):
            if taken := self.claim_some(sending, key, limit, attempt, at, numbers):
                return Claim(briefing, attempt, taken)
        # From where it was last to the end, and if that is in vain once from the beginning.
        for way in (self._way(sending), _Way(self, sending)):
            self._ways[briefing] = way
            while name := way.next():
                if taken := self.claim_some(sending, name, limit, attempt, at):
                    way.back(name)  # the rest of it comes next
                    return Claim(briefing, attempt, taken)
        return None

    def record(self, claim: Claim, outcomes: Sequence[Outcome], at: datetime) -> None:
        """See Store. Raises StoreError, changing nothing, for a step that the table does not have."""
        when = moment(at)
        sending = self.sending_named(claim.briefing)
        tried = False

        def note(work: Work) -> None:
            nonlocal tried
            touched: dict[Key, Batch] = {}
            for one in outcomes:
                found = self._found(work, sending, touched, one.number)
                if one.state not in ANSWERS or found is None:
                    raise self._no_step(claim, one)
                each, entry = found
                if tried and (entry.attempt != claim.attempt or entry.state is one.state):
                    continue  # it was done, the answer was lost, and another has changed the batch since
                if entry.attempt != claim.attempt:
                    raise self._no_step(claim, one)
                if entry.state in (State.CLAIMED, State.IN_DOUBT):
                    entry.state, entry.words, entry.changed = one.state, one.evidence, when
                    entry.message_id, entry.tries = one.message_id, entry.tries + one.tried
                # SES's events can be quicker than its answer: then the state is theirs and stays.
                elif entry.state in _PROVEN:
                    entry.message_id = entry.message_id or one.message_id
                else:
                    raise self._no_step(claim, one)
                if one.state is not State.IN_DOUBT and claim.attempt in each.calls:
                    each.calls[claim.attempt].answered = when
            tried = True
            for each in touched.values():
                work.put(batch.closed(each))

        self.write(note)

    def hold_orphans(self, briefing: str, at: datetime) -> int:
        """See Store."""

        def hold(entry: Entry) -> bool:
            if entry.state is not State.CLAIMED:
                return False
            entry.state, entry.changed = State.IN_DOUBT, moment(at)
            entry.words = "the sender ended before SES answered"
            return True

        return self.change(briefing, State.CLAIMED, hold)

    def withdraw(self, briefing: str, at: datetime) -> int:
        """See Store."""

        def skip(entry: Entry) -> bool:
            if entry.state is not State.PENDING:
                return False
            entry.state, entry.words, entry.changed = State.SKIPPED, WITHDRAWN, moment(at)
            return True

        self.write(partial(_note_withdrawn, briefing=briefing, at=moment(at)))  # from then on nobody can join
        return self.change(briefing, State.PENDING, skip)

    def sending(self, briefing: str) -> AbstractContextManager[None]:
        """See Store. It is a lease: one that is lost to another process mails nobody twice, because a claim is a
        conditional write of its own.
        """
        told = f"{briefing}: another process is sending it now. Wait for it, or stop it; `newsletter status {briefing}` shows how far it is."
        return Lease(self.table, f"sending {briefing}", told)

    def change(self, briefing: str, state: State, step: Callable[[Entry], bool]) -> int:
        """Do something to each recipient of those batches that have somebody in a state; how many were changed."""
        sending = self.sending_named(briefing)
        count = 0
        for key, tally in list(self.tallies(sending)) if sending else ():
            if tally["states"].get(state):
                count += self.write(partial(_each, key=key, step=step))
        return count

    # -- taking

    def _way(self, sending: Sending) -> _Way:
        way = self._ways.get(sending.briefing)
        return way if way and way.draft == sending.draft else _Way(self, sending)

    def _preferred(self, sending: Sending, first: Collection[str]) -> Iterator[tuple[Key, set[int]]]:
        """The batches of those whose address keys are in `first`, with their numbers."""
        numbers: dict[Key, set[int]] = {}
        work = self.read()
        for item in work.get_many(keys.holder_of_address(key) for key in first).values():
            found = self.find(work, sending, int(item["number"]))
            if found and found[1].state is State.PENDING:
                numbers.setdefault(found[0].key, set()).add(int(item["number"]))
        yield from sorted(numbers.items())

    def claim_some(
        self,
        sending: Sending,
        key: Key,
        limit: int,
        attempt: str,
        at: datetime,
        only: Collection[int] = (),
    ) -> tuple[Recipient, ...]:
        """Claim up to so many of a batch (of those `only`, where any are named); () if nobody of it can be mailed."""
        when = moment(at)
        tried = False

        def take(work: Work) -> tuple[Recipient, ...]:
            nonlocal tried
            item = work.get(key)
            if item is None:
                return ()
            each = batch.opened(item)
            taken: list[Entry] = []
            if tried:  # it was done, the answer was lost, and another has claimed the next ones since
                taken = [one for one in each.entries if one.attempt == attempt and one.state is State.CLAIMED]
                if taken:
                    return _recipients(taken)
            tried = True
            waiting = [
                one for one in each.entries
                if one.state is State.PENDING and (not only or abs(one.number) in only)
            ]  # fmt: skip
            looked = 0
            while looked < len(waiting) and len(taken) < limit:
                some = waiting[looked : looked + limit - len(taken)]
                looked += len(some)
                for entry, reason in self._reasons(sending, some, when):
                    if reason:
                        entry.state, entry.words, entry.changed = State.SKIPPED, reason, when
                    else:
                        if entry.attempt:
                            entry.earlier.append(Earlier(entry.attempt, entry.changed, entry.words))
                        entry.state, entry.attempt, entry.changed = State.CLAIMED, attempt, when
                        taken.append(entry)
            if taken:
                each.calls[attempt] = Call(when)
            if looked:
                work.put(batch.closed(each))
            return _recipients(taken)

        return self.write(take)

    def _reasons(self, sending: Sending, entries: Sequence[Entry], at: str) -> list[tuple[Entry, str]]:
        """Why each must not be mailed now, or "". Whoever has moved since is followed to the new address,
        unless that stands in the briefing already.
        """
        found = self.table.get_many(keys.subscriber(abs(one.number)) for one in entries)
        people = []
        for one in entries:
            subscriber = found.get(keys.subscriber(abs(one.number)))
            if subscriber and (subscriber["public_id"] != one.public_id or one.key.startswith(ERASED)):
                subscriber = None
            people.append(subscriber)
            if subscriber and (subscriber["address"], subscriber["address_key"]) != (one.address, one.key):
                key = str(subscriber["address_key"])
                if key == one.key or not self.stands(self.read(), sending, key, one.number):
                    one.address, one.key = str(subscriber["address"]), key
        items = self.table.get_many(keys.suppression(one.key) for one in entries)
        suppressed = {key[1]: str(item["reason"]) for key, item in items.items()}
        return [
            (one, WITHDRAWN if sending.withdrawn else reason_against(subscriber, at, suppressed, one.key))
            for one, subscriber in zip(entries, people, strict=True)
        ]

    def _found(
        self, work: Work, sending: Sending | None, touched: dict[Key, Batch], number: int
    ) -> tuple[Batch, Entry] | None:
        """A recipient in a batch that this step has opened already, or opens now."""
        if sending is None:
            return None
        partition = keys.shard(sending.briefing, sending.draft, abs(number))
        for each in touched.values():
            if each.key[0] == partition and (entry := each.of(number)):
                return each, entry
        found = self.find(work, sending, number)
        if found:
            touched[found[0].key] = found[0]
        return found

    def _no_step(self, claim: Claim, outcome: Outcome) -> StoreError:
        return StoreError(
            f"{self.path}: recipient {outcome.number} of {claim.briefing} cannot become {outcome.state} "
            f"by attempt {claim.attempt}: it is not claimed by it."
        )


def _recipients(entries: Iterable[Entry]) -> tuple[Recipient, ...]:
    return tuple(Recipient(one.number, one.address, one.public_id, one.tries) for one in entries)


class _Way:
    """Where a sender is in a sending: the batches with somebody pending, page after page, each once."""

    def __init__(self, store: DynamoLedger, sending: Sending) -> None:
        self.draft = sending.draft
        self._next: deque[Key] = deque()
        self._tallies: Iterator[tuple[Key, dict[str, Any]]] = store.tallies(sending)

    def next(self) -> Key | None:
        """The next batch to take from, or None at the end."""
        if self._next:
            return self._next.popleft()
        for key, tally in self._tallies:
            if tally["states"].get(State.PENDING):
                return key
        return None

    def back(self, key: Key) -> None:
        """Look at that one again first."""
        self._next.appendleft(key)


def _note_withdrawn(work: Work, briefing: str, at: str) -> None:
    item = work.get(keys.send(briefing))
    if item and not item.get("withdrawn"):
        work.put({**item, "withdrawn": at})


def _each(work: Work, key: Key, step: Callable[[Entry], bool]) -> int:
    item = work.get(key)
    if item is None:
        return 0
    each = batch.opened(item)
    count = sum([step(entry) for entry in each.entries])
    if count:
        work.put(batch.closed(each))
    return count
