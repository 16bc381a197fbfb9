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
from pathlib import Path

import corpus
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

_PAUSE = 2.0  # seconds in which an editor writes on
ROOT = Path(__file__).resolve().parents[2]


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
        for name in ("pelicanconf.py", "publication.toml"):
            shutil.copy(ROOT / name, work)
        shutil.copytree(ROOT / "theme", work / "theme")
        (work / "plugins").symlink_to(ROOT / "plugins")
        before = os.getloadavg()[0]
        times = _measure(work, given.rounds)
        table = Table(
            title=f"{given.count:,} analyses, {given.rounds} saves, seconds from the save",
            title_justify="left",
        )
        for head in ("seen in the browser", "median", "slowest"):
            table.add_column(head, justify="left" if head.startswith("seen") else "right")
        for name, all_of_them in times.items():
            table.add_row(name, f"{statistics.median(all_of_them):.2f}", f"{max(all_of_them):.2f}")
        console.print(table)
        console.print(
            f"Load of this machine ({os.cpu_count()} CPUs): {before:.1f} before, {os.getloadavg()[0]:.1f} after"
        )


def _measure(work: Path, rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {
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
                own, front = browser.new_page(), browser.new_page()
                own.goto(f"{found[0]}/analyses/{piece.parent.name}/{piece.stem}/")
                for number in range(rounds):
                    times["the piece's own page"].append(
                        _save(own, piece, f"{text}\n\nWords number {number}.\n", f"Words number {number}.")
                    )
                    times["what is wrong with it"].append(
                        _save(own, piece, text.replace("date:", "dat:", 1), "thing to mend", "things to mend")
                    )
                    _save(own, piece, text, "")
                region = re.search(r"(?m)^region: (.*)$", text)
                assert region
                front.goto(f"{found[0]}/regions/{region[1].lower().replace(' ', '-')}/")
                for number in range(rounds):
                    new = re.sub(r"(?m)^title: .*$", f"title: Headline number {number}", text, count=1)
                    times["a list it is in"].append(_save(front, piece, new, f"Headline number {number}"))
                browser.close()
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
    return times


def _save(page: Page, file: Path, text: str, *words: str) -> float:
    """Save the file and wait for one of the words; "" waits until nothing is wrong any more."""
    time.sleep(_PAUSE)
    start = time.time()
    draft = file.with_suffix(".tmp")
    draft.write_text(text)
    draft.replace(file)  # as most editors do it
    if words == ("",):
        page.locator(".preview-findings[role=alert]").wait_for(state="detached")
        return time.time() - start
    while True:
        try:
            page.wait_for_function(
                "words => words.some(each => document.body && document.body.innerText.includes(each))",
                arg=list(words), polling=10,
            )  # fmt: skip
            return time.time() - start
        except Exception as error:  # the page went away under it, which is what is waited for
            if "navigation" not in str(error) and "destroyed" not in str(error):
                raise


if __name__ == "__main__":
    main()
