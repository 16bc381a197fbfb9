"""The DynamoDB store keeps the contract on AWS's own DynamoDB Local, and on moto, which nobody of AWS's has written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from newsletter.store import Store, open_store
from tests.door_contract import DoorContract
from tests.dynamo_world import CREDENTIALS, dynamodb_local, fresh, moto
from tests.fanout_contract import FanOutContract
from tests.store_contract import StoreContract

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def reference() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


@pytest.fixture(scope="module")
def second_opinion() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def another(served: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    url = fresh(served)
    return lambda: open_store(url)


@pytest.fixture
def store(another: Callable[[], Store]) -> Iterator[Store]:
    opened = another()
    yield opened
    opened.close()


class TestDynamoDbLocal(StoreContract, DoorContract, FanOutContract):
    @pytest.fixture
    def served(self, reference: str) -> str:
        return reference


class TestMoto(StoreContract, DoorContract, FanOutContract):
    @pytest.fixture
    def served(self, second_opinion: str) -> str:
        return second_opinion
