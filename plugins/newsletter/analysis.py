"""Front matter to Analysis: the fields an analysis needs, each refused by name if it is not what it must be."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from newsletter import markdown
from newsletter.frontmatter import FrontMatter
from newsletter.models import Analysis, Change, ChangeKind, Event, Image, KeyJudgement, Place, Status
from newsletter.yardstick import Yardstick

# What a feed and a browser can show; outside of them a date is a slip of the keyboard.
_FIRST_YEAR, _LAST_YEAR = 1900, 2999
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
# Words of an address, none of them beginning with a dot: no alias leads out of the site.
ALIAS = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_JUDGEMENT_FIELDS = {"text", "likelihood", "confidence", "horizon", "outcome"}
# The classic header's names for our fields.
_CLASSIC_NAMES = {"region": "category", "topics": "tags", "authors": "author", "updated": "modified"}
# A moved-in site has no standfirsts, regions or desks; a piece written for this house must have its own.
_REQUIRED = ("title", "date", "summary", "region")
_REQUIRED_CLASSIC = ("title", "date")


def analysis_of(
    front: FrontMatter, source: str, slug: str, zone: ZoneInfo, yardstick: Yardstick
) -> Analysis | None:
    """Read one analysis's fields. Complaints go into `front.findings`; with any, the answer is None.

    `source` is the path below content/, `slug` what the file's name gives if the head names none.
    Dates without an offset are wall time in `zone`; `yardstick` says what a word of likelihood means.
    """
    before = len(front.findings)
    for key in _REQUIRED_CLASSIC if front.classic else _REQUIRED:
        if not _raw(front, key):
            front.complain(key, _missing(key))
    written = moment(front, "date", zone)
    changed = changes(front, zone)
    stated = moment(front, "updated", zone)
    analysis = Analysis(
        source=source,
        title=text(front, "title"),
        slug=_slug(front, slug),
        date=written or datetime.min.replace(tzinfo=zone),
        summary=text(front, "summary"),
        region=text(front, "region"),
        topics=words(front, "topics"),
        authors=words(front, "authors"),
        key_judgements=judgements(front, yardstick),
        updated=max((*(change.date for change in changed), *((stated,) if stated else ())), default=None),
        status=status(front),
        weight=_weight(front),
        image=_image(front),
        aliases=_aliases(front),
        timeline=timeline(front),
        places=_places(front),
        changes=changed,
        history=_history(front),
    )
    if written:
        _refuse_early_changes(front, written.date())
    if analysis.status is Status.PUBLISHED:
        _refuse_placeholders(front)
    return None if len(front.findings) > before else analysis


def text(front: FrontMatter, key: str) -> str:
    """A field that is one piece of text, with typographic quotes; "" where absent. Complains of a list."""
    value = _raw(front, key)
    if not isinstance(value, str):
        front.complain(key, f"must be one piece of text, not a {_kind(value)}.")
        return ""
    return markdown.smart(" ".join(value.split())) if value else ""


def words(front: FrontMatter, key: str) -> tuple[str, ...]:
    """A field that is a list of words, or one text with commas (or semicolons) between them."""
    value = _raw(front, key)
    if isinstance(value, str):
        value = value.replace("\n", ",")
        value = value.split(";" if ";" in value else ",")
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        front.complain(key, f"must be a list of words: {key}: [one, two].")
        return ()
    return tuple(dict.fromkeys(" ".join(entry.split()) for entry in value if entry.strip()))


def moment(front: FrontMatter, key: str, zone: ZoneInfo) -> datetime | None:
    """A field that is a date or a date and time, in the publication's zone. None where absent or no date."""
    value = _raw(front, key)
    if not value:
        return None
    if isinstance(value, str):
        if parsed := _moment(value, zone):
            return parsed
        if front.classic and (parsed := _liberal_moment(value, zone)):
            return parsed
    front.complain(key, f"{_shown(value)} is no date. Write it as 2020-10-16 or 2020-10-16 07:00.")
    return None


@lru_cache(maxsize=4096)
def _moment(value: str, zone: ZoneInfo) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(value)
        local = parsed.astimezone(zone) if parsed.tzinfo else parsed.replace(tzinfo=zone)
    except (ValueError, OverflowError):
        return None
    return local if _FIRST_YEAR <= local.year <= _LAST_YEAR else None


def _liberal_moment(value: str, zone: ZoneInfo) -> datetime | None:
    """What a Pelican site may have written ("7 June 2013"): Pelican reads it with dateutil, so do we."""
    from dateutil import parser  # slow to import, and few sites need it

    try:
        parsed: datetime = parser.parse(
            value, default=datetime.combine(date.today().replace(month=1, day=1), time())
        )
    except (ValueError, OverflowError):
        return None
    return parsed.astimezone(zone) if parsed.tzinfo else parsed.replace(tzinfo=zone)


def status(front: FrontMatter) -> Status:
    """Draft or published (the default). Complains of any other word."""
    value = _raw(front, "status")
    if not value:
        return Status.PUBLISHED
    try:
        return Status(value.strip().lower())
    except (ValueError, AttributeError):
        front.complain("status", f"{_shown(value)} is no status. Write draft or published.")
        return Status.DRAFT


def _slug(front: FrontMatter, default: str) -> str:
    value = _raw(front, "slug")
    if not value:
        return default
    if isinstance(value, str) and (SLUG.match(value) or front.classic):
        return value
    front.complain(
        "slug", f"{_shown(value)} is no slug. Write small letters, digits and hyphens: baghdad-embassy."
    )
    return default


def _weight(front: FrontMatter) -> int | None:
    value = _raw(front, "weight")
    if value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        front.complain("weight", f"{_shown(value)} is no whole number. The smallest weight comes first.")
        return None


def judgements(front: FrontMatter, yardstick: Yardstick | None) -> tuple[KeyJudgement, ...]:
    """The key judgements of a piece, in their order, with the yardstick's ranges. Complains of what is none, by its line."""
    value = front.fields.get("key_judgements") or []
    if not isinstance(value, list):
        front.complain("key_judgements", "must be a list: each line begins with a hyphen.")
        return ()
    return tuple(
        judgement
        for number, entry in enumerate(value, start=1)
        if (judgement := _judgement(front, f"key_judgements[{number}]", entry, yardstick))
    )


def _judgement(front: FrontMatter, name: str, entry: Any, yardstick: Yardstick | None) -> KeyJudgement | None:
    if isinstance(entry, str):
        entry = {"text": entry}
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        front.complain(name, "must be a text, or a mapping with text, likelihood, confidence and horizon.")
        return None
    if unknown := sorted(set(entry) - _JUDGEMENT_FIELDS):
        front.complain(
            f"{name}.{unknown[0]}",
            "is no field of a key judgement. A text with a colon in it must stand in quotation marks; "
            "the fields are text, likelihood, confidence, horizon and outcome.",
        )
        return None
    if not entry.get("text"):
        front.complain(name, "has no text.")
        return None
    likelihood = " ".join(entry.get("likelihood", "").split())
    band = yardstick.band(likelihood) if yardstick else None
    return KeyJudgement(
        text=markdown.smart(" ".join(entry["text"].split())),
        likelihood=likelihood,
        confidence=" ".join(entry.get("confidence", "").split()),
        horizon=_horizon(entry.get("horizon", "")),
        bracket=band.bracket if band else "",
        due=_due(entry.get("horizon", "")),
        outcome=markdown.smart(" ".join(entry.get("outcome", "").split())),
    )


@lru_cache(maxsize=4096)
def _horizon(value: str) -> str:
    """A date as readers read it, "31 March 2021"; any other text ("the US election") as it is."""
    due = _due(value)
    return f"{due.day} {due:%B %Y}" if due else markdown.smart(" ".join(value.split()))


@lru_cache(maxsize=4096)
def _due(value: str) -> date | None:
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def timeline(front: FrontMatter) -> tuple[Event, ...]:
    """The dated events of a piece, in the order of their days whatever the order of the lines."""
    value = front.fields.get("timeline") or []
    found = []
    for number, entry in enumerate(value if isinstance(value, list) else [value], start=1):
        day = _due(str(entry.get("date", ""))) if isinstance(entry, dict) else None
        words = entry.get("text") if isinstance(entry, dict) else None
        if day is None or not isinstance(words, str) or not words.strip():
            reason = 'must have a date and a text: - {date: 2020-10-10, text: "A truce is declared."}'
            front.complain(f"timeline[{number}]", reason)
        else:
            found.append(Event(day, markdown.smart(" ".join(words.split()))))
    return tuple(sorted(found, key=lambda event: event.date))


def changes(front: FrontMatter, zone: ZoneInfo) -> tuple[Change, ...]:
    """The corrections and updates of a piece, the newest first. Complains of what is none, by its line."""
    found = [
        change
        for kind in ChangeKind
        for number, entry in enumerate(_entries(front, f"{kind}s"), start=1)
        if (change := _change(front, kind, f"{kind}s[{number}]", entry, zone))
    ]
    return tuple(sorted(found, key=lambda change: change.date, reverse=True))


def _entries(front: FrontMatter, key: str) -> list[Any]:
    value = front.fields.get(key) or []
    return value if isinstance(value, list) else [value]


def _change(front: FrontMatter, kind: ChangeKind, name: str, entry: Any, zone: ZoneInfo) -> Change | None:
    when = entry.get("date") if isinstance(entry, dict) else None
    said = entry.get("text") if isinstance(entry, dict) else None
    if (
        not isinstance(when, str)
        or not isinstance(said, str)
        or not said.strip()
        or set(entry) - {"date", "text"}
    ):
        example = (
            "An earlier version gave the wrong year." if kind is ChangeKind.CORRECTION else "Adds the vote."
        )
        reason = f'must have a date and a text, and nothing else: - {{date: 2020-11-03, text: "{example}"}}'
        front.complain(name, reason)
        return None
    date = _moment(when, zone)
    if date is None:
        front.complain(name, f"{_shown(when)} is no date. Write it as 2020-11-03 or 2020-11-03 07:00.")
        return None
    return Change(kind, date, markdown.smart(" ".join(said.split())))


def _refuse_early_changes(front: FrontMatter, published: date) -> None:
    """A change of what nobody had read yet is none: mostly a slip of the year."""
    for kind in ChangeKind:
        for number, entry in enumerate(_entries(front, f"{kind}s"), start=1):
            when = str(entry.get("date", ""))[:10] if isinstance(entry, dict) else ""
            if (day := _due(when)) and day < published:
                front.complain(
                    f"{kind}s[{number}]", f"is dated {day}, before the piece itself ({published})."
                )


def _history(front: FrontMatter) -> bool:
    value = front.fields.get("history") or "yes"
    if value not in ("yes", "no"):
        front.complain(
            "history", f'{_shown(value)} is no answer. Write "no" to leave out the page of earlier versions.'
        )
    return bool(value != "no")


PLACEHOLDER = "TODO"
"""How a field begins that `newsletter new` or `newsletter import` has left for the desk to write."""


def _refuse_placeholders(front: FrontMatter) -> None:
    """What still has to be written is no text for readers. In a draft it may stand."""
    if f"![{PLACEHOLDER}" in front.body:
        reason = f"a picture still says {PLACEHOLDER}. Write what it shows to one who cannot see it."
        front.complain("", reason)
    for key, value in front.fields.items():
        for word in value if isinstance(value, list) else (value,):
            if (isinstance(word, dict) and str(word.get("text", "")).startswith(PLACEHOLDER)) or (
                isinstance(word, str) and word.startswith(PLACEHOLDER)
            ):
                front.complain(
                    key, f"still says {PLACEHOLDER}. Write it, or hold the piece back: status: draft."
                )
                break


def _places(front: FrontMatter) -> tuple[Place, ...]:
    """The places of a piece's map, in the order of the lines."""
    value = front.fields.get("places") or []
    found = []
    for number, entry in enumerate(value if isinstance(value, list) else [value], start=1):
        fields = entry if isinstance(entry, dict) else {}
        name, words = (fields.get(key, "") for key in ("name", "text"))
        try:
            north, east = (float(fields[key]) for key in ("lat", "lon"))
        except (KeyError, TypeError, ValueError):
            north = east = math.inf
        in_words = isinstance(name, str) and isinstance(words, str) and name.strip() != ""
        if in_words and abs(north) <= 85 and abs(east) <= 180:
            found.append(Place(" ".join(name.split()), north, east, markdown.smart(" ".join(words.split()))))
        else:
            reason = (
                "must have a name and its degrees north and east: - {name: Baghdad, lat: 33.31, lon: 44.37}"
            )
            front.complain(f"places[{number}]", reason)
    return tuple(found)


def _aliases(front: FrontMatter) -> tuple[str, ...]:
    """Where the piece once was: addresses below the site's, without slashes around them."""
    found = []
    for address in words(front, "aliases"):
        place = address.strip("/")
        if not ALIAS.fullmatch(place):
            front.complain(
                "aliases",
                f"{_shown(address)} is no address of a page here. Write it without the site's name: analyses/2020/old-slug/",
            )
        else:
            found.append(place)
    return tuple(found)


def _image(front: FrontMatter) -> Image | None:
    value = front.fields.get("image")
    if not value:
        return None
    if isinstance(value, str):
        value = {"path": value, "alt": front.fields.get("alt") or front.fields.get("image_alt", "")}
    path = value.get("path") or value.get("src") or value.get("file") if isinstance(value, dict) else None
    if not isinstance(path, str) or not path:
        front.complain(
            "image", 'must be a path below content/ and an alt: image: {path: images/x.jpg, alt: "…"}.'
        )
        return None
    alt = value.get("alt")
    if not isinstance(alt, str) or not alt.strip():
        front.complain(
            "image",
            "has no alt. Say what the picture shows to one who cannot see it: alt: A map of the corridor.",
        )
        return None
    return Image(path.removeprefix("{static}").lstrip("/"), markdown.smart(" ".join(alt.split())))


def _raw(front: FrontMatter, key: str) -> Any:
    value = front.fields.get(key)
    if value is None and front.classic:
        value = front.fields.get(_CLASSIC_NAMES.get(key, ""))
    return "" if value is None else value


def _missing(key: str) -> str:
    example = {
        "title": 'title: "What the piece claims"',
        "date": "date: 2020-10-16",
        "summary": 'summary: "One or two sentences that say what will happen and to whom."',
        "region": "region: Iraq",
    }[key]
    return f"is missing. Add a line such as {example}"


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list) else "mapping"


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else f"a {_kind(value)}"
