"""`newsletter check` while the editor writes: what was found in a file is kept until that file changes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from newsletter.check import desk
from newsletter.check.engine import Reading, conclude
from newsletter.check.house import House, house_of
from newsletter.errors import Finding
from newsletter.publication import Publication

_Stamp = tuple[int, int, int]


class Examiner:
    """The checks of one content folder."""

    def __init__(self, content: Path, publication: Publication) -> None:
        self._content, self._publication = content, publication
        self._house: House = house_of(publication, content)
        self._kept: dict[Path, tuple[_Stamp, Reading]] = {}

    def examine(self) -> tuple[Finding, ...]:
        """What is wrong with the content, and what is to be looked at; only changed files are examined anew."""
        house = house_of(self._publication, self._content)
        if house != self._house:  # the glossary has changed, and with it what is defined
            self._house, self._kept = house, {}
        present: dict[Path, tuple[_Stamp, Reading]] = {}
        for file in desk.files(self._content):
            try:
                stamp = _stamp(file)
                kept = self._kept.get(file)
                reading = kept[1] if kept and kept[0] == stamp else None
                present[file] = stamp, reading or desk.read_file(file, self._content, self._house)
            except FileNotFoundError:  # deleted between the two
                continue
        self._kept = present
        readings = [reading for _, reading in present.values()]
        return tuple(conclude(readings, self._house, datetime.now(UTC), desk.size_of(self._content)))


def _stamp(file: Path) -> _Stamp:
    seen = os.stat(file)
    return seen.st_mtime_ns, seen.st_size, seen.st_ino
