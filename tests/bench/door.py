"""`make bench-door`: sign-up and one-click at the door, beside a bare Starlette route that does one durable commit.

wrk asks each in turn, round after round; nothing is asked twice, and each answer has to be a 200. Compared: requests a
second, the 99th percentile of the answers' times, and the CPU time of the server's process for each request. What
stands in one round was measured within seconds, so each round's ratio is taken, and of those the median: the noise of
a shared machine is not in it.

With several connections the door writes down at once whatever waits. With one there is nobody to share a commit with,
and what is compared is mostly the disk: a sign-up changes ten pages of its file, a bare row two. That is shown, and not
judged.

Exit status: 0, or 1 when sign-up or one-click has less than two thirds of the bare route's rate, or a 99th percentile
of more than twice its.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from door_served import SUBSCRIBERS
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BARE, SIGN_UP, ONE_CLICK = "bare", "sign-up", "one-click"
LEAST_RATE, MOST_P99 = 2 / 3, 2.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One round of one of them: requests per second, milliseconds, and CPU milliseconds for each request."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Server:
    """A server's process and its port."""

    process: int
    port: int

    def cpu(self) -> float:
        """Seconds so far, user and system."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> int:
    options = _options()
    console = Console(stderr=options.json, width=110, highlight=False)
    if shutil.which("wrk") is None:
        console.print("This needs wrk. On Debian or Ubuntu: sudo apt-get install wrk", style="red")
        return 1
    if not (ROOT / "build/door/frame.html").exists():
        console.print("This needs the site, for the frame of the door's pages: make html", style="red")
        return 1
    load = os.getloadavg()
    with ExitStack() as stack:
        # Beside the checkout and not in /tmp, which may be memory: durable has to mean the disk.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT / "build")))
        subprocess.run([sys.executable, HERE / "door_served.py", "subscribers", folder], check=True)
        bare = stack.enter_context(served("bare", folder))
        door = stack.enter_context(served("door", folder))
        bench = Bench({BARE: bare, SIGN_UP: door, ONE_CLICK: door}, folder, options.seconds)
        for number in range(options.rounds + 1):  # the first warms up
            for connections in options.connections:
                bench.round(number, connections)
            console.print(f"round {number} of {options.rounds}", style="dim")
    found = {connections: Figures(bench.of(connections)) for connections in options.connections}
    loads = [load, os.getloadavg()]
    missed = [
        f"{connections} connections, {words}"
        for connections, each in found.items()
        if connections > 1
        for words in each.missed()
    ]
    if options.json:
        figures = {
            connections: {"medians": each.medians, "ratios": each.ratios}
            for connections, each in found.items()
        }
        print(json.dumps({"load": loads, **figures}, indent=2))
        return int(bool(missed))
    for connections, each in found.items():
        many = "one connection" if connections == 1 else f"{connections} connections"
        console.print(each.table(f"{many}, medians of {options.rounds} rounds of {options.seconds} seconds"))
    console.print(
        f"Load of this machine ({os.cpu_count()} CPUs): {loads[0][0]:.1f} before, {loads[1][0]:.1f} after",
        style="dim",
    )
    for line in missed:
        console.print(line, style="red")
    return int(bool(missed))


class Bench:
    """Asks the servers, and keeps what came of it."""

    def __init__(self, servers: Mapping[str, Server], folder: Path, seconds: int) -> None:
        self._servers, self._folder, self._seconds = servers, folder, seconds
        self._runs: dict[tuple[int, str], list[Run]] = {}
        self._left = 0  # how many have unsubscribed

    def of(self, connections: int) -> dict[str, list[Run]]:
        """The rounds of each, without the one that warmed up."""
        return {what: self._runs[connections, what][1:] for what in self._servers}

    def round(self, number: int, connections: int) -> None:
        """Ask each of them, one after the other. Raises SystemExit if an answer is not a 200."""
        for what, server in self._servers.items():
            os.sync()  # so that nobody waits for what the one before has left to write
            before = server.cpu()
            said = subprocess.run(
                [
                    "wrk", "-t1", f"-c{connections}", f"-d{self._seconds}s", "-s", HERE / "door.lua",
                    f"http://127.0.0.1:{server.port}", "--",
                    what, f"{number}-{connections}", self._folder / "tokens", str(self._left),
                ],
                check=True, capture_output=True, text=True,
            ).stdout.splitlines()[-1]  # fmt: skip
            got = json.loads(said)
            if got["errors"] or not got["requests"]:
                raise SystemExit(f"{what}: not every answer was a 200: {said}")
            if what == ONE_CLICK:
                self._left += (
                    got["requests"] + connections
                )  # those under way at the end are not among the answers
                if self._left > SUBSCRIBERS:
                    raise SystemExit(
                        f"All {SUBSCRIBERS:,} have unsubscribed: take fewer rounds, or shorter ones."
                    )
            cpu = 1000 * (server.cpu() - before) / got["requests"]
            rate = 1e6 * got["requests"] / got["microseconds"]
            run = Run(rate, got["p50"] / 1000, got["p99"] / 1000, cpu)
            self._runs.setdefault((connections, what), []).append(run)


class Figures:
    """The medians of each, and of the door's ratios to the bare route."""

    def __init__(self, runs: Mapping[str, Sequence[Run]]) -> None:
        self.medians = {
            what: {name: median(getattr(run, name) for run in each) for name in Run.__slots__}
            for what, each in runs.items()
        }
        self.ratios = {
            what: {
                name: median(
                    getattr(mine, name) / getattr(its, name)
                    for mine, its in zip(runs[what], runs[BARE], strict=True)
                )
                for name in Run.__slots__
            }
            for what in (SIGN_UP, ONE_CLICK)
        }

    def missed(self) -> list[str]:
        """What is not as it should be."""
        return [
            f"{what}: {ratio['rate']:.2f} of the bare route's rate, {ratio['p99']:.2f} of its 99th percentile"
            for what, ratio in self.ratios.items()
            if ratio["rate"] < LEAST_RATE or ratio["p99"] > MOST_P99
        ]

    def table(self, title: str) -> Table:
        """All of them side by side."""
        table = Table(title=title, title_justify="left")
        for name in ("", BARE, SIGN_UP, ONE_CLICK, f"{SIGN_UP} / {BARE}", f"{ONE_CLICK} / {BARE}", "wanted"):
            table.add_column(name, justify="right" if name else "left")
        for words, name, form, wanted in (
            ("requests a second", "rate", "{:,.0f}", f"≥ {LEAST_RATE:.2f}"),
            ("median answer, ms", "p50", "{:.1f}", ""),
            ("99th percentile, ms", "p99", "{:.1f}", f"≤ {MOST_P99:.2f}"),
            ("CPU a request, ms", "cpu", "{:.2f}", ""),
        ):
            shown = [form.format(each[name]) for each in self.medians.values()]
            compared = [f"{self.ratios[what][name]:.2f}" for what in (SIGN_UP, ONE_CLICK)]
            table.add_row(words, *shown, *compared, wanted)
        return table


@contextmanager
def served(role: str, folder: Path) -> Iterator[Server]:
    """One of the two, in a process of its own."""
    command = [sys.executable, str(HERE / "door_served.py"), role, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Server(process.pid, int(process.stdout.readline()))
        finally:
            process.terminate()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Time the door beside a bare route that does one durable commit."
    )
    parser.add_argument("--rounds", type=int, default=7, help="of which the medians are taken")
    parser.add_argument("--seconds", type=int, default=3, help="of each round of each")
    parser.add_argument(
        "--connections",
        type=int,
        nargs="+",
        default=[1, 10, 32],
        help="that wrk keeps busy, one number after the other",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
