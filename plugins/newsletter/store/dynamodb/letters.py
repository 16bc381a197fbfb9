"""The letters of the door in DynamoDB: asked for, claimed, answered for.

A letter lies under its id; small items beside it say where it is in the order of asking, who waits, what an address
and a mailbox were mailed. `keep` writes all of them together, so they agree.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from newsletter.address import Address
from newsletter.errors import StoreError
from newsletter.states import Evidence
from newsletter.store.door import (
    LETTER_STEPS,
    TAG,
    Digests,
    Letter,
    LetterKind,
    LetterState,
    Limit,
    Standing,
    stand_in,
)
from newsletter.store.dynamodb import keys, people
from newsletter.store.dynamodb.item import Item, Key, raw
from newsletter.store.dynamodb.lease import Lease
from newsletter.store.dynamodb.people import DynamoPeople
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.ledger import Sighting
from newsletter.store.people import Subscription

# What a call's own answer, or the judgement before it, can make of a claimed letter; the rest its reader does.
_ENDS = LETTER_STEPS[LetterState.CLAIMED] - {LetterState.ANSWERED}
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_SUPPRESSES = {Evidence.HARD_BOUNCE: "hard_bounce", Evidence.COMPLAINT: "complaint"}
_UNANSWERED = {LetterState.CLAIMED, LetterState.SUBMITTED, LetterState.IN_DOUBT}
# How long DynamoDB itself keeps a count after its stretch has ended, at most; and so far back `prune` looks.
COUNTS_KEPT = timedelta(days=60)


class DynamoLetters(DynamoPeople):
    """Keeps those promises of `Door` that are about letters."""

    def ask(self, letter: Letter, limits: Sequence[Limit], form_text: str = "") -> bool:
        """See Door."""

        def ask(work: Work) -> bool:
            kept = letter
            before = work.snapshot()
            for limit in limits:
                if not _count(work, limit, letter.at):
                    if not limit.quiet:
                        raise _Reached(before)
                    kept = _nobodys(kept)
            if form_text:
                pk, sk = keys.form(letter.form)
                if work.get((pk, sk)) is None:
                    work.put({"pk": pk, "sk": sk, "version": letter.form, "text": form_text}, blind=True)
            if work.get(keys.letter(letter.id)):
                raise StoreError(f"{self.path}: that letter is there already. This step was not done.")
            keep(work, None, _item(kept))
            return True

        try:
            return self.write(ask)
        except _Reached:
            return False

    def counted(self, limit: Limit, at: datetime) -> int:
        """See Door."""
        return self.read().number(_tally(limit, at))

    def letter(self, letter_id: bytes) -> Letter | None:
        """See Door."""
        return find_letter(self.read(), letter_id)

    def letter_counts(self) -> Mapping[tuple[LetterKind, LetterState], int]:
        """See Door."""
        return Counter(
            (LetterKind(str(item["kind"])), LetterState(str(item["state"]))) for item in self.letters()
        )

    def letters(self) -> Iterator[Item]:
        """Every letter, in the order of asking."""
        some: list[Key] = []
        for pointer in self.table.query("LETTERS"):
            some.append(keys.letter(_id(pointer)))
            if len(some) == 100:
                yield from self._these(some)
                some.clear()
        yield from self._these(some)

    def _these(self, wanted: Sequence[Key]) -> Iterator[Item]:
        found = self.table.get_many(wanted)
        yield from (found[key] for key in wanted if key in found)

    def next_letter(
        self,
        at: datetime,
        digests: Digests = lambda key: (),
        through: str = "",
        most: int | None = None,
    ) -> tuple[Letter, Standing] | None:
        """See Door."""
        recent = f"{moment(at - _HOUR)}~"
        full = most is not None and (
            most < 1
            or sum(1 for _ in self.table.query("CONFIRMATION", recent, "~", most=most, only=("v",))) >= most
        )
        for pointer in self.table.query("ASKED"):
            if full and pointer["kind"] == LetterKind.CONFIRM:
                continue
            if taken := self.write(
                partial(_claim, letter_id=_id(pointer), at=at, digests=digests, through=through)
            ):
                return taken
        return None

    def letter_done(
        self, letter_id: bytes, state: LetterState, evidence: str, at: datetime, message_id: str = ""
    ) -> None:
        """See Door."""

        def note(work: Work) -> None:
            item = work.get(keys.letter(letter_id))
            if item and state in _ENDS and item["state"] == LetterState.CLAIMED:
                mailed = state in (LetterState.SUBMITTED, LetterState.IN_DOUBT)
                keep(
                    work,
                    item,
                    {
                        **item,
                        "state": str(state),
                        "evidence": evidence,
                        "message_id": message_id,
                        "changed_at": moment(at),
                        "mailed_at": item["mailed_at"] if mailed else "",
                    },
                )
                return
            if item is None:
                return
            if state in _ENDS and item["state"] in (LetterState.ANSWERED, LetterState.DROPPED):
                # Its reader was quicker than SES's answer; the mail's name is still wanted.
                if message_id and not item["message_id"]:
                    keep(work, item, {**item, "message_id": message_id})
                    _name_consent(work, item, message_id)
                return
            raise StoreError(f"{self.path}: a letter that is {item['state']!s} cannot become {state}.")

        self.write(note)

    def mailed_through(self) -> set[str]:
        """See Door."""
        sends = self.table.query("SEND", only=("through", "frozen_at"))
        found = {str(item["through"]) for item in sends if item["frozen_at"]}
        return (found | {str(item["through"]) for item in self.letters()}) - {""}

    def hold_letters(self, at: datetime) -> int:
        """See Door."""

        def hold(work: Work, letter_id: bytes) -> int:
            item = work.get(keys.letter(letter_id))
            if item is None or item["state"] != LetterState.CLAIMED:
                return 0
            words = "the postman ended before SES answered"
            keep(
                work,
                item,
                {
                    **item,
                    "state": str(LetterState.IN_DOUBT),
                    "evidence": words,
                    "changed_at": moment(at),
                },
            )
            return 1

        claimed = list(self.table.query("CLAIMED"))
        return sum(self.write(partial(hold, letter_id=_id(pointer))) for pointer in claimed)

    def posting(self) -> AbstractContextManager[None]:
        """See Door. It is a lease: one that is lost mails nothing twice, because each letter is claimed by itself."""
        return Lease(self.table, "letters", "Another process mails the door's letters already.")

    def told_of_letter(self, sighting: Sighting, at: datetime) -> int:
        """Take in what SES told of a letter: 1 if that ends all mail to its address, which is all that is kept of it."""
        reason = _SUPPRESSES.get(sighting.kind)
        if not reason:
            return 0

        def note(work: Work) -> int:
            named = work.get(keys.message(sighting.message_id)) if sighting.message_id else None
            found = [_id(named)] if named else []
            if sighting.briefing == TAG and len(sighting.attempt) == 32:
                found.append(bytes.fromhex(sighting.attempt))
            words = f"{sighting.message_id} {sighting.detail}".strip()
            done = 0
            for letter_id in found:
                item = work.get(keys.letter(letter_id))
                if item and item["kind"] != LetterKind.CONTACT and item["address_key"]:
                    done += people.suppress(work, str(item["address_key"]), reason, moment(at), words)
            return done

        return self.write(note)


class _Reached(Exception):
    """A limit is: what was counted so far is taken back."""


def find_letter(work: Work, letter_id: bytes) -> Letter | None:
    """The letter of that id."""
    item = work.get(keys.letter(letter_id))
    return _letter(work, item) if item else None


def suppressed(work: Work, address_key: str, digests: Digests, guard: bool = False) -> str:
    """Why this address must not be mailed, or "": under its key, or under what is left of one that was erased."""
    names = [keys.suppression(name) for name in (address_key, *map(stand_in, digests(address_key)))]
    found = work.get_many(names, guard)
    return next((str(found[name]["reason"]) for name in names if name in found), "")


def keep(work: Work, before: Item | None, after: Item | None) -> None:
    """Write a letter in place of what it was, with all that lies beside it; None for none."""
    had, has = beside(before), beside(after)
    for key in had.keys() - has.keys():
        work.delete(key)
    for key, facts in has.items():
        if key not in had or had[key] != facts:
            work.put({"pk": key[0], "sk": key[1], **facts})
    if after is not None:
        work.put(after)
    elif before is not None:
        work.delete(keys.letter(_id(before)))


def letters_of(work: Work, partition: str) -> list[Item]:
    """The letters to an address, or of a person, by the partition of either; in the order of asking."""
    wanted = [keys.letter(_id(pointer)) for pointer in work.query(partition, "LETTER#", "LETTER#~")]
    found = work.get_many(wanted)
    return [found[key] for key in wanted if key in found]


def beside(item: Item | None) -> dict[Key, Item]:
    """Every item that lies beside a letter, without its key."""
    if item is None:
        return {}
    order, me = str(item["order"]), {"id": item["id"]}
    found: dict[Key, Item] = {("LETTERS", order): me}
    if item["address_key"]:
        found[keys.address(str(item["address_key"])), f"LETTER#{order}"] = me
    if item["mailbox"]:
        found[keys.mailbox(str(item["mailbox"])), order] = me
    if item["public_id"]:
        found[keys.person(raw(item["public_id"])), f"LETTER#{order}"] = me
    if item["state"] == LetterState.ASKED:
        found["ASKED", order] = {**me, "kind": item["kind"]}
    if item["state"] == LetterState.CLAIMED:
        found["CLAIMED", order] = me
    if item["kind"] == LetterKind.CONFIRM and item["mailed_at"]:
        found["CONFIRMATION", f"{item['mailed_at']!s}#{_id(item).hex()}"] = me
    if item["message_id"]:
        found[keys.message(str(item["message_id"]))] = me
    return found


def _claim(
    work: Work, letter_id: bytes, at: datetime, digests: Digests, through: str
) -> tuple[Letter, Standing] | None:
    item = work.get(keys.letter(letter_id))
    if item is None or item["state"] != LetterState.ASKED:
        return None
    letter = _letter(work, item)
    subscriber = people.holder(work, letter.subscriber) if letter.subscriber else None
    subscription = Subscription(str(subscriber["subscription"])) if subscriber else None
    kind = letter.kind
    if kind is LetterKind.CONFIRM and subscription is Subscription.CONFIRMED:
        kind = LetterKind.MY_PAGE
    pointers = work.query(keys.address(letter.to.key), "LETTER#", "LETTER#~") if letter.to.key else []
    if letter.mailbox:
        pointers += work.query(keys.mailbox(letter.mailbox))
    had = [
        one for one in work.get_many(keys.letter(_id(pointer)) for pointer in pointers).values()
        if one["mailed_at"]
    ]  # fmt: skip
    confirmations = [one for one in had if one["kind"] == LetterKind.CONFIRM]
    newest = max((str(one["mailed_at"]) for one in confirmations), default="")
    standing = Standing(
        subscription,
        suppressed(work, letter.to.key, digests) if letter.to.key else "",
        sum(one["state"] in _UNANSWERED for one in confirmations),
        datetime.fromisoformat(newest) if newest else None,
        sum(one["kind"] == kind and str(one["mailed_at"]) > moment(at - _DAY) for one in had),
    )
    changes: Item = {
        "state": str(LetterState.CLAIMED), "kind": str(kind), "mailed_at": moment(at), "changed_at": moment(at),
        "through": through,
    }  # fmt: skip
    keep(work, item, item | changes)
    return replace(letter, kind=kind, state=LetterState.CLAIMED), standing


def _name_consent(work: Work, letter: Item, message_id: str) -> None:
    """The confirmation mail's name, where its link was used before SES had answered."""
    holder = work.get(keys.holder_of_address(str(letter["address_key"])))
    subscriber = work.get(keys.subscriber(int(holder["number"]))) if holder else None
    if subscriber:
        key = keys.consent(raw(subscriber["public_id"]), _id(letter).hex())
        consent = work.get(key)
        if consent and not consent["message_id"]:
            work.put({**consent, "message_id": message_id})


def _tally(limit: Limit, at: datetime) -> Key:
    return keys.tally(limit.key, int(limit.window.total_seconds()), limit.stretch(at))


def _count(work: Work, limit: Limit, at: datetime) -> bool:
    expires = tally_expires(int(limit.window.total_seconds()), limit.stretch(at))
    return work.add(_tally(limit, at), most=limit.most, expires=expires)


def tally_expires(seconds: int, stretch: int) -> int:
    """When DynamoDB may delete what was counted in a stretch of so many seconds: seconds since 1970."""
    return (stretch + 1) * seconds + int(COUNTS_KEPT.total_seconds())


def _nobodys(letter: Letter) -> Letter:
    """What stands for a letter over a quiet limit, so that neither answer nor time tells it from one that is kept."""
    return Letter(
        letter.id, letter.kind, Address("", ""), letter.at, form=letter.form, state=LetterState.DROPPED
    )


def _item(letter: Letter) -> Item:
    pk, sk = keys.letter(letter.id)
    return {
        "pk": pk,
        "sk": sk,
        "id": letter.id,
        "kind": str(letter.kind),
        "state": str(letter.state),
        "address": letter.to.text,
        "address_key": letter.to.key,
        "public_id": letter.subscriber,
        "asked_at": moment(letter.at),
        "asked_ip": letter.ip,
        "form": letter.form,
        "words": json.dumps(dict(letter.words), ensure_ascii=False),
        "mailed_at": "",
        "message_id": "",
        "evidence": "",
        "changed_at": "",
        "through": "",
        "mailbox": letter.mailbox,
        "order": keys.order(),
    }


def _letter(work: Work, item: Item) -> Letter:
    kind = LetterKind(str(item["kind"]))
    subscriber = raw(item["public_id"])
    if kind in (LetterKind.CONFIRM, LetterKind.MY_PAGE):  # about whoever has the address now
        address_key = str(item["address_key"])
        holder = people.holder_of_address(work, address_key) if address_key else None
        subscriber = raw(holder["public_id"]) if holder else b""
    return Letter(
        id=_id(item),
        kind=kind,
        to=Address(str(item["address"]), str(item["address_key"])),
        at=datetime.fromisoformat(str(item["asked_at"])),
        ip=str(item["asked_ip"]),
        form=str(item["form"]),
        subscriber=subscriber,
        words=json.loads(str(item["words"])),
        state=LetterState(str(item["state"])),
        mailbox=str(item["mailbox"]),
    )


def _id(item: Item) -> bytes:
    return raw(item["id"])
