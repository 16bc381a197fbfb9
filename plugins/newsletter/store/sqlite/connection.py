"""SQLite's connection, with its errors as the store's own: nothing else of this program knows sqlite3's."""

from __future__ import annotations

import sqlite3
from typing import Any

from newsletter.errors import StoreBusy, StoreError


class Connection(sqlite3.Connection):
    """Raises StoreError where SQLite cannot do what it is asked, StoreBusy where another process is why."""

    path = ""

    def execute(self, *asked: Any) -> Cursor:
        """As sqlite3's."""
        return self.cursor(Cursor).execute(*asked)

    def executemany(self, *asked: Any) -> Cursor:
        """As sqlite3's."""
        return self.cursor(Cursor).executemany(*asked)


class Cursor(sqlite3.Cursor):
    """A row, too, can be what SQLite cannot read."""

    def execute(self, *asked: Any) -> Cursor:
        """As sqlite3's."""
        try:
            return super().execute(*asked)
        except sqlite3.Error as error:
            raise self._told(error) from error

    def executemany(self, *asked: Any) -> Cursor:
        """As sqlite3's."""
        try:
            return super().executemany(*asked)
        except sqlite3.Error as error:
            raise self._told(error) from error

    def fetchone(self) -> Any:
        """As sqlite3's."""
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise self._told(error) from error

    def fetchall(self) -> list[Any]:
        """As sqlite3's."""
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            raise self._told(error) from error

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> StoreError:
        kind = StoreBusy if "locked" in str(error) else StoreError
        path = getattr(self.connection, "path", "")
        return kind(f"{path}: {error}. This step was not done.")
