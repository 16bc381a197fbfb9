"""The list as a file: everything that is kept of everybody, fit for a spreadsheet and for an import elsewhere."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from newsletter.spreadsheet import guard
from newsletter.store.lists import Listed


def write(path: Path, lines: Iterable[Listed]) -> int:
    """Write a line for each, and say how many. The file appears whole or not at all, for its owner's eyes alone.

    Every cell stands in quotation marks, so that it stays one cell whatever a spreadsheet divides by. A byte order
    mark tells Excel that it is UTF-8. Raises OSError.
    """
    count = 0
    with _replaced(path) as file:
        rows = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        rows.writerow(Listed._fields)
        for line in lines:
            rows.writerow([guard(cell) for cell in line])
            count += 1
    return count


@contextmanager
def _replaced(path: Path) -> Iterator[IO[str]]:
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
