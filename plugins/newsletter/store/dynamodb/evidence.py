"""What SES told of the mails afterwards, and what that settles, in DynamoDB.

What is told at one moment of one batch is written by one write, with the suppressions that follow from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from newsletter import address
from newsletter.errors import AddressError, StoreError
from newsletter.states import Evidence, State, may, proven
from newsletter.store.door import ERASED, Digests
from newsletter.store.dynamodb import keys
from newsletter.store.dynamodb.batch import Batch, Entry, Told, closed, opened
from newsletter.store.dynamodb.item import Item, Key, key_of
from newsletter.store.dynamodb.ledger import DynamoLedger
from newsletter.store.dynamodb.letters import DynamoLetters
from newsletter.store.dynamodb.people import suppress
from newsletter.store.dynamodb.sends import Sending
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.journal import SUPPRESSED, Line
from newsletter.store.ledger import CALLED, Doubt, Sighting, Trace, when

# Soft bounces in so many briefings in a row end the mail to an address.
_SOFT_BOUNCES = 3


@dataclass(frozen=True, slots=True)
class _Placed:
    """A sighting, the batch it is about and the number of the recipient; `numbers` are all that are in that batch."""

    key: Key
    number: int
    numbers: frozenset[int]
    sighting: Sighting


class DynamoEvidence(DynamoLedger, DynamoLetters):
    """Keeps those promises of `Ledger` that are about a mail after it was submitted."""

    def apply(self, sightings: Sequence[Sighting], at: datetime, digests: Digests = lambda key: ()) -> int:
        """See Store. What fails in the middle is whole up to there, and may be told again."""
        kept = {key_of(item): _sighting(item) for item in self.table.query("STRAY")}
        sendings = {one.briefing: one for one in self.sendings()} if sightings or kept else {}
        take = partial(self._take_in, sendings=sendings, at=at, digests=digests)
        fresh = take([one for one in sightings if one.tagged])
        # A mail is known by its message only after what names it.
        return fresh + take([*kept.values(), *(one for one in sightings if not one.tagged)], kept=kept)

    def _take_in(
        self,
        sightings: Sequence[Sighting],
        sendings: Mapping[str, Sending],
        at: datetime,
        digests: Digests,
        kept: Collection[Key] = (),
    ) -> int:
        """Take in what was told, all of it with our tags or all of it without; keep what may be ours yet, and let go of
        what was `kept` and is not.
        """
        fresh = 0
        groups: dict[Key, list[_Placed]] = {}
        waiting = set()
        for sighting in sightings:
            placed = self._placed(sendings, groups, sighting)
            if placed:
                groups.setdefault(placed.key, []).append(placed)
                continue
            # It is about a letter, another mail of this account, or another installation's.
            fresh += self.told_of_letter(sighting, at)
            if sighting.may_be_ours_yet(at):
                waiting.add(key_of(item := _stray(sighting)))
                if key_of(item) not in kept:
                    self.write(partial(Work.put, item=item, blind=True))
        for key, told in groups.items():
            fresh += self.write(
                partial(self._apply, sendings=sendings, key=key, told=told, at=at, digests=digests)
            )
        for key in set(kept) - waiting:
            self.write(partial(Work.delete, key=key))
        return fresh

    def attempted(self, briefing: str, attempt: str) -> bool:
        """See Store. Only for calls whose ids prove nothing, of an older version or key: all batches are read for it."""
        sending = self.sending_named(briefing)
        return any(attempt in each.calls for each in (self.batches(sending) if sending else ()))

    def seen(self, briefing: str) -> Mapping[Evidence, int]:
        """See Store."""
        sending = self.sending_named(briefing)
        counts: Counter[str] = Counter()
        for _, tally in self.tallies(sending) if sending else ():
            counts.update(tally["seen"])
        return {Evidence(kind): count for kind, count in counts.items()}

    def last_event(self, briefing: str) -> datetime | None:
        """See Store."""
        sending = self.sending_named(briefing)
        last = max((tally["last"] for _, tally in (self.tallies(sending) if sending else ())), default="")
        return datetime.fromisoformat(last) if last else None

    def doubts(self, briefing: str) -> list[Doubt]:
        """See Store."""
        sending = self.sending_named(briefing)
        found = [
            Doubt(attempt, datetime.fromisoformat(made), held, seen)
            for _, tally in (self.tallies(sending) if sending else ())
            for attempt, (made, held, seen) in tally["doubt"].items()
        ]
        return sorted(found, key=lambda doubt: doubt.since)

    def blind(self, briefing: str, since: datetime) -> int:
        """See Store."""
        sending = self.sending_named(briefing)
        return sum(
            count
            for _, tally in (self.tallies(sending) if sending else ())
            for made, count in tally["silent"].items()
            if made >= moment(since)
        )

    def release(self, briefing: str, attempt: str, state: State, evidence: str, at: datetime) -> int:
        """See Store."""
        if not may(State.IN_DOUBT, state):
            raise StoreError(f"{briefing}: nobody in doubt can become {state}.")

        def let_go(entry: Entry) -> bool:
            if entry.state is not State.IN_DOUBT or entry.attempt != attempt:
                return False
            entry.state, entry.words, entry.changed = state, evidence, moment(at)
            return True

        count = self.change(briefing, State.IN_DOUBT, let_go)
        sending = self.sending_named(briefing)
        if state is State.PENDING and sending and sending.withdrawn:
            self.withdraw(briefing, at)
        return count

    def canary_mailed(self, canary: str, at: datetime) -> None:
        """See Store."""
        self.write(
            lambda work: work.put({"pk": "CANARY", "sk": canary, "mailed_at": moment(at), "seen_at": ""})
        )

    def canary_seen(self, canary: str, at: datetime) -> None:
        """See Store."""

        def note(work: Work) -> None:
            item = work.get(("CANARY", canary))
            if item and not item["seen_at"]:
                work.put({**item, "seen_at": moment(at)})

        self.write(note)

    def newest_canary(self) -> datetime | None:
        """See Store."""
        seen = [str(item["mailed_at"]) for item in self.table.query("CANARY") if item["seen_at"]]
        return datetime.fromisoformat(max(seen)) if seen else None

    def trace(self, briefing: str, address_key: str = "") -> Iterator[Trace]:
        """See Store."""
        sending = self.sending_named(briefing)
        if sending is None:
            return
        for each in self.batches(sending):
            for entry in each.entries:
                if address_key in ("", entry.key):
                    yield _trace(sending, each, entry)
        for number, reason in list(self.left_out(sending)):
            subscriber = self.table.get(keys.subscriber(abs(number)))
            if address_key in ("", subscriber["address_key"] if subscriber else None):
                who = str(subscriber["address"]) if subscriber else "(erased)"
                yield Trace(who, "excluded", ((sending.frozen_at, "excluded", reason),))

    # -- taking in

    def _apply(
        self,
        work: Work,
        sendings: Mapping[str, Sending],
        key: Key,
        told: Iterable[_Placed],
        at: datetime,
        digests: Digests,
    ) -> int:
        item = work.get(key)
        if item is None:
            return 0  # discarded meanwhile
        fresh = 0
        each = opened(item)
        for placed in told:
            entry, sighting = each.of(placed.number), placed.sighting
            if entry is None or not self._tell(entry, sighting, at):
                continue
            fresh += 1
            work.put(closed(each))
            if reason := self._suppresses(work, sendings, entry, sighting.kind):
                detail = "" if _is_erased(entry) else sighting.detail
                words = f"{sighting.message_id} {detail}".strip()
                if suppress(work, entry.key, reason, moment(at), words) and not _is_erased(entry):
                    # The address is what is suppressed: where it can be told by a digest, not its subscriber.
                    marks = tuple(digests(entry.key))
                    who = b"" if marks else entry.public_id
                    work.notes.append(Line(at.isoformat(), who, SUPPRESSED, reason, marks))
        return fresh

    def _tell(self, entry: Entry, sighting: Sighting, at: datetime) -> bool:
        """Add to what is known of a recipient; False if it was known."""
        if any((one.kind, one.message_id) == (sighting.kind, sighting.message_id) for one in entry.told):
            return False
        detail = "" if _is_erased(entry) else sighting.detail  # SES quotes the address
        entry.told.append(
            Told(str(sighting.kind), sighting.message_id, sighting.attempt, moment(sighting.at), detail)
        )
        after = proven(Evidence(one.kind) for one in entry.told)
        if after and after is not entry.state:
            if not may(entry.state, after):
                raise StoreError(
                    f"{self.path}: {sighting.kind} cannot make {entry.state} of recipient {entry.number} {after}."
                )
            entry.state, entry.changed = after, moment(at)
            entry.words = f"{sighting.kind.replace('_', ' ')}: {detail}".rstrip(": ")
        # A person may have decided it; what SES leaves without tags is known by this name.
        entry.message_id = entry.message_id or sighting.message_id
        return True

    def _placed(
        self, sendings: Mapping[str, Sending], groups: Mapping[Key, Sequence[_Placed]], sighting: Sighting
    ) -> _Placed | None:
        """Whom a sighting is about: by our tags, or by the address and SES's message id where it has none."""
        if sighting.tagged and sighting.number is not None:
            sending = sendings.get(sighting.briefing)
            if sending is None:
                return None
            number = sighting.number
            partition = keys.shard(sending.briefing, sending.draft, abs(number))
            for key, told in groups.items():  # in a batch that was found already?
                if key[0] == partition and number in told[0].numbers:
                    return _Placed(key, number, told[0].numbers, sighting)
            found = self.find(self.read(), sending, number)
            return _Placed(found[0].key, number, _numbers(found[0]), sighting) if found else None
        if not (sighting.message_id and sighting.recipient):
            return None
        for number in self._numbers(self.read(), sighting.recipient):
            for sending in sendings.values():
                found = self.find(self.read(), sending, number)
                if found and found[1].message_id == sighting.message_id:
                    return _Placed(found[0].key, number, _numbers(found[0]), sighting)
        return None

    def _numbers(self, work: Work, recipient: str) -> list[int]:
        """The numbers of whoever has an address, and of those who had it."""
        try:
            key = address.parse(recipient).key
        except AddressError:
            return []
        holder = work.get(keys.holder_of_address(key))
        former = work.query(keys.address(key), "LEFT#", "LEFT#~")
        return [int(item["number"]) for item in (*([holder] if holder else []), *former)]

    def _suppresses(
        self,
        work: Work,
        sendings: Mapping[str, Sending],
        entry: Entry,
        kind: Evidence,
    ) -> str:
        """The reason for which this evidence ends all mail to an address, or ""."""
        if kind is Evidence.HARD_BOUNCE:
            return "hard_bounce"
        if kind is Evidence.COMPLAINT:
            return "complaint"
        if kind is not Evidence.SOFT_BOUNCE:
            return ""
        tried: list[Entry] = []
        for one in sorted(sendings.values(), key=lambda each: each.briefing, reverse=True):
            found = (
                None
                if one.corrects
                else self.find_subscriber(work, one, entry.subscriber or entry.number, entry.public_id)
            )
            if found and found[1].attempt:
                tried.append(found[1])
            if len(tried) == _SOFT_BOUNCES:
                break
        soft = sum(one.state is State.BOUNCED and one.has(Evidence.SOFT_BOUNCE) for one in tried)
        return "soft_bounces" if soft >= _SOFT_BOUNCES else ""


def _numbers(each: Batch) -> frozenset[int]:
    return frozenset(abs(entry.number) for entry in each.entries)


def _is_erased(entry: Entry) -> bool:
    return entry.key.startswith(ERASED)


def _trace(sending: Sending, each: Batch, entry: Entry) -> Trace:
    calls = [
        (each.calls[attempt].made, CALLED, attempt)
        for attempt in (*(one.attempt for one in entry.earlier), entry.attempt)
        if attempt in each.calls
    ]
    ended = [(one.ended, str(State.PENDING), f"{one.attempt} {one.words}".strip()) for one in entry.earlier]
    seen = [(one.at, one.kind, f"{one.message_id} {one.detail}".strip()) for one in entry.told]
    own = (
        []
        if entry.state is State.PENDING and not entry.words
        else [(entry.changed, str(entry.state), f"{entry.message_id} {entry.words}".strip())]
    )
    history = [(sending.frozen_at, "frozen", ""), *sorted([*calls, *ended, *own, *seen], key=when)]
    return Trace(entry.address, str(entry.state), tuple(history))


def _stray(sighting: Sighting) -> Item:
    pk, sk = keys.stray(sighting.message_id, str(sighting.kind), sighting.recipient)
    return {
        "pk": pk,
        "sk": sk,
        "message_id": sighting.message_id,
        "kind": str(sighting.kind),
        "at": moment(sighting.at),
        "recipient": sighting.recipient,
        "detail": sighting.detail,
    }


def _sighting(item: Item) -> Sighting:
    return Sighting(
        Evidence(str(item["kind"])),
        str(item["message_id"]),
        datetime.fromisoformat(str(item["at"])),
        detail=str(item["detail"]),
        recipient=str(item["recipient"]),
    )
