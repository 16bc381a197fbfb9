"""The token bucket behind SES's maximum send rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """SES's maximum send rate in recipients per second, with a burst of one second.

    A call goes through as long as anything is left, and then runs into debt: "if your send rate quota is
    one message per second, and you send a message to five recipients at once, Amazon SES lets you do that.
    For the next five seconds, though, Amazon will return errors" (SES blog, quoted in django-ses#59).
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock, self._lock = rate, clock, threading.Lock()
        self._most = max(rate, 1.0)
        self._left, self._at = self._most, clock()

    def take(self, count: int) -> bool:
        """Take `count` tokens; False if less than one is left, and then nothing is taken."""
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return False
            self._left -= count
            return True
