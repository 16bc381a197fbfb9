"""The whole list in DynamoDB, and the operator's decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

from newsletter.store.door import ERASED, Digests, LetterKind, stand_in
from newsletter.store.dynamodb import keys, people
from newsletter.store.dynamodb.item import Item, Key, raw
from newsletter.store.dynamodb.letters import letters_of
from newsletter.store.dynamodb.membership import DynamoMembership, consent, note
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.journal import SUPPRESSED, UNSUPPRESSED, Line
from newsletter.store.lists import NOBODY, Known, Listed, Numbers, Suppression
from newsletter.store.people import Subscription

_SLICE = 100
_MONTH = len("2020-11")


class DynamoLists(DynamoMembership):
    """Keeps the promises of `Lists`."""

    def known(self, address_keys: Collection[str]) -> Mapping[str, Known]:
        """See Lists."""
        holders = self.table.get_many(keys.holder_of_address(key) for key in address_keys)
        found = self.table.get_many(keys.subscriber(int(item["number"])) for item in holders.values())
        return {
            str(item["address_key"]): Known(raw(item["public_id"]), Subscription(str(item["subscription"])))
            for item in found.values()
        }

    def listed(self, only: Collection[Subscription] = ()) -> Iterator[Listed]:
        """See Lists."""
        kinds = {str(kind) for kind in only or Subscription}
        rows = (item for item in self.subscribers() if item["subscription"] in kinds)
        texts: set[str] = set()
        while some := list(islice(rows, _SLICE)):
            beside = self.table.get_many(key for item in some for key in _beside(item))
            forms = self.table.get_many(
                keys.form(str(item["form"])) for item in beside.values() if item.get("form")
            )
            for item in some:
                line = _listed(item, beside, forms)
                if line.form in texts:
                    line = line._replace(form_text="")
                texts.add(line.form)
                yield line
        if not only:
            yield from self._nobodys()

    def _nobodys(self) -> Iterator[Listed]:
        every = sorted(
            (str(item["sk"]), item)
            for partition in keys.spread("SUPPRESSED")
            for item in self.table.query(partition)
            if not str(item["sk"]).startswith(ERASED)
        )
        rows = iter(every)
        while some := list(islice(rows, _SLICE)):
            held = self.table.get_many(keys.holder_of_address(key) for key, _ in some)
            for key, item in some:
                if keys.holder_of_address(key) not in held:
                    yield Listed(
                        key,
                        Subscription.UNSUBSCRIBED,
                        source=NOBODY,
                        suppressed=str(item["reason"]),
                        suppressed_at=str(item["at"]),
                        evidence=str(item["evidence"]),
                    )

    def restore(self, address_key: str, kept: Listed) -> None:
        """See Lists."""

        def restore(work: Work) -> None:
            mine = people.holder_of_address(work, address_key)
            if mine is None:
                return
            public_id = bytes.fromhex(kept.id)
            if public_id and work.get(keys.holder_of_id(public_id)) is None:
                work.delete(keys.holder_of_id(raw(mine["public_id"])))
                pk, sk = keys.holder_of_id(public_id)
                work.put({"pk": pk, "sk": sk, "number": mine["number"]})
                mine["public_id"] = public_id
            confirmed = mine["subscription"] == Subscription.CONFIRMED
            if kept.paused_until and confirmed:
                mine["paused_until"] = kept.paused_until
            if kept.asked_at and confirmed:
                consent(
                    work, raw(mine["public_id"]), b"", form=kept.form, page=kept.page, asked_at=kept.asked_at,
                    asked_ip=kept.asked_ip, message_id=kept.message_id, confirmed_at=str(mine["confirmed_at"]),
                    confirmed_ip=kept.confirmed_ip,
                )  # fmt: skip
                mine["consent"] = ""
            work.put(mine)
            if kept.form_text and work.get(keys.form(kept.form)) is None:
                pk, sk = keys.form(kept.form)
                work.put({"pk": pk, "sk": sk, "version": kept.form, "text": kept.form_text})

        self.write(restore)

    def vouch(self, address_key: str, source: str, at: datetime) -> bool:
        """See Lists."""

        def vouch(work: Work) -> bool:
            mine = people.holder_of_address(work, address_key)
            if mine is None or mine["subscription"] != Subscription.PENDING:
                return False
            work.put({**mine, "subscription": str(Subscription.CONFIRMED), "source": source})
            note(work, raw(mine["public_id"]), at, "confirmed", "the operator's word", elsewhere=False)
            return True

        return self.write(vouch)

    def suppression(self, address_key: str, digests: Digests) -> Suppression | None:
        """See Lists."""
        return _suppression(self.read(), address_key, digests)

    def block(self, address_key: str, digests: Digests, at: datetime, why: str) -> bool:
        """See Lists. An erased address is not written down again: what stands for it is suppressed."""
        kept = tuple(digests(address_key))

        def block(work: Work) -> bool:
            if _suppression(work, address_key, digests):
                return False
            erased = work.get_many(keys.erased(digest) for digest in kept)
            people.suppress(work, stand_in(kept[0]) if erased else address_key, "operator", moment(at), why)
            work.notes.append(Line(at.isoformat(), b"", SUPPRESSED, why, kept))
            return True

        return self.write(block)

    def unblock(self, address_key: str, digests: Digests, at: datetime, why: str) -> bool:
        """See Lists. In the journal it is about nobody's public id: the last word on a subscriber stays the last."""

        def unblock(work: Work) -> bool:
            found = work.get_many(map(keys.suppression, _names(address_key, digests)))
            if not found:
                return False
            for key in found:
                work.delete(key)
            work.notes.append(Line(at.isoformat(), b"", UNSUPPRESSED, why, tuple(digests(address_key))))
            if mine := people.holder_of_address(work, address_key):
                work.notes.append(Line(at.isoformat(), raw(mine["public_id"]), UNSUPPRESSED, "", ()))
            return True

        return self.write(unblock)

    def letters_to(self, address_key: str) -> Sequence[tuple[str, str, str]]:
        """See Lists."""
        return [
            (str(item["changed_at"] or item["asked_at"]), str(item["kind"]), str(item["state"]))
            for item in reversed(letters_of(self.read(), keys.address(address_key)))
            if item["kind"] != LetterKind.CONTACT
        ]

    def decisions(self, address_key: str, digests: Digests) -> Sequence[tuple[str, str, str]]:
        """See Lists."""
        wanted = set(digests(address_key))
        return [
            (line.at, line.what, line.how)
            for line in self.journal.lines()
            if not line.who and wanted.intersection(line.digests)
        ]

    def numbers(self, at: datetime) -> Numbers:
        """See Lists."""
        kinds: Counter[Subscription] = Counter()
        joined: Counter[str] = Counter()
        paused = 0
        for item in self.subscribers():
            kind = Subscription(str(item["subscription"]))
            kinds[kind] += 1
            paused += kind is Subscription.CONFIRMED and str(item["paused_until"]) > moment(at)
            if kind is Subscription.CONFIRMED or item["confirmed_at"]:
                joined[str(item["confirmed_at"] or item["subscribed_at"])[:_MONTH]] += 1
        counts = {str(item["sk"]): int(item["n"]) for item in self.table.query("COUNT")}
        return Numbers(
            subscriptions=kinds,
            paused=paused,
            suppressed=Counter(self.suppressions().values()),
            joined=joined,
            left={month: count for month, count in counts.items() if len(month) == _MONTH},
        )


def _names(address_key: str, digests: Digests) -> tuple[str, ...]:
    return (address_key, *map(stand_in, digests(address_key)))


def _suppression(work: Work, address_key: str, digests: Digests) -> Suppression | None:
    names = list(map(keys.suppression, _names(address_key, digests)))
    found = work.get_many(names)
    item = next((found[name] for name in names if name in found), None)
    return Suppression(str(item["reason"]), str(item["at"]), str(item["evidence"])) if item else None


def _beside(item: Item) -> Iterable[Key]:
    """The suppression of a subscriber's address, and the proof that belongs to the present subscription."""
    yield keys.suppression(str(item["address_key"]))
    if item["consent"] != people.NO_CONSENT:
        yield keys.consent(raw(item["public_id"]), str(item["consent"]))


def _listed(item: Item, beside: Mapping[Key, Item], forms: Mapping[Key, Item]) -> Listed:
    suppression, *proof = (beside.get(key, {}) for key in _beside(item))
    agreed = proof[0] if proof and proof[0].get("confirmed_at") == item["confirmed_at"] else {}
    form = forms.get(keys.form(str(agreed.get("form", ""))), {})
    proof_of = {
        name: str(agreed.get(name, ""))
        for name in ("asked_at", "asked_ip", "page", "form", "message_id", "confirmed_ip")
    }
    facts = ("name", "subscribed_at", "confirmed_at", "source", "paused_until")
    return Listed(
        email=str(item["address"]),
        status=str(item["subscription"]),
        **{name: str(item[name]) for name in facts},
        suppressed=str(suppression.get("reason", "")),
        suppressed_at=str(suppression.get("at", "")),
        evidence=str(suppression.get("evidence", "")),
        **proof_of,
        form_text=str(form.get("text", "")),
        id=raw(item["public_id"]).hex(),
    )
