"""When a briefing is to go: a time as an editor writes it, in the publication's own zone.

    2020-11-02 09:00    that day
    09:00               today
    day 31 09:00        that day of this month, or of the next once it is over; the last day of a shorter month

Every wall time names one moment: what the clocks show twice in autumn is the first of the two, what they skip in
spring is as much later as they skip (02:30 is 03:30), as in PEP 495 with fold 0. And whoever comes too late holds:
a machine that slept or was restored mails nobody by surprise.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from newsletter.errors import SettingsError

_FORM = re.compile(r"(?:(?:(\d{4}-\d{2}-\d{2})[ T])|(?:day (\d{1,2}) ))?(\d{1,2}):(\d{2})")
_FORMS = '"2020-11-02 09:00", "09:00" (today) or "day 31 09:00" (the last day of a shorter month)'


class Due(StrEnum):
    """How a moment stands to the one at which something is due."""

    LATER = "later"
    NOW = "now"
    MISSED = "missed"  # by so much that somebody has to be asked


def parse(words: str, now: datetime, zone: ZoneInfo, lateness: timedelta) -> datetime:
    """The moment, in UTC, that `words` name at the aware moment `now`. Raises SettingsError.

    A day of the month stays this month's for as long as it may still be kept: until the day is over, and
    until `lateness` after the moment.
    """
    match = _FORM.fullmatch(words.strip())
    if not match:
        raise SettingsError(f"--at: {words!r} is no time. Write {_FORMS}.")
    day, number, hour, minute = match.groups()
    try:
        clock = time(int(hour), int(minute))
        today = now.astimezone(zone).date()
        if number:
            return _day_of_month(int(number), clock, now, zone, lateness)
        return moment(datetime.combine(date.fromisoformat(day) if day else today, clock), zone)
    except ValueError as error:  # the 30th of February, 25:00
        raise SettingsError(f"--at: {words!r} is no time: {error}. Write {_FORMS}.") from None


def _day_of_month(number: int, clock: time, now: datetime, zone: ZoneInfo, lateness: timedelta) -> datetime:
    if not 1 <= number <= 31:
        raise ValueError("a month has the days 1 to 31")
    today = now.astimezone(zone).date()
    due = moment(datetime.combine(_day(today.year, today.month, number), clock), zone)
    if due.astimezone(zone).date() >= today or now - due <= lateness:
        return due
    year, month = (today.year, today.month + 1) if today.month < 12 else (today.year + 1, 1)
    return moment(datetime.combine(_day(year, month, number), clock), zone)


def _day(year: int, month: int, number: int) -> date:
    return date(year, month, min(number, monthrange(year, month)[1]))


def moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which the clocks of `zone` show `wall` (naive): the first such one, or, if they skip it,
    as much later as they skip.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def judge(due: datetime, now: datetime, lateness: timedelta) -> Due:
    """Whether `due` is yet to come, is now, or was missed by more than `lateness`. Pure."""
    if now < due:
        return Due.LATER
    return Due.NOW if now - due <= lateness else Due.MISSED


def wait(
    due: datetime,
    clock: Callable[[], datetime],
    pause: Callable[[float], None],
    tell: Callable[[float], None] = lambda left: None,
    step: float = 10.0,
) -> None:
    """Wait until the clock shows `due`; `tell` is told before each pause how many seconds are left.

    It looks at the clock again every `step` seconds, because a long pause does not notice that the machine slept
    or that somebody set the clock.
    """
    while (left := (due - clock()).total_seconds()) > 0:
        tell(left)
        pause(min(left, step))
