"""The desk: reads the content folder and has every file examined."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from newsletter import frontmatter
from newsletter.check.engine import Reading, conclude, read, unreadable
from newsletter.check.house import House
from newsletter.check.rule import named
from newsletter.errors import ContentError, Finding, Severity

B001 = named("B001", "what a build refuses", Severity.ERROR)

EXTENSIONS = (".md", ".markdown", ".mkd", ".mdown")


def files(content: Path) -> list[Path]:
    """Every content file below `content`, in the order of their names."""
    return sorted(
        Path(folder) / name
        for folder, _, names in os.walk(content)
        for name in names
        if name.endswith(EXTENSIONS)
    )


def read_file(file: Path, content: Path, house: House) -> Reading:
    """Read and examine one file below `content`."""
    shown = os.path.relpath(file)
    try:
        text = frontmatter.decode(file.read_bytes(), shown)
    except ContentError as error:
        return unreadable(shown, error)
    return read(text, shown, PurePosixPath(file.relative_to(content)), house)


def size_of(content: Path) -> Callable[[str], int | None]:
    """How many bytes a file below `content` has; None if there is none."""

    def size(below: str) -> int | None:
        try:
            return (content / below).stat().st_size
        except OSError:
            return None

    return size


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in so many files."""

    findings: tuple[Finding, ...]
    files: int


def check(content: Path, house: House, now: datetime) -> Checked:
    """All findings of the content folder, those of the build included."""
    readings = [read_file(file, content, house) for file in files(content)]
    findings = conclude(readings, house, now, size_of(content))
    return Checked(tuple(_with_the_builds(findings, content)), len(readings))


def _with_the_builds(findings: list[Finding], content: Path) -> list[Finding]:
    """Besides, whatever would stop a build: its own proof, in its own words. What was said of a line is enough."""
    from newsletter import site  # pelican is slow to load

    said = {(finding.path, finding.line) for finding in findings if finding.severity is Severity.ERROR}
    try:
        site.check(str(content))
    except ContentError as error:
        findings += [B001.stamp(f) for f in error.findings if (f.path, f.line) not in said]
    return sorted(findings, key=lambda f: (f.path, f.line, f.column, f.code))


def line_of(path: str, line: int) -> str:
    """A line of a file, as it is shown; "" if it is not there."""
    try:
        lines = frontmatter.decode(Path(path).read_bytes(), path).split("\n")
    except (OSError, ContentError):
        return ""
    return lines[line - 1] if 0 < line <= len(lines) else ""
