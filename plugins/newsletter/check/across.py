"""Rules that need all files, the clock or the disk: addresses, links, pictures, dates still to come."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from urllib.parse import unquote, urlsplit

from newsletter.check.facts import Facts, Spot
from newsletter.check.house import House
from newsletter.check.rule import named
from newsletter.errors import Finding, Fix, Severity

F104 = named("F104", "date in the future", Severity.WARNING)
F105 = named("F105", "address taken", Severity.ERROR)
F109 = named("F109", "picture too heavy", Severity.WARNING)
F110 = named("F110", "picture missing", Severity.ERROR)
T201 = named("T201", "broken link", Severity.ERROR)
T202 = named("T202", "broken anchor", Severity.ERROR)
T209 = named("T209", "link to a neighbouring file", Severity.ERROR)

# A photograph of 4,000 pixels has about 2 MB; the site makes smaller ones of it, git keeps it for ever.
HEAVIEST = 2_000_000
# Further ahead a date is more likely a slip in the year than an embargo.
_FURTHEST = timedelta(days=366)
_OWN = re.compile(r"\{(filename|static|attach)\}([^#?]*)(?:[#?](.*))?\Z")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
# Addresses of pieces and letters; what else the site has (lists, feeds, forms) is not known here.
_PIECE = re.compile(r"(?:analyses/\d{4}/[^/]+|briefings/\d{4}-\d{2})/?\Z")


@dataclass(frozen=True)
class Shelf:
    """All files with their facts, by the path they are shown with. `size_of` says how many bytes a file below
    content/ has, None if there is none.
    """

    facts: Mapping[str, Facts]
    size_of: Callable[[str], int | None]


def across(shelf: Shelf, house: House, now: datetime) -> Iterator[Finding]:
    """Everything that no file can tell by itself."""
    by_below = {facts.below: (path, facts) for path, facts in shelf.facts.items()}
    by_address: dict[str, str] = {}
    for path, facts in shelf.facts.items():
        if facts.address and (first := by_address.setdefault(facts.address, path)) != path:
            for one, other in ((path, first), (first, path)):
                reason = f"{facts.address} is the address of {other} as well."
                yield F105.stamp(_at(one, shelf.facts[one].place, reason, "Give one of them another slug."))
        yield from _future(path, facts, now)
        yield from _pictures(path, facts, shelf)
    for path, facts in shelf.facts.items():
        for target, spot in facts.links:
            yield from _link(path, facts, target, spot, by_below, by_address, shelf, house, now)


def _at(path: str, spot: Spot, reason: str, mend: str = "", old: str = "", new: str | None = None) -> Finding:
    fix = None
    if new is not None and spot.column and old in spot.words:
        fix = Fix(spot.line, spot.column, spot.words, spot.words.replace(old, new))
    return Finding(path, spot.line, spot.field, reason, spot.column, words=spot.words, mend=mend, fix=fix)


def _is_out(facts: Facts, now: datetime) -> bool:
    return not facts.is_draft and not facts.is_to_come(now)


def _future(path: str, facts: Facts, now: datetime) -> Iterator[Finding]:
    if not facts.date or facts.is_draft:
        return
    date = datetime.fromisoformat(facts.date)
    if date > now + _FURTHEST:
        mend = "Mend the year, or hold it back with status: draft."
        yield F104.stamp(_at(path, facts.date_place, "This is more than a year away.", mend))
    elif date > now and facts.is_stated:
        reason = (
            "The piece says that it is published, and its date is still to come: nobody sees it before that."
        )
        yield F104.stamp(_at(path, facts.date_place, reason, "For an embargo leave the status out."))


def _pictures(path: str, facts: Facts, shelf: Shelf) -> Iterator[Finding]:
    for target, spot in facts.pictures:
        own = _OWN.match(target)
        if own is None:
            if target and not _ELSEWHERE.match(target) and not target.startswith("/"):
                mend = f"Write {{static}}{target}."
                yield T209.stamp(_at(path, spot, f"{target} is a file beside this one, not a place of the site.", mend, target, f"{{static}}{target}"))  # fmt: skip
            continue
        place = _below(facts, unquote(own[2]))
        size = None if place.startswith("..") else shelf.size_of(place)
        if size is None:
            yield F110.stamp(
                _at(path, spot, f"There is no file content/{place}.", "Put it there, or mend the name.")
            )
        elif size > HEAVIEST:
            reason = f"content/{place} has {size / 1e6:.1f} MB; more than {HEAVIEST / 1e6:.0f} MB are of no use to a reader."
            yield F109.stamp(_at(path, spot, reason, "Save it with at most 2,400 pixels across."))


def _below(facts: Facts, path: str) -> str:
    """A path of a link as one below content/."""
    if path.startswith("/"):
        return posixpath.normpath(path.lstrip("/"))
    return posixpath.normpath(posixpath.join(posixpath.dirname(facts.below), path))


def _link(
    path: str, facts: Facts, target: str, spot: Spot, by_below: Mapping[str, tuple[str, Facts]],
    by_address: Mapping[str, str], shelf: Shelf, house: House, now: datetime,
) -> Iterator[Finding]:  # fmt: skip
    if target.startswith("#"):
        yield from _anchor(path, spot, target[1:], facts, "this text")
    elif own := _OWN.match(target):
        place = _below(facts, unquote(own[2]))
        found = by_below.get(place)
        if found is None:
            if shelf.size_of(place) is None or (own[1] == "filename" and place.endswith(".md")):
                yield T201.stamp(_lost(path, spot, target, own[2], place, by_below))
        elif not _is_out(found[1], now) and _is_out(facts, now):
            reason = f"{found[0]} is held back (a draft, or dated in the future): readers would find nothing."
            yield T201.stamp(_at(path, spot, reason, "Take the link out until it is published."))
        elif own[3]:
            yield from _anchor(path, spot, own[3], found[1], found[0])
    elif target.startswith((house.site_url + "/", "/")) and not target.startswith("//"):
        parts = urlsplit(target.removeprefix(house.site_url))
        place = parts.path.lstrip("/")
        if _PIECE.match(place) and place.rstrip("/") + "/" not in by_address:
            near = get_close_matches(place, by_address, n=1, cutoff=0.6)
            meant = f"{{filename}}/{shelf.facts[by_address[near[0]]].below}" if near else ""
            mend = f"Did you mean {meant}?" if near else "Link to the file: {filename}/analyses/2020/slug.md"
            yield T201.stamp(_at(path, spot, f"Nothing stands at {place}.", mend))
    elif not target:
        yield T201.stamp(_at(path, spot, "The link leads nowhere.", "Write where it leads."))
    elif not _ELSEWHERE.match(target) and not target.startswith(("/", "?")):
        place = _below(facts, unquote(target.partition("#")[0]))
        mend = f"Write {{filename}}{target}."
        yield T209.stamp(_at(path, spot, f"{target} is a file beside this one, not a place of the site.", mend, target, f"{{filename}}{target}" if place in by_below else None))  # fmt: skip


def _lost(
    path: str, spot: Spot, target: str, written: str, place: str, by_below: Mapping[str, tuple[str, Facts]]
) -> Finding:
    name = posixpath.basename(place)
    same = [below for below in by_below if posixpath.basename(below) == name]
    near = same or get_close_matches(place, by_below, n=1, cutoff=0.6)
    mend = f"Did you mean {{filename}}/{near[0]}?" if near else "Mend the name, or write the piece first."
    new = f"/{same[0]}" if len(same) == 1 else None
    return _at(path, spot, f"There is no file content/{place}.", mend, written, new)


def _anchor(path: str, spot: Spot, anchor: str, facts: Facts, where: str) -> Iterator[Finding]:
    anchor = unquote(anchor)
    # What the pages have of themselves begins so (theme/templates): page.judgements, page.contact.
    if anchor in facts.ids or anchor.startswith("page.") or not anchor:
        return
    near = get_close_matches(anchor, facts.ids, n=1, cutoff=0.6)
    mend = f"Did you mean #{near[0]}?" if near else "A heading's anchor is its words, small and with hyphens."
    yield T202.stamp(_at(path, spot, f"Nothing in {where} has the anchor #{anchor}.", mend))
