"""What a person sees in the terminal: one line a step, a table where numbers stand side by side, a bar."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import ClassVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from newsletter.finding import Finding, Verdict

_LABEL = 12  # columns
_COMMAND = ": newsletter "

# Nothing is markup and nothing is coloured by its looks: an address in brackets is an address in brackets.
_out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(label: str, text: str, seconds: float | None = None) -> None:
    """One line on standard output: what, the words, and how many seconds it took."""
    line = Text(f"{_visible(label):<{_LABEL}}", style="bold") + Text(_visible(text), style="not bold")
    if seconds is not None:
        line += Text(f"  {seconds:.1f} s", style="dim not bold")
    (_err if _Live.shown and _out.is_terminal else _out).print(line)


def fact(label: str, text: str) -> None:
    """Like `say`; in a terminal the lines that long words take begin below one another."""
    _hanging(
        Text(f"{_visible(label):<{_LABEL}}", style="bold"), Text(_visible(text), style="not bold"), _LABEL
    )


def say_error(text: str) -> None:
    """One error on standard error: what, where, how to mend. In a terminal a command that it ends with has a line of
    its own, whole, so that it can be copied.
    """
    for number, part in enumerate(text.split("\n")):
        words, colon, command = _visible(part).rpartition(_COMMAND)
        if not colon or "; " in command or ". " in command or not _err.is_terminal:
            words, colon, command = _visible(part), "", ""
        head = Text("✗ " if number == 0 else "  ", style="bold red")
        _hanging(head, Text(words + colon[:1], style="not bold default"), 2, _err)
        if command:
            _err.print(Text(f"  {colon[2:]}{command}"))


def table(title: str, rows: Sequence[tuple[str, int]]) -> None:
    """Numbers that are compared."""
    grid = Table(
        title=_visible(title),
        show_header=False,
        box=None,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    grid.add_column(min_width=_LABEL)
    grid.add_column(justify="right")
    for name, count in rows:
        grid.add_row(Text(_visible(name)), f"{count:,}")
    _out.print(grid)


def columns(title: str, heads: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
    """Facts side by side, a line each; numbers stand to the right. Where the width does not do, the last column is
    the one that takes more lines.
    """
    grid = Table(
        title=_visible(title),
        box=None,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        header_style="dim",
    )
    for number, head in enumerate(heads):
        counts = all(isinstance(row[number], int) for row in rows)
        grid.add_column(
            head, justify="right" if counts else "left", no_wrap=number < len(heads) - 1, overflow="fold"
        )
    for row in rows:
        grid.add_row(*(f"{cell:,}" if isinstance(cell, int) else Text(_visible(cell)) for cell in row))
    _out.print(grid)


def at_terminal() -> bool:
    """Whether somebody sits there who sees what is said and can answer."""
    return sys.stdin.isatty() and _out.is_terminal


def ask(question: str) -> str:
    """What a person types at the terminal; "" if there is no more to come (Ctrl-D)."""
    _out.print(Text(_visible(question), style="bold"), end=" ")
    try:
        return input().strip()
    except EOFError:
        _out.print()
        return ""


def duration(seconds: float) -> str:
    """A stretch of time as one says it: "45 s", "8 min", "3 h 12 min", "2 d 4 h"."""
    seconds = max(0, round(seconds))
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 36:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


class _Live(Live):
    """What changes in place, on standard error, for as long as it is shown. A line that is said meanwhile has to go
    through the same console: it would be drawn over else.
    """

    shown: ClassVar[Live | None] = None

    def __init__(self, drawn: Callable[[], RenderableType]) -> None:
        super().__init__(console=_err, get_renderable=drawn, transient=True, refresh_per_second=4)

    def start(self, refresh: bool = False) -> None:
        """As rich's."""
        _Live.shown = self
        super().start(refresh)

    def stop(self) -> None:
        """As rich's."""
        super().stop()
        _Live.shown = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How far something is: so many of `total` are done; `states` says what became of them, in words."""

    total: int
    done: int
    states: Sequence[tuple[str, int]] = ()


class Progress:
    """How far it is, how fast and how long still: a bar in a terminal, a line now and then elsewhere.

    It looks at the tally itself, at most once a second and never for more than a twentieth of the time.
    """

    every = 30.0  # seconds from line to line where there is no terminal; a short run has none
    _over = 30.0  # seconds over which the speed is taken

    def __init__(
        self,
        look: Callable[[], Tally],
        ticks: Callable[[], float] = time.monotonic,
        doing: str = "submitting",
    ) -> None:
        """`look` counts; `ticks` counts seconds and never goes back; `doing` is what is going on."""
        self._look, self._ticks, self._doing = look, ticks, doing
        self._tally = look()
        self._look_at = 0.0
        self._line_at = ticks() + self.every
        self._note = ""
        self._samples = deque([(ticks(), self._tally.done)])
        self._live = _Live(self._drawn)

    def __enter__(self) -> Progress:
        if _err.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def advance(self, done: int) -> None:
        """So many more are done."""
        now = self._ticks()
        if now >= self._look_at:
            self._tally = self._look()
            self._look_at = now + max(1.0, 20 * (self._ticks() - now))
        else:
            self._tally = replace(self._tally, done=self._tally.done + done)
        self._samples.append((now, self._tally.done))
        while len(self._samples) > 2 and now - self._samples[1][0] > self._over:
            self._samples.popleft()
        if not _err.is_terminal and now >= self._line_at:
            self._line_at = now + self.every
            say("progress", " · ".join([*self._pace(), *self._states()]))

    def note(self, text: str) -> None:
        """A sentence below the bar, at once. It may be called within a signal, and so goes around all buffers."""
        self._note = text
        if not _err.is_terminal and sys.__stderr__:
            os.write(sys.__stderr__.fileno(), f"{text}\n".encode())

    def _pace(self) -> list[str]:
        """How far, how fast, how long still."""
        words = [f"{self._tally.done:,} of {self._tally.total:,}"]
        (first, before), (_, after) = self._samples[0], self._samples[-1]
        if after > before:
            # Up to now, not up to the last call: when nothing moves, the speed falls.
            speed = (after - before) / max(self._ticks() - first, 0.001)
            left = max(0, self._tally.total - self._tally.done) / speed
            words += [f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.1f}/s", f"{duration(left)} left"]
        return words

    def _states(self) -> list[str]:
        return [f"{count:,} {_visible(name)}" for name, count in self._tally.states if count]

    def _drawn(self) -> RenderableType:
        words = "   ".join(self._pace())
        width = min(40, max(8, _err.width - _LABEL - len(words) - 3))
        line = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(
            total=max(1, self._tally.total),
            completed=self._tally.done,
            width=width,
            style="dim",
            complete_style="cyan",
            finished_style="green",
        )
        line.add_row(Text(f"{self._doing:<{_LABEL - 2}}", style="bold"), bar, Text(words))
        states = Text(
            " " * _LABEL + " · ".join(self._states()), style="dim", overflow="ellipsis", no_wrap=True
        )
        return Group(line, states, *([Text(self._note)] if self._note else []))


class Countdown:
    """How long still, until a moment that is named: a line that changes in a terminal, nothing elsewhere."""

    def __init__(self, until: str) -> None:
        self._until = until
        self._left = 0.0
        self._live = _Live(self._drawn)

    def __enter__(self) -> Countdown:
        if _err.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def tell(self, left: float) -> None:
        """So many seconds are left."""
        self._left = left

    def _drawn(self) -> RenderableType:
        return Text(f"{'waiting':<{_LABEL}}", style="bold") + Text(
            f"until {_visible(self._until)}: {duration(self._left)} left. Ctrl-C ends it.", style="not bold"
        )


_FINDING = 20  # columns before the words of a finding
_LOOKS = {
    Verdict.SOUND: ("✓", "green"),
    Verdict.WARNING: ("!", "bold yellow"),
    Verdict.BROKEN: ("✗", "bold red"),
    Verdict.SKIPPED: ("–", "dim"),
}


class Examination:
    """Findings, a line each as they are made, with how to mend them; in a terminal also what is being asked."""

    def __init__(self, silent: bool = False, ticks: Callable[[], float] = time.monotonic) -> None:
        """`silent` shows nothing: the findings are told in another way."""
        self._silent, self._ticks = silent, ticks
        self._asked, self._since = "", 0.0
        self._live: _Live | None = None

    def __enter__(self) -> Examination:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._still()

    def asking(self, what: str) -> None:
        """It is being asked after."""
        self._still()
        if _err.is_terminal and not self._silent:
            self._asked, self._since = what, self._ticks()
            self._live = _Live(self._drawn)
            self._live.start()

    def found(self, finding: Finding) -> None:
        """That was found."""
        self._still()  # its line would be drawn over
        if self._silent:
            return
        mark, style = _LOOKS[finding.verdict]
        name, quiet = f"{_visible(finding.name):<{_FINDING - 2}}", finding.verdict is Verdict.SKIPPED
        _hanging(
            Text.assemble((f"{mark} ", style), (name, "" if quiet else "bold")),
            Text(_visible(finding.words), style="dim" if quiet else ""),
        )
        if finding.mend:
            _hanging(Text(" " * _FINDING), Text.assemble(("mend: ", "bold"), _visible(finding.mend)))

    def _still(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def _drawn(self) -> RenderableType:
        waited = self._ticks() - self._since
        if waited < 0.5:
            return Text("")  # nothing flickers past
        return Text(f"… {self._asked:<{_FINDING - 2}}{waited:.0f} s", style="dim")


def _hanging(head: Text, words: Text, indent: int = _FINDING, to: Console = _out) -> None:
    """Words after their head; in a terminal the lines they take begin below one another."""
    width = to.width - indent if to.is_terminal else 0
    lines = words.wrap(to, width) if width >= _FINDING else [words]
    for number, line in enumerate(lines):
        line.rstrip()
        to.print(Text.assemble(head if number == 0 else " " * indent, line))


def _visible(text: str) -> str:
    """Without the control characters by which a file's content could write over the terminal."""
    return "".join(
        character if character.isprintable() or character == "\u00a0" else f"\\x{ord(character):02x}"
        for character in text
    )
