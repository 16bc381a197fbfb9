"""The DynamoDB store keeps the contract."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from newsletter.errors import StoreError
from newsletter.states import Evidence, State
from newsletter.store import Outcome, Sighting, Store, open_store
from newsletter.store.dynamodb.form import KEY, VERSION
from newsletter.store.dynamodb.table import Table
from tests.door_contract import DoorContract
from tests.dynamo_proxy import Proxy, between
from tests.dynamo_world import CREDENTIALS, fresh
from tests.fanout_contract import FanOutContract
from tests.ministack_world import Ministack
from tests.store_contract import NOW, PACKAGE, StoreContract, fill


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def url(ministack: Ministack, credentials: None) -> str:
    return fresh(ministack.url)


@pytest.fixture
def another(url: str) -> Callable[[], Store]:
    return lambda: open_store(url)


@pytest.fixture
def store(another: Callable[[], Store]) -> Iterator[Store]:
    opened = another()
    yield opened
    opened.close()


class TestDynamoStore(StoreContract):
    pass


class TestDynamoDoor(DoorContract):
    pass


class TestDynamoFanOut(FanOutContract):
    pass


def _noted(url: str, version: int) -> None:
    """Have the table say that this version wrote it."""
    Table(url).put_all([{"pk": KEY[0], "sk": KEY[1], "n": version}])


@pytest.mark.parametrize(
    ("version", "words"), [(VERSION + 1, "newer version of this program"), (VERSION - 1, "older version")]
)
def test_a_table_of_another_program_is_left_alone(
    url: str, another: Callable[[], Store], version: int, words: str
) -> None:
    with closing(another()) as before:
        fill(before, 1)
        before.freeze(PACKAGE, NOW)
    _noted(url, version)
    with closing(another()) as store:
        for step in (
            lambda: store.claim("2020-10", 50, "a1", NOW),
            lambda: store.sends(),
            lambda: store.unsubscribe(b"x" * 16, NOW),
            lambda: store.freeze(PACKAGE, NOW),
        ):
            with pytest.raises(StoreError, match=words):
                step()
        assert words in {finding.name: finding for finding in store.health()}["schema"].words
    _noted(url, VERSION)
    with closing(another()) as store:
        assert store.counts("2020-10").states == {State.PENDING: 1}
        assert {finding.name: finding for finding in store.health()}["schema"].words == f"version {VERSION}"


def test_a_table_that_says_nothing_of_its_form_is_of_the_first_and_says_so_once_it_is_mailed_from(
    url: str, another: Callable[[], Store]
) -> None:
    Table(url).delete_all([KEY])  # as infra/template.yaml makes it
    with closing(another()) as store:
        fill(store, 1)
        assert Table(url).get(KEY) is None
        store.freeze(PACKAGE, NOW)
    noted = Table(url).get(KEY)
    assert noted
    assert noted["n"] == VERSION


@pytest.fixture
def bad_day(ministack: Ministack, credentials: None) -> Iterator[str]:
    """Every third call is refused, of every eleventh the answer is lost, a page has one item and a batch is half done."""
    with between(ministack.url, page=True) as proxy:
        made = fresh(proxy.url)
        proxy.throttled, proxy.lost = 3, 11
        since = proxy.next()
        yield made
        assert proxy.refused or proxy.next() - since < 4


class TestOnABadDay:
    """Those promises of the contract on which the number of a person's mails depends, whatever the day."""

    @pytest.fixture
    def url(self, bad_day: str) -> str:
        return bad_day

    test_import = StoreContract.test_an_import_can_be_repeated_and_adds_nobody_twice
    test_freeze = (
        StoreContract.test_only_the_confirmed_and_unsuppressed_are_frozen_and_the_others_have_their_reason
    )
    test_frozen = StoreContract.test_what_is_frozen_stays_whatever_comes_later
    test_claims = StoreContract.test_nobody_is_in_two_claims
    test_skips = StoreContract.test_whoever_unsubscribes_or_is_suppressed_after_the_freeze_is_skipped
    test_again = StoreContract.test_a_recipient_given_back_can_be_claimed_again_and_only_by_the_new_claim
    test_doubts = StoreContract.test_an_event_settles_an_unanswered_call_and_nobody_else
    test_late = StoreContract.test_late_evidence_keeps_a_released_recipient_from_a_second_mail
    test_batches = FanOutContract.test_a_batch_that_is_claimed_or_done_is_claimed_by_nobody_again
    test_turns = FanOutContract.test_workers_act_under_the_newest_turn_while_it_is_open_and_not_stopped
    test_bounces = StoreContract.test_a_hard_bounce_or_complaint_ends_all_mail_to_the_address
    test_limits = DoorContract.test_a_limit_lets_so_many_through_in_each_window
    test_confirms = DoorContract.test_a_second_press_says_that_it_is_done_already_and_changes_nothing
    test_leaves = DoorContract.test_leaving_twice_is_leaving_once
    test_erases = DoorContract.test_whoever_is_erased_is_forgotten_and_no_old_link_works


@pytest.mark.long
class TestAllOnABadDay(StoreContract, DoorContract):
    @pytest.fixture
    def url(self, bad_day: str) -> str:
        return bad_day


# -- what it costs


@dataclass(frozen=True)
class Bill:
    """What some steps have cost: requests that write, and units written and read."""

    writes: int
    written: int
    read: int


def bill(proxy: Proxy) -> Bill:
    writes = sum(
        count
        for operation, count in proxy.calls.items()
        if operation not in ("GetItem", "BatchGetItem", "Query")
    )
    seen = Bill(writes, proxy.written, proxy.read)
    proxy.fresh()
    return seen


def mail(store: Store, calls: int) -> dict[int, tuple[str, str]]:
    """Mail so many batches; each recipient's attempt and message id, which are as long as the real ones."""
    mailed = {}
    for _ in range(calls):
        attempt = secrets.token_hex(16)
        taken = store.claim("2020-10", 50, attempt, NOW)
        assert taken
        assert len(taken.recipients) == 50
        outcomes = [
            Outcome(one.number, State.SUBMITTED, "accepted by SES", f"0102019{secrets.token_hex(26)}-000000")
            for one in taken.recipients
        ]
        store.record(taken, outcomes, NOW)
        mailed |= {one.number: (attempt, one.message_id) for one in outcomes}
    return mailed


def test_what_mails_cost_is_known_and_does_not_grow_with_the_list(
    ministack: Ministack, credentials: None
) -> None:
    """Two writes for 50 mails, six units. docs/scale.md is made from these figures."""
    bills: list[tuple[Bill, Bill]] = []
    for people in (200, 1_000):
        with between(ministack.url) as proxy, closing(open_store(fresh(proxy.url))) as store:
            fill(store, people)
            proxy.fresh()
            store.freeze(PACKAGE, NOW)
            frozen = bill(proxy)
            assert (
                frozen.written <= people / 50 * 2 + 10
            )  # a batch is below two kilobytes, and the package compressed
            assert frozen.read <= people / 10 + 40
            mail(store, 1)  # the first one finds its way
            proxy.fresh()
            mailed = mail(store, 2)
            sending = bill(proxy)
            events = [
                Sighting(Evidence.DELIVERY, message_id, NOW, "2020-10", attempt, number, "250 2.0.0 OK")
                for number, (attempt, message_id) in mailed.items()
            ]
            for start in range(0, 100, 10):  # as many as SQS gives at a time
                store.apply(events[start : start + 10], NOW)
            bills.append((sending, bill(proxy)))
    assert bills[0] == bills[1]
    sending, told = bills[0]
    assert sending.writes == 4
    assert sending.written <= 14
    assert sending.read <= 220
    # Events that come together are written together: ten here, so ten writes for a hundred.
    assert told.writes == 10
    assert told.written <= 60
