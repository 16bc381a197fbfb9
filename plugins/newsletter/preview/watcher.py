"""Waits for the editor to save, and has the desk show it: the saved piece at once, everything else a moment later."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import watchfiles

from newsletter import publication, site
from newsletter.preview.desk import Desk, State

# After a piece was turned alone, the rest waits until the browsers have fetched it and ask for nothing more, but not
# for long: perhaps nobody looks. In seconds.
_STILL, _AT_LATEST = 0.3, 2.0
_LOOK_EVERY = 100  # milliseconds: how soon the end, or the rest's turn, is noticed
_GATHER = 30  # milliseconds in which what belongs to one save arrives


class Watcher:
    """One thread, so that there is never more than one build."""

    def __init__(
        self, desk: Desk, content: Path, theme: Path, tell: Callable[[State, Iterable[str], float], None]
    ) -> None:
        """`tell` is called after each state with the files that were saved and the seconds it took."""
        self._desk, self._content, self._theme, self._tell = desk, content, theme, tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="preview", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer; comes back when the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        self._tell(self._desk.examine(), (), time.monotonic() - start)
        turned_at = 0.0
        folders = [path for path in (self._content, self._theme) if path.is_dir()]
        facts = [Path(name) for name in (site.CONFIGURATION, publication.FILE) if Path(name).is_file()]
        for changes in watchfiles.watch(
            *folders,
            *facts,
            debounce=_GATHER * 10,
            step=_GATHER,
            rust_timeout=_LOOK_EVERY,
            yield_on_timeout=True,
            stop_event=self._stop,
        ):
            if changes:
                saved = sorted({os.path.relpath(path) for _, path in changes})
                turned_at = self._saved(saved)
            elif turned_at and self._is_still(turned_at, time.monotonic()):
                turned_at = 0.0
                self._all(())

    def _is_still(self, turned_at: float, now: float) -> bool:
        fetched = self._desk.asked_at > turned_at and now - self._desk.asked_at > _STILL
        return fetched or now - turned_at > _AT_LATEST

    def _saved(self, saved: list[str]) -> float:
        """Show what was saved; answers when a piece was turned alone, 0 if nothing is left to do."""
        content = os.path.relpath(self._content)
        pieces = [os.path.relpath(path, content) for path in saved if path.startswith(f"{content}{os.sep}")]
        if len(pieces) < len(saved):
            self._desk.forget()
        elif len(pieces) == 1:
            start = time.monotonic()
            if self._desk.turn(pieces[0]):
                self._desk.examine()
                self._tell(self._desk.state, saved, time.monotonic() - start)
                return time.monotonic()
        self._all(saved)
        return 0.0

    def _all(self, saved: Iterable[str]) -> None:
        start = time.monotonic()
        self._desk.read()
        state = self._desk.examine()
        self._tell(state, saved, time.monotonic() - start)
