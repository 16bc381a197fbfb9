"""How fast: SES counts recipients per second, and refuses whoever goes over the account's rate."""

from __future__ import annotations

import time
from collections.abc import Callable

# A little under the account's own rate, since other mail of the account counts too.
_SHARE = 0.9
_LONGEST_BACKOFF = 60.0


class Pace:
    """Spreads calls so that over any stretch of time the recipients stay under the rate."""

    def __init__(self, per_second: float, ticks: Callable[[], float] = time.monotonic) -> None:
        """`per_second` is the account's MaxSendRate, in recipients. `ticks` counts seconds and never goes back."""
        self._rate = max(per_second, 0.1) * _SHARE
        self._ticks = ticks
        self._free_at = ticks()

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
