"""One DynamoDB table: reading it page by page, asking again when it is too busy, and errors as the store's own.

Nothing else of this program knows DynamoDB's API. Every item has

    pk, sk   its key: texts, from keys.py
    v        random, new with every write: whoever writes an item says which `v` it has read

and otherwise texts, whole numbers and bytes. Reads are consistent, because the ledger decides by them.

Sources: DynamoDB API reference (TransactWriteItems: 100 actions; BatchGetItem: 100 keys; BatchWriteItem: 25; a page of
Query: 1 MB; an item: 400 KB), developer guide "Error handling" (which errors may be retried), AWS Architecture Blog
"Exponential Backoff And Jitter" (full jitter).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from newsletter.errors import SettingsError, StoreBusy, StoreError
from newsletter.store.dynamodb.item import Item, Key, key_in, key_of, packed, packed_key, token, unpacked

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_ACTIONS = 100  # in one transaction
_MOST_KEYS, _MOST_PUTS = 100, 25
# How long what DynamoDB would not do now is tried again, in seconds; the waits between grow from the first to the last.
_PATIENCE, _FIRST_WAIT, _LAST_WAIT = 30.0, 0.02, 2.0
_AGAIN = {
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
}
# Why a transaction was cancelled, where the same transaction may go later.
_CANCELLED_FOR_NOW = {"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
_random = secrets.SystemRandom()
_making = threading.Lock()


class Conflict(Exception):
    """What was to be written is based on something that another has changed since."""


class Table:
    """The table a URL names: dynamodb://TABLE, with ?region= and ?endpoint= where boto3 is not to find them itself."""

    def __init__(self, url: str) -> None:
        """Reaches nobody yet: a Lambda that is cold pays for what it uses. Raises SettingsError."""
        parts = urlsplit(url)
        asked = parse_qs(parts.query)
        self.name = parts.netloc
        if not self.name or parts.path.strip("/") or set(asked) - {"region", "endpoint"}:
            raise SettingsError(
                f"STORE_URL: {url!r} names no table. Write dynamodb://TABLE, or dynamodb://TABLE?region=eu-west-1."
            )
        self.region, self.endpoint = (asked.get(name, [""])[0] for name in ("region", "endpoint"))
        self._reached = False

    def sibling(self, suffix: str) -> Table:
        """Another table in the same place, whose name goes on like this."""
        other = Table.__new__(Table)
        other.name, other.region, other.endpoint = self.name + suffix, self.region, self.endpoint
        other._reached = False
        return other

    @property
    def client(self) -> DynamoDBClient:
        """boto3's client, one for all stores of this process: making one takes longer than most calls."""
        with _making:
            return _client(self.region, self.endpoint)

    # -- reading

    def get(self, key: Key) -> Item | None:
        """The item of that key, or None."""
        answer = self.ask("get_item", TableName=self.name, Key=packed_key(key), ConsistentRead=True)
        return unpacked(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Those items of these keys that there are."""
        found: dict[Key, Item] = {}
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _MOST_KEYS):
            left: Any = {
                self.name: {
                    "Keys": [packed_key(key) for key in wanted[start : start + _MOST_KEYS]],
                    "ConsistentRead": True,
                }
            }
            waits = Patience(self)
            while left:
                answer = self.ask("batch_get_item", RequestItems=left)
                for given in answer["Responses"].get(self.name, ()):
                    item = unpacked(given)
                    found[key_of(item)] = item
                if left := answer.get("UnprocessedKeys"):
                    waits.wait()
        return found

    def query(
        self,
        pk: str,
        first: str = "",
        last: str = "",
        most: int = 0,
        backwards: bool = False,
        only: Sequence[str] = (),
    ) -> Iterator[Item]:
        """The items of a partition in the order of their sort keys, from `first` to `last` (both included, "" for no
        bound), at most `most` (0 for all); of each `only` these attributes, where any are named.
        """
        if first and last and first > last:
            return
        told: dict[str, Any] = {":pk": {"S": pk}}
        condition = "pk = :pk"
        if first and last:
            condition += " AND sk BETWEEN :first AND :last"
            told |= {":first": {"S": first}, ":last": {"S": last}}
        elif first or last:
            condition += " AND sk >= :bound" if first else " AND sk <= :bound"
            told[":bound"] = {"S": first or last}
        question: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": told,
            "ConsistentRead": True,
            "ScanIndexForward": not backwards,
        }
        if only:
            names = {f"#a{place}": name for place, name in enumerate(("pk", "sk", *only))}
            question |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        count = 0
        while True:
            if most:
                question["Limit"] = most - count
            answer = self.ask("query", **question)
            for given in answer["Items"]:
                yield unpacked(given)
                count += 1
            if (most and count >= most) or "LastEvaluatedKey" not in answer:
                return
            question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    # -- writing

    def put_all(self, items: Iterable[Item]) -> None:
        """Write items that nobody else writes: without a condition, and not as a whole."""
        self._batched({"PutRequest": {"Item": packed({**item, "v": token()})}} for item in items)

    def delete_all(self, keys: Iterable[Key]) -> None:
        """Delete items that nobody else writes: without a condition, and not as a whole."""
        self._batched({"DeleteRequest": {"Key": packed_key(key)}} for key in keys)

    def _batched(self, requests: Iterator[dict[str, Any]]) -> None:
        waiting: list[dict[str, Any]] = []
        waits = Patience(self)
        over = False
        while not over or waiting:
            while not over and len(waiting) < _MOST_PUTS:
                if (request := next(requests, None)) is None:
                    over = True
                else:
                    waiting.append(request)
            if waiting:
                answer = self.ask("batch_write_item", RequestItems={self.name: waiting})
                left = answer.get("UnprocessedItems", {}).get(self.name, [])
                if len(left) == len(waiting):
                    waits.wait()
                else:
                    waits = Patience(self)
                waiting = list(left)

    def act(self, actions: Sequence[dict[str, Any]]) -> None:
        """Do one action alone, several as one transaction. Raises Conflict if a condition does not hold.

        An action is a Put, Update, Delete or ConditionCheck as TransactWriteItems takes it, without TableName.
        """
        if len(actions) > MOST_ACTIONS:
            raise StoreError(
                f"{self.name}: {len(actions)} changes are more than one transaction of DynamoDB can hold."
            )
        named = [
            {kind: {**action, "TableName": self.name} for kind, action in one.items()} for one in actions
        ]
        if len(named) > 1:
            self.ask("transact_write_items", TransactItems=named, ClientRequestToken=secrets.token_hex(16))
            return
        for kind, action in (named or [{}])[0].items():
            if kind == "ConditionCheck":
                self.ask("transact_write_items", TransactItems=named)
            else:
                self._act_alone(kind, action)

    def _act_alone(self, kind: str, action: dict[str, Any]) -> None:
        """A single write costs half of a transaction. One whose answer was lost may have been done: then its `v` is ours."""
        unsure: list[bool] = []
        try:
            self.ask(f"{kind.lower()}_item", unsure, **action)
        except Conflict:
            if not unsure or not self._was_done(kind, action):
                raise

    def _was_done(self, kind: str, action: dict[str, Any]) -> bool:
        if kind == "Put":
            found = self.get(key_in(action["Item"]))
            return bool(found and {"S": found["v"]} == action["Item"]["v"])
        return kind == "Delete" and self.get(key_in(action["Key"])) is None

    def advance(
        self, key: Key, name: str, value: str, condition: str, told: Mapping[str, int]
    ) -> tuple[bool, int | None]:
        """Set one number of an item to an expression, if a condition holds: whether it did, and the number as it is then
        (None: there is none). One write; an answer that was lost is asked for again, and so it may be moved on twice.
        """
        values = {name: {"N": str(number)} for name, number in told.items()}
        try:
            answer = self.ask(
                "update_item",
                TableName=self.name,
                Key=packed_key(key),
                UpdateExpression=f"SET {name} = {value}, v = :v",
                ConditionExpression=condition,
                ExpressionAttributeValues={**values, ":v": {"S": token()}},
                ReturnValues="UPDATED_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Conflict as conflict:
            item = getattr(conflict.__cause__, "response", {}).get("Item") or {}
            return False, int(item[name]["N"]) if item else None
        return True, int(answer["Attributes"][name]["N"])

    # -- asking

    def ask(self, operation: str, unsure: list[bool] | None = None, **words: Any) -> Any:
        """Call DynamoDB, and again while it is too busy or out of reach. `unsure` is told when an answer was lost.

        Raises Conflict, StoreBusy when patience ends, StoreError.
        """
        from botocore import exceptions as boto
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        waits = Patience(self)
        while True:
            try:
                answer = getattr(self.client, operation)(**words)
                self._reached = True
                return answer
            except ClientError as error:
                self._judge(error.response, error)
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
                    _note(unsure)
                waits.wait(error)
            except HTTPClientError as error:
                _note(unsure)
                waits.wait(error)
            except BotoCoreError as error:
                # A name that cannot be found for a moment, in the middle of a run, must put nobody in doubt; a wrong
                # one is told at once.
                if self._reached and isinstance(error, boto.ConnectionError):
                    waits.wait(error)
                    continue
                raise StoreError(f"{self.name}: DynamoDB cannot be asked: {error}") from error

    def _judge(self, answer: Mapping[str, Any], error: Exception) -> None:
        """Return if the same call may go later. Raises Conflict, StoreError."""
        code, words = answer["Error"].get("Code", ""), answer["Error"].get("Message", "")
        if code == "ConditionalCheckFailedException":
            raise Conflict from error
        if code == "TransactionCanceledException":
            reasons = {reason.get("Code") or "None" for reason in answer.get("CancellationReasons", ())}
            if "ConditionalCheckFailed" in reasons:
                raise Conflict from error
            if reasons and reasons <= _CANCELLED_FOR_NOW:
                return
            words = f"{words} {sorted(reasons - {'None'})}"
        elif code in _AGAIN or answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            return
        if code == "ResourceNotFoundException":
            raise StoreError(
                f"{self.name}: there is no such table{f' in {self.region}' if self.region else ''}. infra/template.yaml makes it, and so "
                "does newsletter migrate --make; see docs/operators.md."
            ) from error
        raise StoreError(f"{self.name}: DynamoDB says {code}: {words} This step was not done.") from error


class Patience:
    """Waits longer each time, by chance, and not for ever."""

    def __init__(self, table: Table) -> None:
        self._table, self._tries, self._since = table, 0, time.monotonic()

    def wait(self, error: Exception | None = None) -> None:
        """Pause. Raises StoreBusy when it has been too long."""
        if time.monotonic() - self._since > _PATIENCE:
            raise StoreBusy(
                f"{self._table.name}: DynamoDB could not do it for {_PATIENCE:.0f} seconds: {error or 'busy'}. "
                "This step was not done."
            ) from error
        time.sleep(_random.uniform(0, min(_LAST_WAIT, _FIRST_WAIT * 2**self._tries)))
        self._tries += 1


def _note(unsure: list[bool] | None) -> None:
    if unsure is not None:
        unsure.append(True)


@cache
def _client(region: str, endpoint: str) -> DynamoDBClient:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, NoRegionError

    # One attempt a call: what is tried again, and for how long, is decided here.
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=5,
        read_timeout=20,
        max_pool_connections=50,
        user_agent_extra="monthly-briefing",
    )
    try:
        return boto3.client(
            "dynamodb", region_name=region or None, endpoint_url=endpoint or None, config=config
        )
    except NoRegionError:
        raise SettingsError(
            "AWS_REGION: not set. Name the region the table is in (AWS_REGION=eu-west-1), or in the store's own "
            "address: dynamodb://TABLE?region=eu-west-1"
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"STORE_URL: DynamoDB cannot be reached like this: {error}") from error
