"""A subscriber's own doing in DynamoDB: confirming, moving, pausing, leaving; and the history of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from newsletter.store.door import LetterKind, LetterState, Person, Used
from newsletter.store.dynamodb import keys, people
from newsletter.store.dynamodb.batch import Entry
from newsletter.store.dynamodb.evidence import DynamoEvidence
from newsletter.store.dynamodb.item import Item, Key, raw
from newsletter.store.dynamodb.letters import find_letter, keep, letters_of, suppressed
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.journal import Line
from newsletter.store.people import Subscription

_VOIDABLE = {LetterState.ASKED, LetterState.CLAIMED, LetterState.SUBMITTED, LetterState.IN_DOUBT}
# Letters that are changed in the transaction that makes them void; each has up to seven items.
_AT_ONCE = 8
# What is no fact about a subscriber, but how the table keeps it.
_OWN = {"pk", "sk", "v", "order"}


class DynamoMembership(DynamoEvidence):
    """Keeps those promises of `Door` that are about one subscriber."""

    def confirm(self, letter_id: bytes, at: datetime, ip: str) -> Used:
        """See Door. The link of an address that was suppressed since does nothing."""
        used = self.write(lambda work: self._confirm(work, letter_id, at, ip))
        if isinstance(used, Used):
            return used
        self._void(used, "another letter's link was used", at)
        return Used.DONE

    def _confirm(self, work: Work, letter_id: bytes, at: datetime, ip: str) -> Used | str:
        """What it did; the address key, where somebody is confirmed by it."""
        letter, item = find_letter(work, letter_id), work.get(keys.letter(letter_id))
        if letter is None or item is None:
            return Used.GONE
        mine = people.holder(work, letter.subscriber) if letter.subscriber else None
        confirmed = bool(mine and mine["subscription"] == Subscription.CONFIRMED)
        if letter.kind is not LetterKind.CONFIRM or not letter.usable(at):
            return Used.ALREADY if confirmed else Used.GONE
        if confirmed:
            _use(work, item, at)
            return Used.ALREADY
        if suppressed(work, letter.to.key, lambda key: (), guard=True):
            return Used.GONE
        facts: Item = {
            "address": letter.to.text, "subscription": str(Subscription.CONFIRMED),
            "subscribed_at": moment(letter.at), "confirmed_at": moment(at), "source": "sign-up",
            "paused_until": "", "consent": letter.id.hex(),
        }  # fmt: skip
        if mine:
            public_id = raw(mine["public_id"])
            work.put(mine | facts)
        else:
            public_id = secrets.token_bytes(16)
            number = people.take_numbers(work, 1)
            people.add(work, number, {**facts, "public_id": public_id, "address_key": letter.to.key})
        consent(
            work, public_id, letter.id, form=letter.form, page=str(letter.words.get("page", "")),
            asked_at=moment(letter.at), asked_ip=letter.ip, message_id=str(item["message_id"]),
            confirmed_at=moment(at), confirmed_ip=ip,
        )  # fmt: skip
        _use(work, item, at)
        _void_some(work, letter.to.key, "another letter's link was used", at)
        note(work, public_id, at, "confirmed", "sign-up")
        return letter.to.key

    def _void(self, address_key: str, why: str, at: datetime) -> None:
        """Letters that are still out must not undo what their reader has decided since: those that were too many for
        one transaction.
        """
        while self.write(lambda work: _void_some(work, address_key, why, at)):
            pass

    def change_address(self, letter_id: bytes, at: datetime) -> Used:
        """See Door. What was still under way to the old address is void from then on; a briefing that is being sent
        follows when its turn comes.
        """
        used = self.write(lambda work: self._change(work, letter_id, at))
        if isinstance(used, Used):
            return used
        old, public_id = used
        while self.write(lambda work: _drop_some(work, old, public_id, letter_id)):
            pass
        return Used.DONE

    def _change(self, work: Work, letter_id: bytes, at: datetime) -> Used | tuple[str, bytes]:
        letter, item = find_letter(work, letter_id), work.get(keys.letter(letter_id))
        if letter is None or item is None or letter.kind is not LetterKind.CHANGE:
            return Used.GONE
        mine = people.holder(work, letter.subscriber)
        if mine is None:
            return Used.GONE
        if not letter.usable(at):
            return Used.ALREADY if mine["address"] == letter.to.text else Used.GONE
        if suppressed(work, letter.to.key, lambda key: (), guard=True):
            return Used.GONE
        number, old = int(mine["number"]), str(mine["address_key"])
        new = keys.holder_of_address(letter.to.key)
        holder = work.get(new)
        if holder and holder["number"] != number:
            return Used.TAKEN
        changed = {**mine, "address": letter.to.text, "address_key": letter.to.key}
        if letter.to.key != old:
            former = [*json.loads(str(mine["former"])), old]
            changed["former"] = json.dumps(list(dict.fromkeys(former)))
            work.delete(keys.holder_of_address(old))
            work.put({"pk": new[0], "sk": new[1], "number": number})
            pk, sk = keys.left(old, number)
            work.put({"pk": pk, "sk": sk, "number": number})
        work.put(changed)
        _use(work, item, at)
        _drop_some(work, old, letter.subscriber, letter_id)
        note(work, letter.subscriber, at, "moved", "own page", elsewhere=False)
        return old, letter.subscriber

    def person(self, public_id: bytes) -> Person | None:
        """See Door."""
        item = people.holder(self.read(), public_id)
        if item is None:
            return None
        return Person(
            public_id,
            str(item["address"]),
            Subscription(str(item["subscription"])),
            str(item["name"]),
            str(item["subscribed_at"]),
            str(item["confirmed_at"]),
            str(item["paused_until"]),
            str(item["source"]),
        )

    def unsubscribe(self, public_id: bytes, at: datetime, how: str = "") -> bool:
        """See Door."""

        def leave(work: Work) -> str | bool:
            mine = people.holder(work, public_id)
            if mine and mine["subscription"] == Subscription.UNSUBSCRIBED:
                return True  # and durably so
            if mine is None and _last_noted(work, public_id) in ("unsubscribed", "erased"):
                return False
            note(work, public_id, at, "unsubscribed", how)
            if mine is None:
                return False
            work.put(
                {
                    **mine,
                    "subscription": str(Subscription.UNSUBSCRIBED),
                    "paused_until": "",
                    "left_at": moment(at),
                }
            )
            work.add(("COUNT", moment(at)[:7]))
            _void_some(work, str(mine["address_key"]), _LEFT, at)
            return str(mine["address_key"])

        left = self.write(leave)
        if isinstance(left, str):
            self._void(left, _LEFT, at)
        return bool(left)

    def pause(self, public_id: bytes, until: datetime | None, at: datetime) -> bool:
        """See Door."""

        def pause(work: Work) -> bool:
            mine = people.holder(work, public_id)
            if mine is None or mine["subscription"] != Subscription.CONFIRMED:
                return False
            work.put({**mine, "paused_until": moment(until) if until else ""})
            what, how = ("paused", f"until {moment(until)}") if until else ("resumed", "")
            note(work, public_id, at, what, how, elsewhere=False)
            return True

        return self.write(pause)

    def data_of(self, public_id: bytes) -> Mapping[str, Any]:
        """See Door."""
        work = self.read()
        mine = people.holder(work, public_id)
        if mine is None:
            return {}
        number, key = int(mine["number"]), str(mine["address_key"])
        found: dict[str, list[Any]] = {
            name: []
            for name in (
                "subscriber", "suppression", "recipient", "evidence", "earlier", "exclusion", "letter", "consent", "form",
                "history",
            )
        }  # fmt: skip
        found["subscriber"] = [_shown(mine)]
        if suppression := work.get(keys.suppression(key)):
            found["suppression"] = [_shown({"address_key": key, **suppression})]
        for sending in self.sendings():
            if here := self.find_subscriber(work, sending, number, public_id):
                found["recipient"].append({"briefing": sending.briefing, **_told(here[1])})
                found["evidence"] += [
                    {"briefing": sending.briefing, "number": number, **one._asdict()} for one in here[1].told
                ]
                found["earlier"] += [
                    {"briefing": sending.briefing, "number": number, **one._asdict()}
                    for one in here[1].earlier
                ]
            found["exclusion"] += [
                {"briefing": sending.briefing, "reason": reason}
                for reason in self.left_out_for(sending, number)
            ]
        letters = {raw(item["id"]): item for item in letters_of(work, keys.address(key))}
        letters |= {raw(item["id"]): item for item in letters_of(work, keys.person(public_id))}
        letters |= {raw(item["id"]): item for item in self.letters() if wrote(item, key)}
        found["letter"] = [_shown(item) for item in letters.values()]
        consents = lines(work, keys.consent(public_id))
        found["consent"] = [_shown(item) for item in consents]
        forms = work.get_many(keys.form(str(item["form"])) for item in consents if item["form"])
        found["form"] = [_shown(item) for item in forms.values()]
        history = lines(work, keys.history(public_id))
        found["history"] = [_shown(item) for item in history]
        return found


_LEFT = "the subscriber has left since"


def lines(work: Work, mine: Key) -> list[Item]:
    """What is kept of one person in a partition, by the key with which all of it begins."""
    return work.query(mine[0], mine[1], f"{mine[1]}~")


def note(
    work: Work,
    public_id: bytes,
    at: datetime,
    what: str,
    how: str,
    digests: Sequence[bytes] = (),
    elsewhere: bool = True,
) -> None:
    """Write one line of a subscriber's history, and with `elsewhere` into the journal too, before it is kept."""
    pk, sk = keys.history(public_id, keys.order())
    work.insert({"pk": pk, "sk": sk, "public_id": public_id, "at": moment(at), "what": what, "how": how})
    if elsewhere:
        work.notes.append(Line(at.isoformat(), public_id, what, how, tuple(digests)))


def consent(work: Work, public_id: bytes, letter_id: bytes, **facts: str) -> None:
    """Write down to what, when and from where somebody agreed, if that is not there yet."""
    pk, sk = keys.consent(public_id, letter_id.hex())
    if work.get((pk, sk)) is None:
        work.put({"pk": pk, "sk": sk, "public_id": public_id, "letter": letter_id, **facts})


def wrote(item: Item, address_key: str) -> bool:
    """Whether a letter is what the owner of an address wrote to the house."""
    if item["kind"] != LetterKind.CONTACT:
        return False
    return str(json.loads(str(item["words"])).get("email", "")).lower() == address_key


def _last_noted(work: Work, public_id: bytes) -> str:
    partition, first = keys.history(public_id)
    newest = work.query(partition, first, f"{first}~", most=1, backwards=True)
    return str(newest[0]["what"]) if newest else ""


def _use(work: Work, item: Item, at: datetime) -> None:
    keep(
        work,
        item,
        {
            **item,
            "state": str(LetterState.ANSWERED),
            "evidence": "its link was used",
            "changed_at": moment(at),
        },
    )


def _void_some(work: Work, address_key: str, why: str, at: datetime) -> int:
    """Void some of the confirmation letters to an address; how many."""
    found = [
        item for item in letters_of(work, keys.address(address_key))
        if item["kind"] == LetterKind.CONFIRM and item["state"] in _VOIDABLE
    ]  # fmt: skip
    for item in found[:_AT_ONCE]:
        changes: Item = {"state": str(LetterState.DROPPED), "evidence": why, "changed_at": moment(at)}
        keep(work, item, item | changes)
    return len(found[:_AT_ONCE])


def _drop_some(work: Work, old: str, public_id: bytes, but: bytes) -> int:
    """Delete some of the letters to an address that was left, the requests for another first; how many."""
    found: dict[Key, Item] = {}
    for item in letters_of(work, keys.person(public_id)):
        found[keys.letter(raw(item["id"]))] = item
    for item in letters_of(work, keys.address(old)):
        if item["kind"] != LetterKind.CONTACT:
            found[keys.letter(raw(item["id"]))] = item
    found.pop(keys.letter(but), None)
    for item in list(found.values())[:_AT_ONCE]:
        keep(work, item, None)
    return len(list(found)[:_AT_ONCE])


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number, "address": entry.address, "address_key": entry.key,
        "public_id": entry.public_id.hex(), "state": str(entry.state), "attempt": entry.attempt,
        "message_id": entry.message_id, "evidence": entry.words, "tries": entry.tries, "changed_at": entry.changed,
    }  # fmt: skip


def _shown(item: Item) -> dict[str, Any]:
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in item.items()
        if name not in _OWN
    }
