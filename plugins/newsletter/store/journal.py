"""What must not be forgotten when an older database is put back: who came, who left, who was erased.

A line for each, written down elsewhere than the change, and before it: for SQLite in a file beside the database, for
DynamoDB in a table of its own (dynamodb/journal.py). It names subscribers by their public ids and holds no address; it
belongs into another backup than the database.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from newsletter.errors import StoreError

ERASED = "erased"
SUPPRESSED, UNSUPPRESSED = "suppressed", "unsuppressed"


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one subscriber last. `digests` are the keyed hashes of whoever was erased."""

    what: str
    digests: tuple[bytes, ...] = ()


class Line(NamedTuple):
    """One line: `who` is a public id, b"" where an operator decided about an address, which only `digests` tell."""

    at: str
    who: bytes
    what: str
    how: str
    digests: tuple[bytes, ...]


class Remembered:
    """What the lines mean, wherever they are kept."""

    def lines(self) -> Iterator[Line]:
        """Every line, the oldest first. Raises StoreError."""
        raise NotImplementedError

    def last(self) -> dict[bytes, Entry]:
        """The last word on each subscriber, by public id; erasure is the last of all. Suppressions are none: whoever
        has left stays so, suppressed or not.
        """
        found: dict[bytes, Entry] = {}
        for line in self.lines():
            if line.what in (SUPPRESSED, UNSUPPRESSED) or not line.who:
                continue
            if line.who not in found or found[line.who].what != ERASED:
                found[line.who] = Entry(line.what, line.digests)
        return found

    def erased(self) -> list[Line]:
        """Every erasure, the oldest first."""
        return [line for line in self.lines() if line.what == ERASED and line.digests]

    def suppressions(self) -> list[Line]:
        """The suppressions that nobody has ended since, the oldest first."""
        held: dict[bytes, Line] = {}
        for line in self.lines():
            marks = [mark for mark in (*line.digests, line.who) if mark]
            if line.what == SUPPRESSED:
                held |= dict.fromkeys(marks, line)
            elif line.what == UNSUPPRESSED:
                for mark in marks:
                    held.pop(mark, None)
        # One that was ended under any of its marks is ended.
        return [
            line
            for line in dict.fromkeys(held.values())
            if all(held.get(mark) for mark in (*line.digests, line.who) if mark)
        ]


class Journal(Remembered):
    """A file that only grows."""

    def __init__(self, path: Path) -> None:
        """`path` is made on the first entry, for its owner's eyes alone."""
        self._path = path
        self._held: list[str] | None = None

    def append(
        self, public_id: bytes, at: datetime, what: str, how: str = "", digests: Sequence[bytes] = ()
    ) -> None:
        """Write one line, and be sure that it is on the disk. Raises StoreError.

        Whoever calls holds the database's write lock, so that lines do not mix.
        """
        line = {"at": at.isoformat(), "who": public_id.hex(), "what": what, "how": how}
        if digests:
            line["digests"] = " ".join(digest.hex() for digest in digests)
        if self._held is None:
            self._write([json.dumps(line)])
        else:
            self._held.append(json.dumps(line))

    def copy(self, lines: Sequence[Line]) -> None:
        """Write lines of another journal's as they are. Raises StoreError."""
        if lines:
            self._write(
                [
                    json.dumps(
                        {"at": line.at, "who": line.who.hex(), "what": line.what, "how": line.how}
                        | ({"digests": " ".join(one.hex() for one in line.digests)} if line.digests else {})
                    )
                    for line in lines
                ]
            )

    @contextmanager
    def together(self) -> Iterator[None]:
        """Lines appended within are on the disk when the block ends, by one write; none of them if it breaks off.
        Raises StoreError.
        """
        if self._held is not None:  # part of a larger whole
            kept = len(self._held)
            try:
                yield
            except BaseException:
                del self._held[kept:]
                raise
            return
        self._held = held = list[str]()
        try:
            yield
        finally:
            self._held = None
        if held:
            self._write(held)

    def _write(self, lines: Sequence[str]) -> None:
        new = not self._path.exists()
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                # A line that a power cut has left unfinished must not swallow the next, so each begins with a line end.
                text = "".join(f"\n{line}\n" for line in lines).encode()
                if os.write(descriptor, text) != len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                folder = os.open(self._path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as error:
            raise StoreError(
                f"{self._path}: cannot be written: {error.strerror}. Nothing was changed."
            ) from error

    def lines(self) -> Iterator[Line]:
        """Every line, the oldest first; unfinished ones are passed over. Raises StoreError."""
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                for text in file:
                    try:
                        fields = json.loads(text)
                        who, what = bytes.fromhex(fields["who"]), str(fields["what"])
                        digests = tuple(map(bytes.fromhex, fields.get("digests", "").split()))
                    except (ValueError, KeyError, TypeError, AttributeError):
                        continue
                    yield Line(str(fields.get("at", "")), who, what, str(fields.get("how", "")), digests)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be read: {error.strerror}.") from error
