"""A mailing at its time: when that is, and waiting for it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from newsletter import timing
from newsletter.errors import SettingsError
from newsletter.publication import Publication
from newsletter.show import Countdown, duration, say
from newsletter.timing import Due


def due_at(at: str, late: int | None, facts: Publication, command: str) -> tuple[datetime | None, timedelta]:
    """When it is to go, None for at once, and how late it may; says so. `at` is as typed, `late` in minutes.

    Raises SettingsError if that is no time, or past.
    """
    lateness = timedelta(minutes=late) if late else facts.lateness
    if not at:
        return None, lateness
    now = datetime.now(UTC)
    due = timing.parse(at, now, facts.zone, lateness)
    _hold_if_missed(due, now, lateness, facts, command)
    say(
        "at", f"{_spelt(due, facts)}" + (f", in {duration((due - now).total_seconds())}" if due > now else "")
    )
    return due, lateness


def wait(due: datetime, lateness: timedelta, facts: Publication, command: str) -> None:
    """Wait until it is due. Raises SettingsError where that was missed all the same: the machine slept."""
    with Countdown(_spelt(due, facts)) as countdown:
        timing.wait(due, lambda: datetime.now(UTC), time.sleep, countdown.tell, step=1.0)
    _hold_if_missed(due, datetime.now(UTC), lateness, facts, command)


def _hold_if_missed(
    due: datetime, now: datetime, lateness: timedelta, facts: Publication, command: str
) -> None:
    if timing.judge(due, now, lateness) is Due.MISSED:
        raise SettingsError(
            f"{_spelt(due, facts)} was {duration((now - due).total_seconds())} ago, and more than "
            f"{duration(lateness.total_seconds())} late is too late to go without asking. Nobody was mailed. To mail "
            f'it now all the same: {command}; or at another time: {command} --at "YYYY-MM-DD HH:MM"'
        )


def _spelt(due: datetime, facts: Publication) -> str:
    return f"{due.astimezone(facts.zone):%A %-d %B %Y %H:%M %Z} ({facts.time_zone})"
