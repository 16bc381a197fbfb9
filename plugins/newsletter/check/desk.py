"""The desk: reads the content folder, remembers what it has read, and asks git and the build for what they know."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from newsletter import frontmatter, past, versions
from newsletter.check.cache import Cache, digest, edition
from newsletter.check.engine import Reading, conclude, read, unreadable
from newsletter.check.house import House
from newsletter.check.rule import RULES, named
from newsletter.errors import ContentError, Finding, Severity

B001 = named("B001", "what a build refuses", Severity.ERROR)
H601 = named("H601", "changed without a word", Severity.WARNING)
H602 = named("H602", "address lost", Severity.ERROR)

EXTENSIONS = (".md", ".markdown", ".mkd", ".mdown")
CACHE = Path("var/check.json")
# What a build reads besides the content, and so may refuse.
_BESIDES = ("pelicanconf.py", "publication.toml", "theme/templates")


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in so many files."""

    findings: tuple[Finding, ...]
    files: int


def check(content: Path, house: House, now: datetime, cache: Path | None = CACHE) -> Checked:
    """Everything there is to say of the content folder; `cache` None remembers nothing.

    Raises NewsletterError if the build cannot be asked at all (no pelicanconf.py, a template that is broken).
    """
    was_collecting = gc.isenabled()
    gc.disable()  # everything that is made here is kept to the end
    try:
        return _check(content, house, now, Cache(cache, edition(house)))
    finally:
        if was_collecting:
            gc.enable()


def _check(content: Path, house: House, now: datetime, cache: Cache) -> Checked:
    readings: list[Reading] = []
    digests: dict[str, str] = {}
    shown = os.path.relpath(content)
    for file in files(content):
        data = file.read_bytes()
        below = file.relative_to(content)
        path = f"{shown}/{below.as_posix()}"
        digests[path] = digest(data)
        known = cache.reading(path, digests[path])
        readings.append(known or read_bytes(data, path, PurePosixPath(below), house))
        if not known:
            cache.keep(readings[-1], digests[path])
    waiting = [reading.path for reading in readings if reading.facts and reading.facts.is_to_come(now)]
    state = sorted(digests.items()), _state(content), waiting, now.astimezone(house.zone).date()
    key = digest(repr(state).encode())
    refused = cache.findings("the build", key)
    if refused is None:
        refused = _refused(content)
        cache.keep_findings("the build", key, refused)
    untold = cache.findings("the past", key)
    if untold is None:
        untold = tuple(_untold(content, house, now))
        cache.keep_findings("the past", key, untold)
    findings = conclude(readings, house, now, size_of(content), untold, refused)
    cache.save()
    return Checked(tuple(findings), len(readings))


def files(content: Path) -> list[Path]:
    """Every content file below `content`, in the order of their names."""
    return sorted(
        Path(folder) / name
        for folder, _, names in os.walk(content)
        for name in names
        if name.endswith(EXTENSIONS)
    )


def read_file(file: Path, content: Path, house: House) -> Reading:
    """Read and examine one file below `content`. Raises OSError if it cannot be read."""
    return read_bytes(
        file.read_bytes(), os.path.relpath(file), PurePosixPath(file.relative_to(content)), house
    )


def read_bytes(data: bytes, path: str, below: PurePosixPath, house: House) -> Reading:
    """Read and examine one file's bytes."""
    try:
        text = frontmatter.decode(data, path)
    except ContentError as error:
        return unreadable(path, error)
    return read(text, path, below, house)


def size_of(content: Path) -> Callable[[str], int | None]:
    """How many bytes a file below `content` has; None if there is none."""

    def size(below: str) -> int | None:
        try:
            return (content / below).stat().st_size
        except OSError:
            return None

    return size


def line_of(path: str, line: int) -> str:
    """A line of a file, as it is shown; "" if it is not there."""
    try:
        lines = frontmatter.decode(Path(path).read_bytes(), path).split("\n")
    except (OSError, ContentError):
        return ""
    return lines[line - 1] if 0 < line <= len(lines) else ""


# -- what others know


def _state(content: Path) -> Mapping[str, str]:
    """What the build's and git's answers hang on, the content's text apart."""
    state = {}
    for place in (*map(Path, _BESIDES), content):
        for folder, _, names in (
            os.walk(place) if place.is_dir() else ((str(place.parent), (), (place.name,)),)
        ):
            for name in sorted(names):
                file = Path(folder) / name
                if file.is_file() and not name.endswith(EXTENSIONS):
                    # A picture is not read for its text: that it is there, and how heavy, is all.
                    beside = place != content
                    state[str(file)] = digest(file.read_bytes()) if beside else str(file.stat().st_size)
    head = past.head(content)
    return state | {"HEAD": head or ""}


def _refused(content: Path) -> tuple[Finding, ...]:
    """Whatever would stop a build, and the addresses it would lose: its own proof, in its own words."""
    from newsletter import site  # pelican is slow to load

    try:
        site.check(str(content), texts=False)  # the engine has read them, and followed their links
    except ContentError as error:
        return tuple(RULES.get(f.code, B001).stamp(f) for f in error.findings)
    return ()


def _untold(content: Path, house: House, now: datetime) -> Iterator[Finding]:
    """Published pieces that say something else than readers have seen, and do not tell them."""
    known = past.read(content)
    if known is None or known.shallow:
        return
    data = {
        file.relative_to(content).as_posix(): file.read_bytes()
        for file in files(content)
        if file.relative_to(content).parts[0] not in ("briefings", "pages")
    }
    for below, silent in versions.unexplained(known, data, house.zone, now).items():
        since = f"{silent.since.day} {silent.since:%B %Y}"
        was = f"“{_short(silent.before)}” is gone" if silent.before else ""
        new = f"“{_short(silent.after)}” is new" if silent.after else ""
        reason = f"The piece says something else than readers have seen since {since}: {' and '.join(filter(None, (was, new)))}."
        mend = (
            "Tell them: updates: (or corrections:) with a line - {date: "
            f'{now.astimezone(house.zone):%Y-%m-%d}, text: "What has changed."}}'
        )
        path = os.path.relpath(content / below)
        yield H601.stamp(Finding(path, *_place(data[below], silent.after), reason, mend=mend))


def _short(words: str) -> str:
    return words if len(words) <= 60 else f"{words[:57].rstrip()}…"


def _place(data: bytes, words: str) -> tuple[int, str]:
    """The line of the first new words, as far as they can be found; the head's otherwise."""
    lines = data.decode("utf-8", "replace").split("\n")
    start = words[:30].strip()
    return next((number for number, line in enumerate(lines, start=1) if start and start in line), 1), ""
