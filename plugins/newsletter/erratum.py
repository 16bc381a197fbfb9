"""An erratum: the editor's letter that says what a briefing got wrong and what is right.

It is mailed to exactly those to whom that briefing was submitted, and stands at the top of the briefing's web
page. It is no page of its own and in no list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pelican.contents import Content

from newsletter import letter
from newsletter.analysis import moment
from newsletter.frontmatter import FrontMatter
from newsletter.issue import Issue
from newsletter.models import Briefing

_TELLS = re.compile(r"(?:corrections?|errat(?:um|a))\b", re.IGNORECASE)


class ErratumPage(Content):  # type: ignore[misc]  # pelican has no types
    """The letter as Pelican knows it; its address is that of the briefing it corrects."""

    mandatory_properties = ("title", "month", "date")
    default_status = "published"
    issue: Issue
    date: datetime
    briefing: Briefing
    articles: tuple[Any, ...] = ()

    def _expand_settings(self, key: str, klass: str | None = None) -> str:
        return str(super()._expand_settings(key, "briefing"))


@dataclass(frozen=True, slots=True)
class Correction:
    """An erratum as the page of its briefing shows it: `day` is "2020-11-03", `date` how the site writes that."""

    number: int
    day: str
    date: str
    html: str


def correction(page: ErratumPage) -> Correction:
    """What the page of the briefing shows of an erratum. Its notes and headings keep out of the way of the briefing's."""
    number = page.issue.erratum
    html = letter.rename(page.content, f"erratum-{number}-")
    return Correction(number, f"{page.date:%Y-%m-%d}", page.locale_date, html)


def examine(front: FrontMatter, issue: Issue, subject: str, zone: ZoneInfo) -> datetime | None:
    """Complain of what an erratum needs besides what every letter does; answers with its date."""
    if subject and not _TELLS.match(subject):
        front.complain(
            "subject",
            'must begin with "Correction" or "Erratum": a reader is to see at once what it is. '
            f'subject: "Correction: {subject}"',
        )
    if "analyses" in front.fields:
        front.complain(
            "analyses", "an erratum carries none. Link to the piece in the text, and delete the line."
        )
    if front.fields and not front.body.strip():
        front.complain("", "says nothing. Write what was wrong and what is right.")
    if front.fields and not front.fields.get("date"):
        front.complain(
            "date",
            "is missing. Readers of the briefing see when it was corrected: add a line such as date: 2020-11-03",
        )
    date = moment(front, "date", zone)
    if date and f"{date:%Y-%m}" < issue.month:
        front.complain("date", f"is before {issue.month}, the month it corrects.")
    return date


def attach(
    errata: Sequence[ErratumPage], briefings: Sequence[Any], unread: set[str]
) -> Iterator[FrontMatter]:
    """Give each briefing its `errata`, the newest first. Yields the heads of those that cannot be given to one.

    `unread` are months whose briefing has complaints of its own: nothing is said of their errata yet.
    """
    taken: dict[Issue, ErratumPage] = {}
    months = {page.month for page in briefings} | unread
    for page in errata:
        front, number = page.metadata["front"], page.issue.erratum
        first = taken.setdefault(page.issue, page)
        if first is not page:
            front.complain(
                "",
                f"is erratum {number} of {page.month}, as {first.metadata['front'].path} is. "
                f"Name it by a number that is free: {page.month}.erratum-2.md, {page.month}.erratum-3.md …",
            )
        if page.month not in months:
            front.complain(
                "",
                f"corrects {page.month}, and no briefing of that month is published: content/briefings/"
                f"{page.month}.md is not there, or a draft. Name the erratum by the month it corrects.",
            )
        if front.findings:
            yield front
    for each in briefings:
        own = (page for page in taken.values() if page.month == each.month)
        each.errata = sorted(own, key=lambda page: page.issue.erratum, reverse=True)
