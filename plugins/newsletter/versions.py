"""What a piece said, and when: its versions that readers could see, and what was changed without a word to them.

A version is a state of the file that was public for some time: its status was not draft, and its date had passed
before the next state took its place. What was written before that is nobody's business but the desk's, and is
left out here, so that nothing built on this can show it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from lxml import html as parser

from newsletter import frontmatter, markdown, wording
from newsletter.analysis import changes, judgements, moment, status, text, timeline
from newsletter.errors import ContentError
from newsletter.models import Change, Status
from newsletter.past import Past, Stage
from newsletter.wording import Mark, Paragraph

_BLOCKS = frozenset(
    {
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "li",
        "tr",
        "dt",
        "dd",
        "pre",
        "figcaption",
        "blockquote",
        "ul",
        "ol",
    }
    | {"dl", "table", "thead", "tbody", "div", "section", "figure", "details", "summary", "hr"}
)


@dataclass(frozen=True, slots=True)
class Version:
    """What readers saw from `since` on (in the publication's zone; the first version from the piece's own date on).

    `paragraphs` is all it says, the date and the headline first, without markup; `outcomes` what the desk wrote
    under its judgements later; `changes` the corrections and updates it told.
    """

    since: datetime
    paragraphs: tuple[str, ...]
    outcomes: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Silent:
    """A published piece says something else than readers saw from `since` on, and does not tell them."""

    since: datetime
    differences: tuple[Paragraph, ...]

    @property
    def before(self) -> str:
        """The first words that are gone; "" if there are only new ones."""
        return self._first(Mark.OUT)

    @property
    def after(self) -> str:
        """The first words that are new; "" if there are only some gone."""
        return self._first(Mark.IN)

    def _first(self, mark: Mark) -> str:
        words = (
            piece.text.strip() for paragraph in self.differences for piece in paragraph if piece.mark is mark
        )
        return next(words, "")


def seen(stages: Sequence[Stage], texts: Mapping[str, bytes], zone: ZoneInfo, now: datetime) -> list[Version]:
    """The versions of one file that readers saw, the oldest first; two states that said the same are one.

    `stages` are its states (the oldest first), `texts` their contents by git object. A state that is missing there, or
    that no build would have taken, was never public.
    """
    found: list[Version] = []
    # A clock that once went wrong must not make a later state seem the earlier one.
    starts = [min(start, now) for start in accumulate((stage.since for stage in stages), max)]
    for stage, (start, end) in zip(stages, pairwise([*starts, now]), strict=True):
        # Of commits that came to the line in one second ("rebase and merge"), the last alone was ever built.
        data = texts.get(stage.blob) if start < end or end == now else None
        version = _version(data, start, end, zone) if data is not None else None
        if version and not (found and _says(found[-1]) == _says(version)):
            found.append(version)
    return found


def silent(versions: Sequence[Version], present: Version) -> Silent | None:
    """What `present` says otherwise than readers saw since its last correction or update; None if nothing.

    `versions` are those that readers saw, the oldest first. Outcomes are no changes: they stand beside what they judge.
    """
    baseline = None
    for version in reversed(versions):
        if version.changes != present.changes:
            break
        baseline = version
    if baseline is None:
        return None
    differences = wording.compare(baseline.paragraphs, present.paragraphs)
    return Silent(baseline.since, tuple(differences)) if differences else None


def unexplained(past: Past, files: Mapping[str, bytes], zone: ZoneInfo, now: datetime) -> dict[str, Silent]:
    """The silent changes of all `files` (their present bytes, by path below the past's root), by path.

    What is not committed yet counts as said now. Files without a past, and drafts, have nothing to tell.
    """
    moved = {
        path: stages
        for path, data in files.items()
        if (stages := past.stages.get(path)) and (len(stages) > 1 or stages[-1].blob != blob_of(data))
    }
    texts = past.texts(stage.blob for stages in moved.values() for stage in stages)
    found = {}
    for path, stages in moved.items():
        present = _version(files[path], now, now, zone)
        if present and (quiet := silent(seen(stages, texts, zone, now), present)):
            found[path] = quiet
    return found


def blob_of(data: bytes) -> str:
    """The name git gives to a file's content (git-hash-object)."""
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data), usedforsecurity=False).hexdigest()


def _says(version: Version) -> Any:
    return version.paragraphs, version.outcomes, version.changes


def _version(data: bytes, start: datetime, end: datetime, zone: ZoneInfo) -> Version | None:
    """A file's state as readers saw it between `start` and `end`; None if they did not."""
    try:
        front = frontmatter.parse(frontmatter.decode(data, ""), "")
    except ContentError:
        return None
    date = moment(front, "date", zone)
    if front.findings or date is None or status(front) is not Status.PUBLISHED or date > end:
        return None
    told = judgements(front, None)  # another yardstick changes no word of the piece
    paragraphs = (
        f"{date.day} {date:%B %Y}",
        text(front, "title"),
        text(front, "summary"),
        *(f"{each.text} {each.assessment}" for each in told),
        *(f"{each.date.day} {each.date:%B %Y} {each.text}" for each in timeline(front)),
        *_blocks(markdown.render(front.body)),
    )
    version = Version(
        since=max(start.astimezone(zone), date),
        paragraphs=tuple(paragraph for paragraph in paragraphs if paragraph),
        outcomes=tuple(each.outcome for each in told if each.outcome),
        changes=changes(front, zone),
    )
    return None if front.findings else version


def _blocks(html: str) -> list[str]:
    """The paragraphs, headings, entries and rows of a text, without markup."""
    if not html.strip():
        return []
    tree = parser.fragment_fromstring(html, create_parent="div")
    for sign in tree.xpath("//a[contains(@class, 'footnote-backref')] | //sup[@class='footnote-ref']"):
        sign.drop_tree()
    blocks: list[list[str]] = [[]]
    for text_ in _flow(tree):
        if text_ is None:
            blocks.append([])
        else:
            blocks[-1].append(text_)
    return [joined for block in blocks if (joined := " ".join("".join(block).split()))]


def _flow(element: Any) -> Iterable[str | None]:
    """The texts of an element in their order; None where one block ends or another begins."""
    is_block = element.tag in _BLOCKS
    if is_block:
        yield None
    if element.tag in ("td", "th", "br"):
        yield " "
    if element.tag == "img":
        yield f" {element.get('alt', '')} "
    yield element.text or ""
    for child in element:
        if isinstance(child.tag, str):
            yield from _flow(child)
        yield child.tail or ""
    if is_block:
        yield None
