"""The lines of a list that were not taken: the first few on the screen, all of them in a file to mend."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

from newsletter.errors import Finding
from newsletter.settings import STATE
from newsletter.show import say_error
from newsletter.spreadsheet import guard, unguard
from newsletter.subscriber_list import Refused

FOLDER = STATE / "refused"
_SHOWN = 20


class Refusals:
    """Takes them one by one. With more than can be read on a screen a file is made: the list's own columns and the
    reason behind them, so that it can be imported once it is mended.
    """

    def __init__(self, path: Path, columns: Sequence[str], at: datetime) -> None:
        """`path` and `columns` are those of the list."""
        self._path, self._columns = path, columns
        self._file_path = FOLDER / f"{path.stem}-{at:%Y%m%dT%H%M%S}.csv"
        self._file: IO[str] | None = None
        self._first: list[Refused] = []
        self.count = 0

    def add(self, refused: Refused) -> None:
        """One more. Raises OSError where the file cannot be written."""
        self.count += 1
        if self.count <= _SHOWN:
            self._first.append(refused)
            return
        if self._file is None:
            self._file = self._begun()
        self._write(self._file, refused)

    def tell(self) -> None:
        """Say which they were."""
        for refused in self._first:
            say_error(str(Finding(str(self._path), refused.number, refused.field, refused.reason)))
        if self._file is not None:
            self._file.close()
            say_error(
                f"… and {self.count - _SHOWN:,} more. All {self.count:,} are in {self._file_path}, each with its reason "
                "in the last column: mend them there, and import that file."
            )

    def _begun(self) -> IO[str]:
        FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._file_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        file = os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="")
        csv.writer(file, quoting=csv.QUOTE_ALL).writerow([*self._columns, "reason"])
        for each in self._first:
            self._write(file, each)
        return file

    def _write(self, file: IO[str], refused: Refused) -> None:
        width = len(self._columns)
        cells = [*refused.cells[:width], *[""] * (width - len(refused.cells))]
        # A cell that the service has guarded already is guarded once, not twice.
        cells = [guard(unguard(cell)) for cell in cells]
        field = f"{refused.field}: " if refused.field else ""
        csv.writer(file, quoting=csv.QUOTE_ALL).writerow(
            [*cells, f"line {refused.number}: {field}{refused.reason}"]
        )
