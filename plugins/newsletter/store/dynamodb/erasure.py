"""Forgetting a subscriber in DynamoDB, and not forgetting that it was forgotten.

It takes several writes, each of which can be made again, and the subscriber itself goes last: whoever is interrupted
asks once more. Point-in-time recovery keeps the table as it was for 35 days; the journal makes a restored one forget
again (`newsletter subscribers replay`).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from newsletter.store.door import ERASED, Digests, LetterState, stand_in
from newsletter.store.dynamodb import batch, keys, people
from newsletter.store.dynamodb.item import Item, raw
from newsletter.store.dynamodb.letters import keep, letters_of
from newsletter.store.dynamodb.lists import DynamoLists
from newsletter.store.dynamodb.membership import lines, note, wrote
from newsletter.store.dynamodb.sends import Sending
from newsletter.store.dynamodb.work import Work, moment
from newsletter.store.journal import Line
from newsletter.store.people import Subscription

_GONE = "(erased)"
# For what SES's events lead to; what operators say instead are words.
_REASONS = ("hard_bounce", "soft_bounces", "complaint")
# The pauses between looks at who is missing, in seconds: longer together than a write whose first tries are throttled.
_LOOKS = (0.5, 1.0, 2.0)
_Mend = Callable[[datetime], object]


class DynamoErasure(DynamoLists):
    """Keeps those promises of `Door` that are about erasing, and about what was put back since."""

    def erase(self, public_id: bytes, digests: Digests, at: datetime) -> bool:
        """See Door."""
        mine = people.holder(self.read(), public_id)
        if mine is None:
            return False
        self._erase(mine, str(mine["address_key"]), digests, at)
        return True

    def erase_address(self, address_key: str, digests: Digests, at: datetime) -> bool:
        """See Door."""
        work = self.read()
        mine = people.holder_of_address(work, address_key)
        kept = (
            work.query(keys.address(address_key), "LETTER#", "LETTER#~", most=1)
            or work.get(keys.suppression(address_key))
            or any(address_key in str(item["words"]).lower() for item in self.letters())
        )
        if mine is None and not kept:
            return False
        self._erase(mine, address_key, digests, at)
        return True

    def erased(self, digests: Iterable[bytes]) -> set[bytes]:
        """See Door."""
        found = self.table.get_many(keys.erased(digest) for digest in digests)
        return {bytes.fromhex(sk) for _, sk in found}

    def stood_in(self, digests: Iterable[bytes]) -> Mapping[bytes, str]:
        """See Door."""
        found = self.table.get_many(keys.suppression(stand_in(digest)) for digest in digests)
        return {
            bytes.fromhex(sk.removeprefix(ERASED)): str(item["reason"]) for (_, sk), item in found.items()
        }

    def lagging(self, digests: Digests | None = None) -> int:
        """See Door. The journal has a line before the table has the change, and nothing locks the two: whoever is
        leaving at this moment is not forgotten, so only those count that are missing at each of several looks.
        """
        forgotten = set(self._lagging(digests))
        for pause in _LOOKS:
            if not forgotten:
                break
            time.sleep(pause)
            forgotten &= set(self._lagging(digests))
        return len(forgotten)

    def replay(self, at: datetime, digests: Digests | None = None) -> int:
        """See Door."""
        again = self._lagging(digests)
        for mend in again.values():
            mend(at)
        return len(again)

    # -- forgetting

    def _erase(self, mine: Item | None, address_key: str, digests: Digests, at: datetime) -> None:
        self.alone()
        number = int(mine["number"]) if mine else 0
        public_id = raw(mine["public_id"]) if mine else b""
        self.journal.write([Line(at.isoformat(), public_id, "erased", "", tuple(digests(address_key)))])
        gone = {address_key}
        if mine:
            gone |= set(json.loads(str(mine["former"])))
            gone |= {
                str(item["address_key"])
                for item in letters_of(self.read(), keys.person(public_id))
                if item["state"] == LetterState.ANSWERED
            }
            for sending in self.sendings():
                gone |= self.write(
                    partial(self._blank, sending=sending, number=number, public_id=public_id, digests=digests)
                )
        for key in gone:
            self._erase_key(key, number, digests(key), moment(at))
        if mine:
            beside = (keys.consent(public_id), keys.history(public_id), (keys.person(public_id), "LETTER#"))
            for item in [item for mine_too in beside for item in lines(self.read(), mine_too)]:
                self.write(partial(_erase_item, item=item))
            self.write(lambda work: _erase_subscriber(work, mine, at))

    def _blank(
        self, work: Work, sending: Sending, number: int, public_id: bytes, digests: Digests
    ) -> set[str]:
        """Take a recipient's address out of a sending; what it was. What SES tells of a mail quotes the address in
        whatever form a mail server likes, so none of it stays.
        """
        found = self.find_subscriber(work, sending, number, public_id)
        if found is None or found[1].key.startswith(ERASED):
            return set()
        each, entry = found
        key = entry.key
        entry.address, entry.key = _GONE, stand_in(digests(key)[0])
        entry.words = _GONE if entry.words else ""
        entry.told = [one._replace(detail=_GONE if one.detail else "") for one in entry.told]
        entry.earlier = [one._replace(words=_GONE if one.words else "") for one in entry.earlier]
        work.put(batch.closed(each))
        return {key}

    def _erase_key(self, key: str, number: int, digests: Sequence[bytes], at: str) -> None:
        """One address of a subscriber, or of nobody (number 0)."""
        self.write(lambda work: work.delete(keys.left(key, number)))
        holder = self.table.get(keys.holder_of_address(key))
        if holder and holder["number"] != number:
            return  # left behind for a newer one, and now somebody else's: what else there is of it is theirs

        def stand(work: Work) -> None:
            if kept := work.get(keys.suppression(key)):
                people.suppress(work, stand_in(digests[0]), str(kept["reason"]), str(kept["at"]), _GONE)
                work.delete(keys.suppression(key))
            for digest in digests:
                pk, sk = keys.erased(digest)
                if work.get((pk, sk)) is None:
                    work.put({"pk": pk, "sk": sk, "at": at})

        self.write(stand)
        for item in list(self.table.query("STRAY")):
            if str(item["recipient"]).lower() == key:
                self.table.delete_all([(str(item["pk"]), str(item["sk"]))])
        for pointer in list(self.table.query(keys.address(key), "LETTER#", "LETTER#~")):
            self.write(partial(_erase_letter, letter_id=raw(pointer["id"])))
        mention = re.compile(rf"(?<![\w.+-]){re.escape(key)}(?![\w-]|\.\w)", re.IGNORECASE | re.ASCII)
        for item in list(self.letters()):
            letter_id = raw(item["id"])
            if wrote(item, key):
                self.write(partial(_erase_letter, letter_id=letter_id))
            elif key in str(item["words"]).lower():
                self.write(partial(_erase_mention, letter_id=letter_id, mention=mention))

    # -- what this table has forgotten

    def _lagging(self, digests: Digests | None) -> dict[Hashable, _Mend]:
        """What this table has forgotten, each with what mends it. Suppressions come first: an erasure that follows takes
        its own along.
        """
        found: dict[Hashable, _Mend] = dict(self._unsuppressed(digests))
        back = set()
        for public_id, entry in self.journal.last().items():
            mine = people.holder(self.read(), public_id) if public_id else None
            if mine is None:
                continue
            if entry.what == "erased":
                back.add(public_id)
                found[entry.what, public_id] = partial(self._erase_again, public_id, entry.digests)
            elif entry.what == "unsubscribed" and mine["subscription"] != Subscription.UNSUBSCRIBED:
                found[entry.what, public_id] = partial(
                    self.unsubscribe, public_id, how="replayed from the journal"
                )
        for line in self.journal.erased():
            if line.who not in back and self.erased(line.digests) != set(line.digests):
                found[line] = partial(self._remember, line.digests)
        return found

    def _erase_again(self, public_id: bytes, digests: Sequence[bytes], at: datetime) -> None:
        self.erase(public_id, lambda key: digests, at)

    def _remember(self, digests: Sequence[bytes], at: datetime) -> None:
        """That these were erased, of somebody whom this table never knew."""

        def remember(work: Work) -> None:
            for digest in digests:
                pk, sk = keys.erased(digest)
                work.put({"pk": pk, "sk": sk, "at": moment(at)}, blind=True)

        self.write(remember)

    def _unsuppressed(self, digests: Digests | None) -> Iterator[tuple[Line, _Mend]]:
        lines = self.journal.suppressions()
        if not lines:
            return
        held = set(self.suppressions())
        if digests is not None:
            held |= {
                stand_in(one) for key in list(held) if not key.startswith(ERASED) for one in digests(key)
            }
        missing = []
        for line in lines:
            if not line.digests:
                mine = people.holder(self.read(), line.who)
                if mine and mine["address_key"] not in held:
                    yield line, partial(self._suppress_again, str(mine["address_key"]), line)
            elif digests is not None and held.isdisjoint(map(stand_in, line.digests)):
                missing.append(line)
        if not missing or digests is None:
            return
        wanted = {one for line in missing for one in line.digests}
        known = {
            one: str(item["address_key"])
            for item in self.subscribers()
            for one in digests(str(item["address_key"]))
            if one in wanted
        }
        for line in missing:
            key = next((known[one] for one in line.digests if one in known), stand_in(line.digests[0]))
            yield line, partial(self._suppress_again, key, line)

    def _suppress_again(self, address_key: str, line: Line, at: datetime) -> None:
        # An operator's line has the reason in words, one that SES's events led to has it in our own.
        reason = line.how if line.how in _REASONS else "operator"
        self.write(
            lambda work: people.suppress(
                work, address_key, reason, line.at or moment(at), "replayed from the journal"
            )
        )


def _erase_subscriber(work: Work, mine: Item, at: datetime) -> None:
    if now := work.get(keys.subscriber(int(mine["number"]))):
        people.remove(work, now)
    note(work, raw(mine["public_id"]), at, "erased", "", elsewhere=False)


def _erase_item(work: Work, item: Item) -> None:
    """A line about a person; where it points to a letter, that with it."""
    if "id" in item:
        _erase_letter(work, raw(item["id"]))
    else:
        work.delete((str(item["pk"]), str(item["sk"])))


def _erase_letter(work: Work, letter_id: bytes) -> None:
    if item := work.get(keys.letter(letter_id)):
        keep(work, item, None)


def _erase_mention(work: Work, letter_id: bytes, mention: re.Pattern[str]) -> None:
    if item := work.get(keys.letter(letter_id)):
        keep(work, item, {**item, "words": mention.sub(_GONE, str(item["words"]))})
