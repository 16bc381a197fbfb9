"""What a person sees in the terminal: one line a step, a table where numbers stand side by side, a bar."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

_LABEL = 12  # columns

# Nothing is markup and nothing is coloured by its looks: an address in brackets is an address in brackets.
_out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(label: str, text: str, seconds: float | None = None) -> None:
    """One line on standard output: what, the words, and how many seconds it took."""
    line = Text(f"{_visible(label):<{_LABEL}}", style="bold") + Text(_visible(text), style="not bold")
    if seconds is not None:
        line += Text(f"  {seconds:.1f} s", style="dim not bold")
    _out.print(line)


def say_error(text: str) -> None:
    """One error on standard error: what, where, how to mend."""
    for number, part in enumerate(text.split("\n")):
        _err.print(
            Text("✗ " if number == 0 else "  ", style="bold red")
            + Text(_visible(part), style="not bold default")
        )


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


class Progress:
    """A bar over the recipients, in a terminal; nothing elsewhere. `total` None: not known yet."""

    def __init__(self, total: int | None) -> None:
        self._progress = RichProgress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=_err,
            transient=True,
            disable=not _err.is_terminal,
        )
        self._task = self._progress.add_task("submitting", total=total)

    def __enter__(self) -> Progress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, done: int) -> None:
        """So many more are done."""
        self._progress.advance(self._task, done)


def _visible(text: str) -> str:
    """Without the control characters by which a file's content could write over the terminal."""
    return "".join(
        character if character.isprintable() or character == "\u00a0" else f"\\x{ord(character):02x}"
        for character in text
    )
