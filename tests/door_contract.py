"""What every store promises the door and its postman. A store's test file subclasses this and gives it a store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import pytest

from newsletter import address, tokens
from newsletter.errors import StoreError
from newsletter.states import Evidence, State
from newsletter.store import Outcome, Sighting, Store, Subscriber, Subscription
from newsletter.store.door import (
    LETTER_STEPS,
    LIFETIMES,
    TAG,
    Letter,
    LetterKind,
    LetterState,
    Limit,
    Standing,
    Used,
    form_version,
)
from tests.store_contract import PACKAGE

NOW = datetime(2020, 11, 2, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEYS = (b"k" * 32,)
digests = partial(tokens.digests, keys=KEYS)
READER = "Reader@example.org"
KEY = "reader@example.org"
_numbers = count(1)

OpenStore = Callable[[], Store]


def letter(
    to: str = READER, kind: LetterKind = LetterKind.CONFIRM, at: datetime = NOW, **more: object
) -> Letter:
    made = Letter(next(_numbers).to_bytes(16, "big"), kind, address.parse(to), at, ip="192.0.2.1", form="v1")
    return replace(made, **more)  # type: ignore[arg-type]


def mailed(
    store: Store,
    to: str = READER,
    kind: LetterKind = LetterKind.CONFIRM,
    at: datetime = NOW,
    state: LetterState = LetterState.SUBMITTED,
    **more: object,
) -> Letter:
    """A letter that was asked for and mailed."""
    one = letter(to, kind, at, **more)
    assert store.ask(one, [], "Yes, send it.")
    taken = store.next_letter(at, digests)
    assert taken
    assert taken[0].id == one.id
    store.letter_done(one.id, state, "accepted by SES", at, f"mail-{one.id.hex()}")
    found = store.letter(one.id)
    assert found
    return found


def joined(store: Store, to: str = READER, at: datetime = NOW) -> bytes:
    """The public id of a subscriber who has signed up and confirmed."""
    one = mailed(store, to, at=at)
    assert store.confirm(one.id, at, "192.0.2.2") is Used.DONE
    return of(store, one.id)


def of(store: Store, letter_id: bytes) -> bytes:
    """Whom a letter is about."""
    found = store.letter(letter_id)
    assert found
    assert found.subscriber
    return found.subscriber


def status(store: Store, public_id: bytes) -> Subscription:
    person = store.person(public_id)
    assert person
    return person.subscription


def standing(
    store: Store, to: str = READER, kind: LetterKind = LetterKind.CONFIRM, at: datetime = NOW
) -> Standing:
    """What the postman would be told of an address; the letter that asks is dropped."""
    one = letter(to, kind, at)
    assert store.ask(one, [])
    taken = store.next_letter(at, digests)
    assert taken
    assert taken[0].id == one.id
    store.letter_done(one.id, LetterState.DROPPED, "a test", at)
    return taken[1]


def imported(store: Store, to: str, subscription: Subscription) -> None:
    store.import_subscribers(
        [Subscriber(address.parse(to), subscription, subscribed_at="2020-11-01", source="a list")]
    )


def frozen(store: Store, month: str = "2020-10", at: datetime = NOW) -> dict[State, int]:
    store.freeze(replace(PACKAGE, month=month), at)
    return dict(store.counts(month).states)


class DoorContract:
    """Give it a fixture `store`, and a fixture `another` that opens the same store for another thread."""

    # -- asking

    def test_what_was_asked_for_is_kept_as_it_was_asked(self, store: Store) -> None:
        words = {"email": "visitor@example.org", "message": "Größe, 漢字\nand <b>\u2028more", "page": "/"}
        one = letter("desk@example.org", LetterKind.CONTACT, words=words, form="")
        assert store.ask(one, [])
        assert store.letter(one.id) == one
        assert store.letter(b"x" * 16) is None

    def test_a_limit_lets_so_many_through_in_each_window(self, store: Store) -> None:
        limit = Limit("all", 3, HOUR)
        answers = [store.ask(letter(f"r{n}@example.org"), [limit]) for n in range(5)]
        assert answers == [True, True, True, False, False]
        assert store.counted(limit, NOW) == 3
        assert store.ask(letter(at=NOW + HOUR), [limit])
        assert store.counted(limit, NOW + HOUR) == 1

    def test_a_request_over_one_limit_counts_against_none_and_leaves_no_letter(self, store: Store) -> None:
        wide, narrow = Limit("all", 100, HOUR), Limit("one", 1, HOUR)
        assert store.ask(letter(), [wide, narrow])
        assert not store.ask(letter(), [wide, narrow])
        assert store.counted(wide, NOW) == 1
        assert sum(store.letter_counts().values()) == 1

    def test_the_same_key_counts_apart_for_another_length_of_window(self, store: Store) -> None:
        hourly, daily = Limit("one", 1, HOUR), Limit("one", 2, DAY)
        assert store.ask(letter(), [hourly, daily])
        assert not store.ask(letter(), [hourly, daily])
        assert store.ask(letter(at=NOW + HOUR), [hourly, daily])
        assert not store.ask(letter(at=NOW + 2 * HOUR), [hourly, daily])

    def test_a_quiet_limit_tells_nobody_that_it_is_reached(self, store: Store) -> None:
        quiet, loud = Limit("address", 1, DAY, quiet=True), Limit("network", 3, DAY)
        both = [quiet, loud]
        asked = [letter() for _ in range(4)]
        assert [store.ask(one, both) for one in asked] == [True] * 3 + [False]
        assert (store.counted(quiet, NOW), store.counted(loud, NOW)) == (1, 3)
        assert store.letter_counts() == {
            (LetterKind.CONFIRM, LetterState.ASKED): 1,
            (LetterKind.CONFIRM, LetterState.DROPPED): 2,
        }
        assert store.letter(asked[0].id) == asked[0]
        over = store.letter(asked[1].id)
        assert over
        assert (over.to.text, over.to.key, over.ip, over.mailbox) == ("", "", "", "")  # nobody's

    def test_nothing_at_all_is_let_through_by_a_limit_of_none(self, store: Store) -> None:
        assert not store.ask(letter(), [Limit("closed", 0, HOUR)])

    def test_threads_that_ask_at_once_are_counted_exactly(self, store: Store, another: OpenStore) -> None:
        limit = Limit("all", 20, HOUR)
        answers: list[bool] = []

        def ask() -> None:
            mine = another()
            try:
                answers.extend(mine.ask(letter(), [limit]) for _ in range(2))
            finally:
                mine.close()

        threads = [threading.Thread(target=ask) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [False] * 44 + [True] * 20
        assert store.letter_counts() == {(LetterKind.CONFIRM, LetterState.ASKED): 20}

    def test_several_are_answered_by_one_transaction_and_one_that_fails_spoils_no_other(
        self, store: Store
    ) -> None:
        first, second, third = letter("a@example.org"), letter("b@example.org"), letter("c@example.org")
        with store.together():
            assert store.ask(first, [Limit("all", 2, HOUR)])
            assert not store.ask(second, [Limit("all", 2, HOUR), Limit("none", 0, HOUR)])
            with suppress(StoreError):
                store.ask(first, [])  # an id that is there already
            assert store.ask(third, [Limit("all", 2, HOUR)])
        assert [store.letter(one.id) is not None for one in (first, second, third)] == [True, False, True]

    def test_what_is_broken_off_together_is_undone_together(self, store: Store) -> None:
        one = letter()

        def broken_off() -> None:
            with store.together():
                store.ask(one, [])
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            broken_off()
        assert store.letter(one.id) is None
        assert store.ask(one, [])

    # -- the postman's side

    def test_letters_are_claimed_in_the_order_of_asking_and_none_twice(self, store: Store) -> None:
        asked = [letter(f"r{n}@example.org", at=NOW - n * HOUR) for n in range(5)]
        for one in asked:
            store.ask(one, [])
        taken = [store.next_letter(NOW) for _ in range(6)]
        assert [each[0].id for each in taken if each] == [one.id for one in asked]
        assert all(each[0].state is LetterState.CLAIMED for each in taken if each)
        assert taken[-1] is None

    def test_two_that_claim_at_once_never_claim_the_same_letter(
        self, store: Store, another: OpenStore
    ) -> None:
        for number in range(40):
            store.ask(letter(f"r{number}@example.org"), [])
        claimed: list[bytes] = []

        def claim() -> None:
            mine = another()
            while taken := mine.next_letter(NOW):
                claimed.append(taken[0].id)
            mine.close()

        threads = [threading.Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(claimed) == len(set(claimed)) == 40

    @pytest.mark.parametrize("after", list(LetterState))
    def test_what_an_answer_makes_of_a_letter_is_in_the_table(self, store: Store, after: LetterState) -> None:
        one = letter()
        store.ask(one, [])
        with pytest.raises(StoreError, match="cannot become"):
            store.letter_done(one.id, after, "", NOW)  # nobody has claimed it
        store.next_letter(NOW)
        if after in LETTER_STEPS[LetterState.CLAIMED] and after is not LetterState.ANSWERED:
            store.letter_done(one.id, after, "", NOW)
            expected = after
        else:
            with pytest.raises(StoreError, match="cannot become"):
                store.letter_done(one.id, after, "", NOW)
            expected = LetterState.CLAIMED
        found = store.letter(one.id)
        assert found
        assert found.state is expected

    @pytest.mark.parametrize("state", [LetterState.SUBMITTED, LetterState.IN_DOUBT, LetterState.FAILED])
    def test_an_answer_is_noted_once(self, store: Store, state: LetterState) -> None:
        one = mailed(store, state=state)
        with pytest.raises(StoreError, match="cannot become"):
            store.letter_done(one.id, LetterState.ASKED, "", NOW)

    def test_an_answer_that_comes_after_the_reader_has_left_or_was_erased_changes_nothing(
        self, store: Store
    ) -> None:
        public_id = joined(store)
        store.unsubscribe(public_id, NOW)
        void, gone = letter(), letter("gone@example.org")
        for one in (void, gone):
            store.ask(one, [])
            store.next_letter(NOW)
        joined(store, at=NOW)
        store.unsubscribe(public_id, NOW)
        store.erase_address("gone@example.org", digests, NOW)
        for one in (void, gone):
            store.letter_done(one.id, LetterState.SUBMITTED, "accepted", NOW, "mail-1")
        found = store.letter(void.id)
        assert found
        assert found.state is LetterState.DROPPED
        assert store.letter(gone.id) is None

    def test_a_letter_that_ses_would_not_take_now_is_claimed_again(self, store: Store) -> None:
        store.ask(letter(), [])
        for _ in range(2):
            taken = store.next_letter(NOW)
            assert taken
            assert taken[1].newest is None
            assert taken[1].unanswered == 0
            store.letter_done(taken[0].id, LetterState.ASKED, "throttled", NOW)

    def test_what_a_dead_postman_had_claimed_is_in_doubt_and_not_claimed_again(self, store: Store) -> None:
        one, other = letter(), letter("other@example.org")
        store.ask(one, [])
        store.ask(other, [])
        store.next_letter(NOW)
        assert store.hold_letters(NOW) == 1
        assert store.hold_letters(NOW) == 0
        taken = store.next_letter(NOW)
        assert taken
        assert taken[0].id == other.id
        assert store.confirm(one.id, NOW, "") is Used.DONE  # whoever has its link has had the mail

    def test_there_is_one_postman_at_a_time(self, store: Store, another: OpenStore) -> None:
        second = another()
        with store.posting(), pytest.raises(StoreError, match="already"), second.posting():
            pass
        with second.posting():
            pass
        second.close()

    def test_the_postman_knows_what_an_address_was_mailed_and_when(self, store: Store) -> None:
        assert standing(store) == Standing(None, "", 0, None, 0)
        mailed(store, "READER@example.org", at=NOW)
        mailed(store, at=NOW + HOUR, state=LetterState.IN_DOUBT)
        mailed(store, at=NOW + 2 * HOUR, state=LetterState.FAILED)  # nothing was mailed
        mailed(store, "other@example.org", at=NOW + 3 * HOUR)
        assert standing(store, at=NOW + 4 * HOUR) == Standing(None, "", 2, NOW + HOUR, 2)
        assert standing(store, at=NOW + 30 * HOUR).today == 0

    def test_what_one_mailbox_was_mailed_counts_for_each_of_its_spellings(self, store: Store) -> None:
        mailed(store, "victim+1@example.org", mailbox="a hash")
        mailed(store, "other@example.org", mailbox="another hash")
        mailed(store, "nobody.knows@example.org")
        store.ask(letter("victim+2@example.org", at=NOW + HOUR, mailbox="a hash"), [])
        taken = store.next_letter(NOW + HOUR, digests)
        assert taken
        assert taken[0].mailbox == "a hash"
        assert taken[1] == Standing(None, "", 1, NOW, 1)

    def test_sign_ups_wait_while_the_hour_has_had_its_number_and_nothing_else_does(
        self, store: Store
    ) -> None:
        for n in range(2):
            mailed(store, f"r{n}@example.org")
        waits, page = letter("r2@example.org"), letter("r3@example.org", LetterKind.MY_PAGE)
        for one in (waits, page):
            store.ask(one, [])
        taken = store.next_letter(NOW, digests, most=2)
        assert taken
        assert taken[0].id == page.id
        assert store.next_letter(NOW + HOUR / 2, digests, most=2) is None
        taken = store.next_letter(NOW + HOUR, digests, most=2)
        assert taken
        assert taken[0].id == waits.id

    def test_an_answered_letter_is_no_unanswered_one_and_takes_the_others_with_it(self, store: Store) -> None:
        mailed(store)
        joined(store, at=NOW + DAY)
        seen = standing(store, at=NOW + 2 * DAY)
        assert (seen.unanswered, seen.newest, seen.subscription) == (0, NOW + DAY, Subscription.CONFIRMED)

    def test_the_sign_up_of_a_subscriber_becomes_a_letter_about_their_own_page(self, store: Store) -> None:
        """The visitor sees what every visitor sees; only the owner of the mailbox learns of it."""
        public_id = joined(store)
        again = mailed(store, at=NOW + DAY)
        assert again.kind is LetterKind.MY_PAGE
        assert again.subscriber == public_id
        assert store.confirm(again.id, NOW + DAY, "") is Used.ALREADY

    @pytest.mark.parametrize("reason", ["hard_bounce", "complaint", "soft_bounces", "operator"])
    def test_the_postman_knows_who_is_suppressed(self, store: Store, reason: str) -> None:
        store.suppress(KEY, reason, NOW, "an event")
        assert standing(store).suppressed == reason

    @pytest.mark.parametrize("kind", [Evidence.HARD_BOUNCE, Evidence.COMPLAINT])
    @pytest.mark.parametrize("named", [True, False])
    def test_whose_letter_bounced_or_was_complained_of_is_suppressed(
        self, store: Store, kind: Evidence, named: bool
    ) -> None:
        """By SES's name for the mail, or, where its answer was lost, by the letter's own tag."""
        one = mailed(store, state=LetterState.SUBMITTED if named else LetterState.IN_DOUBT)
        tags = ("", "") if named else (TAG, one.id.hex())
        seen = Sighting(kind, f"mail-{one.id.hex()}" if named else "unknown", NOW, *tags, None, "550 5.1.1")
        assert store.apply([seen], NOW) == 1
        assert standing(store).suppressed == kind
        assert store.confirm(one.id, NOW, "") is Used.GONE

    @pytest.mark.parametrize("kind", [Evidence.SEND, Evidence.DELIVERY, Evidence.SOFT_BOUNCE])
    def test_whose_letter_only_came_late_is_not_suppressed(self, store: Store, kind: Evidence) -> None:
        one = mailed(store)
        assert store.apply([Sighting(kind, f"mail-{one.id.hex()}", NOW)], NOW) == 0
        assert standing(store).suppressed == ""

    def test_the_house_is_never_suppressed_by_a_letter_of_its_own(self, store: Store) -> None:
        one = mailed(store, "desk@example.org", LetterKind.CONTACT, words={"email": KEY})
        store.apply([Sighting(Evidence.HARD_BOUNCE, f"mail-{one.id.hex()}", NOW)], NOW)
        assert standing(store, "desk@example.org").suppressed == ""

    # -- becoming a subscriber

    def test_nobody_becomes_a_subscriber_on_a_strangers_word(self, store: Store) -> None:
        mailed(store)
        assert store.subscription_counts() == {}

    def test_a_used_link_makes_a_subscriber_with_the_whole_record_of_the_consent(self, store: Store) -> None:
        one = letter(words={"page": "/analyses/x/"}, form=form_version("Yes, send it."))
        store.ask(one, [], "Yes, send it.")
        store.next_letter(NOW + HOUR)
        store.letter_done(one.id, LetterState.SUBMITTED, "accepted", NOW + HOUR, "mail-1")
        assert store.confirm(one.id, NOW + DAY, "2001:db8::1") is Used.DONE
        public_id = of(store, one.id)
        person = store.person(public_id)
        assert person
        assert (person.address, person.subscription) == (READER, Subscription.CONFIRMED)
        assert (person.subscribed_at, person.confirmed_at) == (
            "2020-11-02T09:00:00.000Z",
            "2020-11-03T09:00:00.000Z",
        )
        data = store.data_of(public_id)
        assert data["consent"] == [
            {
                "public_id": public_id.hex(),
                "letter": one.id.hex(),
                "form": form_version("Yes, send it."),
                "page": "/analyses/x/",
                "asked_at": "2020-11-02T09:00:00.000Z",
                "asked_ip": "192.0.2.1",
                "message_id": "mail-1",
                "confirmed_at": "2020-11-03T09:00:00.000Z",
                "confirmed_ip": "2001:db8::1",
            }
        ]
        assert data["form"] == [{"version": form_version("Yes, send it."), "text": "Yes, send it."}]
        assert frozen(store) == {State.PENDING: 1}

    def test_a_link_used_before_ses_has_answered_works_and_the_mail_is_named_later(
        self, store: Store
    ) -> None:
        one = letter()
        store.ask(one, [])
        store.next_letter(NOW)
        assert store.confirm(one.id, NOW, "") is Used.DONE
        store.letter_done(one.id, LetterState.SUBMITTED, "accepted", NOW, "mail-1")
        found = store.letter(one.id)
        assert found
        assert found.state is LetterState.ANSWERED
        assert store.data_of(found.subscriber)["consent"][0]["message_id"] == "mail-1"

    def test_a_second_press_says_that_it_is_done_already_and_changes_nothing(self, store: Store) -> None:
        one = mailed(store)
        store.confirm(one.id, NOW, "192.0.2.2")
        before = store.data_of(of(store, one.id))
        assert store.confirm(one.id, NOW + HOUR, "192.0.2.9") is Used.ALREADY
        assert store.data_of(of(store, one.id)) == before

    @pytest.mark.parametrize("state", [LetterState.DROPPED, LetterState.FAILED, LetterState.ASKED])
    def test_the_link_of_a_letter_that_was_not_mailed_opens_nothing(
        self, store: Store, state: LetterState
    ) -> None:
        one = letter()
        store.ask(one, [])
        if state is not LetterState.ASKED:
            store.next_letter(NOW)
            store.letter_done(one.id, state, "", NOW)
        assert store.confirm(one.id, NOW, "") is Used.GONE
        assert store.subscription_counts() == {}

    def test_a_confirmation_link_works_for_a_week(self, store: Store) -> None:
        week = LIFETIMES[LetterKind.CONFIRM]
        assert week == timedelta(days=7)
        late, right = mailed(store), mailed(store, "other@example.org")
        assert not late.usable(NOW + week)
        assert store.confirm(late.id, NOW + week, "") is Used.GONE
        assert store.confirm(right.id, NOW + week - timedelta(seconds=1), "") is Used.DONE

    def test_a_link_for_another_purpose_confirms_nothing(self, store: Store) -> None:
        for kind in (LetterKind.MY_PAGE, LetterKind.CHANGE, LetterKind.CONTACT):
            assert store.confirm(mailed(store, kind=kind).id, NOW, "") is Used.GONE
        assert store.confirm(b"x" * 16, NOW, "") is Used.GONE
        assert store.subscription_counts() == {}

    def test_an_address_is_one_subscriber_however_it_is_written(self, store: Store) -> None:
        first = mailed(store, "Reader@EXAMPLE.org")
        second = mailed(store, "READER@example.org")
        assert store.confirm(second.id, NOW, "") is Used.DONE
        assert store.confirm(first.id, NOW, "") is Used.ALREADY
        assert store.subscription_counts() == {Subscription.CONFIRMED: 1}

    def test_an_imported_pending_subscriber_becomes_confirmed_by_the_letter_alone(self, store: Store) -> None:
        imported(store, READER, Subscription.PENDING)
        imported(store, READER, Subscription.CONFIRMED)
        assert store.subscription_counts() == {Subscription.PENDING: 1}
        joined(store)
        assert store.subscription_counts() == {Subscription.CONFIRMED: 1}

    # -- leaving

    def test_whoever_leaves_is_not_mailed_and_old_links_do_not_bring_them_back(self, store: Store) -> None:
        unused, used = mailed(store), mailed(store)
        store.confirm(used.id, NOW, "")
        public_id = of(store, used.id)
        waiting = letter()
        store.ask(waiting, [])
        assert store.unsubscribe(public_id, NOW, "one-click")
        for one in (unused, used, waiting):
            assert store.confirm(one.id, NOW, "") is Used.GONE
        assert store.next_letter(NOW) is None
        assert status(store, public_id) is Subscription.UNSUBSCRIBED
        assert frozen(store) == {}

    def test_a_link_mailed_before_leaving_and_never_used_brings_nobody_back(self, store: Store) -> None:
        """An imported subscriber, whom somebody else has signed up, and who then leaves by a briefing's link."""
        imported(store, READER, Subscription.PENDING)
        one = mailed(store)
        public_id = of(store, one.id)
        store.unsubscribe(public_id, NOW, "page")
        assert store.confirm(one.id, NOW, "") is Used.GONE
        assert status(store, public_id) is Subscription.UNSUBSCRIBED

    def test_leaving_twice_is_leaving_once(self, store: Store) -> None:
        public_id = joined(store)
        assert store.unsubscribe(public_id, NOW, "one-click")
        before = store.data_of(public_id)
        assert store.unsubscribe(public_id, NOW + DAY, "page")
        assert store.data_of(public_id) == before
        assert [(line["what"], line["how"]) for line in before["history"]] == [
            ("confirmed", "sign-up"),
            ("unsubscribed", "one-click"),
        ]

    @pytest.mark.parametrize("subscription", list(Subscription))
    def test_everybody_can_leave_whatever_their_status(
        self, store: Store, subscription: Subscription
    ) -> None:
        imported(store, READER, subscription)
        public_id = mailed(store, kind=LetterKind.MY_PAGE).subscriber
        assert store.unsubscribe(public_id, NOW)
        assert status(store, public_id) is Subscription.UNSUBSCRIBED

    def test_whoever_pauses_can_leave_and_is_not_paused_when_they_come_back(self, store: Store) -> None:
        public_id = joined(store)
        assert store.pause(public_id, NOW + 90 * DAY, NOW)
        assert store.unsubscribe(public_id, NOW)
        assert joined(store, at=NOW + 2 * DAY) == public_id
        person = store.person(public_id)
        assert person
        assert (person.subscription, person.paused_until) == (Subscription.CONFIRMED, "")

    def test_a_link_that_is_nobodys_is_not_counted_among_those_who_left(self, store: Store) -> None:
        # The doctor tries the link with an id of nobody each time.
        assert not store.unsubscribe(b"nobody's id 1234", NOW)
        assert dict(store.numbers(NOW).left) == {}
        assert store.unsubscribe(joined(store), NOW)
        assert dict(store.numbers(NOW).left) == {f"{NOW:%Y-%m}": 1}

    def test_whoever_paused_and_was_unsubscribed_by_a_list_is_not_paused_when_they_come_back(
        self, store: Store
    ) -> None:
        public_id = joined(store)
        store.pause(public_id, NOW + 90 * DAY, NOW)
        imported(store, READER, Subscription.UNSUBSCRIBED)
        joined(store, at=NOW + 2 * DAY)
        assert frozen(store, at=NOW + 2 * DAY) == {State.PENDING: 1}

    def test_nobody_is_there_to_leave_twice_as_much(self, store: Store) -> None:
        assert not store.unsubscribe(b"n" * 16, NOW)
        assert not store.unsubscribe(b"n" * 16, NOW)
        assert store.person(b"n" * 16) is None

    def test_a_pause_ends_by_itself_or_when_it_is_ended(self, store: Store) -> None:
        public_id = joined(store)
        assert store.pause(public_id, NOW + 60 * DAY, NOW)
        assert frozen(store, "2020-10") == {}
        assert frozen(store, "2020-12", NOW + 61 * DAY) == {State.PENDING: 1}
        assert store.pause(public_id, None, NOW)
        assert frozen(store, "2021-01") == {State.PENDING: 1}

    @pytest.mark.parametrize("subscription", [Subscription.PENDING, Subscription.UNSUBSCRIBED])
    def test_only_a_confirmed_subscriber_can_pause(self, store: Store, subscription: Subscription) -> None:
        imported(store, READER, subscription)
        public_id = mailed(store, kind=LetterKind.MY_PAGE).subscriber
        assert not store.pause(public_id, NOW + DAY, NOW)
        assert not store.pause(b"n" * 16, NOW + DAY, NOW)
        person = store.person(public_id)
        assert person
        assert person.paused_until == ""

    def test_an_import_brings_nobody_back_who_has_left(self, store: Store) -> None:
        public_id = joined(store)
        store.unsubscribe(public_id, NOW)
        imported(store, READER, Subscription.CONFIRMED)
        assert status(store, public_id) is Subscription.UNSUBSCRIBED

    # -- another address

    def test_a_change_is_made_from_the_new_address_and_the_old_links_go_on_working(
        self, store: Store
    ) -> None:
        public_id = joined(store)
        page = mailed(store, kind=LetterKind.MY_PAGE)
        assert page.subscriber == public_id
        one = mailed(store, "New@example.net", LetterKind.CHANGE, subscriber=public_id)
        assert store.change_address(one.id, NOW) is Used.DONE
        person = store.person(public_id)
        assert person
        assert (person.address, person.subscription) == ("New@example.net", Subscription.CONFIRMED)
        assert store.change_address(one.id, NOW) is Used.ALREADY
        old = store.letter(page.id)
        assert old is None or not old.subscriber  # the old mailbox has no say any more
        assert store.unsubscribe(public_id, NOW)
        assert joined(store, at=NOW + 2 * DAY) != public_id  # the old address is anybody's again

    def test_an_address_of_another_subscriber_cannot_be_taken(self, store: Store) -> None:
        mine, theirs = joined(store), joined(store, "their@example.org")
        one = mailed(store, "Their@example.org", LetterKind.CHANGE, subscriber=mine)
        assert store.change_address(one.id, NOW) is Used.TAKEN
        people = [store.person(public_id) for public_id in (mine, theirs)]
        assert [person and person.address for person in people] == [READER, "their@example.org"]

    def test_another_spelling_of_the_same_address_is_a_change_too(self, store: Store) -> None:
        public_id = joined(store)
        one = mailed(store, KEY, LetterKind.CHANGE, subscriber=public_id)
        assert store.change_address(one.id, NOW) is Used.DONE
        person = store.person(public_id)
        assert person
        assert person.address == KEY

    def test_a_change_that_came_too_late_or_of_nobody_or_to_a_suppressed_address_is_none(
        self, store: Store
    ) -> None:
        public_id = joined(store)
        one = mailed(store, "new@example.org", LetterKind.CHANGE, subscriber=public_id)
        assert store.change_address(one.id, NOW + DAY) is Used.GONE
        assert store.change_address(mailed(store).id, NOW) is Used.GONE
        assert store.change_address(b"x" * 16, NOW) is Used.GONE
        nobodys = mailed(store, "new@example.org", LetterKind.CHANGE, subscriber=b"n" * 16)
        assert store.change_address(nobodys.id, NOW) is Used.GONE
        store.suppress("new@example.org", "complaint", NOW, "")
        assert store.change_address(one.id, NOW) is Used.GONE
        person = store.person(public_id)
        assert person
        assert person.address == READER

    def test_of_two_changes_asked_for_only_the_first_used_is_made(self, store: Store) -> None:
        public_id = joined(store)
        first = mailed(store, "first@example.org", LetterKind.CHANGE, subscriber=public_id)
        second = mailed(store, "second@example.org", LetterKind.CHANGE, subscriber=public_id)
        assert store.change_address(second.id, NOW) is Used.DONE
        assert store.change_address(first.id, NOW) is Used.GONE

    def test_a_briefing_under_way_follows_to_the_new_address(self, store: Store) -> None:
        public_id = joined(store)
        frozen(store)
        one = mailed(store, "new@example.org", LetterKind.CHANGE, subscriber=public_id)
        store.change_address(one.id, NOW)
        taken = store.claim("2020-10", 50, "a1", NOW)
        assert taken
        assert [recipient.address for recipient in taken.recipients] == ["new@example.org"]

    # -- being forgotten

    def test_whoever_is_erased_is_forgotten_and_no_old_link_works(self, store: Store) -> None:
        one = mailed(store)
        store.confirm(one.id, NOW, "")
        public_id = of(store, one.id)
        unused = mailed(store, at=NOW)
        store.ask(
            letter("desk@example.org", LetterKind.CONTACT, words={"email": READER, "message": "Hello"}), []
        )
        assert store.erase(public_id, digests, NOW)
        assert store.person(public_id) is None
        assert store.data_of(public_id) == {}
        assert store.letter_counts() == {}
        for gone in (one, unused):
            assert store.confirm(gone.id, NOW, "") is Used.GONE
        assert not store.unsubscribe(public_id, NOW)
        assert not store.erase(public_id, digests, NOW)
        assert store.subscription_counts() == {}

    def test_what_others_wrote_stays_without_the_address(self, store: Store) -> None:
        public_id = joined(store)
        words = {
            "email": "jreader@example.org",
            "message": "Why does READER@example.org get it, and I do not?",
        }
        one = letter("desk@example.org", LetterKind.CONTACT, words=words)
        store.ask(one, [])
        store.erase(public_id, digests, NOW)
        found = store.letter(one.id)
        assert found
        assert found.words == {**words, "message": "Why does (erased) get it, and I do not?"}

    def test_an_erased_address_is_recognised_and_not_known(self, store: Store) -> None:
        store.erase(joined(store), digests, NOW)
        mine, others = digests(KEY), digests("other@example.org")
        assert store.erased([*mine, *others]) == set(mine)
        newer = tokens.digests(KEY, (b"n" * 32, *KEYS))
        assert store.erased(newer) == {newer[1]}  # a key that was added later

    def test_an_erased_subscriber_may_come_back_as_somebody_new(self, store: Store) -> None:
        public_id = joined(store)
        store.erase(public_id, digests, NOW)
        assert joined(store, at=NOW + 2 * DAY) != public_id

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_complaint_outlives_the_erasure(self, store: Store, when: str) -> None:
        """Known by its digest, whether it came before the erasure or is told of afterwards."""
        public_id = joined(store)
        frozen(store)
        taken = store.claim("2020-10", 50, "a1", NOW)
        assert taken
        number = taken.recipients[0].number
        store.record(taken, [Outcome(number, State.SUBMITTED, "accepted", "id-1")], NOW)
        told = Sighting(Evidence.COMPLAINT, "id-1", NOW, "2020-10", "a1", number, f"abuse: {READER}")
        if when == "before":
            store.apply([told], NOW)
        store.erase(public_id, digests, NOW)
        store.apply([told], NOW)
        assert standing(store, at=NOW + DAY).suppressed == "complaint"
        assert standing(store, "other@example.org", at=NOW + DAY).suppressed == ""

    def test_what_was_left_behind_and_is_now_somebody_elses_stays_theirs(self, store: Store) -> None:
        first = joined(store)
        frozen(store)
        assert store.claim("2020-10", 50, "a1", NOW)
        change = mailed(store, "new@example.org", LetterKind.CHANGE, subscriber=first)
        store.change_address(change.id, NOW)
        second = joined(store, at=NOW + DAY)
        store.suppress(KEY, "complaint", NOW, "theirs")
        store.erase(first, digests, NOW + DAY)
        assert store.person(second)
        assert store.data_of(second)["suppression"]
        assert store.data_of(second)["letter"]
        assert store.erased(digests(KEY)) == set()
        assert store.erased(digests("new@example.org"))

    def test_a_ledger_keeps_its_counts_and_mails_no_erased_recipient(self, store: Store) -> None:
        public_id = joined(store)
        joined(store, "other@example.org")
        assert frozen(store) == {State.PENDING: 2}
        store.erase(public_id, digests, NOW)
        taken = store.claim("2020-10", 50, "a1", NOW)
        assert taken
        assert [recipient.address for recipient in taken.recipients] == ["other@example.org"]
        assert store.counts("2020-10").states == {State.CLAIMED: 1, State.SKIPPED: 1}
        assert sorted(trace.address for trace in store.trace("2020-10")) == ["(erased)", "other@example.org"]

    def test_who_never_became_a_subscriber_can_be_erased_too(self, store: Store) -> None:
        mailed(store)
        assert store.erase_address(KEY, digests, NOW)
        assert store.letter_counts() == {}
        assert store.erased(digests(KEY)) == set(digests(KEY))
        assert not store.erase_address("nobody@example.org", digests, NOW)
        public_id = joined(store, "other@example.org")
        assert store.erase_address("other@example.org", digests, NOW)
        assert store.person(public_id) is None

    def test_everybody_is_erased_alone(self, store: Store) -> None:
        public_id = joined(store)
        with pytest.raises(StoreError, match="together"), store.together():
            store.erase(public_id, digests, NOW)
        assert store.person(public_id)

    # -- in time

    def test_what_is_old_goes_and_what_counts_stays(self, store: Store) -> None:
        old = NOW - 31 * DAY
        public_id = joined(store, at=old)
        mailed(store, "unconfirmed@example.org", at=old)
        counted = letter("counted@example.org", at=old)
        store.ask(counted, [Limit("all", 1, HOUR)])
        store.next_letter(old)
        store.import_subscribers(
            Subscriber(address.parse(f"{name}@example.org"), subscription, subscribed_at=since)
            for name, subscription, since in (
                ("waits", Subscription.PENDING, "2020-09-01"),
                ("unknown", Subscription.PENDING, ""),
                ("new", Subscription.PENDING, "2020-11-01T08:00:00+01:00"),
                ("left", Subscription.UNSUBSCRIBED, "2020-09-01"),
            )
        )
        kept = mailed(store, "young@example.org", at=NOW - 29 * DAY)
        store.prune(NOW - 30 * DAY)
        assert store.letter(kept.id)
        assert sum(store.letter_counts().values()) == 1
        assert store.counted(Limit("all", 1, HOUR), old) == 0
        assert store.data_of(public_id)["consent"]
        assert store.subscription_counts() == {
            Subscription.CONFIRMED: 1,
            Subscription.PENDING: 2,
            Subscription.UNSUBSCRIBED: 1,
        }
        assert store.prune(NOW - 30 * DAY) == 0

    def test_a_message_that_the_house_has_not_had_is_not_thrown_away(self, store: Store) -> None:
        waits = letter("desk@example.org", LetterKind.CONTACT, at=NOW - 300 * DAY)
        store.ask(waits, [])
        assert store.prune(NOW - 30 * DAY) == 0
        taken = store.next_letter(NOW, digests)
        assert taken
        store.letter_done(waits.id, LetterState.SUBMITTED, "accepted by SES", NOW)
        assert store.prune(NOW - 30 * DAY) == 1

    def test_the_store_knows_through_which_ses_its_mail_has_gone(self, store: Store) -> None:
        store.ask(letter(), [])
        store.freeze(PACKAGE, NOW)
        assert store.mailed_through() == set()
        store.next_letter(NOW, digests, "here")
        store.freeze(replace(PACKAGE, month="2020-11"), NOW, "there")
        assert store.mailed_through() == {"here", "there"}

    # -- the latest briefing for whoever has come since

    def test_who_signs_up_after_a_briefing_was_frozen_becomes_its_recipient_once(self, store: Store) -> None:
        joined(store, "early@example.org")
        frozen(store)
        joined(store, "late@example.org", NOW + HOUR)
        assert [store.join("2020-10", NOW + HOUR), store.join("2020-10", NOW + HOUR)] == [1, 0]
        assert store.counts("2020-10").states == {State.PENDING: 2}
        joined(store, "later@example.org", NOW + DAY)
        assert store.join("2020-10", NOW + DAY) == 1
        taken = store.claim("2020-10", 50, "a1", NOW + DAY)
        assert taken
        assert [one.address for one in taken.recipients] == [
            "early@example.org",
            "late@example.org",
            "later@example.org",
        ]
        assert store.unaccounted("2020-10").count == 0

    def test_nobody_who_left_is_on_a_list_or_was_there_before_is_a_latecomer(self, store: Store) -> None:
        """A list's people have not asked for this one, and whoever was left out at the freeze stays so."""
        store.pause(joined(store, "paused@example.org"), NOW + DAY, NOW)
        gone = joined(store, "back@example.org")
        store.unsubscribe(gone, NOW)
        frozen(store)
        joined(store, "back@example.org", NOW + DAY)
        imported(store, "listed@example.org", Subscription.CONFIRMED)
        store.unsubscribe(joined(store, "left@example.org", NOW + HOUR), NOW + HOUR)
        joined(store, "complained@example.org", NOW + HOUR)
        store.suppress("complained@example.org", "complaint", NOW + HOUR, "")
        assert store.join("2020-10", NOW + 2 * DAY) == 0
        assert store.counts("2020-10").states == {}
        assert store.counts("2020-10").exclusions == {
            "came later": 1,
            "paused": 1,
            "suppressed: complaint": 1,
            "unsubscribed": 2,
        }
        assert store.unaccounted("2020-10").count == 0

    def test_a_latecomer_who_leaves_before_the_turn_is_skipped(self, store: Store) -> None:
        frozen(store)
        late = joined(store)
        assert store.join("2020-10", NOW) == 1
        store.unsubscribe(late, NOW)
        assert store.claim("2020-10", 50, "a1", NOW) is None
        assert store.counts("2020-10").states == {State.SKIPPED: 1}

    @pytest.mark.parametrize("after", ["never mailed", "an erratum", "withdrawn"])
    def test_nobody_new_gets_what_is_not_frozen_or_was_corrected_or_withdrawn(
        self, store: Store, after: str
    ) -> None:
        joined(store, "early@example.org")
        if after != "never mailed":
            frozen(store)
        if after == "an erratum":
            store.freeze(replace(PACKAGE, month="2020-10-erratum"), NOW, corrects="2020-10")
        if after == "withdrawn":
            assert store.withdraw("2020-10", NOW) == 1
        joined(store, "late@example.org")
        assert store.join("2020-10", NOW) == store.join("2020-10-erratum", NOW) == 0

    def test_what_was_withdrawn_stays_so_whatever_becomes_of_its_recipients(self, store: Store) -> None:
        public_id = joined(store, "early@example.org")
        frozen(store)
        assert store.withdraw("2020-10", NOW) == 1
        assert store.erase(public_id, digests, NOW)
        joined(store, "late@example.org")
        assert store.join("2020-10", NOW) == 0

    def test_a_briefing_that_everybody_has_can_be_withdrawn_from_those_who_come_later(
        self, store: Store
    ) -> None:
        joined(store, "early@example.org")
        frozen(store)
        taken = store.claim("2020-10", 50, "a1", NOW)
        assert taken
        store.record(taken, [Outcome(one.number, State.SUBMITTED, "", "m") for one in taken.recipients], NOW)
        assert store.withdraw("2020-10", NOW) == 0
        joined(store, "late@example.org")
        assert store.join("2020-10", NOW) == 0
        assert store.counts("2020-10").states == {State.SUBMITTED: 1}

    def test_an_erratum_goes_to_latecomers_too(self, store: Store) -> None:
        frozen(store)
        joined(store)
        store.join("2020-10", NOW)
        taken = store.claim("2020-10", 50, "a1", NOW)
        assert taken
        store.record(taken, [Outcome(one.number, State.SUBMITTED, "", "m") for one in taken.recipients], NOW)
        store.freeze(replace(PACKAGE, month="2020-10-erratum"), NOW, corrects="2020-10")
        assert store.counts("2020-10-erratum").states == {State.PENDING: 1}
