"""How fast: SES counts recipients per second and per day, and refuses whoever goes over either."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from newsletter.errors import Ambiguous, SesError, Throttled
from newsletter.ses.submit import Quota

# A little under the account's own rate, since other mail of the account counts too.
SHARE = 0.9
_LONGEST_BACKOFF = 60.0
USED_UP = "the account's daily quota is used up; it is counted over 24 hours, so the rest can follow tomorrow"
# Of each template operation SES takes one call a second (API reference, CreateEmailTemplate).
_TRIES = 5
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What mailing so many recipients takes: `seconds` of submitting, `share` of the day's quota (0.5 is half, 0
    where there is none), and on how many `days` (1 is today; inf if the account may mail nobody).
    """

    seconds: float
    share: float
    days: float


def estimate(quota: Quota, recipients: int) -> Estimate:
    """What it takes to mail so many recipients through an account that nobody else uses meanwhile."""
    seconds = recipients / _rate(quota.per_second)
    if quota.per_day < 0:
        return Estimate(seconds, 0.0, 1.0)
    later = max(0.0, recipients - quota.left_today)
    if not quota.per_day:
        return Estimate(seconds, math.inf if recipients else 0.0, math.inf if later else 1.0)
    return Estimate(seconds, recipients / quota.per_day, 1.0 + math.ceil(later / quota.per_day))


class Pace:
    """Spreads calls so that over any stretch of time the recipients stay under the rate."""

    def __init__(self, per_second: float, ticks: Callable[[], float] = time.monotonic) -> None:
        """`per_second` is the account's MaxSendRate, in recipients. `ticks` counts seconds and never goes back."""
        self._rate = _rate(per_second)
        self._ticks = ticks
        self._free_at = ticks()

    def change(self, per_second: float) -> None:
        """The account's rate is another from now on."""
        self._rate = _rate(per_second)

    def wait(self, recipients: int) -> float:
        """How many seconds to wait before a call with so many recipients; counts it as made then."""
        now = self._ticks()
        start = max(now, self._free_at)
        self._free_at = start + recipients / self._rate
        return start - now

    @staticmethod
    def backoff(failures: int, chance: float) -> float:
        """Seconds to wait after so many refusals in a row; `chance` in [0, 1) keeps senders from marching in step."""
        return float(min(_LONGEST_BACKOFF, 2.0 ** (failures - 1))) * (0.5 + chance / 2)


class Every:
    """Due once in so many seconds of a clock that may be set back or forward meanwhile."""

    def __init__(self, seconds: float, clock: Callable[[], datetime]) -> None:
        """Due for the first time so many seconds from now."""
        self._seconds, self._clock, self._last = seconds, clock, clock()

    def due(self) -> bool:
        """Whether it is time; if so, the next time is counted from now."""
        now = self._clock()
        if 0 <= (now - self._last).total_seconds() < self._seconds:
            return False
        self._last = now
        return True


class Allowance:
    """What the account may still mail today, as SES said last and with what was mailed since."""

    # How often to ask, in seconds: other mail of the account uses it too.
    every = 60.0

    def __init__(self, quota: Quota, ask: Callable[[], Quota], clock: Callable[[], datetime]) -> None:
        """`quota` is what SES said just now; `ask` asks it again."""
        self.quota, self.left, self._ask = quota, quota.left_today, ask
        self._due = Every(self.every, clock)

    def renewed(self) -> bool:
        """Whether it was time to ask again; what SES does not say is taken to be as before, and the next call tells."""
        if not self._due.due():
            return False
        with suppress(SesError):
            self.quota = self._ask()
        self.left = self.quota.left_today
        return True

    def spend(self, recipients: int) -> None:
        """So many more were mailed."""
        self.left -= recipients


def patiently(call: Callable[[], _T], pause: Callable[[float], None]) -> _T:
    """Make a call that may be made again without harm (never a mail): throttled or unanswered, it is tried again."""
    for attempt in range(1, _TRIES):
        try:
            return call()
        except (Throttled, Ambiguous):
            pause(float(attempt))
    return call()


def _rate(per_second: float) -> float:
    return max(per_second, 0.1) * SHARE
