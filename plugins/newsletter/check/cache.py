"""What was read before: a file with the same bytes, under the same rules and house, tells the same.

The store is one JSON file in var/. It is keyed by what the files hold, never by their times; whatever in it cannot be
read is read anew from the content, and losing it costs time alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from newsletter.check.engine import Reading
from newsletter.check.facts import Facts, Spot
from newsletter.check.house import House
from newsletter.check.silence import Silence
from newsletter.errors import Finding, Fix, Severity

_PARSERS = ("comrak", "PyYAML")


def digest(data: bytes) -> str:
    """What stands for a file's bytes."""
    return blake2b(data, digest_size=16).hexdigest()


def edition(house: House) -> str:
    """What stands for the rules (every line of this program, and its parsers) and for the house they were asked with."""
    return digest(f"{_program()} {house!r} {sorted(house.glossary.items())}".encode())


@cache
def _program() -> str:
    root = Path(__file__).parents[1]
    sources = sorted([*root.rglob("*.py"), *root.glob("yardsticks/*.toml")])
    hashed = blake2b(" ".join(version(name) for name in _PARSERS).encode(), digest_size=16)
    for source in sources:
        hashed.update(source.read_bytes())
    return hashed.hexdigest()


class Cache:
    """The readings kept for one edition of rules and house. `file` may be None: then nothing is kept."""

    def __init__(self, file: Path | None, edition: str) -> None:
        self._file, self._edition = file, edition
        self._kept: dict[str, Any] = {}
        self._used: dict[str, Any] = {}
        self._is_new = False
        try:
            stored = json.loads(file.read_bytes()) if file else {}
            if stored["edition"] == edition:
                self._kept = stored["kept"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none yet, another edition's, or damaged: as good as none

    def reading(self, path: str, digest: str) -> Reading | None:
        """What the file told when it had these bytes."""
        entry = self._kept.get(path)
        try:
            if entry is None or entry[0] != digest:
                return None
            reading = _reading(path, entry[1])
        except (KeyError, IndexError, TypeError, ValueError):
            return None
        self._used[path] = entry
        return reading

    def keep(self, reading: Reading, digest: str) -> None:
        """Keep what a file has told."""
        self._used[reading.path] = [digest, astuple(reading)[1:]]
        self._is_new = True

    def findings(self, name: str, digest: str) -> tuple[Finding, ...] | None:
        """Findings of another kind, kept under a name."""
        entry = self._kept.get(name)
        try:
            if entry is None or entry[0] != digest:
                return None
            found = tuple(map(_finding, entry[1]))
        except (KeyError, IndexError, TypeError, ValueError):
            return None
        self._used[name] = entry
        return found

    def keep_findings(self, name: str, digest: str, findings: Sequence[Finding]) -> None:
        """Keep findings under a name that is no path."""
        self._used[name] = [digest, [astuple(finding) for finding in findings]]
        self._is_new = True

    def save(self) -> None:
        """Write it, in one step, if there is anything new. A disk that refuses is nobody's trouble here."""
        if not self._file or not (self._is_new or len(self._used) != len(self._kept)):
            return
        stored: Mapping[str, Any] = {"edition": self._edition, "kept": self._used}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_suffix(".new")
            beside.write_text(json.dumps(stored, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
            beside.replace(self._file)
        except OSError:
            return


def _reading(path: str, stored: Sequence[Any]) -> Reading:
    findings, silences, facts = stored
    return Reading(
        path,
        tuple(map(_finding, findings)) if findings else (),
        tuple(Silence(*each) for each in silences) if silences else (),
        _facts(facts) if facts else None,
    )


def _finding(stored: Sequence[Any]) -> Finding:
    path, line, field, reason, column, code, severity, words, mend, fix, name = stored
    return Finding(
        path,
        line,
        field,
        reason,
        column,
        code,
        Severity(severity),
        words,
        mend,
        Fix(*fix) if fix else None,
        name,
    )


def _facts(stored: Sequence[Any]) -> Facts:
    below, address, date, is_draft, is_stated, place, date_place, aliases, ids, links, pictures = stored
    return Facts(
        below,
        address,
        date,
        is_draft,
        is_stated,
        Spot(*place),
        Spot(*date_place),
        tuple(aliases),
        tuple(ids),
        tuple((target, Spot(*spot)) for target, spot in links),
        tuple((target, Spot(*spot)) for target, spot in pictures),
    )
