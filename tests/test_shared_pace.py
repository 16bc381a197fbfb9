"""However many workers there are, SES is never asked for more than the account may, and no time is wasted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.pace import SHARE
from newsletter.shared_pace import (
    HORIZON,
    LATE,
    SECOND,
    Begin,
    Extend,
    Queueing,
    Slot,
    Wait,
    Written,
    decide,
    slots,
)
from tests.ministack_world import Ministack
from tests.pace_simulation import Evening, Stored, simulate

RATES = [1.0, 14.0, 50.0, 75.0, 500.0, 2000.0]


@given(st.floats(min_value=1, max_value=5000))
def test_no_second_can_see_more_than_the_rate(per_second: float) -> None:
    """Calls as large as they may be, all but one of them in time and that one as late as it may be."""
    rule = slots(per_second)
    last_ones = SECOND + LATE  # whatever begins within this may be made within one second
    most_calls = -(-last_ones // rule.length)
    assert most_calls * rule.size <= per_second
    assert 1 <= rule.size <= 50
    assert rule.size * SECOND / rule.length <= SHARE * per_second


def test_a_usual_account_is_mailed_in_calls_of_fifty() -> None:
    assert [slots(rate).size for rate in (50, 500, 1000)] == [50, 50, 50]
    assert slots(14).size == 14


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3 * SECOND)), min_size=1, max_size=60),
    st.sampled_from(RATES),
)
def test_slots_never_overlap_whoever_takes_them_and_when(
    takings: list[tuple[int, int]], per_second: float
) -> None:
    stored, rule, now = Stored(), slots(per_second), 1_000 * SECOND
    workers = [Queueing(stored) for _ in range(8)]
    taken: list[Slot] = []
    for worker, later in takings:
        now += later
        slot = workers[worker].take(now, rule)
        if isinstance(slot, Wait):
            # Only where time is given out for as long as a worker may wait.
            assert stored.until is not None
            assert stored.until - now > HORIZON
            continue
        assert slot.start >= now
        taken.append(slot)
    starts = [slot.start for slot in taken]
    assert all(second - first >= rule.length for first, second in pairwise(starts))


def test_a_slot_that_came_and_went_is_not_used() -> None:
    slot = Slot(start=10 * SECOND, end=10 * SECOND + LATE, size=50)
    assert slot.wait(9 * SECOND) == 1.0
    assert not slot.is_over(10 * SECOND + LATE)
    assert slot.is_over(10 * SECOND + LATE + 1)


def test_what_is_tried_follows_from_what_is_stored() -> None:
    rule, now = slots(500), 7 * SECOND
    assert decide(None, now, rule) == Begin(now, now + rule.length)
    assert decide(now - 1, now, rule) == Begin(now, now + rule.length)
    assert decide(now, now, rule) == Extend(rule.length, now, now + HORIZON)
    assert decide(now + HORIZON + 5, now, rule) == Wait(5)


def hold(evening: Evening, recipients: int, per_second: float) -> None:
    """What must be true of every evening whose workers are enough."""
    assert evening.mailed == recipients
    assert evening.peak <= per_second
    assert evening.seconds <= 1.10 * recipients / (SHARE * per_second)


@pytest.mark.parametrize(("per_second", "workers"), [(14, 4), (75, 16), (500, 16), (500, 200), (2000, 100)])
def test_all_is_mailed_in_the_time_that_the_rate_allows_and_no_second_sees_more(
    per_second: float, workers: int
) -> None:
    recipients = int(per_second) * 600
    hold(simulate(recipients, per_second, workers), recipients, per_second)


def test_what_a_mailing_costs_grows_with_its_recipients_and_no_faster() -> None:
    small, large = simulate(50_000, 500, 32), simulate(500_000, 500, 32)
    for count in ("pace_writes", "ledger_writes", "calls", "worked"):
        each = [getattr(evening, count) / evening.mailed for evening in (small, large)]
        assert each[1] <= 1.05 * each[0], count
    assert large.pace_writes <= 1.05 * (large.calls + large.given_up)


@pytest.mark.long
@pytest.mark.parametrize(("per_second", "workers"), [(500, 32), (500, 256), (2000, 128)])
def test_ten_million_recipients(per_second: float, workers: int) -> None:
    evening = simulate(10_000_000, per_second, workers)
    hold(evening, 10_000_000, per_second)
    small = simulate(100_000, per_second, workers)
    for count in ("pace_writes", "ledger_writes", "calls"):
        assert getattr(evening, count) / 10_000_000 <= 1.05 * getattr(small, count) / 100_000, count


class InDynamo:
    """The hourglass as shared_pace describes it, in a table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table, self.writes = client, table, 0

    def write(self, step: Begin | Extend) -> Written:
        self.writes += 1
        if isinstance(step, Begin):
            change, condition = "SET free_at = :until", "attribute_not_exists(free_at) OR free_at < :now"
            values = {":until": step.until, ":now": step.now}
        else:
            change, condition = "SET free_at = free_at + :by", "free_at BETWEEN :now AND :latest"
            values = {":by": step.by, ":now": step.now, ":latest": step.latest}
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"pk": {"S": "pace"}},
                UpdateExpression=change,
                ConditionExpression=condition,
                ExpressionAttributeValues={name: {"N": str(value)} for name, value in values.items()},
                ReturnValues="UPDATED_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as refusal:
            item = refusal.response.get("Item") or {}
            return Written(False, int(item["free_at"]["N"]) if item else None)
        return Written(True, int(answer["Attributes"]["free_at"]["N"]))


def test_workers_that_ask_dynamodb_at_one_moment_get_slots_of_their_own_with_one_write_each(
    ministack: Ministack,
) -> None:
    client, table = ministack.client("dynamodb"), "shared-pace"
    client.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    rule, now = slots(500), 1_700_000_000 * SECOND
    stored = [InDynamo(client, table) for _ in range(8)]

    def take(mine: InDynamo) -> list[int]:
        queueing = Queueing(mine)
        return [slot.start for _ in range(20) if isinstance(slot := queueing.take(now, rule), Slot)]

    with ThreadPoolExecutor(8) as pool:
        starts = sorted(start for mine in pool.map(take, stored) for start in mine)
    assert starts == [now + number * rule.length for number in range(160)]
    # One each, and one more for each worker that did not know yet that others were there.
    assert sum(mine.writes for mine in stored) <= 160 + 8
