"""From documents to findings, without a file, a clock or a setting.

    read(text, …)                 what one file tells by itself: kept as long as file and house stay the same
    conclude(readings, …)         what only all of them together tell, and what is silenced

A preview keeps the readings, makes anew that of the file that was saved, and concludes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from newsletter.check import abbreviations, dates, estimates, front, text
from newsletter.check.across import Shelf, across
from newsletter.check.document import Document, parse
from newsletter.check.facts import Facts, facts_of
from newsletter.check.house import House
from newsletter.check.rule import by_document, named
from newsletter.check.silence import Silence, apply, silences
from newsletter.errors import ContentError, Finding, Severity

F100 = named("F100", "unreadable file", Severity.ERROR)
# Importing these has entered their rules.
RULED = (abbreviations, dates, estimates, front, text)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file has told: `findings` before any silence, its `silences`, and its `facts` for the others (None if
    it cannot be read).
    """

    path: str
    findings: tuple[Finding, ...]
    silences: tuple[Silence, ...] = ()
    facts: Facts | None = None


def read(text: str, path: str, below: PurePosixPath, house: House) -> Reading:
    """Hold one file's text against every rule that needs no other file. Pure; about a millisecond.

    `path` is how the file is shown to people, `below` where it lies below content/. Never raises for what the text
    says: a head that cannot be read is a finding too.
    """
    try:
        document = parse(text, path, below, house)
    except ContentError as error:
        return unreadable(path, error)
    return examine(document, house)


def unreadable(path: str, error: ContentError) -> Reading:
    """The reading of a file of which no document can be made."""
    return Reading(path, tuple(map(F100.stamp, error.findings)))


def examine(document: Document, house: House) -> Reading:
    """Hold one document against every rule that needs no other."""
    findings = [entry.stamp(f) for entry, examine in by_document() for f in examine(document, house)]
    marks, wrong = silences(document)
    return Reading(document.path, (*findings, *wrong), tuple(marks), facts_of(document, house))


def conclude(
    readings: Iterable[Reading],
    house: House,
    now: datetime,
    size_of: Callable[[str], int | None],
    others: Iterable[Finding] = (),
    refused: Iterable[Finding] = (),
) -> list[Finding]:
    """Everything to tell, in the order of the files' names and lines.

    `size_of` answers with the bytes of a file below content/, None if it is not there. `others` are findings from
    elsewhere (git's past), `refused` what a build would say: the latter is told where no error is found on that line or in that field.
    Both may be silenced as well.
    """
    by_path = {reading.path: reading for reading in readings}
    found = {path: list(reading.findings) for path, reading in by_path.items()}
    shelf = Shelf({path: each.facts for path, each in by_path.items() if each.facts}, size_of)
    for finding in (*across(shelf, house, now), *others):
        found.setdefault(finding.path, []).append(finding)
    errors = [each for all_ in found.values() for each in all_ if each.severity is Severity.ERROR]
    said = {(each.path, place) for each in errors for place in (each.line, each.field) if place}
    for finding in refused:
        if said.isdisjoint(((finding.path, finding.line), (finding.path, finding.field))):
            found.setdefault(finding.path, []).append(finding)
    told = [
        finding
        for path, findings in found.items()
        for finding in apply(findings, by_path[path].silences if path in by_path else (), path)
    ]
    return sorted(told, key=lambda f: (f.path, f.line, f.column, f.code))
