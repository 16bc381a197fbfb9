"""What the role of the door's function may do with the store, as IAM would judge it: all that a visitor asks for, and
nothing by which a mailing is begun, opened to workers or taken over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from cfnlint.decode import decode

from newsletter.errors import StoreError
from newsletter.states import State
from newsletter.store import Outcome, Store, open_store
from newsletter.store.door import LetterKind, Limit, Used
from newsletter.store.dynamodb.journal import SUFFIX
from newsletter.store.people import Subscription
from tests.conftest import ROOT
from tests.door_contract import digests, joined, letter, mailed, of
from tests.dynamo_proxy import between
from tests.dynamo_world import CREDENTIALS, fresh
from tests.ministack_world import Ministack
from tests.store_contract import NOW, PACKAGE, claim

_BATCHES = {"BatchGetItem", "BatchWriteItem"}
# What IAM asks of each part of a transaction (DynamoDB developer guide, "IAM and transactions").
_PARTS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


@dataclass
class Role:
    """A role's statements about DynamoDB, and what it was refused."""

    statements: list[dict[str, Any]]
    refused: list[str] = field(default_factory=list)

    def allows(self, operation: str, asked: Mapping[str, Any]) -> bool:
        """As IAM judges: each action on each table must be allowed by a statement, for all of its partition keys."""
        for action, table, keys in _wanted(operation, asked):
            if not any(self._allows(one, action, table, keys) for one in self.statements):
                self.refused.append(f"{action} {sorted(keys)}")
                return False
        return True

    def _allows(self, statement: dict[str, Any], action: str, table: str, keys: set[str]) -> bool:
        name = "Journal" if table.endswith(SUFFIX) else "Store"
        condition = statement.get("Condition", {})
        assert set(condition) <= {"ForAllValues:StringLike"}
        patterns = condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", ["*"])
        return (
            f"dynamodb:{action}" in statement["Action"]
            and {"Fn::GetAtt": [name, "Arn"]} in _list(statement["Resource"])
            and all(any(fnmatchcase(key, pattern) for pattern in patterns) for key in keys)
        )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _wanted(operation: str, asked: Mapping[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
    """Each action that a call needs, on which table, and the partition keys it touches."""
    if operation in _BATCHES:
        for table, work in asked["RequestItems"].items():
            parts = work["Keys"] if operation == "BatchGetItem" else [_of(*one.items()) for one in work]
            yield operation, table, {one["pk"]["S"] for one in parts}
    elif operation == "TransactWriteItems":
        for one in asked["TransactItems"]:
            ((kind, action),) = one.items()
            yield _PARTS[kind], action["TableName"], {action.get("Item", action.get("Key"))["pk"]["S"]}
    elif operation == "Query":
        yield operation, asked["TableName"], {asked["ExpressionAttributeValues"][":pk"]["S"]}
    else:
        yield operation, asked["TableName"], {asked.get("Item", asked.get("Key"))["pk"]["S"]}


def _of(request: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    kind, work = request
    key: dict[str, Any] = work["Item" if kind == "PutRequest" else "Key"]
    return key


@pytest.fixture(scope="module")
def statements() -> list[dict[str, Any]]:
    template, problems = decode(str(ROOT / "infra/template.yaml"))
    assert not problems
    [policy] = template["Resources"]["DoorRole"]["Properties"]["Policies"]
    return [
        one
        for one in policy["PolicyDocument"]["Statement"]
        if any(action.startswith("dynamodb:") for action in _list(one["Action"]))
    ]


@pytest.fixture
def role(statements: list[dict[str, Any]]) -> Role:
    return Role(statements)


@pytest.fixture
def house(ministack: Ministack, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return fresh(ministack.url)


@pytest.fixture
def store(house: str) -> Iterator[Store]:
    """The postman's and the sender's: it may all."""
    with closing(open_store(house)) as opened:
        yield opened


@pytest.fixture
def door(house: str, ministack: Ministack, role: Role) -> Iterator[Store]:
    """The same store, as the door's role may use it."""
    with (
        between(ministack.url, allowed=role.allows) as proxy,
        closing(open_store(house.replace(ministack.url, proxy.url))) as opened,
    ):
        yield opened


def test_the_role_lets_the_door_do_all_that_a_visitor_asks_for(store: Store, door: Store, role: Role) -> None:
    asked, limit = letter(mailbox="m" * 16), Limit("all", 9, timedelta(hours=1))
    with door.together():
        assert door.ask(asked, [limit], "Yes, send it.")
    assert door.counted(limit, NOW) == 1
    taken = store.next_letter(NOW, digests)
    assert taken
    assert door.letter(asked.id)
    assert door.confirm(asked.id, NOW, "192.0.2.2") is Used.DONE
    public_id = of(store, asked.id)
    assert door.pause(public_id, NOW + timedelta(days=30), NOW)
    assert door.pause(public_id, None, NOW)
    store.freeze(PACKAGE, NOW)
    batch = claim(store, 1)
    store.record(batch, [Outcome(batch.recipients[0].number, State.SUBMITTED, "accepted", "id-1")], NOW)
    assert door.person(public_id)
    assert door.data_of(public_id)["recipient"]
    change = mailed(store, "new@example.org", LetterKind.CHANGE, subscriber=public_id)
    assert door.change_address(change.id, NOW) is Used.DONE
    other = joined(store, "second@example.org")
    assert door.ask(letter(kind=LetterKind.MY_PAGE), [limit])
    assert door.ask(letter("desk@example.org", LetterKind.CONTACT, words={"email": "v@example.org"}), [limit])
    assert door.unsubscribe(public_id, NOW, "one-click")
    assert door.unsubscribe(other, NOW, "page")
    assert door.erase(other, digests, NOW)
    assert door.erase(public_id, digests, NOW)
    assert role.refused == []
    assert store.counts("2020-10").recipients == 1
    assert Subscription.CONFIRMED not in store.subscription_counts()


def test_the_role_lets_nobody_begin_open_or_take_over_a_mailing(
    store: Store, door: Store, role: Role
) -> None:
    joined(store)
    store.freeze(PACKAGE, NOW)
    store.take_turn("2020-10 there", 1, "me", NOW)
    store.turn_taken("2020-10 there", 1, NOW)

    def alone() -> None:
        with door.sending("2020-10"):
            pass

    forbidden: dict[str, Callable[[], object]] = {
        "freeze": lambda: door.freeze(replace(PACKAGE, month="2020-11"), NOW),
        "take a turn": lambda: door.take_turn("2020-10 there", 2, "x", NOW),
        "open a turn": lambda: door.open_turn("2020-10 there", 1, NOW),
        "stop a turn": lambda: door.stop_turn("2020-10 there", 1, "x"),
        "release a first slice": lambda: door.found_sound("2020-10", NOW),
        "withdraw": lambda: door.withdraw("2020-10", NOW),
        "send alone": alone,
        "give out the account's time": lambda: door.begin_pace("ses", 1, 2),
        "say that a canary came back": lambda: door.canary_mailed("c", NOW),
        "read the journal": lambda: door.lagging(digests),
    }
    for what, step in forbidden.items():
        before = len(role.refused)
        with pytest.raises(StoreError, match="AccessDenied"):
            step()
        assert len(role.refused) > before, what
    assert store.counts("2020-10").states == {State.PENDING: 1}
    turn = store.turn("2020-10 there")
    assert turn
    assert (turn.number, turn.open_until, turn.stopped) == (1, None, "")
