"""The account's rate, shared by all workers whatever their number: time is given out in slots, one for each call.

    worker ─► decide(what it last knew) ─► one conditional write ─► a slot: from when on it may make one call
                  ▲                              │
                  └── what is stored instead ────┘ the condition was false

Stored is one number, the moment up to which time has been given out; a write moves it on by the length of a slot, if
what the worker believed of it is so. While there is something to do that is one write a call and no two workers stand
in each other's way, since the condition does not name the old value. Slots do not overlap and all have one length,
whatever is in them, so the calls are spread evenly however many workers make them. A worker that comes too late for
its slot takes another: calls that were held up must not come in a heap.

Moments and lengths are whole microseconds since 1970: a store adds them without rounding. Workers' clocks may differ
by less than what `LATE` allows; Lambda's and EC2's differ by less than a millisecond of Amazon's own time service.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from newsletter.pace import SHARE
from newsletter.ses.submit import LARGEST_BATCH

SECOND = 1_000_000  # microseconds
# A call may be made so long after its slot began, and no later.
LATE = SECOND // 10
# So far ahead time is given out: a worker must be able to wait for its slot.
HORIZON = 30 * SECOND


@dataclass(frozen=True, slots=True)
class Slots:
    """What the account's rate comes to: `size` recipients at most in a call, one call in each `length`."""

    size: int
    length: int


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to make one call with up to `size` recipients, from `start` on and not after `end`."""

    start: int
    end: int
    size: int

    def wait(self, now: int) -> float:
        """How many seconds to wait before the call."""
        return max(0, self.start - now) / SECOND

    def is_over(self, now: int) -> bool:
        """Whether it came and went: then it must not be used, and another is to be taken."""
        return now > self.end


@dataclass(frozen=True, slots=True)
class Begin:
    """Store `until` if what is stored lies before `now`, or nothing is stored: no time was given out lately."""

    now: int
    until: int


@dataclass(frozen=True, slots=True)
class Extend:
    """Add `by` to what is stored if that lies between `now` and `latest`, both included: others have slots ahead."""

    by: int
    now: int
    latest: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again after so many microseconds: time is given out as far ahead as it may be."""

    microseconds: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a conditional write came to: whether it was made, and what is stored then (None: nothing)."""

    made: bool
    until: int | None


class Hourglass(Protocol):
    """Where the one number is stored. In DynamoDB, UpdateItem with ReturnValuesOnConditionCheckFailure=ALL_OLD:

    Begin    SET free_at = :until           IF attribute_not_exists(free_at) OR free_at < :now
    Extend   SET free_at = free_at + :by    IF free_at BETWEEN :now AND :latest
    """

    def write(self, step: Begin | Extend) -> Written:
        """Make the write if its condition holds. Raises StoreError."""
        ...


def slots(per_second: float) -> Slots:
    """How time is given out under an account's MaxSendRate, in recipients a second.

    The size is the largest with which no second can see more than that, even if a call comes as late as it may: of
    calls that are `length` apart, so many fall into a second and a tenth.
    """
    rate = max(
        1, int(per_second)
    )  # SES gives no account less than one, and of one and a half only one is a call
    paced = SHARE * rate
    stretch = 1 + LATE / SECOND
    size = next(
        size
        for size in range(min(LARGEST_BATCH, rate), 0, -1)
        if size == 1 or math.ceil(stretch * paced / size) * size <= rate
    )
    return Slots(size, math.ceil(SECOND * size / paced))


def decide(until: int | None, now: int, rule: Slots, horizon: int = HORIZON) -> Begin | Extend | Wait:
    """What to try, if time has been given out up to `until` (None: never)."""
    if until is None or until < now:
        return Begin(now, now + rule.length)
    if until <= now + horizon:
        return Extend(rule.length, now, now + horizon)
    return Wait(until - now - horizon)


class Queueing:
    """One worker's way to its slots; it remembers whether others were there, so that it mostly guesses right."""

    def __init__(self, hourglass: Hourglass, horizon: int = HORIZON) -> None:
        self._hourglass, self._horizon = hourglass, horizon
        self._busy = False

    def take(self, now: int, rule: Slots) -> Slot | Wait:
        """A slot, or for how long there is none. Raises StoreError."""
        step = decide(now if self._busy else None, now, rule, self._horizon)
        while not isinstance(step, Wait):
            written = self._hourglass.write(step)
            if written.made and written.until is not None:
                self._busy = isinstance(step, Extend)
                start = written.until - rule.length
                return Slot(start, start + LATE, rule.size)
            self._busy = written.until is not None and written.until >= now
            step = decide(written.until, now, rule, self._horizon)
        return step
