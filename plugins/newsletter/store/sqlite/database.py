"""The store in one SQLite file: enough for a laptop or one small server.

Durability first (sqlite.org/pragma.html#pragma_synchronous): a claim that was committed must survive a power
cut, or its mails would go out twice. WAL is used only where the reset bug of 3.7.0 to 3.51.2 is mended
(sqlite.org/wal.html#walresetbug); elsewhere the rollback journal, with EXTRA. That is emptied and not deleted, which
is as durable (SQLite syncs the empty journal) and spares each commit the making of a file. Every transaction that
writes begins IMMEDIATE: one that begins as a reader and then writes fails at once when another has written, timeout
or not.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from newsletter.errors import StoreError
from newsletter.store.sqlite.connection import Connection

_VERSION = 9
# What makes the newest form of each older one.
_FORWARD = {
    0: ("schema.sql", "door.sql"),
    1: ("from-1.sql", "from-2.sql", "door.sql", "from-6.sql", "from-7.sql", "from-8.sql"),
    2: ("from-2.sql", "door.sql", "from-6.sql", "from-7.sql", "from-8.sql"),
    3: (
        "door.sql",
        "from-6.sql",
        "from-7.sql",
        "from-8.sql",
    ),  # the first has all that version 6 has and version 3 has not
    4: ("from-4.sql", "from-5.sql", "from-6.sql", "from-7.sql", "from-8.sql"),
    5: ("from-5.sql", "from-6.sql", "from-7.sql", "from-8.sql"),
    6: ("from-6.sql", "from-7.sql", "from-8.sql"),
    7: ("from-7.sql", "from-8.sql"),
    8: ("from-8.sql",),
}
_WAL_IS_SOUND = (3, 51, 3)
_WHOLE = ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
_STEP = ("SAVEPOINT step", "RELEASE step", ("ROLLBACK TO step", "RELEASE step"))
# How long one writer waits for another, in seconds; no transaction here takes a tenth of it.
_PATIENCE = 30.0


class Database:
    """One SQLite file, open and of the newest form. One object serves one thread."""

    def __init__(self, path: str, make: bool = True) -> None:
        """Open, and make or move forward, the database at `path`. Without `make`, one that is not there is
        opened as an empty one in memory. Raises StoreError.
        """
        self.path = Path(path)
        self._joined = False
        try:
            if not make and not self.path.exists():
                path = ":memory:"
            else:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_CREAT, 0o600))  # addresses: nobody else's business
            self.db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, factory=Connection)
            self.db.path = path
            wal = sqlite3.sqlite_version_info >= _WAL_IS_SOUND
            for pragma in (
                "secure_delete = ON",
                f"journal_mode = {'WAL' if wal else 'TRUNCATE'}",
                f"synchronous = {'FULL' if wal else 'EXTRA'}",
            ):
                self.db.cursor().execute(f"PRAGMA {pragma}")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path}: cannot be opened as the database: {error}.") from error
        self._prepare()
        self.db.execute("PRAGMA foreign_keys = ON")  # not before: a migration makes tables anew

    def _prepare(self) -> None:
        if self.db.execute("PRAGMA user_version").fetchone() == (_VERSION,):
            return  # nothing to do, so nobody to wait for
        with self.writing():
            (version,) = self.db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise StoreError(
                    f"{self.path}: was written by a newer version of this program (schema {version}, "
                    f"this one knows {_VERSION}). Update the program."
                )
            for script in _FORWARD[version]:
                for statement in files(__package__).joinpath(script).read_text().split(";\n"):
                    self.db.execute(statement)
            self.db.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes: kept whole when the block ends, or not at all. Raises StoreError (StoreBusy).

        Within `together` it is a step of that one, undone by itself if it fails.
        """
        if self._joined and not self.db.in_transaction:
            raise StoreError(f"{self.path}: an error has undone what was written together.")
        begin, keep, undo = _STEP if self.db.in_transaction else _WHOLE
        self.db.execute(begin)
        try:
            yield self.db
            self.db.execute(keep)
        except BaseException:
            if self.db.in_transaction:  # a full disk may have ended it already
                for statement in undo:
                    self.db.execute(statement)
            raise

    @contextmanager
    def together(self) -> Iterator[None]:
        """Everything that is written within is on the disk when the block ends, by one transaction: for whoever has
        several to answer at once. Raises StoreError: then nothing of it was kept.
        """
        with self.writing() as db:
            self._joined = True
            try:
                yield
            finally:
                self._joined = False
            if not db.in_transaction:
                raise StoreError(f"{self.path}: an error has undone what was written together.")

    def close(self) -> None:
        """Let go of the database."""
        self.db.close()


def moment(at: datetime) -> str:
    """A moment as the database keeps it: ISO 8601 in UTC, to the millisecond, so that texts sort as moments."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
