"""The DynamoDB store keeps the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from newsletter.store import Store, open_store
from tests.door_contract import DoorContract
from tests.dynamo_world import CREDENTIALS, fresh
from tests.ministack_world import Ministack
from tests.store_contract import StoreContract


@pytest.fixture
def url(ministack: Ministack, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
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
