"""What a mailing asks of the DynamoDB store, and so what it costs, does not grow without somebody's meaning it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dynamo_world import CREDENTIALS, dynamodb_local
from tests.ministack_world import Ministack
from tests.scale import counts
from tests.scale.paper import BATCH

WORKERS = "pace, claim, submit, record"
# Sizes of items are a little different each time: ids are random, and packed.
_UNITS = ("write_units", "read_units")


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield patch


def grown(measured: counts.Counts, kept: counts.Counts) -> dict[str, tuple[float, float]]:
    """What is asked more often than before: calls and items written at all, units beyond what chance makes of them."""
    assert measured.keys() == kept.keys()
    return {
        f"{part}: {what}": (before, measured[part][what])
        for part, each in kept.items()
        for what, before in each.items()
        if measured[part][what] > (1.02 * before + 7 if what in _UNITS else 1.01 * before)
    }


def test_nothing_is_asked_more_often_than_was_measured_before(
    ministack: Ministack, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a small mailing, each time. If more is meant to be asked: `make scale`, which measures anew."""
    measured, _ = counts.measure(ministack.url, tmp_path, counts.FEW)
    assert not grown(measured, counts.kept(counts.FEW))
    # Fifty mails are claimed with one write and recorded with one; the third is their place in the account's time.
    assert measured[WORKERS]["writes"] * BATCH / 1000 < 3.3


@pytest.mark.long
def test_nor_by_a_mailing_of_thousands_and_none_costs_more_for_being_larger(
    ministack: Ministack, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measured, _ = counts.measure(ministack.url, tmp_path)
    assert not grown(measured, counts.kept())
    small = counts.kept(counts.FEW)
    for what in ("calls", "writes", *_UNITS):
        assert measured[WORKERS][what] <= 1.02 * small[WORKERS][what], what


@pytest.mark.long
def test_units_are_what_aws_counts_itself(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DynamoDB Local's `ConsumedCapacity`. It counts nothing for keys that are not there, in a batch of them, and for a
    query that finds nothing, where AWS bills one unit each (the guide that tests/capacity.py names): of those ours are
    more. Of a transaction it tells four units however many small items are in it, and so nothing can be learned there.
    """
    with dynamodb_local() as url:
        _, told = counts.measure(url, tmp_path, counts.FEW, told=True)
    for operation, (ours, theirs) in told.items():
        assert theirs > 0, operation
        if operation in ("BatchGetItem", "Query", "TransactWriteItems"):
            assert theirs <= ours, operation
        else:
            assert ours == theirs, operation
