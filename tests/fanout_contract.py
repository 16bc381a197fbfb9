"""What every store promises to workers. A store's test file subclasses this and gives it a store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newsletter.errors import StoreError
from newsletter.shared_pace import SECOND, Begin, Extend
from newsletter.states import State
from newsletter.store import Outcome, Store
from newsletter.worker import SharedHourglass
from tests.store_contract import NOW, PACKAGE, claim, fill, person

SOON = NOW + timedelta(minutes=1)


class FanOutContract:
    """Give it a fixture `store`."""

    def test_batches_hold_everybody_who_is_pending_once_and_fifty_at_most(self, store: Store) -> None:
        fill(store, 120)
        store.freeze(PACKAGE, NOW)
        names = list(store.batches_open("2020-10"))
        assert [store.waiting("2020-10", name) for name in names] == [50, 50, 20]
        taken = [store.claim_batch("2020-10", name, 50, f"a{name}", NOW) for name in names]
        numbers = [one.number for each in taken if each for one in each.recipients]
        assert sorted(numbers) == list(range(1, 121))
        assert list(store.batches_open("2020-10")) == []

    def test_a_batch_that_is_claimed_or_done_is_claimed_by_nobody_again(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        (name,) = store.batches_open("2020-10")
        first = store.claim_batch("2020-10", name, 50, "a1", NOW)
        assert first
        assert store.claim_batch("2020-10", name, 50, "a2", NOW) is None
        store.record(first, [Outcome(one.number, State.SUBMITTED, "id") for one in first.recipients], NOW)
        assert store.claim_batch("2020-10", name, 50, "a3", NOW) is None
        assert store.waiting("2020-10", name) == 0

    def test_a_batch_larger_than_a_call_is_claimed_bit_by_bit(self, store: Store) -> None:
        fill(store, 30)
        store.freeze(PACKAGE, NOW)
        (name,) = store.batches_open("2020-10")
        sizes = []
        while taken := store.claim_batch("2020-10", name, 14, f"a{len(sizes)}", NOW):
            sizes.append(len(taken.recipients))
        assert sizes == [14, 14, 2]

    def test_whoever_left_is_skipped_and_the_batch_goes_on_without_them(self, store: Store) -> None:
        fill(store, 4)
        store.freeze(PACKAGE, NOW)
        for number in range(3):
            store.suppress(f"reader{number:04d}@example.org", "complaint", NOW, "event")
        (name,) = store.batches_open("2020-10")
        taken = store.claim_batch("2020-10", name, 2, "a1", NOW)
        assert taken
        assert [one.address for one in taken.recipients] == ["reader0003@example.org"]
        assert store.counts("2020-10").of(State.SKIPPED) == 3

    @pytest.mark.parametrize("name", ["", "1", "x y", "2020-11 BATCH#000000000001", "TURN 2020-10"])
    def test_what_is_no_batch_of_this_briefing_holds_nobody(self, store: Store, name: str) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        assert store.waiting("2020-10", name) == 0
        assert store.claim_batch("2020-10", name, 50, "a1", NOW) is None
        assert store.claim_batch("2020-11", name, 50, "a1", NOW) is None

    def test_an_answer_that_comes_after_all_settles_what_was_held_for_it(self, store: Store) -> None:
        """A worker that was slow is not dead; what it knows is better than not knowing."""
        fill(store, 2)
        store.freeze(PACKAGE, NOW)
        slow = claim(store)
        assert store.hold_orphans("2020-10", NOW) == 2
        outcomes = [Outcome(1, State.SUBMITTED, "accepted", "id-1"), Outcome(2, State.PENDING, "throttled")]
        store.record(slow, outcomes, NOW)
        assert store.counts("2020-10").states == {State.SUBMITTED: 1, State.PENDING: 1}
        with pytest.raises(StoreError):  # once: what is pending again is nobody's
            store.record(slow, [Outcome(2, State.SUBMITTED, "accepted", "id-2")], NOW)

    def test_workers_act_under_the_newest_turn_while_it_is_open_and_not_stopped(self, store: Store) -> None:
        store.take_turn("2020-10", 1, "me", NOW)
        assert not store.open_turn("2020-10", 1, SOON)  # SES has not said that it is ours
        store.turn_taken("2020-10", 1, NOW)
        assert store.open_turn("2020-10", 1, SOON)
        turn = store.turn("2020-10")
        assert turn
        assert (turn.number, turn.open_until, turn.stopped) == (1, SOON, "")
        store.stop_turn("2020-10", 1, "a brake")
        store.stop_turn("2020-10", 1, "another reason")
        assert not store.open_turn("2020-10", 1, SOON)
        turn = store.turn("2020-10")
        assert turn
        assert turn.stopped == "a brake"

    def test_an_older_turn_cannot_be_opened_again(self, store: Store) -> None:
        for number in (1, 2):
            store.take_turn("2020-10", number, "me", NOW)
            store.turn_taken("2020-10", number, NOW)
        assert not store.open_turn("2020-10", 1, SOON)
        turn = store.turn("2020-10")
        assert turn
        assert (turn.number, turn.open_until) == (2, None)
        assert not store.open_turn("2020-11", 1, SOON)

    def test_the_time_of_an_account_is_given_out_once_and_of_another_apart(self, store: Store) -> None:
        one, other = SharedHourglass(store, "one"), SharedHourglass(store, "other")
        now, step = 1_600_000_000 * SECOND, SECOND // 10
        assert one.write(Extend(step, now, now + SECOND)).made is False
        first = one.write(Begin(now, now + step))
        assert (first.made, first.until) == (True, now + step)
        again = one.write(Begin(now, now + step))
        assert (again.made, again.until) == (False, now + step)
        more = one.write(Extend(step, now, now + SECOND))
        assert (more.made, more.until) == (True, now + 2 * step)
        late = one.write(Extend(step, now + SECOND, now + 2 * SECOND))
        assert (late.made, late.until) == (False, now + 2 * step)
        assert other.write(Begin(now, now + step)).made

    def test_the_operators_of_two_months_do_not_share_batches(self, store: Store) -> None:
        store.import_subscribers([person("a")])
        store.freeze(PACKAGE, NOW)
        (name,) = store.batches_open("2020-10")
        assert list(store.batches_open("2020-11")) == []
        assert store.claim_batch("2020-11", name, 50, "a1", NOW) is None
        assert store.waiting("2020-10", name) == 1
