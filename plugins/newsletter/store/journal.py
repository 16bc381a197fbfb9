"""What must not be forgotten when an older database is put back: who came, who left, who was erased.

One line of JSON for each, appended to a file beside the database and on the disk before the change is. It names
subscribers by their public ids and holds no address; it belongs into another backup than the database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from newsletter.errors import StoreError

ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one subscriber last. `digests` are the keyed hashes of whoever was erased."""

    what: str
    digests: tuple[bytes, ...] = ()


class Journal:
    """A file that only grows."""

    def __init__(self, path: Path) -> None:
        """`path` is made on the first entry, for its owner's eyes alone."""
        self._path = path

    def append(
        self, public_id: bytes, at: datetime, what: str, how: str = "", digests: Sequence[bytes] = ()
    ) -> None:
        """Write one line, and be sure that it is on the disk. Raises StoreError.

        Whoever calls holds the database's write lock, so that lines do not mix.
        """
        line = {"at": at.isoformat(), "who": public_id.hex(), "what": what, "how": how}
        if digests:
            line["digests"] = " ".join(digest.hex() for digest in digests)
        new = not self._path.exists()
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                # A line that a power cut has left unfinished must not swallow this one, so it begins with a line end.
                os.write(descriptor, f"\n{json.dumps(line)}\n".encode())
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

    def last(self) -> dict[bytes, Entry]:
        """The last word on each subscriber, by public id; erasure is the last of all. Unfinished lines are passed over."""
        found: dict[bytes, Entry] = {}
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        fields = json.loads(line)
                        who, what = bytes.fromhex(fields["who"]), str(fields["what"])
                        digests = tuple(map(bytes.fromhex, fields.get("digests", "").split()))
                        if who not in found or found[who].what != ERASED:
                            found[who] = Entry(what, digests)
                    except (ValueError, KeyError, TypeError, AttributeError):
                        continue
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be read: {error.strerror}.") from error
        return found
