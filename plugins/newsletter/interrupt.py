"""Being told to stop: a signal asks, and does not cut a call from the record of its answer."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Ctrl-C, a service manager's stop, a terminal that goes away.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def heeding(stop: Callable[[], None]) -> Iterator[None]:
    """While the block lasts, signals to end call `stop` and do nothing else, however often they come.

    Only in the main thread (Python's own rule for signals: ValueError elsewhere).
    """
    before = {number: signal.signal(number, lambda *_: stop()) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
