"""The nouns, in the order of the flow. Read this file first.

    content/analyses/*.md ─► Analysis ┐
    content/briefings/*.md ───────────┴► Briefing ─► Package (build/briefings/YYYY-MM/)
    subscribers ─► Candidate ─► Recipient (frozen) ─► Entry (one of a batch's calls) ─► Outcome

Everything here is frozen and knows only the standard library. A month is the text "YYYY-MM".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class Status(StrEnum):
    """Whether the public may see a piece."""

    DRAFT = "draft"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class KeyJudgement:
    """One statement the desk stands by.

    `likelihood` is a word of the yardstick ("unlikely"), `confidence` "low", "moderate" or "high",
    `horizon` when the forecast falls due, as readers read it ("31 March 2021"); "" where absent. `due` is the
    same as a date, None for a horizon that is an event ("the US election").
    """

    text: str
    likelihood: str = ""
    confidence: str = ""
    horizon: str = ""
    bracket: str = (
        ""  # the likelihood's range, as printed beside its word: "20–45 %"; "" if no yardstick word
    )
    due: date | None = None
    outcome: str = ""  # what came of it, written once it is known; the judgement itself stays as it was

    @property
    def assessment(self) -> str:
        """The judgement's second line: "unlikely (20–45 %) · moderate confidence · by 31 March 2021"."""
        parts = (
            f"{self.likelihood} ({self.bracket})" if self.bracket else self.likelihood,
            f"{self.confidence} confidence" if self.confidence else "",
            f"by {self.horizon}" if self.horizon else "",
        )
        return " · ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of a piece: its path below content/ and the words for those who do not see it."""

    path: str
    alt: str


@dataclass(frozen=True, slots=True)
class Event:
    """One dated event of a piece's timeline, past or expected."""

    date: date
    text: str


class ChangeKind(StrEnum):
    """Why a published piece says something else than before: it was wrong, or things have moved on."""

    CORRECTION = "correction"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a published piece, told to its readers. `date` carries the publication's time zone."""

    kind: ChangeKind
    date: datetime
    text: str

    @property
    def head(self) -> str:
        """What stands before its text: "Correction, 3 November 2020"."""
        return f"{self.kind.capitalize()}, {self.date.day} {self.date:%B %Y}"


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a piece's map: degrees north and east; south and west are negative. `text` says what is there."""

    name: str
    latitude: float
    longitude: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis as its front matter states it; the body stays with Pelican's Article.

    `changes` are its corrections and updates, the newest first; `updated` is never older than the newest of them.
    `source` is the path below content/. `date` and `updated` carry the publication's time zone.
    `timeline` is in the order of its days. `aliases` are addresses below the site's at which the piece once was.
    `weight` orders a briefing, the smallest first; without one a piece comes after those that have one.
    `history` is False where the page of its earlier versions is to be left out.
    """

    source: str
    title: str
    slug: str
    date: datetime
    summary: str
    region: str
    topics: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    key_judgements: tuple[KeyJudgement, ...] = ()
    updated: datetime | None = None
    status: Status = Status.PUBLISHED
    weight: int | None = None
    image: Image | None = None
    aliases: tuple[str, ...] = ()
    timeline: tuple[Event, ...] = ()
    places: tuple[Place, ...] = ()
    changes: tuple[Change, ...] = ()
    history: bool = True

    @property
    def corrections(self) -> tuple[Change, ...]:
        """Those of the changes that say what was wrong."""
        return tuple(change for change in self.changes if change.kind is ChangeKind.CORRECTION)


@dataclass(frozen=True, slots=True)
class Item:
    """One analysis as the briefing carries it. `url` is absolute, `source` the file it was read from."""

    title: str
    url: str
    region: str
    date: datetime
    summary: str
    key_judgements: tuple[KeyJudgement, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class ChangedItem:
    """A correction or an update as the next briefing tells it: of which piece, at which address (absolute)."""

    title: str
    url: str
    change: Change
    source: str = ""


@dataclass(frozen=True, slots=True)
class Briefing:
    """A month's briefing: the editor's letter and the analyses in their order. Or an erratum of one: a letter alone.

    `month` names it: "2020-10", an erratum's "2020-10-erratum" (issue.py has the rule).
    `letter_html` is sanitised HTML with absolute links; `url` is the web version's address.
    """

    month: str
    title: str
    subject: str
    preheader: str
    letter_html: str
    url: str
    items: tuple[Item, ...]
    source: str = ""
    changes: tuple[ChangedItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    """What is mailed, complete: the folder build/briefings/YYYY-MM/ as an object.

    `month` names it, as that of `Briefing` does.
    `headers` are the same for every recipient (List-Id …); `placeholders` are the `{{names}}` that the
    sender fills for each recipient; `content_hash` is the SHA-256 (hex) over everything a subscriber can
    see (not over `commit`), so equal hashes mean equal mail.
    """

    month: str
    title: str
    subject: str
    preheader: str
    sender: str
    reply_to: str
    html: str
    text: str
    headers: Mapping[str, str]
    placeholders: tuple[str, ...]
    content_hash: str
    url: str
    commit: str | None = None
    items: tuple[Mapping[str, str | bool], ...] = field(default=())
