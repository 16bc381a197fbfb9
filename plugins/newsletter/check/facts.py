"""What a file tells of itself to the others: where it will stand, where one can link to in it, where it links to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from newsletter import issue
from newsletter.analysis import SLUG, moment, status, words
from newsletter.check.document import Document, Kind
from newsletter.check.house import House
from newsletter.models import Status


@dataclass(frozen=True, slots=True)
class Spot:
    """Words at a place of a file: where a finding can be put without reading the file again."""

    words: str
    line: int
    column: int
    field: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """`below` is the path below content/. `address` is where the piece will stand below the site, with its slash; ""
    if that is not known here. `date` is ISO 8601 with its offset, "" for none. `links` and `pictures` are paths and
    addresses as they are written, each with its place.
    """

    below: str
    address: str
    date: str
    is_draft: bool
    is_stated: bool  # the head says in so many words that it is published
    place: Spot  # of what the address is from
    date_place: Spot
    aliases: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    links: tuple[tuple[str, Spot], ...] = ()
    pictures: tuple[tuple[str, Spot], ...] = ()

    def is_to_come(self, now: datetime) -> bool:
        """Whether its date has not passed yet."""
        return bool(self.date) and datetime.fromisoformat(self.date) > now


def facts_of(document: Document, house: House) -> Facts:
    """The facts of one document."""
    fields = document.front.fields
    written = moment(document.front, "date", house.zone) if fields.get("date") else None
    stated = fields.get("status", "")
    pictures = [(link.target, _spot(document, link.start, link.end)) for link in document.links if link.image]
    if isinstance(image := fields.get("image"), dict):
        image = image.get("path") or image.get("src") or image.get("file")
    if isinstance(image, str) and image:
        path = "{static}/" + image.removeprefix("{static}").lstrip("/")
        pictures.append((path, _of_field(document, "image", image)))
    return Facts(
        below=str(document.below),
        address=_address(document, f"{written:%Y}" if written else ""),
        date=written.isoformat() if written else "",
        is_draft=status(document.front) is not Status.PUBLISHED,
        is_stated=bool(stated),
        place=_of_field(document, "slug", str(fields["slug"]))
        if fields.get("slug")
        else Spot("---", 1, 1, "slug"),
        date_place=_of_field(document, "date", str(fields["date"])) if written else Spot("", 1, 1),
        aliases=words(document.front, "aliases") if fields.get("aliases") else (),
        ids=document.ids,
        links=tuple(
            (link.target, _spot(document, link.start, link.end)) for link in document.links if not link.image
        ),
        pictures=tuple(pictures),
    )


def _spot(document: Document, start: int, end: int) -> Spot:
    line, column = document.place(start)
    return Spot(document.text[start:end].split("\n")[0], line, column)


def _of_field(document: Document, name: str, words: str) -> Spot:
    finding = document.field(name, words, "")
    return Spot(words if finding.column else "", finding.line, finding.column, name)


def _address(document: Document, year: str) -> str:
    """Where pelicanconf.py puts it (ARTICLE_URL, PAGE_URL, BRIEFING_URL)."""
    stated = document.front.fields.get("slug")
    if document.kind is Kind.ANALYSIS and year and SLUG.match(document.slug):
        return f"analyses/{year}/{document.slug}/"
    if document.kind is Kind.PAGE and isinstance(stated, str) and SLUG.match(stated):
        return f"{stated}/"
    if document.kind is Kind.BRIEFING and (named := issue.of_stem(document.below.stem)):
        return f"briefings/{named.month}/"
    return ""
