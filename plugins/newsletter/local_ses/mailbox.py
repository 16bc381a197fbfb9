"""The mailbox: a folder with one .eml for each message, and the accept log beside it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any


class Mailbox:
    """Writes messages. A reader of the folder never sees half a file; calls may come from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._last = datetime(1970, 1, 1, tzinfo=UTC)

    def write(self, raw: bytes, message_id: str, when: datetime) -> Path:
        """Store one message and return its path, whose name sorts by time: TIME-MESSAGEID.eml."""
        with self._lock:
            # Two mails of one microsecond, or a clock that went back, still sort in the order of writing.
            self._last = max(when, self._last + timedelta(microseconds=1))
            stamp = self._last.strftime("%Y%m%dT%H%M%S.%fZ")
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{stamp}-{message_id}.eml"
        unfinished = self.folder / f".{stamp}-{message_id}.tmp"
        unfinished.write_bytes(raw)
        os.replace(unfinished, path)
        return path


class LineLog:
    """A file of JSON lines, appended and flushed: what a test compares with the sender's own books."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append one line for each record in a single write, so that lines of two calls never mix."""
        if self._path is None:
            return
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        if not lines:
            return
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(lines.encode("utf-8", "replace"))
