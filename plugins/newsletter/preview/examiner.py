"""`newsletter check` while the editor writes: what was found in a file is kept until that file changes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from newsletter.check import desk
from newsletter.check.cache import Cache, digest, edition
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
        self._cache = _cache(self._house)
        self._kept: dict[Path, tuple[_Stamp, Reading]] = {}

    def examine(self) -> tuple[Finding, ...]:
        """What is wrong with the content, and what is to be looked at; only changed files are examined anew."""
        house = house_of(self._publication, self._content)
        if house != self._house:  # the glossary has changed, and with it what is defined
            self._house, self._cache, self._kept = house, _cache(house), {}
        present: dict[Path, tuple[_Stamp, Reading]] = {}
        for file in desk.files(self._content):
            try:
                stamp = _stamp(file)
                kept = self._kept.get(file)
                reading = kept[1] if kept and kept[0] == stamp else None
                present[file] = stamp, reading or self._read(file)
            except FileNotFoundError:  # deleted between the two
                continue
        if not self._kept:
            self._cache.save()  # after the first time, the long one; the few files that follow are soon read again
        self._kept = present
        readings = [reading for _, reading in present.values()]
        return tuple(conclude(readings, self._house, datetime.now(UTC), desk.size_of(self._content)))

    def _read(self, file: Path) -> Reading:
        """What `newsletter check` has read before need not be read again."""
        data, path = file.read_bytes(), os.path.relpath(file)
        known = self._cache.reading(path, digest(data))
        if known is None:
            below = PurePosixPath(file.relative_to(self._content))
            known = desk.read_bytes(data, path, below, self._house)
            self._cache.keep(known, digest(data))
        return known


def _cache(house: House) -> Cache:
    return Cache(desk.CACHE, edition(house))


def _stamp(file: Path) -> _Stamp:
    seen = os.stat(file)
    return seen.st_mtime_ns, seen.st_size, seen.st_ino
