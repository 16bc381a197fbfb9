"""What every store promises. A store's test file subclasses this and gives it a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from newsletter import address
from newsletter.errors import StoreError
from newsletter.models import Package
from newsletter.states import Evidence, State
from newsletter.store import Claim, Outcome, Send, Sighting, Store, Subscriber, Subscription
from newsletter.store.moving import Kind

NOW = datetime(2020, 11, 2, 9, 0, tzinfo=UTC)
PACKAGE = Package(
    month="2020-10", title="T", subject="S", preheader="P", sender="A <a@example.org>", reply_to="r@example.org",
    html="<p>{{unsubscribe_url}}</p>", text="{{unsubscribe_url}}", headers={"List-Id": "<l.example.org>"},
    placeholders=("unsubscribe_url",), content_hash="a" * 64, url="https://example.org/b/", commit=None,
    items=({"title": "x"},),
)  # fmt: skip
ERRATUM = replace(PACKAGE, month="2020-10-erratum", subject="Correction: S", content_hash="e" * 64)


def person(name: str, subscription: Subscription = Subscription.CONFIRMED) -> Subscriber:
    return Subscriber(address.parse(f"{name}@example.org"), subscription)


def fill(store: Store, count: int) -> None:
    store.import_subscribers(person(f"reader{number:04d}") for number in range(count))


def claim(store: Store, limit: int = 50, attempt: str = "a1") -> Claim:
    taken = store.claim("2020-10", limit, attempt, NOW)
    assert taken
    return taken


def sighting(number: int, kind: Evidence = Evidence.SEND) -> Sighting:
    return Sighting(kind, f"id-{number}", NOW, "2020-10", "a1", number)


def rendering_failure(number: int) -> Sighting:
    """As SES tells of it: without our tags."""
    return Sighting(
        Evidence.RENDERING_FAILURE,
        f"id-{number}",
        NOW,
        detail="Attribute 'x' is not present",
        recipient=f"Reader{number - 1:04d}@example.org",
    )


def submitted(store: Store) -> None:
    taken = claim(store)
    store.record(
        taken,
        [Outcome(r.number, State.SUBMITTED, "accepted", f"id-{r.number}") for r in taken.recipients],
        NOW,
    )


class StoreContract:
    """Give it a fixture `store`."""

    # -- subscribers

    def test_an_import_can_be_repeated_and_adds_nobody_twice(self, store: Store) -> None:
        people = [person("a"), person("b", Subscription.UNSUBSCRIBED), person("c", Subscription.PENDING)]
        assert store.import_subscribers(people).added == 3
        again = store.import_subscribers(people)
        assert (again.added, again.withdrawn, again.known) == (0, 0, 3)

    def test_addresses_that_differ_in_case_are_one_person(self, store: Store) -> None:
        store.import_subscribers([person("Reader"), person("READER")])
        assert store.subscription_counts() == {Subscription.CONFIRMED: 1}

    @pytest.mark.parametrize("before", list(Subscription))
    @pytest.mark.parametrize("after", list(Subscription))
    def test_an_import_never_raises_a_status(
        self, store: Store, before: Subscription, after: Subscription
    ) -> None:
        store.import_subscribers([person("a", before)])
        store.import_subscribers([person("a", after)])
        expected = Subscription.UNSUBSCRIBED if after is Subscription.UNSUBSCRIBED else before
        assert store.subscription_counts() == {expected: 1}

    # -- freezing

    def test_only_the_confirmed_and_unsuppressed_are_frozen_and_the_others_have_their_reason(
        self, store: Store
    ) -> None:
        store.import_subscribers(
            [
                person("yes"),
                person("no", Subscription.UNSUBSCRIBED),
                person("wait", Subscription.PENDING),
                person("bounced"),
            ]
        )
        store.suppress("bounced@example.org", "hard_bounce", NOW, "550")
        assert store.freeze(PACKAGE, NOW)
        counts = store.counts("2020-10")
        assert counts.states == {State.PENDING: 1}
        assert counts.exclusions == {"pending": 1, "suppressed: hard_bounce": 1, "unsubscribed": 1}

    def test_what_is_frozen_stays_whatever_comes_later(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        store.import_subscribers([person("later")])
        assert not store.freeze(replace(PACKAGE, subject="Another", content_hash="b" * 64), NOW)
        assert store.frozen("2020-10") == PACKAGE
        assert store.counts("2020-10").recipients == 3

    def test_a_briefing_that_was_not_frozen_has_no_recipients(self, store: Store) -> None:
        assert store.frozen("2020-10") is None
        assert store.counts("2020-10").recipients == 0
        assert store.claim("2020-10", 50, "a", NOW) is None

    def test_a_discarded_run_takes_its_suppressions_with_it_and_no_others(self, store: Store) -> None:
        fill(store, 3)
        store.suppress("reader0002@example.org", "hard_bounce", NOW, "elsewhere 550")
        store.freeze(PACKAGE, NOW, "this machine")
        submitted(store)
        store.apply([sighting(1, Evidence.HARD_BOUNCE)], NOW)
        assert store.audience(NOW).of(State.PENDING) == 1
        store.discard("2020-10")
        assert store.audience(NOW).of(State.PENDING) == 2

    # -- claiming and recording

    def test_nobody_is_in_two_claims(self, store: Store) -> None:
        fill(store, 7)
        store.freeze(PACKAGE, NOW)
        first, second, third = claim(store, 3, "a1"), claim(store, 3, "a2"), claim(store, 3, "a3")
        numbers = [r.number for taken in (first, second, third) for r in taken.recipients]
        assert sorted(numbers) == list(range(1, 8))
        assert store.claim("2020-10", 3, "a4", NOW) is None

    def test_whoever_unsubscribes_or_is_suppressed_after_the_freeze_is_skipped(self, store: Store) -> None:
        fill(store, 4)
        store.freeze(PACKAGE, NOW)
        store.import_subscribers([person("reader0001", Subscription.UNSUBSCRIBED)])
        store.suppress("reader0002@example.org", "complaint", NOW, "event")
        assert [r.address for r in claim(store).recipients] == [
            "reader0000@example.org",
            "reader0003@example.org",
        ]
        assert store.counts("2020-10").of(State.SKIPPED) == 2

    def test_a_claim_of_people_who_all_left_goes_on_to_the_next(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        for number in (0, 1):
            store.suppress(f"reader000{number}@example.org", "complaint", NOW, "event")
        assert [r.address for r in claim(store, 2).recipients] == ["reader0002@example.org"]

    def test_an_outcome_is_kept_with_its_evidence(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        taken = claim(store)
        states = (State.SUBMITTED, State.FAILED, State.IN_DOUBT)
        store.record(
            taken, [Outcome(r.number, s, "why") for r, s in zip(taken.recipients, states, strict=True)], NOW
        )
        assert store.counts("2020-10").states == dict.fromkeys(states, 1)

    def test_a_recipient_given_back_can_be_claimed_again_and_only_by_the_new_claim(
        self, store: Store
    ) -> None:
        fill(store, 1)
        store.freeze(PACKAGE, NOW)
        first = claim(store, attempt="a1")
        store.record(first, [Outcome(1, State.PENDING, "throttled")], NOW)
        second = claim(store, attempt="a2")
        with pytest.raises(StoreError):
            store.record(first, [Outcome(1, State.SUBMITTED, "late")], NOW)
        store.record(second, [Outcome(1, State.SUBMITTED, "id")], NOW)
        assert store.counts("2020-10").states == {State.SUBMITTED: 1}

    def test_a_step_the_table_does_not_have_changes_nothing(self, store: Store) -> None:
        fill(store, 2)
        store.freeze(PACKAGE, NOW)
        taken = claim(store)
        with pytest.raises(StoreError):
            store.record(taken, [Outcome(1, State.SUBMITTED, "id"), Outcome(2, State.DELIVERED, "id")], NOW)
        assert store.counts("2020-10").states == {State.CLAIMED: 2}

    def test_what_a_dead_sender_had_claimed_is_in_doubt_and_not_mailed_again(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        claim(store, 2)
        assert store.hold_orphans("2020-10", NOW) == 2
        assert [r.number for r in claim(store, attempt="a2").recipients] == [3]
        assert store.counts("2020-10").of(State.IN_DOUBT) == 2

    def test_only_one_process_sends_a_briefing_at_a_time(self, store: Store) -> None:
        with store.sending("2020-10"):
            with (
                pytest.raises(StoreError, match="another process is sending it now"),
                store.sending("2020-10"),
            ):
                pass
            with store.sending("2020-11"):
                pass
        with store.sending("2020-10"):
            pass

    # -- what SES tells afterwards

    def test_an_event_settles_an_unanswered_call_and_nobody_else(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        claim(store, 2)
        store.hold_orphans("2020-10", NOW)
        assert [(doubt.attempt, doubt.held, doubt.seen) for doubt in store.doubts("2020-10")] == [
            ("a1", 2, 0)
        ]
        assert store.apply([sighting(1)], NOW) == 1
        assert store.counts("2020-10").states == {State.SUBMITTED: 1, State.IN_DOUBT: 1, State.PENDING: 1}
        assert [(doubt.held, doubt.seen) for doubt in store.doubts("2020-10")] == [(1, 1)]

    @pytest.mark.parametrize("order", range(24))
    def test_events_give_the_same_state_in_any_order_and_any_number(self, store: Store, order: int) -> None:
        events = [
            sighting(1, kind)
            for kind in (Evidence.SEND, Evidence.DELIVERY, Evidence.SOFT_BOUNCE, Evidence.COMPLAINT)
        ]
        fill(store, 1)
        store.freeze(PACKAGE, NOW)
        submitted(store)
        for event in list(permutations(events))[order]:
            store.apply([event, event], NOW)
        assert store.counts("2020-10").states == {State.COMPLAINED: 1}

    def test_an_answer_that_comes_after_its_events_takes_nothing_back(self, store: Store) -> None:
        fill(store, 2)
        store.freeze(PACKAGE, NOW)
        taken = claim(store)
        store.apply([sighting(1, Evidence.DELIVERY), sighting(2, Evidence.SEND)], NOW)
        store.record(
            taken, [Outcome(1, State.SUBMITTED, "", "id"), Outcome(2, State.IN_DOUBT, "timeout")], NOW
        )
        assert store.counts("2020-10").states == {State.DELIVERED: 1, State.SUBMITTED: 1}
        assert store.doubts("2020-10") == []

    def test_late_evidence_keeps_a_released_recipient_from_a_second_mail(self, store: Store) -> None:
        fill(store, 1)
        store.freeze(PACKAGE, NOW)
        claim(store)
        store.hold_orphans("2020-10", NOW)
        assert store.release("2020-10", "a1", State.PENDING, "no event came", NOW) == 1
        store.apply([sighting(1)], NOW)
        assert store.claim("2020-10", 50, "a2", NOW) is None

    def test_a_hard_bounce_or_complaint_ends_all_mail_to_the_address(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        submitted(store)
        store.apply([sighting(1, Evidence.HARD_BOUNCE), sighting(2, Evidence.COMPLAINT)], NOW)
        store.freeze(replace(PACKAGE, month="2020-11"), NOW)
        counts = store.counts("2020-11")
        assert counts.recipients == 1
        assert counts.exclusions == {"suppressed: complaint": 1, "suppressed: hard_bounce": 1}

    def test_only_soft_bounces_in_three_briefings_in_a_row_end_the_mail(self, store: Store) -> None:
        fill(store, 2)
        for number, month in enumerate(("2020-07", "2020-08", "2020-09")):
            store.freeze(replace(PACKAGE, month=month), NOW)
            taken = store.claim(month, 50, f"a{number}", NOW)
            assert taken
            store.record(
                taken,
                [Outcome(r.number, State.SUBMITTED, "", f"{month}-{r.number}") for r in taken.recipients],
                NOW,
            )
            kinds = (Evidence.SOFT_BOUNCE, Evidence.DELIVERY if month == "2020-08" else Evidence.SOFT_BOUNCE)
            for who, kind in enumerate(kinds, start=1):
                store.apply([replace(sighting(who, kind), briefing=month, attempt=f"a{number}")], NOW)
        store.freeze(PACKAGE, NOW)
        assert store.counts("2020-10").exclusions == {"suppressed: soft_bounces": 1}

    def test_an_event_without_our_tags_is_known_by_its_message(self, store: Store) -> None:
        fill(store, 1)
        store.freeze(PACKAGE, NOW)
        submitted(store)
        store.apply([rendering_failure(1)], NOW)
        assert store.counts("2020-10").states == {State.FAILED: 1}

    def test_a_rendering_failure_that_comes_before_its_calls_answer_is_not_lost(self, store: Store) -> None:
        fill(store, 2)
        store.freeze(PACKAGE, NOW)
        taken = claim(store)
        assert store.apply([rendering_failure(1)], NOW) == 0
        answer = [Outcome(r.number, State.SUBMITTED, "", f"id-{r.number}") for r in taken.recipients]
        store.record(taken, answer, NOW)
        assert store.apply((), NOW) == 1
        assert store.apply((), NOW) == 0
        assert store.counts("2020-10").states == {State.FAILED: 1, State.SUBMITTED: 1}
        (trace,) = store.trace("2020-10", "reader0000@example.org")
        assert "Attribute" in trace.history[-1][2]

    @pytest.mark.parametrize("together", [True, False])
    def test_a_rendering_failure_waits_for_the_event_that_names_its_mail(
        self, store: Store, together: bool
    ) -> None:
        fill(store, 1)
        store.freeze(PACKAGE, NOW)
        claim(store)
        store.hold_orphans("2020-10", NOW)
        events = [rendering_failure(1), sighting(1)]
        for some in [events] if together else [events[:1], events[1:]]:
            store.apply(some, NOW)
        assert store.counts("2020-10").states == {State.FAILED: 1}

    def test_what_nobodys_mail_is_known_for_after_a_day_is_let_go(self, store: Store) -> None:
        fill(store, 1)
        store.freeze(PACKAGE, NOW)
        taken = claim(store)
        store.apply([rendering_failure(1)], NOW)
        assert len(list(store.rows(Kind.STRAY))) == 1
        store.apply((), NOW + timedelta(hours=25))
        assert list(store.rows(Kind.STRAY)) == []
        store.record(taken, [Outcome(1, State.SUBMITTED, "", "id-1")], NOW)
        assert store.apply((), NOW) == 0

    def test_events_of_other_mail_change_nothing(self, store: Store) -> None:
        fill(store, 1)
        store.freeze(PACKAGE, NOW)
        claim(store)
        strangers = [
            Sighting(Evidence.SEND, "other", NOW),
            replace(sighting(1), briefing="2019-01"),
            sighting(99),
        ]
        assert store.apply(strangers, NOW) == 0
        assert store.counts("2020-10").states == {State.CLAIMED: 1}

    def test_the_trace_answers_for_each_address(self, store: Store) -> None:
        fill(store, 2)
        store.import_subscribers([person("left", Subscription.UNSUBSCRIBED)])
        store.freeze(PACKAGE, NOW)
        submitted(store)
        store.apply([sighting(1, Evidence.DELIVERY)], NOW)
        (trace,) = store.trace("2020-10", "reader0000@example.org")
        assert (trace.address, trace.state) == ("reader0000@example.org", "delivered")
        assert [what for _, what, _ in trace.history] == ["frozen", "called", "delivery", "delivered"]
        assert {each.state for each in store.trace("2020-10")} == {"delivered", "submitted", "excluded"}
        (left,) = store.trace("2020-10", "left@example.org")
        assert left.history[0][1:] == ("excluded", "unsubscribed")

    def test_the_trace_has_every_call_that_was_made_for_an_address(self, store: Store) -> None:
        fill(store, 2)
        store.freeze(PACKAGE, NOW)
        made = [NOW + timedelta(minutes=20 * number) for number in range(3)]
        store.claim("2020-10", 1, "a1", made[0])
        store.hold_orphans("2020-10", made[0] + timedelta(minutes=1))
        store.release("2020-10", "a1", State.PENDING, "no event came", made[0] + timedelta(minutes=16))
        refused = store.claim("2020-10", 1, "a2", made[1])
        assert refused
        at = made[1] + timedelta(minutes=1)
        store.record(refused, [Outcome(1, State.PENDING, "SES answered FAILED", tried=True)], at)
        taken = store.claim("2020-10", 1, "a3", made[2])
        assert taken
        store.record(taken, [Outcome(1, State.SUBMITTED, "accepted", "id-1")], made[2] + timedelta(seconds=1))
        (trace,) = store.trace("2020-10", "reader0000@example.org")
        assert [line[1:] for line in trace.history] == [
            ("frozen", ""),
            ("called", "a1"),
            ("pending", "a1 no event came"),
            ("called", "a2"),
            ("pending", "a2 SES answered FAILED"),
            ("called", "a3"),
            ("submitted", "id-1 accepted"),
        ]
        (other,) = store.trace("2020-10", "reader0001@example.org")
        assert [what for _, what, _ in other.history] == ["frozen"]
        store.discard("2020-10")
        store.freeze(PACKAGE, NOW)
        (anew,) = store.trace("2020-10", "reader0000@example.org")
        assert [what for _, what, _ in anew.history] == ["frozen"]

    def test_mails_that_ses_never_told_of_are_counted(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        submitted(store)
        store.apply([sighting(1)], NOW)
        assert store.blind("2020-10", NOW) == 2

    def test_a_sending_knows_through_which_ses_it_goes_and_can_be_forgotten(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW, "this machine")
        submitted(store)
        store.apply([sighting(1)], NOW)
        assert store.through("2020-10") == "this machine"
        assert store.discard("2020-10") == 3
        assert store.frozen("2020-10") is None
        assert store.through("2020-10") == ""
        assert store.counts("2020-10").recipients == 0

    # -- errata

    def test_an_erratum_goes_to_those_who_had_the_briefing_and_to_nobody_else(self, store: Store) -> None:
        """SES has taken the wrong version for four of them; the others must not learn of it in this way."""
        states = (
            State.SUBMITTED, State.DELIVERED, State.BOUNCED, State.COMPLAINED,
            State.FAILED, State.IN_DOUBT, State.SKIPPED, State.PENDING,
        )  # fmt: skip
        proofs = {2: Evidence.DELIVERY, 3: Evidence.SOFT_BOUNCE, 4: Evidence.COMPLAINT}
        answers = {5: State.FAILED, 6: State.IN_DOUBT}
        fill(store, 8)
        store.freeze(PACKAGE, NOW)
        store.suppress("reader0006@example.org", "operator", NOW, "asked for it")
        taken = claim(store, 6)
        store.record(
            taken,
            [Outcome(n, answers.get(n, State.SUBMITTED), "", f"id-{n}") for n in range(1, 7)],
            NOW,
        )
        assert store.claim("2020-10", 1, "a2", NOW)  # number 7 is skipped on the way to number 8
        store.apply([sighting(number, kind) for number, kind in proofs.items()], NOW)
        store.hold_orphans("2020-10", NOW)
        store.release("2020-10", "a2", State.PENDING, "no event came", NOW)
        assert store.counts("2020-10").states == dict.fromkeys(states, 1)
        assert store.freeze(ERRATUM, NOW, corrects="2020-10")
        wanted = [f"reader000{number}@example.org" for number in (0, 1, 2)]
        traces = list(store.trace("2020-10-erratum"))
        assert [trace.address for trace in traces if trace.state == "pending"] == wanted
        # Who complained had it too, and is told nothing more, with the reason; the rest do not come into question.
        assert [(trace.address, trace.history[0][2]) for trace in traces if trace.state == "excluded"] == [
            ("reader0003@example.org", "suppressed: complaint")
        ]

    def test_whoever_has_left_since_is_left_out_of_the_erratum_with_the_reason(self, store: Store) -> None:
        fill(store, 3)
        store.freeze(PACKAGE, NOW)
        submitted(store)
        store.import_subscribers([person("reader0000", Subscription.UNSUBSCRIBED)])
        store.suppress("reader0001@example.org", "operator", NOW, "asked for it")
        store.freeze(ERRATUM, NOW, corrects="2020-10")
        counts = store.counts("2020-10-erratum")
        assert counts.states == {State.PENDING: 1}
        assert counts.exclusions == {"suppressed: operator": 1, "unsubscribed": 1}

    def test_a_subscriber_who_was_no_recipient_is_not_even_left_out_of_the_erratum(
        self, store: Store
    ) -> None:
        fill(store, 1)
        store.import_subscribers([person("left", Subscription.UNSUBSCRIBED)])
        store.freeze(PACKAGE, NOW)
        submitted(store)
        store.import_subscribers([person("later"), person("waiting", Subscription.PENDING)])
        store.freeze(ERRATUM, NOW, corrects="2020-10")
        assert [trace.address for trace in store.trace("2020-10-erratum")] == ["reader0000@example.org"]

    def test_an_erratum_is_frozen_once_and_what_it_corrects_stays_untouched(self, store: Store) -> None:
        fill(store, 2)
        store.freeze(PACKAGE, NOW)
        submitted(store)
        assert store.freeze(ERRATUM, NOW, corrects="2020-10")
        store.import_subscribers([person("later")])
        assert not store.freeze(replace(ERRATUM, subject="Another"), NOW, corrects="2020-10")
        assert store.frozen("2020-10-erratum") == ERRATUM
        assert store.frozen("2020-10") == PACKAGE
        assert store.counts("2020-10").states == {State.SUBMITTED: 2}
        second = replace(ERRATUM, month="2020-10-erratum-2")
        assert store.freeze(second, NOW, corrects="2020-10")
        assert store.counts("2020-10-erratum-2").recipients == 2

    def test_an_erratum_is_no_briefing_in_the_count_of_soft_bounces(self, store: Store) -> None:
        """A full mailbox is given three months, not one bad week with two errata in it."""
        fill(store, 1)
        for name, corrects in (
            ("2020-10", ""),
            ("2020-10-erratum", "2020-10"),
            ("2020-10-erratum-2", "2020-10"),
        ):
            store.freeze(replace(PACKAGE, month=name), NOW, corrects=corrects)
            taken = store.claim(name, 50, name, NOW)
            assert taken
            store.record(taken, [Outcome(1, State.SUBMITTED, "", f"id-{name}")], NOW)
            bounce = replace(sighting(1, Evidence.SOFT_BOUNCE), briefing=name, attempt=name)
            store.apply([replace(bounce, message_id=f"id-{name}")], NOW)
        store.freeze(replace(PACKAGE, month="2020-11"), NOW)
        assert store.counts("2020-11").states == {State.PENDING: 1}

    def test_a_withdrawn_briefing_is_mailed_to_nobody_further(self, store: Store) -> None:
        fill(store, 5)
        store.freeze(PACKAGE, NOW)
        taken = claim(store, 3)
        answers = (State.SUBMITTED, State.FAILED, State.IN_DOUBT)
        store.record(taken, [Outcome(n, state, "") for n, state in enumerate(answers, start=1)], NOW)
        assert store.withdraw("2020-10", NOW) == 2
        assert store.counts("2020-10").states == {**dict.fromkeys(answers, 1), State.SKIPPED: 2}
        assert store.claim("2020-10", 50, "a2", NOW) is None
        (trace,) = store.trace("2020-10", "reader0004@example.org")
        assert trace.history[-1][1:] == ("skipped", "withdrawn by the operator")
        assert store.withdraw("2020-10", NOW) == 0

    @pytest.mark.parametrize("way", ["released", "answered late"])
    def test_whoever_is_found_unmailed_after_a_withdrawal_is_not_mailed_either(
        self, store: Store, way: str
    ) -> None:
        fill(store, 4)
        store.freeze(PACKAGE, NOW)
        taken = claim(store, 2)
        store.hold_orphans("2020-10", NOW)
        assert store.withdraw("2020-10", NOW) == 2
        if way == "released":
            assert store.release("2020-10", "a1", State.PENDING, "no event came", NOW) == 2
        else:
            store.record(taken, [Outcome(number, State.PENDING, "throttled") for number in (1, 2)], NOW)
            for name in store.batches_open("2020-10"):
                assert store.claim_batch("2020-10", name, 50, "a2", NOW) is None
        assert store.counts("2020-10").states == {State.SKIPPED: 4}
        assert store.claim("2020-10", 50, "a3", NOW) is None
        (trace,) = store.trace("2020-10", "reader0001@example.org")
        assert trace.history[-1][1:] == ("skipped", "withdrawn by the operator")

    def test_late_evidence_about_one_who_was_withdrawn_is_taken_in(self, store: Store) -> None:
        """Its earlier call was released too soon, and SES had taken it after all: then they have the briefing."""
        fill(store, 1)
        store.freeze(PACKAGE, NOW)
        claim(store)
        store.hold_orphans("2020-10", NOW)
        store.release("2020-10", "a1", State.PENDING, "no event came", NOW)
        store.withdraw("2020-10", NOW)
        assert store.apply([sighting(1)], NOW) == 1
        assert store.counts("2020-10").states == {State.SUBMITTED: 1}

    # -- one sending beside another

    def test_what_was_mailed_so_far_is_listed_oldest_first(self, store: Store) -> None:
        assert store.sends() == []
        fill(store, 3)
        store.freeze(PACKAGE, NOW, "this machine")
        submitted(store)
        store.import_subscribers([person("later")])
        store.freeze(replace(PACKAGE, month="2020-09"), NOW + timedelta(days=1), "elsewhere")
        store.freeze(replace(PACKAGE, month="2020-10-erratum"), NOW + timedelta(days=2), "", "2020-10")
        assert store.sends() == [
            Send("2020-10", NOW, "this machine", "", PACKAGE.content_hash, 3),
            Send("2020-09", NOW + timedelta(days=1), "elsewhere", "", PACKAGE.content_hash, 4),
            Send("2020-10-erratum", NOW + timedelta(days=2), "", "2020-10", PACKAGE.content_hash, 3),
        ]

    def test_the_audience_is_what_a_freeze_gives(self, store: Store) -> None:
        assert store.audience(NOW).of(State.PENDING) == 0
        fill(store, 3)
        store.import_subscribers([person("no", Subscription.UNSUBSCRIBED), person("bounced")])
        store.suppress("bounced@example.org", "hard_bounce", NOW, "550")
        before = store.audience(NOW)
        assert store.frozen("2020-10") is None
        store.freeze(PACKAGE, NOW)
        assert before == store.counts("2020-10")
        taken = claim(store, 2)
        store.record(taken, [Outcome(r.number, State.SUBMITTED, "", "id") for r in taken.recipients], NOW)
        before = store.audience(NOW, "2020-10")
        store.freeze(replace(PACKAGE, month="2020-10-erratum"), NOW, "", "2020-10")
        assert before.states == {State.PENDING: 2}
        assert before == store.counts("2020-10-erratum")

    def test_the_last_event_of_a_briefing_is_known(self, store: Store) -> None:
        fill(store, 2)
        store.freeze(PACKAGE, NOW)
        submitted(store)
        assert store.last_event("2020-10") is None
        late = replace(sighting(1, Evidence.DELIVERY), at=NOW + timedelta(hours=2))
        store.apply([late, sighting(2)], NOW + timedelta(hours=3))
        assert store.last_event("2020-10") == late.at
        assert store.last_event("2020-09") is None
