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
    """One thread that builds, so that there is never more than one build; and one that examines what was saved, which
    takes long at first and which no page waits for.
    """

    def __init__(
        self, desk: Desk, content: Path, theme: Path, tell: Callable[[State, Iterable[str], float], None]
    ) -> None:
        """`tell` is called after each state with the files that were saved and the seconds it took."""
        self._desk, self._content, self._theme, self._tell = desk, content, theme, tell
        self._stop = threading.Event()
        self._unexamined = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"preview {work.__name__}", daemon=True)
            for work in (self._run, self._examine)
        ]

    def start(self) -> None:
        """Begin to watch."""
        self._unexamined.set()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Watch no longer; comes back when nothing is built any more. An examination is not waited for."""
        self._stop.set()
        self._unexamined.set()
        self._threads[0].join()

    def _examine(self) -> None:
        while self._unexamined.wait() and not self._stop.is_set():
            self._unexamined.clear()
            before = self._desk.state.findings
            if self._desk.examine().findings != before:
                self._tell(self._desk.state, (), 0.0)

    def _run(self) -> None:
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
            if saved := sorted(_that_stay(changes)):
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
                self._unexamined.set()
                self._tell(self._desk.state, saved, time.monotonic() - start)
                return time.monotonic()
        self._all(saved)
        return 0.0

    def _all(self, saved: Iterable[str]) -> None:
        start = time.monotonic()
        state = self._desk.read()
        self._unexamined.set()
        self._tell(state, saved, time.monotonic() - start)


def _that_stay(changes: Iterable[tuple[watchfiles.Change, str]]) -> set[str]:
    """What was saved, without the files that many editors write first and then put in the place of the old one."""
    came = {path for change, path in changes if change is watchfiles.Change.added}
    return {os.path.relpath(path) for _, path in changes if path not in came or os.path.exists(path)}
