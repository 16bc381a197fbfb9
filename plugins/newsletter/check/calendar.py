"""Days and months as they are written in English: "Friday, 16 October 2020", "October 16", "in August"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

MONTHS = {name: number for number, name in enumerate(
    ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
     "December"), start=1)}  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_CAPITAL = re.compile(r"[JFMASOND][a-z]{2,8}\b")
_DAY_BEFORE = re.compile(
    r"(?:(?P<weekday>[A-Z][a-z]+day)(?:,| the)?\s+)?(?<![\d.,–-])(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:\s+of)?\s+\Z"
)
_WEEKDAY_BEFORE = re.compile(r"(?P<weekday>[A-Z][a-z]+day),?\s+\Z")
_DAY_AFTER = re.compile(r"\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?(?![\d:.]|\s*[–-]\s*\d)")
_YEAR_AFTER = re.compile(r",?\s+(?P<year>(?:19|20)\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class Mention:
    """A day, or a month (`day` 0), as it is written from `start` to `end`; `year` 0 where none is said."""

    year: int
    month: int
    day: int
    weekday: str
    start: int
    end: int

    def exists(self) -> bool:
        """Whether there is such a day (29 February without a year is one)."""
        return not self.day or 1 <= self.day <= _days(self.year or 2000, self.month)

    def dates(self, year: int) -> tuple[date, date]:
        """The first and the last day it can mean in `year`."""
        if self.day:
            day = date(year, self.month, min(self.day, _days(year, self.month)))
            return day, day
        return date(year, self.month, 1), date(year, self.month, _days(year, self.month))

    def nearest(self, to: date) -> tuple[date, date]:
        """The same in its year, or in the year that puts it nearest to a day."""
        if self.year:
            return self.dates(self.year)
        return min(
            (self.dates(year) for year in (to.year - 1, to.year, to.year + 1)), key=lambda d: abs(d[0] - to)
        )


def mentions(text: str) -> Iterator[Mention]:
    """Every day and month that a text names. "May" and "March" alone are months only after in, of, by and the like."""
    for match in _CAPITAL.finditer(text):
        month = MONTHS.get(match[0])
        if month is None or (match.start() and text[match.start() - 1].isalnum()):
            continue
        start, end, day, weekday = match.start(), match.end(), 0, ""
        if before := _DAY_BEFORE.search(text, max(0, start - 24), start):
            start, day, weekday = before.start(), int(before["day"]), before["weekday"] or ""
        elif after := _DAY_AFTER.match(text, end):
            end, day = after.end(), int(after["day"])
            if before := _WEEKDAY_BEFORE.search(text, max(0, start - 12), start):
                start, weekday = before.start(), before["weekday"]
        year = 0
        if after := _YEAR_AFTER.match(text, end):
            end, year = after.end(), int(after["year"])
        if (
            not day
            and not year
            and match[0] in ("May", "March")
            and not _MONTH_BEFORE.search(text, max(0, start - 12), start)
        ):
            continue
        yield Mention(year, month, day, weekday if weekday in WEEKDAYS else "", start, end)


_MONTH_BEFORE = re.compile(
    r"\b(?:in|of|by|since|until|from|to|early|late|mid|last|next|this|during|the|and|between)[ -]\Z",
    re.IGNORECASE,
)


def _days(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - timedelta(days=1)).day
