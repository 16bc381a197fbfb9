"""A mailing begins at the time it was given, once: through every change of the clocks, and never by surprise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from newsletter.errors import SettingsError
from newsletter.timing import Due, judge, moment, parse, wait
from tests.conftest import Clock

HOUR = timedelta(hours=1)
LONDON = ZoneInfo("Europe/London")
ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]
FIRST, LAST = datetime(2024, 1, 1), datetime(2033, 1, 1)


def at(words: str, now: str, zone: str = "Europe/London", late: timedelta = HOUR) -> str:
    """The moment that `words` name when the clocks of the zone show `now`, as those clocks show it."""
    place = ZoneInfo(zone)
    due = parse(words, datetime.fromisoformat(now).replace(tzinfo=place), place, late)
    return due.astimezone(place).strftime("%Y-%m-%d %H:%M %z")


@pytest.mark.parametrize(
    ("words", "now", "means"),
    [
        ("2020-11-02 09:00", "2020-10-20 12:00", "2020-11-02 09:00 +0000"),
        ("2020-11-02T09:00", "2020-10-20 12:00", "2020-11-02 09:00 +0000"),
        ("2020-08-02 09:00", "2020-10-20 12:00", "2020-08-02 09:00 +0100"),  # past: judge holds it
        ("09:00", "2020-10-20 08:00", "2020-10-20 09:00 +0100"),
        ("9:00", "2020-10-20 09:40", "2020-10-20 09:00 +0100"),
        ("09:00", "2020-10-20 12:00", "2020-10-20 09:00 +0100"),  # not tomorrow: that would be a surprise
        ("day 31 09:00", "2020-10-20 12:00", "2020-10-31 09:00 +0000"),
        ("day 31 09:00", "2020-11-05 12:00", "2020-11-30 09:00 +0000"),
        ("day 31 09:00", "2024-02-05 12:00", "2024-02-29 09:00 +0000"),
        ("day 10 09:00", "2020-10-20 12:00", "2020-11-10 09:00 +0000"),
        ("day 10 09:00", "2020-12-20 12:00", "2021-01-10 09:00 +0000"),
        (
            "day 10 09:00",
            "2020-10-10 12:00",
            "2020-10-10 09:00 +0100",
        ),  # that day is not over: held, not in a month
        ("day 10 23:30", "2020-10-11 00:20", "2020-10-10 23:30 +0100"),  # over, but not too late
        ("day 10 23:30", "2020-10-11 00:40", "2020-11-10 23:30 +0000"),
    ],
)
def test_a_time_is_taken_as_an_editor_means_it(words: str, now: str, means: str) -> None:
    assert at(words, now) == means


@pytest.mark.parametrize(
    "words",
    ["", "soon", "25:00", "09:60", "9", "2020-02-30 09:00", "day 0 09:00", "day 32 09:00", "09:00 tomorrow"],
)
def test_what_is_no_time_is_answered_with_the_forms(words: str) -> None:
    with pytest.raises(SettingsError, match='Write "2020-11-02 09:00"'):
        at(words, "2020-10-20 12:00")


@pytest.mark.parametrize(
    ("zone", "words", "means"),
    [
        ("Europe/Berlin", "2024-03-31 02:30", "2024-03-31 03:30 +0200"),
        ("America/New_York", "2024-03-10 02:30", "2024-03-10 03:30 -0400"),
        ("Australia/Lord_Howe", "2024-10-06 02:15", "2024-10-06 02:45 +1100"),  # they skip half an hour
        ("Europe/Berlin", "2024-10-27 02:30", "2024-10-27 02:30 +0200"),
        ("America/New_York", "2024-11-03 01:30", "2024-11-03 01:30 -0400"),
        ("Australia/Lord_Howe", "2024-04-07 01:45", "2024-04-07 01:45 +1100"),
    ],
)
def test_a_skipped_time_is_later_by_what_is_skipped_and_a_repeated_one_is_the_first(
    zone: str, words: str, means: str
) -> None:
    assert at(words, "2024-01-01 00:00", zone) == means


@pytest.mark.parametrize("name", ZONES)
def test_every_quarter_of_an_hour_of_nine_years_is_one_moment_and_they_never_go_back(name: str) -> None:
    zone, wall, before = ZoneInfo(name), FIRST, datetime(2023, 1, 1, tzinfo=UTC)
    skipped = set()
    while wall < LAST:
        found = moment(wall, zone)
        shown = found.astimezone(zone).replace(tzinfo=None)
        if shown != wall:  # only where the clocks skip it, and then by as much as they skip
            assert shown - wall in (HOUR, HOUR / 2)
            assert wall.hour == 2
            skipped.add(wall.date())
        else:
            assert found > before
            assert found.astimezone(zone).fold == 0
            before = found
        wall += timedelta(minutes=15)
    assert len(skipped) == (0 if name == "UTC" else 9)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("words", ["day 31 02:30", "day 27 01:45"])
def test_every_month_of_nine_years_has_its_moment_once_whenever_it_is_asked_for(
    name: str, words: str
) -> None:
    """Asked every hour, as whoever restarts the command might: one answer a month, on that day, at that time."""
    zone = ZoneInfo(name)
    now, end = moment(FIRST, zone), moment(LAST, zone)
    found: set[datetime] = set()
    while now < end:
        due = parse(words, now, zone, HOUR)
        assert due > now - timedelta(days=1, hours=1)
        found.add(due)
        now += HOUR
    months = [due.astimezone(zone) for due in sorted(found)]
    assert [(due.year, due.month) for due in months[:108]] == [
        (year, month) for year in range(2024, 2033) for month in range(1, 13)
    ]
    assert len(months) <= 109
    number = int(words.split()[1])
    for due in months:
        last = (date(due.year + due.month // 12, due.month % 12 + 1, 1) - timedelta(days=1)).day
        assert due.day == min(number, last)


def test_too_late_is_held_and_a_little_late_is_not() -> None:
    due = datetime(2020, 11, 2, 9, tzinfo=UTC)
    told = {
        minutes: judge(due, due + timedelta(minutes=minutes), HOUR)
        for minutes in (-1, 0, 59, 60, 61, 4 * 60, 4 * 1440)
    }
    assert told == {
        -1: Due.LATER, 0: Due.NOW, 59: Due.NOW, 60: Due.NOW, 61: Due.MISSED, 240: Due.MISSED, 5760: Due.MISSED,
    }  # fmt: skip


def test_waiting_ends_at_the_moment_and_not_before(clock: Clock) -> None:
    due = clock.now + timedelta(hours=3, seconds=7)
    told: list[float] = []
    wait(due, clock, clock.pause, told.append)
    assert clock.now == due
    assert told[0] == 3 * 3600 + 7
    assert told == sorted(told, reverse=True)


def test_a_clock_that_is_set_back_makes_it_wait_longer_and_never_shorter(clock: Clock) -> None:
    due = clock.now + HOUR
    back = [timedelta(days=1), timedelta(minutes=5)]

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        if back and clock.now > due - timedelta(minutes=10):
            clock.now -= back.pop()

    wait(due, clock, pause)
    assert not back
    assert clock.now == due


def test_a_machine_that_slept_through_it_notices_at_once(clock: Clock) -> None:
    due = clock.now + HOUR
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        clock.now += timedelta(hours=5)  # asleep meanwhile

    wait(due, clock, pause)
    assert len(pauses) == 1
    assert judge(due, clock.now, HOUR) is Due.MISSED
