"""From documents to findings, without a file, a clock or a setting.

    examine(document, house)        what one file gives by itself: kept as long as file and house stay the same
    conclude(readings, …)       what only all of them together say, and what is silenced

A preview keeps the readings, makes anew that of the file that was saved, and concludes again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from newsletter.check import text as _text  # noqa: F401 - enters its rules
from newsletter.check.document import Document, Kind, parse
from newsletter.check.house import House
from newsletter.check.rule import by_document, named
from newsletter.check.silence import Silence, apply, silences
from newsletter.errors import ContentError, Finding, Severity

F100 = named("F100", "unreadable file", Severity.ERROR)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file has told: `findings` before any silence, and its `silences`."""

    path: str
    findings: tuple[Finding, ...]
    silences: tuple[Silence, ...] = ()


def examine(document: Document, house: House) -> Reading:
    """Hold one document against every rule that needs no other. Pure; a millisecond or less."""
    findings = [entry.stamp(f) for entry in by_document() for f in entry.examine(document, house)]
    marks, wrong = silences(document)
    return Reading(document.path, tuple(findings + wrong), tuple(marks))


def examine_text(text: str, path: str, kind: Kind, house: House) -> Reading:
    """The same from a file's text; a head that cannot be read is a finding too."""
    try:
        document = parse(text, path, kind)
    except ContentError as error:
        return Reading(path, tuple(map(F100.stamp, error.findings)))
    return examine(document, house)


def conclude(readings: Iterable[Reading], house: House, now: datetime) -> list[Finding]:
    """Everything to tell, in the order of the files' names and lines."""
    findings: list[Finding] = []
    for reading in readings:
        findings += apply(reading.findings, reading.silences, reading.path)
    return sorted(findings, key=lambda f: (f.path, f.line, f.column, f.code))
