"""What a mailing asks of the DynamoDB store, and so what it costs, does not grow without somebody's meaning it."""

from __future__ import annotations

import pytest

from tests.dynamo_world import CREDENTIALS
from tests.ministack_world import Ministack
from tests.scale import counts
from tests.scale.paper import BATCH

pytestmark = pytest.mark.long  # a mailing of 5,000; test_store_dynamodb.py counts a small one each time


@pytest.fixture(scope="module")
def measured(ministack: Ministack) -> counts.Counts:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        return counts.measure(ministack.url)


def test_nothing_is_asked_more_often_than_was_measured_before(measured: counts.Counts) -> None:
    """`make scale` measures anew, and docs/scale.md with it."""
    kept = counts.kept()
    assert measured.keys() == kept.keys()
    grown = {
        f"{part}: {what}": (before, measured[part][what])
        for part, each in kept.items()
        for what, before in each.items()
        if measured[part][what] > 1.02 * before + 1
    }
    assert not grown


def test_a_batch_is_claimed_and_recorded_with_two_writes(measured: counts.Counts) -> None:
    """Of fifty mails, and not of each."""
    assert measured["claim, submit, record"]["writes"] / (1000 / BATCH) <= 3
