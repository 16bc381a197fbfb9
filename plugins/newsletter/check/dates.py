"""Rules of dates and numbers that contradict the head or each other. They warn, and only where there is little doubt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache

from newsletter.analysis import moment
from newsletter.check.calendar import WEEKDAYS, Mention, mentions
from newsletter.check.document import Document, Passage
from newsletter.check.house import House
from newsletter.check.rule import rule
from newsletter.errors import Finding, Severity

_NUMBERS = {word: number for number, word in enumerate(
    ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
     "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"), start=1)} | {"a": 1, "an": 1}  # fmt: skip
_AGO = re.compile(
    r"\b(?P<number>an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d{1,3}) "
    r"(?P<unit>day|week|fortnight|month|year)s? ago\b", re.IGNORECASE,
)  # fmt: skip
_WHICH = re.compile(r"\b(?P<which>last|next|this) (?P<unit>month|year)\b", re.IGNORECASE)
_YEAR = re.compile(r"(last|next|this) year(?:,? in |,? | \()((?:19|20)\d\d)(?!\d)", re.IGNORECASE)
# What stands between such words and their date: "two weeks ago, on 2 October", "last month (September)".
_LEADS_ON = re.compile(r"\s*[,(–—-]?\s*(?:on|in|at)?\s*(?:the\s+|late\s+|early\s+|mid-)?\Z")
_LEADS_BACK = re.compile(r"\s*[,)]?\s*(?:just |only |about |some |barely )?\Z")
# "… just a month ago. At the August meeting, …"
_NEXT_SENTENCE = re.compile(r"\s*[.;:]\s+(?:At|In|During|After|Since)\s+(?:the|that|this|its|their)\s+\Z")
_UNITS = {"day": 1, "week": 7, "fortnight": 14, "month": 30.44, "year": 365.25}
# How far off each may be, in days, before it is told: people round.
_SLACK = {"day": 1, "week": 4, "fortnight": 5, "month": 12, "year": 100}
_NUMBER = (
    r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?:\s?(%|per cent|million|billion|trillion|bn|m)(?!\w))?"
)
_CHANGE = re.compile(
    r"\b(?P<verb>rose|risen|rises|rise|grew|grown|grows|climbed|climbs|increased|increases|increase|jumped|doubled"
    r"|trebled|tripled|quadrupled|fell|fallen|falls|fall|dropped|drops|declined|declines|decreased|shrank|shrunk"
    rf"|halved)\b[^.;:()\d]{{0,40}}?\bfrom\s+[$€£]?{_NUMBER}[^.;:()\d]{{0,20}}?\bto\s+[$€£]?{_NUMBER}(?!\s*(?:January|February|March|April|May|June|July|August|September|October|November|December))",
    re.IGNORECASE,
)  # fmt: skip
_FROM = re.compile(r" from [$€£]?\d")
_HINT = re.compile(r"\d(?:[–-]| (?:to|until|and) )\d")
_FIGURE = re.compile(r"\(\d{1,2}\)")
_TIMES = {
    "doubled": (1.75, 2.4),
    "trebled": (2.6, 3.5),
    "tripled": (2.6, 3.5),
    "quadrupled": (3.5, 4.6),
    "halved": (0.4, 0.58),
}
_DOWN = {
    "fell",
    "fallen",
    "falls",
    "fall",
    "dropped",
    "drops",
    "declined",
    "declines",
    "decreased",
    "shrank",
    "shrunk",
}
_SPAN = re.compile(
    r"(?<![\d–-])(?P<one>\d{4})(?:[–-](?=\d{4}(?!\d))|\s+(?:to|until)\s+)(?P<other>\d{4})(?![\d–-])"
    r"|(?<![\d.,–-])(?P<low>\d{1,3})[–-](?P<high>\d{1,3})(?=\s?(?:%|per cent))"
    r"|\bbetween (?P<from>(?:19|20)\d\d) and (?P<to>(?:19|20)\d\d)\b"
)
_SPELLED = re.compile(
    r"\b(?P<word>" + "|".join(w for w in _NUMBERS if len(w) > 2) + r") \((?P<figure>\d{1,2})\)", re.IGNORECASE
)


def _published(document: Document, house: House) -> date | None:
    written = moment(document.front, "date", house.zone) if document.front.fields.get("date") else None
    return written.date() if written else None


@rule("D501", "weekday of another date", Severity.WARNING)
def weekdays(document: Document, house: House) -> Iterator[Finding]:
    """A weekday beside a date that falls on another one."""
    published = _published(document, house)
    for passage, mention in _mentions(document):
        if not mention.weekday or not mention.day or not mention.exists() or not (mention.year or published):
            continue
        day, _ = mention.nearest(published or date.max)
        if WEEKDAYS[day.weekday()] != mention.weekday:
            said = f"{day.day} {day:%B %Y}"
            reason = f"{said} was a {WEEKDAYS[day.weekday()]}, no {mention.weekday}."
            yield document.within(passage, mention.start, mention.end, reason, "Mend the day or the date.")


@rule("D502", "time that has not passed so", Severity.WARNING)
def relative_times(document: Document, house: House) -> Iterator[Finding]:
    """“A month ago”, “next year” beside a date that is not that far from the piece's own."""
    published = _published(document, house)
    if not published:
        return
    for passage, mention in _mentions(document):
        text, low, high = passage.text, max(0, mention.start - 60), mention.end + 40
        for match in _AGO.finditer(text, low, high) if " ago" in text else ():
            if _is_beside(text, match, mention) and (off := _off(match, mention, published)):
                reason = f"“{match[0]}” from {_said(published)}, when this is published, is not {_words(text, mention)}: {off}."
                yield document.within(passage, *match.span(), reason, "Mend the one or the other.")
        for match in _WHICH.finditer(text, low, high):
            if _is_beside(text, match, mention) and not _is_which(match, mention, published):
                reason = f"“{match[0]}” from {_said(published)}, when this is published, is not {_words(text, mention)}."
                yield document.within(passage, *match.span(), reason, "Mend the one or the other.")

    for passage in document.passages:
        for match in _YEAR.finditer(passage.text) if " year" in passage.text else ():
            year = published.year + {"last": -1, "this": 0, "next": 1}[match[1].lower()]
            if int(match[2]) != year:
                reason = f"“{match[1]} year” from {_said(published)}, when this is published, is {year}."
                yield document.within(passage, *match.span(), reason, "Mend the one or the other.")


def _said(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _words(text: str, mention: Mention) -> str:
    return " ".join(text[mention.start : mention.end].split())


def _is_beside(text: str, match: re.Match[str], mention: Mention) -> bool:
    """Whether such words are said of that date: it stands right after them, right before, or begins the next sentence."""
    if mention.start >= match.end():
        between = text[match.end() : mention.start]
        return bool(_LEADS_ON.fullmatch(between) or _NEXT_SENTENCE.fullmatch(between))
    return mention.end <= match.start() and bool(_LEADS_BACK.fullmatch(text[mention.end : match.start()]))


def _off(match: re.Match[str], mention: Mention, published: date) -> str:
    """How far the date is from what "two weeks ago" says; "" if it is not far."""
    number = _NUMBERS.get(match["number"].lower()) or int(match["number"])
    unit = match["unit"].lower()
    expected = published - timedelta(days=number * _UNITS[unit])
    slack = timedelta(days=_SLACK[unit] * (1 + number / 6))
    years = [mention.year] if mention.year else [published.year, published.year - 1, expected.year]
    spans = [mention.dates(year) for year in years]
    if any(first - slack <= expected <= last + slack for first, last in spans):
        return ""
    days = min(abs((day - published).days) for first, last in spans for day in (first, last))
    return f"that is {days} days away" if days < 60 else f"that is {round(days / 7)} weeks away"


def _is_which(match: re.Match[str], mention: Mention, published: date) -> bool:
    step = {"last": -1, "this": 0, "next": 1}[match["which"].lower()]
    if match["unit"].lower() == "year":
        return not mention.year or mention.year == published.year + step
    month = published.year * 12 + published.month - 1 + step
    return mention.month == month % 12 + 1 and mention.year in (0, month // 12)


@rule("D503", "date that does not exist", Severity.WARNING)
def impossible_dates(document: Document, house: House) -> Iterator[Finding]:
    """A day that its month does not have."""
    for passage, mention in _mentions(document):
        if not mention.exists():
            reason = f"There is no {_words(passage.text, mention)}."
            yield document.within(passage, mention.start, mention.end, reason, "Mend the date.")


@rule("D504", "horizon before the piece", Severity.WARNING)
def early_horizons(document: Document, house: House) -> Iterator[Finding]:
    """A forecast that fell due before it was published, or a piece that was updated before it was written."""
    published = _published(document, house)
    for name, entry in document.entries("key_judgements") if published else ():
        value = entry.get("horizon", "") if isinstance(entry, dict) else ""
        due = _iso(value)
        if due and published and due <= published:
            reason = f"The horizon is not after the piece's date, {_said(published)}."
            yield document.field(f"{name}.horizon", value, reason, "Mend the year, or the date of the piece.")
    value = document.front.fields.get("updated")
    updated = moment(document.front, "updated", house.zone) if value else None
    if updated and published and updated.date() < published and isinstance(value, str):
        yield document.field(
            "updated", value, f"is before the piece's date, {_said(published)}.", "Mend one of them."
        )


def _iso(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


_UNTIL = re.compile(r"\b(?:by|before|until|(?:by|before) the end of|no later than)\s+\Z", re.IGNORECASE)


@rule("D505", "horizon that is not the text's", Severity.WARNING)
def other_horizons(document: Document, house: House) -> Iterator[Finding]:
    """A judgement whose text says by one date and whose field says another."""
    published = _published(document, house)
    entries = dict(document.entries("key_judgements"))
    for passage in document.judgements if published else ():
        entry = entries[passage.name]
        due = _iso(entry.get("horizon", "")) if isinstance(entry, dict) else None
        said = [m for m in mentions(passage.text) if _UNTIL.search(passage.text[: m.start])]
        if not due or len(said) != 1 or not said[0].exists():
            continue
        first, last = said[0].nearest(due)
        if not first - timedelta(days=1) <= due <= last + timedelta(days=1):
            reason = f"The text says {_words(passage.text, said[0])}, the horizon {_said(due)}."
            yield document.within(passage, said[0].start, said[0].end, reason, "Mend the one or the other.")


@rule("D506", "change in the wrong direction", Severity.WARNING)
def changes(document: Document, house: House) -> Iterator[Finding]:
    """“Rose from 9 to 7”, “doubled from 10 to 40”."""
    for passage in document.passages:
        for match in _changes(passage.text):
            one, other = match[2], match[4]
            pair = _pair(one, match[3] or "", other, match[5] or "")
            if pair is None or (_is_year(one) and _is_year(other)):
                continue
            verb = match["verb"].lower()
            low, high = _TIMES.get(verb, (0.0, 1.0) if verb in _DOWN else (1.0, float("inf")))
            if not low <= pair[1] / pair[0] <= high:
                reason = f"From {one} to {other} is not “{verb}”."
                yield document.within(passage, *match.span(), reason, "Mend the word or a number.")


_SCALES = {"million": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9, "trillion": 1e12}


def _pair(one: str, unit: str, other: str, other_unit: str) -> tuple[float, float] | None:
    """Two numbers in one unit; None if they cannot be compared."""
    before, after = float(one.replace(",", "")), float(other.replace(",", ""))
    if unit == other_unit or (
        not unit and (other_unit not in _SCALES or before < 1000)
    ):  # "from 3 to 5 million"
        return (before, after) if before else None
    if unit in ("", *_SCALES) and other_unit in _SCALES:
        return (before * _SCALES.get(unit, 1), after * _SCALES[other_unit]) if before else None
    return None


def _changes(text: str) -> Iterator[re.Match[str]]:
    """Where a change from one number to another is told; looked for only around "from 9"."""
    seen = -1
    for hint in _FROM.finditer(text):
        last = min(len(text), hint.end() + 100)
        for match in _CHANGE.finditer(text, max(0, hint.start() - 60, seen), last):
            # What ends with the window may be cut off in the middle of a number.
            if match.start() <= hint.start() < match.end() and (match.end() < last or last == len(text)):
                seen = match.end()
                yield match


def _is_year(number: str) -> bool:
    return len(number) == 4 and number[:2] in ("19", "20")


@rule("D507", "range the wrong way round", Severity.WARNING)
def reversed_ranges(document: Document, house: House) -> Iterator[Finding]:
    """“2021–2019”, “45–20 %”, “twelve (13)”."""
    for passage in document.passages:
        for match in _SPAN.finditer(passage.text) if _HINT.search(passage.text) else ():
            one, other = (int(number) for number in match.groups() if number)
            if match["one"] and not (_is_year(match["one"]) and _is_year(match["other"])):
                continue
            if one > other:
                yield document.within(
                    passage,
                    match.start(),
                    match.end(),
                    f"{one} is more than {other}.",
                    "Turn the range round.",
                )
        for match in _SPELLED.finditer(passage.text) if _FIGURE.search(passage.text) else ():
            if _NUMBERS[match["word"].lower()] != int(match["figure"]):
                yield document.within(
                    passage,
                    match.start(),
                    match.end(),
                    f"“{match['word']}” is not {match['figure']}.",
                    "Mend one of them.",
                )


@lru_cache(maxsize=1)
def _mentions(document: Document) -> list[tuple[Passage, Mention]]:
    """Every date of a document; looked for once for all the rules."""
    return [(passage, mention) for passage in document.passages for mention in mentions(passage.text)]
