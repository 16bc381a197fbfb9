"""An item of the table, and the actions that write one if it is still as it was read.

Every item has its key, `pk` and `sk` (keys.py), and `v`, random and new with every write: whoever writes an item says
which `v` it has read. The rest are texts, whole numbers and bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

Key = tuple[str, str]
Value = str | int | bytes
Item = dict[str, Value]


def raw(value: Value) -> bytes:
    """An attribute that holds bytes."""
    if not isinstance(value, bytes):
        raise TypeError("an attribute that must hold bytes does not")
    return value


def token() -> str:
    """A fresh `v`."""
    return secrets.token_urlsafe(9)


def key_of(item: Item) -> Key:
    """An item's own key."""
    return str(item["pk"]), str(item["sk"])


def put(item: Item, read: Item | None, blind: bool = False) -> dict[str, Any]:
    """The action that writes an item in place of what was `read`, or of nothing; `blind` whatever is there."""
    action: dict[str, Any] = {"Item": packed({**item, "v": token()})}
    return {"Put": action if blind else action | unchanged(read)}


def delete(key: Key, read: Item) -> dict[str, Any]:
    """The action that deletes an item as it was read."""
    return {"Delete": {"Key": packed_key(key), **unchanged(read)}}


def check(key: Key, read: Item | None) -> dict[str, Any]:
    """The action that sees to it that an item is as it was read."""
    return {"ConditionCheck": {"Key": packed_key(key), **unchanged(read)}}


def add(key: Key, count: int, most: int | None, expires: int = 0) -> dict[str, Any]:
    """The action that adds to the number of an item, if it stays at or below `most`; `expires` is a moment for TTL."""
    values: dict[str, Any] = {":count": {"N": str(count)}, ":v": {"S": token()}}
    change = "SET v = :v"
    action: dict[str, Any] = {"Key": packed_key(key), "ExpressionAttributeNames": {"#n": "n"}}
    if expires:
        change += ", expires = :expires"
        values[":expires"] = {"N": str(expires)}
    if most is not None:
        action["ConditionExpression"] = "attribute_not_exists(#n) OR #n <= :room"
        values[":room"] = {"N": str(most - count)}
    action |= {"UpdateExpression": f"{change} ADD #n :count", "ExpressionAttributeValues": values}
    return {"Update": action}


def unchanged(read: Item | None) -> dict[str, Any]:
    """The condition that an item is still as it was read."""
    if read is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {"ConditionExpression": "v = :read", "ExpressionAttributeValues": {":read": {"S": read["v"]}}}


def packed_key(key: Key) -> dict[str, Any]:
    """A key as DynamoDB takes it."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def key_in(packed: Mapping[str, Any]) -> Key:
    """The key of what DynamoDB gives or takes."""
    return packed["pk"]["S"], packed["sk"]["S"]


def packed(item: Item) -> dict[str, Any]:
    """An item as DynamoDB takes it."""
    return {name: _PACKS[type(value)](value) for name, value in item.items()}


_PACKS: dict[type, Callable[[Any], dict[str, Any]]] = {
    str: lambda value: {"S": value},
    int: lambda value: {"N": str(value)},
    bytes: lambda value: {"B": value},
}


def unpacked(packed: Mapping[str, Mapping[str, Any]]) -> Item:
    """An item as DynamoDB gives it."""
    return {
        name: int(value["N"]) if "N" in value else value.get("S", value.get("B", ""))
        for name, value in packed.items()
    }
