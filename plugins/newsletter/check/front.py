"""Rules of the head: every field is known, there, and what it must be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from newsletter.analysis import PLACEHOLDER
from newsletter.check.document import Document, Kind
from newsletter.check.house import House
from newsletter.check.rule import rule
from newsletter.errors import Finding, Severity

_COMMON = ("title", "summary", "status", "slug", "date", "updated")
FIELDS = {
    Kind.ANALYSIS: (*_COMMON, "region", "topics", "authors", "key_judgements", "image", "alt", "image_alt", "weight",
                    "aliases", "timeline", "corrections", "updates", "places", "history"),
    Kind.BRIEFING: (*_COMMON, "subject", "preheader", "analyses"),
    Kind.ERRATUM: (*_COMMON, "subject", "preheader", "analyses"),
    Kind.PAGE: (*_COMMON, "weight", "save_as", "url", "template"),
}  # fmt: skip
_REQUIRED = {
    Kind.BRIEFING: ("title", "subject", "preheader"),
    Kind.ERRATUM: ("title", "subject", "preheader", "date"),
    Kind.PAGE: ("title",),
}
# What the subscriber sees of a piece before its judgements: three lines on a screen, six or seven on a phone.
STANDFIRST = 300


@rule("F101", "unknown field", Severity.ERROR)
def unknown_fields(document: Document, house: House) -> Iterator[Finding]:
    """A field that nothing reads: most often a slip of the keyboard."""
    if document.front.classic:
        return  # a site that has moved in may have fields of its theme's
    known = FIELDS[document.kind]
    for key in document.front.fields:
        if key in known or key in house.fields:
            continue
        near = get_close_matches(key, known, n=1, cutoff=0.7)
        certain = near and near[0] not in document.front.fields and _one_slip(key, near[0])
        written = _as_written(document, key)
        yield document.field(
            key,
            written,
            f"“{written}” is no field of {_article(document.kind)}.",
            f"Did you mean {near[0]}?"
            if near
            else f"The fields are {', '.join(known)}; "
            "one of your own is entered in publication.toml under [desk]: fields.",
            near[0] if certain else None,
        )


def _one_slip(one: str, other: str) -> bool:
    """Whether the two differ by one letter: put in, left out, changed, or two in the wrong order."""
    if abs(len(one) - len(other)) > 1:
        return False
    at = next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    rest, rest_ = one[at:], other[at:]
    swapped = rest[:2] == rest_[1::-1] and rest[2:] == rest_[2:] and len(rest) > 1
    return swapped or rest[1:] == rest_[1:] or rest[1:] == rest_ or rest == rest_[1:]


def _as_written(document: Document, key: str) -> str:
    line = document.text.split("\n")[document.front.lines[key] - 1]
    at = line.lower().find(key)
    return line[at : at + len(key)] if at >= 0 else key


def _article(kind: Kind) -> str:
    return "an analysis" if kind is Kind.ANALYSIS else "an erratum" if kind is Kind.ERRATUM else f"a {kind}"


@rule("F102", "malformed field", Severity.ERROR)
def malformed_fields(document: Document, house: House) -> Iterator[Finding]:
    """A field that is not what it must be, in the words of the build."""
    for finding in document.complaints:
        if not finding.reason.startswith(("is missing", "has no alt")):
            yield _placed(document, finding)


@rule("F103", "missing field", Severity.ERROR)
def missing_fields(document: Document, house: House) -> Iterator[Finding]:
    """A field without which a piece cannot be published."""
    for finding in document.complaints:
        if finding.reason.startswith("is missing"):
            yield document.field(finding.field, "---", finding.reason)
    for key in _REQUIRED.get(document.kind, ()):
        if not document.front.fields.get(key):
            yield document.field(key, "---", f"is missing. Add a line such as {key}: …")


def _placed(document: Document, finding: Finding) -> Finding:
    """The finding at the value it is about, or at its key."""
    if finding.column or not finding.field:
        return finding
    value: Any = document.front.fields
    for part in finding.field.replace("[", ".[").split("."):
        if part.startswith("["):
            value = (
                value[int(part[1:-1]) - 1]
                if isinstance(value, list) and len(value) >= int(part[1:-1])
                else None
            )
        else:
            value = value.get(part) if isinstance(value, dict) else None
    is_of_value = (
        isinstance(value, str) and "\n" not in value and not finding.reason.startswith("is no field")
    )
    words = value if is_of_value else ""
    placed = document.field(
        finding.field, words or finding.field.rpartition(".")[2].partition("[")[0], finding.reason
    )
    return placed if placed.column else document.field(finding.field, "", finding.reason)


@rule("F106", "word not in the list", Severity.ERROR)
def taxonomy(document: Document, house: House) -> Iterator[Finding]:
    """A region or topic that is not in the lists of publication.toml."""
    if document.kind is not Kind.ANALYSIS:
        return
    for key, known in (("region", house.regions), ("topics", house.topics)):
        value = document.front.fields.get(key)
        words = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        if key == "topics" and isinstance(value, str):
            words = [word.strip() for word in value.split(",")]
        for word in words if known else ():
            if not isinstance(word, str) or not word or word in known or word.startswith(PLACEHOLDER):
                continue
            same = [each for each in known if each.casefold().split() == word.casefold().split()]
            near = same or get_close_matches(word, known, n=1, cutoff=0.6)
            listed = "regions" if key == "region" else "topics"
            yield document.field(
                key,
                word,
                f"“{word}” is none of the publication's {listed}.",
                f"Did you mean {near[0]}?"
                if near
                else f"They are {', '.join(known)}. A new one is entered in "
                f"publication.toml under [desk]: {listed}.",
                same[0] if same else None,
            )


@rule("F107", "standfirst too long", Severity.WARNING)
def standfirst(document: Document, house: House) -> Iterator[Finding]:
    """A standfirst that fills a phone's screen before the first judgement."""
    value = document.front.fields.get("summary")
    if document.kind is not Kind.ANALYSIS or document.front.classic or not isinstance(value, str):
        return
    if len(value) > STANDFIRST:
        yield document.field(
            "summary",
            value[STANDFIRST:].split("\n")[0],
            f"The standfirst has {len(value)} characters; the email has room for {STANDFIRST}.",
            "Shorten it; what is marked is too much.",
        )


@rule("F108", "picture without alt", Severity.ERROR)
def pictures_without_alt(document: Document, house: House) -> Iterator[Finding]:
    """A picture that says nothing to whoever does not see it."""
    mend = "Say what it shows, in a sentence: "
    for finding in document.complaints:
        if finding.field == "image" and finding.reason.startswith("has no alt"):
            yield document.field(
                "image", "image", "The picture has no alt.", mend + "alt: A map of the corridor."
            )
    for link in document.links:
        if link.image and not link.words.strip():
            yield document.at(
                link.start, link.end, "The picture has no alt.", mend + "![A map of the corridor](…)"
            )


_TO_WRITE = re.compile(rf"\b{PLACEHOLDER}\b[^\n\]\"]*")


@rule("F111", "still to be written", Severity.WARNING)
def still_to_be_written(document: Document, house: House) -> Iterator[Finding]:
    """What `newsletter new` and `newsletter import` left for the desk, in a field, a comment or a picture's alt."""
    if PLACEHOLDER not in document.text:
        return
    for match in _TO_WRITE.finditer(document.text):
        yield document.at(
            *match.span(), "This is still to be written: as it is, the piece cannot be published.",
            f"Write it, and take {PLACEHOLDER} out.",
        )  # fmt: skip
