"""Whether the database can keep its promises: its form, its journal, its pages, the disk, its locks."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

from newsletter.errors import StoreBusy, StoreError
from newsletter.finding import Finding, broken, sound, warning
from newsletter.store.sqlite.database import _PATIENCE, _VERSION, _WAL_IS_SOUND, Database

# PRAGMA synchronous by its number (sqlite.org/pragma.html#pragma_synchronous).
_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
# Room for a freeze of some hundred thousand recipients and its journal.
_LEAST_ROOM = 100 * 1024 * 1024  # bytes
_MOMENT = 1_000  # milliseconds: no transaction here takes a tenth of it


class SqliteHealth(Database):
    """Keeps the promise of `Health`."""

    def health(self) -> list[Finding]:
        """See Store."""
        if not self.path.exists():
            return [
                warning(
                    "database",
                    f"{self.path} is not there yet",
                    "The first command that writes makes it: newsletter subscribers import FILE.csv",
                )
            ]
        looks: dict[str, Callable[[], Finding]] = {
            "schema": self._schema,
            "durability": self._durability,
            "integrity": self._integrity,
            "room": self._room,
            "privacy": self._privacy,
            "lock": self._lock,
        }
        return [self._looked(name, look) for name, look in looks.items()]

    def _looked(self, name: str, look: Callable[[], Finding]) -> Finding:
        try:
            return look()
        except (StoreError, OSError) as error:
            mend = f"See who may read and write {self.path} and its folder, and whether the disk is sound."
            return broken(name, f"cannot be looked at: {error}", mend)

    def _schema(self) -> Finding:
        return schema(self.path, *self.db.execute("PRAGMA user_version").fetchone())

    def _durability(self) -> Finding:
        (mode,) = self.db.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = self.db.execute("PRAGMA synchronous").fetchone()
        return durability(self.path, sqlite3.sqlite_version_info, mode, _SYNCHRONOUS[synchronous])

    def _integrity(self) -> Finding:
        try:
            said = [str(line) for (line,) in self.db.execute("PRAGMA quick_check(3)")]
        except StoreError as error:
            said = [str(error.__cause__)]
        return integrity(self.path, said)

    def _room(self) -> Finding:
        return room(self.path, shutil.disk_usage(self.path.parent).free, self.path.stat().st_size)

    def _privacy(self) -> Finding:
        path = self.path.resolve()
        way = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
        return privacy(self.path, bool(path.stat().st_mode & stat.S_IROTH) and way)

    def _lock(self) -> Finding:
        self.db.execute(f"PRAGMA busy_timeout = {_MOMENT}")
        try:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.execute("ROLLBACK")
        except StoreBusy:
            return busy(self.path)
        finally:
            self.db.execute(f"PRAGMA busy_timeout = {int(_PATIENCE * 1000)}")
        self._flock()
        return sound("lock", "can be had")

    def _flock(self) -> None:
        """Try the lock that `sending` takes, on a file of its own: to open and close the database's would end SQLite's
        locks on it (sqlite.org/howtocorrupt.html, section 2.2). Raises OSError where the file system has none.
        """
        path = self.path.with_name(f"{self.path.name}.doctor.lock")
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # another examination has it, so there are locks
            finally:
                path.unlink(missing_ok=True)


def schema(path: Path, version: int) -> Finding:
    """Whether it has the form this program knows."""
    if version == _VERSION:
        return sound("schema", f"version {version}")
    return broken(
        "schema",
        f"{path} has schema {version}, and this program knows {_VERSION}",
        "Update the program on every machine that opens this database (STORE_URL).",
    )


def durability(path: Path, version: tuple[int, ...], mode: str, synchronous: str) -> Finding:
    """Whether a commit survives a power cut: what that takes depends on SQLite's version (database.py)."""
    wal = mode == "wal"
    named = f"{mode.upper()} with synchronous={synchronous}, SQLite {'.'.join(map(str, version))}"
    if wal and version < _WAL_IS_SOUND:
        return broken(
            "durability",
            f"{named}: its WAL can lose a commit",
            f"Update SQLite to 3.51.3, or with nobody else at it: sqlite3 {path} 'PRAGMA journal_mode=DELETE'",
        )
    if mode in {"off", "memory"} or synchronous not in ({"FULL", "EXTRA"} if wal else {"EXTRA"}):
        return broken(
            "durability",
            f"{named}: a power cut could lose what was mailed",
            f"Let nothing but newsletter set the journal_mode and synchronous of {path} (PRAGMA).",
        )
    return sound("durability", named)


def integrity(path: Path, said: list[str]) -> Finding:
    """What PRAGMA quick_check means."""
    if said == ["ok"]:
        return sound("integrity", "quick_check finds nothing")
    return broken(
        "integrity",
        f"{path} is damaged: {'; '.join(said)}",
        f"Stop every newsletter command, keep a copy of {path}, and restore it from a backup.",
    )


def room(path: Path, free: int, size: int) -> Finding:
    """Whether the disk has room; `free` and `size` (the database's) in bytes."""
    need = max(_LEAST_ROOM, 2 * size)
    words = f"{free / 1024**2:,.0f} MB free"
    if free >= need:
        return sound("room", words)
    return broken(
        "room",
        f"{words}, and {need / 1024**2:,.0f} MB may be needed",
        f"Make room on the disk of {path}: a full one stops a mailing half way.",
    )


def privacy(path: Path, open_to_others: bool) -> Finding:
    """Whether other accounts of this machine can read the addresses in it."""
    if not open_to_others:
        return sound("privacy", "others on this machine cannot read it")
    return warning("privacy", f"others on this machine can read the addresses in {path}", f"chmod 600 {path}")


def busy(path: Path) -> Finding:
    """Somebody holds the database."""
    return broken(
        "lock",
        f"another process holds {path}, and for longer than a second",
        f"See which (fuser {path}), and let it end.",
    )
