"""`make bench`, the second half: `newsletter check` of 10,000 made-up analyses beside Hugo's build of them, in one run.

Compared: CPU time (user and system, of the process and of all it started) of three commands in turn: Hugo's build
without related pieces, a first check (nothing remembered), and a second one with nothing changed. Both checks hold
every file against every rule, ask the build what it would refuse, and read every byte. The pieces have dates,
weekdays, abbreviations, links and judgements to be checked, and a few have findings.

Exit status: 0, or 1 when the first check took more CPU than Hugo or the second one more than a fifth of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import build
from rich.console import Console
from rich.table import Table

HUGO, FIRST, AGAIN = "Hugo, no .Related", "check", "check again"
REACH = {FIRST: 1.0, AGAIN: 0.2}


def main() -> int:
    parser = argparse.ArgumentParser(description="Time newsletter check beside Hugo's build.")
    parser.add_argument("--count", type=int, default=10_000, help="analyses")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are taken")
    options = parser.parse_args()
    console = Console(width=100, highlight=False)
    with tempfile.TemporaryDirectory(prefix="bench-check-") as folder:
        work = Path(folder)
        console.print(f"writing     {options.count:,} analyses", style="dim")
        build.prepare(work, options.count)
        console.print(f"checking    {options.rounds} rounds", style="dim")
        seconds: dict[str, list[float]] = {HUGO: [], FIRST: [], AGAIN: []}
        for _ in range(options.rounds):
            seconds[HUGO].append(build.build(work, build.HUGO_PLAIN).cpu)
            (work / "ours/var/check.json").unlink(missing_ok=True)
            for name in (FIRST, AGAIN):
                cpu, findings = check(work / "ours")
                seconds[name].append(cpu)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    table = Table(title=f"{options.count:,} analyses, medians of {options.rounds} rounds, {findings:,} findings",
                  title_justify="left")  # fmt: skip
    for head in ("", "CPU, s", "ms a piece", "of Hugo's", "at most"):
        table.add_column(head, justify="right" if head else "left")
    for name, cpu in medians.items():
        share, reach = f"{cpu / medians[HUGO]:.2f}", f"{REACH[name]:.2f}" if name in REACH else ""
        table.add_row(name, f"{cpu:.2f}", f"{1000 * cpu / options.count:.2f}", share, reach)
    console.print(table)
    return int(any(medians[name] > reach * medians[HUGO] for name, reach in REACH.items()))


def check(folder: Path) -> tuple[float, int]:
    """Run it once; answers with its CPU seconds and how many findings there were. Raises SystemExit if it fails."""
    command = [str(Path(sys.executable).with_name("newsletter")), "check", "--format", "json"]
    with (folder / "told.json").open("w+") as told:
        process = subprocess.Popen(command, cwd=folder, stdout=told)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        try:
            findings = json.load(told)["findings"]
        except ValueError:
            raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}") from None
    return usage.ru_utime + usage.ru_stime, len(findings)


if __name__ == "__main__":
    sys.exit(main())
