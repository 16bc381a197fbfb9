"""`make bench-preview`: from a save to the page that an editor looks at, at 1,000 analyses, in a real browser.

A file is saved; the clock stops when the page in Chromium, which nobody touches, shows the new words. The same for a
list that the piece is in, and for the panel of what is wrong. Beside it the reading alone, in CPU time. Nothing is
promised here: what it prints depends on the machine and on what else it does (its load is printed too).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import corpus
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

_PAUSE = 2.0  # seconds in which an editor writes on
ROOT = Path(__file__).resolve().parents[2]


# Seconds from the save until it was seen, and seconds of CPU that the preview has used for it till then.
Seen = tuple[float, float]


def main() -> None:
    """Make the content, start the preview, save and wait."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=20)
    given = options.parse_args()
    console = Console(width=100, highlight=False)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work = Path(folder)
        corpus.write(work / "content", given.count)
        shutil.copytree(ROOT / "content/pages", work / "content/pages")
        shutil.copy(ROOT / "pelicanconf.py", work)
        # The made-up pieces have regions and topics of their own: without lists every word is taken.
        facts = (ROOT / "publication.toml").read_text()
        (work / "publication.toml").write_text(re.sub(r"(?m)^(regions|topics) = .*$", "", facts))
        shutil.copytree(ROOT / "theme", work / "theme")
        (work / "plugins").symlink_to(ROOT / "plugins")
        before = os.getloadavg()[0]
        times = _measure(work, given.rounds)
        table = Table(title=f"{given.count:,} analyses, {given.rounds} saves each", title_justify="left")
        for head in ("seen in the browser", "median, s", "slowest, s", "CPU of the preview till then, s"):
            table.add_column(head, justify="left" if head.startswith("seen") else "right")
        for name, saves in times.items():
            walls, cpus = [wall for wall, _ in saves], [cpu for _, cpu in saves]
            table.add_row(
                name, f"{statistics.median(walls):.2f}", f"{max(walls):.2f}", f"{statistics.median(cpus):.2f}"
            )
        console.print(table)
        console.print(
            f"Load of this machine ({os.cpu_count()} CPUs): {before:.1f} before, {os.getloadavg()[0]:.1f} after"
        )


def _measure(work: Path, rounds: int) -> dict[str, list[Seen]]:
    times: dict[str, list[Seen]] = {
        "the piece's own page": [],
        "a list it is in": [],
        "what is wrong with it": [],
    }
    piece = sorted((work / "content/analyses").rglob("*.md"))[-1]
    text = piece.read_text()
    words = [sys.executable, "-u", "-m", "newsletter", "preview", "--port", "0"]
    with subprocess.Popen(
        words, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        try:
            with sync_playwright() as playwright:
                chrome = shutil.which("chromium") or shutil.which("chromium-browser")
                browser = playwright.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
                save = partial(_save, process.pid)
                own, front = browser.new_page(), browser.new_page()
                own.goto(f"{found[0]}/analyses/{piece.parent.name}/{piece.stem}/")
                for number in range(rounds):
                    times["the piece's own page"].append(
                        save(own, piece, f"{text}\n\nWords number {number}.\n", f"Words number {number}.")
                    )
                    times["what is wrong with it"].append(
                        save(
                            own,
                            piece,
                            text.replace("date:", "dat:", 1),
                            "is missing. Add a line such as date",
                        )
                    )
                    save(own, piece, text, "")
                region = re.search(r"(?m)^region: (.*)$", text)
                assert region
                front.goto(f"{found[0]}/regions/{region[1].lower().replace(' ', '-')}/")
                for number in range(rounds):
                    new = re.sub(r"(?m)^title: .*$", f"title: Headline number {number}", text, count=1)
                    times["a list it is in"].append(save(front, piece, new, f"Headline number {number}"))
                browser.close()
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
    return times


def _save(process: int, page: Page, file: Path, text: str, words: str) -> Seen:
    """Save the file and wait for the words; "" waits until nothing is wrong any more."""
    time.sleep(_PAUSE)
    start, cpu = time.time(), _cpu(process)
    draft = file.with_suffix(".tmp")
    draft.write_text(text)
    draft.replace(file)  # as most editors do it
    if not words:
        page.locator(".preview-findings[role=alert]").wait_for(state="detached")
        return time.time() - start, _cpu(process) - cpu
    while True:
        try:
            page.wait_for_function(
                "words => document.body && document.body.innerText.includes(words)", arg=words, polling=10
            )
            return time.time() - start, _cpu(process) - cpu
        except Exception as error:  # the page went away under it, which is what is waited for
            if "navigation" not in str(error) and "destroyed" not in str(error):
                raise


def _cpu(process: int) -> float:
    """Seconds of CPU that a process has used, in user and in system mode (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
