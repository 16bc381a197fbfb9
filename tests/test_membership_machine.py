"""A few people's lives with the list, in any order: signing up, leaving, coming back, moving, being erased.

Beside the store runs a model that knows only what its people have done. Whatever the order: nobody is mailed a
briefing who has not agreed since they last left, nobody is bombed, and whoever is erased is in no table.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from newsletter import address
from newsletter.postman import judge
from newsletter.store import Store, Subscriber, Subscription, open_store
from newsletter.store.door import LIFETIMES, LetterKind, LetterState, Used
from tests.door_contract import NOW, digests, letter
from tests.store_contract import PACKAGE

ADDRESSES = st.sampled_from(
    ["ann@example.net", "Ann@Example.net", "bob@example.net", "jbob@example.net", "cy@example.com"]
)
HOURS = st.sampled_from([1, 12, 25, 24 * 4, 24 * 8, 24 * 31])
DAY = timedelta(days=1)


@dataclass
class Member:
    """What somebody has done. `agreed` is whether by a letter's link, since they last left."""

    public_id: bytes
    key: str
    status: Subscription
    agreed: bool = False
    paused: datetime | None = None
    keys: set[str] = field(default_factory=set)  # under which briefings went to them


@dataclass
class Sent:
    """A letter: "asked", "out", "void", "used" or "dead"."""

    kind: LetterKind
    key: str
    at: datetime
    by: bytes
    state: str = "asked"


class Life(RuleBasedStateMachine):
    """Each rule is one thing that one person, or time, does."""

    letters = Bundle("letters")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = self.open()
        self.now = NOW
        self.members: dict[bytes, Member] = {}
        self.gone: set[bytes] = set()
        self.sent: dict[bytes, Sent] = {}
        self.mailed: dict[str, datetime] = {}  # the newest confirmation letter of each address
        self.suppressed: set[str] = set()
        self.marked: set[str] = set()  # suppressed, then erased
        self.briefings = 0

    def open(self) -> Store:
        store = open_store(f"sqlite:///{self.folder / 'newsletter.db'}")
        store.db.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]
        return store

    def dump(self) -> str:
        """Everything in the store, as text."""
        return "\n".join(self.store.db.iterdump()).lower()  # type: ignore[attr-defined]

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def holder(self, key: str) -> Member | None:
        return next((one for one in self.members.values() if one.key == key), None)

    def member(self, number: int) -> Member | None:
        people = list(self.members.values())
        return people[number % len(people)] if people else None

    def ask(self, to: str, kind: LetterKind, by: bytes = b"") -> bytes:
        form = "v1" if kind is LetterKind.CONFIRM else ""
        one = letter(to, kind, self.now, subscriber=by, form=form)
        assert self.store.ask(one, [], "Yes." if form else "")
        self.sent[one.id] = Sent(kind, one.to.key, self.now, by)
        return one.id

    @rule(target=letters, to=ADDRESSES)
    def somebody_types_an_address(self, to: str) -> bytes:
        return self.ask(to, LetterKind.CONFIRM)

    @rule(target=letters, to=ADDRESSES)
    def somebody_wants_their_page(self, to: str) -> bytes:
        return self.ask(to, LetterKind.MY_PAGE)

    @rule(target=letters, number=st.integers(0, 9), to=ADDRESSES)
    def a_subscriber_wants_to_move(self, number: int, to: str) -> object:
        who = self.member(number)
        return self.ask(to, LetterKind.CHANGE, who.public_id) if who else multiple()

    @rule(
        ends=st.lists(
            st.sampled_from([LetterState.SUBMITTED, LetterState.IN_DOUBT, LetterState.FAILED]), max_size=4
        )
    )
    def the_postman_goes_round(self, ends: list[LetterState]) -> None:
        while taken := self.store.next_letter(self.now, digests):
            one, standing = taken
            mine, holder = self.sent[one.id], self.holder(one.to.key)
            assert mine.state == "asked"
            mine.kind = one.kind
            if reason := judge(one, standing, self.now):
                self.store.letter_done(one.id, LetterState.DROPPED, reason, self.now)
                mine.state = "dead"
                continue
            assert one.to.key not in self.suppressed | self.marked
            if one.kind is LetterKind.CONFIRM:
                assert holder is None or holder.status is not Subscription.CONFIRMED
                assert self.now - self.mailed.get(one.to.key, NOW - DAY) >= DAY
                out = [each for each in self.sent.values() if (each.kind, each.key) == (one.kind, one.to.key)]
                assert sum(each.state == "out" for each in out) < 3
            elif one.kind is LetterKind.MY_PAGE:
                assert holder
                assert one.subscriber == holder.public_id
            else:
                assert mine.by in self.members
            end = ends.pop() if ends else LetterState.SUBMITTED
            self.store.letter_done(one.id, end, "", self.now, "mail" if end is LetterState.SUBMITTED else "")
            mine.state = "dead" if end is LetterState.FAILED else "out"
            if mine.state == "out" and one.kind is LetterKind.CONFIRM:
                self.mailed[one.to.key] = self.now

    @rule(letter_id=letters)
    def a_link_to_confirm_is_used(self, letter_id: bytes) -> None:
        mine = self.sent.get(letter_id)
        if mine and mine.kind is LetterKind.CHANGE:
            return
        used = self.store.confirm(letter_id, self.now, "192.0.2.1")
        holder = self.holder(mine.key) if mine else None
        confirmed = holder is not None and holder.status is Subscription.CONFIRMED
        works = mine is not None and mine.state == "out" and mine.kind is LetterKind.CONFIRM
        if not mine or not works or self.now >= mine.at + LIFETIMES[mine.kind]:
            assert used is (Used.ALREADY if confirmed else Used.GONE)
        elif confirmed:
            assert used is Used.ALREADY
            mine.state = "used"
        elif mine.key in self.suppressed:
            assert used is Used.GONE
        else:
            assert used is Used.DONE
            found = self.store.letter(letter_id)
            assert found
            if holder is None:
                assert found.subscriber not in self.members
                holder = self.members[found.subscriber] = Member(
                    found.subscriber, mine.key, Subscription.CONFIRMED
                )
            assert found.subscriber == holder.public_id
            holder.status, holder.agreed, holder.paused = Subscription.CONFIRMED, True, None
            self.void(mine.key)
            mine.state = "used"

    @rule(letter_id=letters)
    def a_link_to_move_is_used(self, letter_id: bytes) -> None:
        mine = self.sent.get(letter_id)
        if mine is None or mine.kind is not LetterKind.CHANGE:
            assert self.store.change_address(letter_id, self.now) is Used.GONE
            return
        who, holder = self.members.get(mine.by), self.holder(mine.key)
        used = self.store.change_address(letter_id, self.now)
        if who is None or mine.state != "out" or self.now >= mine.at + LIFETIMES[mine.kind]:
            assert used in (Used.GONE, Used.ALREADY)
            assert used is Used.GONE or (who and who.key == mine.key)
        elif mine.key in self.suppressed:
            assert used is Used.GONE
        elif holder and holder is not who:
            assert used is Used.TAKEN
        else:
            assert used is Used.DONE
            old = who.key
            who.key = mine.key
            mine.state = "used"
            self.forget(
                lambda one_id, one: one_id != letter_id and (one.key == old or one.by == who.public_id)
            )
            self.mailed.pop(old, None)
            who.keys.add(mine.key)

    @rule(number=st.integers(0, 9))
    def a_subscriber_leaves(self, number: int) -> None:
        if who := self.member(number):
            assert self.store.unsubscribe(who.public_id, self.now, "one-click")
            if who.status is not Subscription.UNSUBSCRIBED:
                self.void(who.key)
            who.status, who.agreed, who.paused = Subscription.UNSUBSCRIBED, False, None

    @rule()
    def an_old_link_of_somebody_erased_is_used(self) -> None:
        for public_id in self.gone:
            assert not self.store.unsubscribe(public_id, self.now)
            assert not self.store.pause(public_id, None, self.now)

    @rule(number=st.integers(0, 9), days=st.sampled_from([0, 20, 60]))
    def a_subscriber_pauses(self, number: int, days: int) -> None:
        if who := self.member(number):
            until = self.now + days * DAY if days else None
            done = self.store.pause(who.public_id, until, self.now)
            assert done is (who.status is Subscription.CONFIRMED)
            if done:
                who.paused = until

    @rule(number=st.integers(0, 9))
    def a_subscriber_is_erased(self, number: int) -> None:
        who = self.member(number)
        if who is None:
            return
        assert self.store.erase(who.public_id, digests, self.now)
        del self.members[who.public_id]
        self.gone.add(who.public_id)
        keys = {key for key in who.keys | {who.key} if not self.holder(key)}
        self.forget(lambda _, one: one.key in keys or one.by == who.public_id)
        for key in keys:
            self.mailed.pop(key, None)
        self.marked |= keys & self.suppressed
        self.suppressed -= keys
        dump = self.dump()
        for key in keys:
            if not any(
                key in other.key for other in [*self.members.values(), *self.sent.values()]
            ) and not any(key in other for other in self.suppressed):
                assert key not in dump

    @rule(to=ADDRESSES, status=st.sampled_from(Subscription))
    def a_list_is_imported(self, to: str, status: Subscription) -> None:
        where = address.parse(to)
        if self.store.erased(digests(where.key)):
            return  # as the importer does
        self.store.import_subscribers([Subscriber(where, status, source="a list")])
        holder = self.holder(where.key)
        if holder is None:
            found = self.store.letter(self.ask(to, LetterKind.MY_PAGE))
            assert found
            public_id = found.subscriber
            assert public_id
            self.members[public_id] = Member(
                public_id, where.key, status, agreed=status is Subscription.CONFIRMED
            )
        elif status is Subscription.UNSUBSCRIBED:
            holder.status, holder.agreed = Subscription.UNSUBSCRIBED, False

    @rule(to=ADDRESSES)
    def somebody_complains(self, to: str) -> None:
        key = address.parse(to).key
        self.store.suppress(key, "complaint", self.now, "an event")
        self.suppressed.add(key)

    @rule(hours=HOURS)
    def time_goes_by(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def what_is_old_is_deleted(self) -> None:
        before = self.now - 30 * DAY
        self.store.prune(before)
        self.forget(lambda _, one: one.at < before)

    @rule()
    def a_briefing_is_sent(self) -> None:
        self.briefings += 1
        month = f"{2021 + self.briefings // 12}-{self.briefings % 12 + 1:02}"
        self.store.freeze(replace(PACKAGE, month=month), self.now)
        taken = self.store.claim(month, 50, f"a{self.briefings}", self.now)
        to = {one.public_id for one in taken.recipients} if taken else set()
        assert to == {
            one.public_id
            for one in self.members.values()
            if one.status is Subscription.CONFIRMED
            and one.agreed
            and one.key not in self.suppressed
            and not (one.paused and one.paused > self.now)
        }
        for public_id in to:
            self.members[public_id].keys.add(self.members[public_id].key)

    @invariant()
    def everybody_is_as_they_last_wanted(self) -> None:
        for public_id, mine in self.members.items():
            person = self.store.person(public_id)
            assert person
            assert (person.subscription, person.address.lower()) == (mine.status, mine.key)
            data = self.store.data_of(public_id)
            if person.source == "sign-up" and mine.status is Subscription.CONFIRMED:
                assert data["consent"]
                assert data["form"] == [{"version": "v1", "text": "Yes."}]
        assert sum(self.store.subscription_counts().values()) == len(self.members)
        assert self.store.lagging() == 0

    def void(self, key: str) -> None:
        for one in self.sent.values():
            if one.key == key and one.kind is LetterKind.CONFIRM and one.state in ("asked", "out"):
                one.state = "void"

    def forget(self, which: object) -> None:
        self.sent = {one_id: one for one_id, one in self.sent.items() if not which(one_id, one)}  # type: ignore[operator]


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
