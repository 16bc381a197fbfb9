"""The form of the table, as `PRAGMA user_version` is that of a SQLite file: an item says which version wrote it.

    SCHEMA   VERSION   n: the version of keys.py and of what lies under its keys

Whoever opens a table looks at it first, once, and leaves alone what it does not know: a newer program may keep what
this one would not see. It is written when the tables are made, filled by a move, or mailed from; without it a table is
new, or of the first version.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from newsletter.errors import StoreError
from newsletter.models import Package
from newsletter.store.dynamodb import item
from newsletter.store.dynamodb.item import Key
from newsletter.store.dynamodb.moving import DynamoMoving
from newsletter.store.dynamodb.table import Conflict, Table
from newsletter.store.moving import Kind, Row

VERSION = FIRST = 1
KEY: Key = ("SCHEMA", "VERSION")
# What asks for no item, and so can be asked of a table of any form.
_OF_THE_TABLE = {
    "create_table", "describe_table", "describe_continuous_backups", "update_continuous_backups", "update_time_to_live",
}  # fmt: skip


def judge(name: str, version: int) -> None:
    """Raises StoreError for a table that this program does not know."""
    if version > VERSION:
        raise StoreError(
            f"{name}: was written by a newer version of this program (schema {version}, this one knows {VERSION}). "
            "Update the program, the functions too."
        )
    if version < VERSION:
        raise StoreError(
            f"{name}: was written by an older version of this program (schema {version}, this one knows {VERSION}). "
            "With that version, newsletter migrate it into a SQLite file; with this one, from there into a new table "
            "(--make), and name that in STORE_URL."
        )


class FormedTable(Table):
    """A table that is asked for nothing before its form is known to be ours."""

    def __init__(self, url: str) -> None:
        """As Table."""
        super().__init__(url)
        self._looked = self._noted = False

    def ask(self, operation: str, unsure: list[bool] | None = None, **words: Any) -> Any:
        """As Table. Raises StoreError for a table of another form too."""
        if not self._looked and operation not in _OF_THE_TABLE:
            self._look()
        return super().ask(operation, unsure, **words)

    def _look(self) -> None:
        self._looked = True  # the look itself asks for an item
        try:
            found = self.get(KEY)
            judge(self.name, int(found["n"]) if found else FIRST)
        except BaseException:
            self._looked = False
            raise
        self._noted = found is not None

    def stamp(self) -> None:
        """Note the version, if nobody has. Raises StoreError."""
        if not self._looked:
            self._look()
        if self._noted:
            return
        with suppress(Conflict):  # another was quicker
            self.act([item.put({"pk": KEY[0], "sk": KEY[1], "n": VERSION}, None)])
        self._noted = True


class DynamoFormed(DynamoMoving):
    """Notes the form of the table when it is first mailed from, or filled."""

    def __init__(self, table: FormedTable) -> None:
        super().__init__(table)
        self._formed = table

    def freeze(self, package: Package, at: datetime, through: str = "", corrects: str = "") -> bool:
        """See Store."""
        self._formed.stamp()
        return super().freeze(package, at, through, corrects)

    def take(self, kind: Kind, rows: Iterable[Row], briefing: str = "") -> None:
        """See Moving."""
        self._formed.stamp()
        super().take(kind, rows, briefing)
