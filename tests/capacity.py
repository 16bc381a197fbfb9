"""What DynamoDB bills for a call, in units, by its own rules.

Source: DynamoDB developer guide, "DynamoDB read and write operations" and "DynamoDB item sizes and formats". On demand,

    a write         1 for each kilobyte of the item, the larger of before and after; a failed condition counts as well;
                    twice that in a transaction, for what is only checked there too
    a read          1 for each 4 kilobytes of the item; of what is not there 1, in a batch of keys as well, which is
                    billed as that many single reads (all reads are consistent here)
    a query         1 for each 4 kilobytes of a page's items together, whole ones, whichever attributes were asked for

AWS's own DynamoDB Local can be asked what it counts (`ReturnConsumedCapacity`): tests/test_store_counts.py compares.
"""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_Name = tuple[str, str, str]  # table, pk, sk
_Item = Mapping[str, Mapping[str, Any]]


@dataclass(slots=True)
class Units:
    """What one call wrote and read, and how many items it wrote, deleted or checked."""

    items: int = 0
    written: int = 0
    read: int = 0


@dataclass(slots=True)
class Capacity:
    """The rules, and how large each item is that was seen: an answer alone does not tell what it replaced."""

    _sizes: dict[_Name, int] = field(default_factory=dict)

    def of(self, operation: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> Units:
        """The units of a call, in JSON or as boto3 has it; `answer` with an "Error" changed nothing and is billed."""
        done = "Error" not in answer
        match operation:
            case "GetItem":
                return Units(read=self._single(asked["TableName"], [asked["Key"]], [answer.get("Item", {})]))
            case "BatchGetItem":
                found = answer.get("Responses", {})
                return Units(
                    read=sum(
                        self._single(table, one["Keys"], found.get(table, ()))
                        for table, one in asked["RequestItems"].items()
                    )
                )
            case "Query":
                items = answer.get("Items", ())
                whole = "ProjectionExpression" not in asked
                sizes = [self._seen(asked["TableName"], item, whole) for item in items]
                return Units(read=_units(sum(sizes), 4096))
            case "BatchWriteItem":
                return _sum(
                    self._write(table, kind.removesuffix("Request"), one, 1, done)
                    for table, requests in asked["RequestItems"].items()
                    for request in requests
                    for kind, one in request.items()
                )
            case "PutItem" | "UpdateItem" | "DeleteItem":
                return self._write(asked["TableName"], operation.removesuffix("Item"), asked, 1, done)
            case "TransactWriteItems":
                return _sum(
                    self._write(one["TableName"], kind, one, 2, done)
                    for action in asked["TransactItems"]
                    for kind, one in action.items()
                )
        assert operation.startswith(("Describe", "CreateTable", "Update")), operation
        return Units()

    def _single(self, table: str, keys: Iterable[_Item], found: Iterable[_Item]) -> int:
        sizes = {_name(table, item): self._seen(table, item, whole=True) for item in found if item}
        return sum(_units(sizes.get(_name(table, key), 0), 4096) for key in keys)

    def _seen(self, table: str, item: _Item, whole: bool) -> int:
        name = _name(table, item)
        if whole:
            self._sizes[name] = size_of(item)
        return self._sizes.get(name) or size_of(item)

    def _write(self, table: str, kind: str, one: Mapping[str, Any], times: int, done: bool) -> Units:
        item = one.get("Item", {})
        name = _name(table, item or one["Key"])
        before = self._sizes.get(name, 0)
        # What an update sets here are numbers of one small item, so it stays as large as it was.
        after = size_of(item) if kind == "Put" else 0 if kind == "Delete" else before
        if done:
            self._sizes[name] = after
        return Units(1, times * _units(max(before, after if done else 0), 1024))


def size_of(item: _Item) -> int:
    """Bytes of an item: its names and values; DynamoDB keeps a hundred more of each."""
    return sum(len(name.encode()) + _bytes(value) for name, value in item.items())


def _bytes(value: Mapping[str, Any]) -> int:
    ((kind, told),) = value.items()
    if kind == "B":
        return len(told if isinstance(told, bytes) else b64decode(told))
    # A number takes a byte for each two of its digits, and one more.
    return len(told.encode()) if kind == "S" else math.ceil(len(str(told)) / 2) + 1


def _units(size: int, unit: int) -> int:
    return max(1, math.ceil(size / unit))


def _name(table: str, item: _Item) -> _Name:
    return table, item["pk"]["S"], item["sk"]["S"]


def _sum(some: Iterable[Units]) -> Units:
    total = Units()
    for one in some:
        total.items += one.items
        total.written += one.written
        total.read += one.read
    return total
