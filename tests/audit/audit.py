"""`make audit`: every kind of page against the standards, in a table.

    axe-core    0 violations, light and dark, and on a phone     accessibility (WCAG 2.2 AA and best practice)
    Nu          0 errors in HTML and CSS                         validator.github.io
    Lighthouse  100 in performance, accessibility, best practices, SEO; the median of five, if once is not enough
    weight      at most 40 KB over the wire and 2 requests for an article without pictures
    width       nothing to scroll sideways at 320 pixels, nor at 1280 with 200 % zoom

The door's pages are held against all but Lighthouse, which cannot send a form.
Needs Node, Java and Chromium; `make test` needs none of the first two. Exit status 1 if anything falls short.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from door_pages import opened, shots, visit
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table
from starlette.middleware.gzip import GZipMiddleware

from newsletter import front

HERE = Path(__file__).parent
OUTPUT = Path("output")
TOOLS = HERE / "node_modules"
MOST_BYTES, MOST_REQUESTS = 40_000, 2
SCHEMES = ("light", "dark")
RUNS = 5
# Kinds that search machines are asked to leave alone, and so lose marks for SEO.
NOT_INDEXED = ("404", "history")


@dataclass
class Kind:
    """One kind of page: an example of it, and what was measured. `answer` is a page of the door."""

    name: str
    path: str
    answer: bool = False
    axe: int = 0
    nu: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    bytes: int = 0
    sideways: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def kinds(output: Path) -> list[Kind]:
    """One page of each kind that the built site has: the heaviest of its kind, and the lightest article."""
    patterns = {
        "home": "index.html", "article": "analyses/*/*/index.html", "archive": "analyses/index.html",
        "year": "analyses/*/index.html", "region": "regions/*/index.html", "topic": "topics/*/index.html",
        "desk": "desks/*/index.html", "regions": "regions/index.html", "topics": "topics/index.html",
        "desks": "desks/index.html", "briefing": "briefings/*/index.html", "briefings": "briefings/index.html",
        "forecasts": "forecasts/index.html", "search": "search/index.html", "page": "how-we-judge/index.html",
        "history": "analyses/*/*/history/index.html", "about": "about/index.html",
        "privacy": "privacy/index.html", "glossary": "glossary/index.html",
    }  # fmt: skip
    found = {
        name: sorted(output.glob(pattern), key=lambda path: -path.stat().st_size)
        for name, pattern in patterns.items()
    }
    # Articles of several shapes, each another one.
    articles = found["article"]
    found["article, short"] = articles[-1:]
    marks = {
        "map": 'class="locator"',
        "timeline": 'class="grid times"',
        "table": "<table",
        "notes": "footnote-ref",
    }
    for name, mark in marks.items():
        taken = {page for pages in found.values() for page in pages[:1]}
        found[f"article, {name}"] = [
            page for page in articles if page not in taken and mark in page.read_text(encoding="utf-8")
        ]
    ordered = sorted(found, key=lambda name: list(patterns).index(name.partition(",")[0]))
    first = [(name, found[name][0]) for name in ordered if found[name]]
    addresses = [
        (name, f"/{page.relative_to(output).as_posix().removesuffix('index.html')}") for name, page in first
    ]
    return [*(Kind(name, address) for name, address in addresses), Kind("404", "/404.html")]


@contextmanager
def served(output: Path) -> Iterator[str]:
    """The site at an address, compressed as a web server would."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = GZipMiddleware(front.site(output), minimum_size=500)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def axe(browser: Browser, address: str, kind: Kind) -> None:
    """Violations of accessibility, in both schemes."""
    page = browser.new_page(bypass_csp=True)
    page.goto(address + kind.path, wait_until="networkidle")
    _ask_axe(page, kind)
    page.close()


def _ask_axe(page: Page, kind: Kind) -> None:
    source = (TOOLS / "axe-core/axe.min.js").read_text()
    rules = "{'target-size': {enabled: true}}"  # WCAG 2.2, and off by itself
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.evaluate(source)
        result: dict[str, Any] = page.evaluate(
            f"axe.run(document, {{resultTypes: ['violations'], rules: {rules}}})"
        )
        kind.axe += len(result["violations"])
        kind.said += [
            f"axe {width} {scheme}: {v['id']}: {v['help']}: {v['nodes'][0]['html'][:120]}"
            for v in result["violations"]
        ]


def weigh(browser: Browser, address: str, kind: Kind) -> None:
    """What a first visit fetches, icon apart (a browser asks for it when it is idle), and whether anything sticks out."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    sizes: list[int] = []

    def count(response: Any) -> None:
        if not response.url.endswith("mark.svg"):
            sizes.append(len(gzip.compress(response.body())))

    page.on("response", count)
    page.goto(address + kind.path, wait_until="networkidle")
    kind.requests, kind.bytes = len(sizes), sum(sizes)
    page.close()
    for name, width, zoom in (("320 px", 320, 1), ("200 %", 640, 2)):
        page = browser.new_page(viewport={"width": width, "height": 800}, device_scale_factor=zoom)
        page.goto(address + kind.path, wait_until="networkidle")
        if _sticks_out(page):
            kind.sideways.append(name)
        page.close()


def _sticks_out(page: Page) -> bool:
    wide: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wide


def answers(browser: Browser, output: Path, folder: Path) -> list[Kind]:
    """Every page of the door; as it was sent, each is left in `folder` for the Nu checker."""
    found = []
    with opened(output) as (address, at):
        for shot in shots(at):
            kind = Kind(f"door, {shot.name}", f"/{shot.name}.html", answer=True)
            page = browser.new_page(base_url=address, bypass_csp=True)
            sent = visit(page, shot, at).body()
            Path(folder, kind.path[1:]).write_bytes(sent)
            _ask_axe(page, kind)
            for name, width in (("320 px", 320), ("200 %", 640)):
                page.set_viewport_size({"width": width, "height": 800})
                if _sticks_out(page):
                    kind.sideways.append(name)
            page.close()
            found.append(kind)
    return found


def nu(output: Path, found: list[Kind]) -> list[str]:
    """Errors of HTML in every page of a folder, and of CSS; counted for the kinds."""
    jar = TOOLS / "vnu-jar/build/dist/vnu.jar"
    said = []
    for words in (["--skip-non-html"], ["--skip-non-css"]):
        command = ["java", "-jar", str(jar), "--format", "json", "--errors-only", *words, str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for message in json.loads(done.stderr or '{"messages": []}')["messages"]:
            place = message.get("url", "").rpartition(f"/{output.name}/")[2]
            said.append(f"Nu {place}:{message.get('lastLine', 0)}: {message['message']}")
            for kind in found:
                kind.nu += place.removesuffix("index.html") == kind.path.lstrip("/")
    return said


def lighthouse(address: str, kind: Kind) -> None:
    """The four scores of Lighthouse, on its own terms for a phone.

    Performance is measured in time, and so by whatever else the machine does. Lighthouse's own guide (docs/variability.md)
    takes the median of five runs: these are made where the first falls short.
    """
    first = _run(address, kind)
    if first is None:
        return
    kind.scores, kind.said = first[0], kind.said + first[1]
    if kind.scores["performance"] == 100:
        return
    runs = [first, *filter(None, (_run(address, kind) for _ in range(RUNS - 1)))]
    speeds = [scores["performance"] for scores, _ in runs]
    kind.scores["performance"] = round(statistics.median(speeds))
    kind.said.append(
        f"Lighthouse performance in {len(runs)} runs: {', '.join(f'{speed:.0f}' for speed in speeds)}"
    )


def _run(address: str, kind: Kind) -> tuple[dict[str, float], list[str]] | None:
    """One run: the scores, and what lost marks."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        chrome = shutil.which("chromium") or shutil.which("chromium-browser") or ""
        command = [
            str(TOOLS / ".bin/lighthouse"), address + kind.path, "--quiet", "--output=json", f"--output-path={report}",
            "--chrome-flags=--headless=new --no-sandbox --disable-gpu --disable-background-networking",
            "--only-categories=performance,accessibility,best-practices,seo",
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "CHROME_PATH": chrome}
        )
        if not report.is_file():
            kind.said.append(f"Lighthouse: {done.stderr.strip()[-300:]}")
            return None
        result = json.loads(report.read_text())
    scores = {name: round(100 * (part["score"] or 0)) for name, part in result["categories"].items()}
    return scores, [
        f"Lighthouse {category['id']}: {audit['id']}: {audit.get('displayValue', audit['title'])}"
        for category in result["categories"].values()
        for each in category["auditRefs"]
        if (audit := result["audits"][each["id"]])["score"] is not None
        and each["weight"]
        and audit["score"] < 0.9
    ]


def falls_short(kind: Kind, quick: bool) -> bool:
    """Whether a page misses any of the marks that were looked at."""
    scores = {
        name: score for name, score in kind.scores.items() if not (kind.name in NOT_INDEXED and name == "seo")
    }
    heavy = kind.name.startswith("article") and (kind.bytes > MOST_BYTES or kind.requests > MOST_REQUESTS)
    slow = not (quick or kind.answer) and min(scores.values(), default=0) < 100
    return bool(kind.axe or kind.nu or kind.sideways or heavy or slow)


def main() -> int:
    """Audit a built site."""
    options = argparse.ArgumentParser(description="Hold every kind of page against the standards.")
    options.add_argument("output", nargs="?", type=Path, default=OUTPUT, help="where the built site lies")
    options.add_argument(
        "--quick", action="store_true", help="without Lighthouse, which takes most of the time"
    )
    given = options.parse_args()
    output, quick = given.output, given.quick
    console = Console(width=110)
    found = kinds(output)
    with served(output) as address, tempfile.TemporaryDirectory() as folder:
        with sync_playwright() as playwright:
            chrome = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
            for kind in found:
                with console.status(f"{kind.name}: axe, weight"):
                    axe(browser, address, kind)
                    weigh(browser, address, kind)
            with console.status("the door"):
                door = answers(browser, output, Path(folder))
            browser.close()
        for kind in [] if quick else found:
            with console.status(f"{kind.name}: Lighthouse"):
                lighthouse(address, kind)
        with console.status("Nu"):
            errors = [*nu(output, found), *nu(Path(folder), door)]
    found += door
    table = Table(title="Every kind of page, at its heaviest")
    for column in ("page", "axe", "Nu", "perf", "a11y", "practice", "SEO", "requests", "KB", "sticks out"):
        table.add_column(column, justify="left" if column in ("page", "sticks out") else "right")
    for kind in found:
        scores = [
            str(kind.scores.get(name, "–"))
            for name in ("performance", "accessibility", "best-practices", "seo")
        ]
        style = "red" if falls_short(kind, quick) else ""
        table.add_row(
            kind.name, str(kind.axe), str(kind.nu), *scores, str(kind.requests or "–"), f"{kind.bytes / 1000:.1f}" if kind.bytes else "–",
            ", ".join(kind.sideways), style=style,
        )  # fmt: skip
    console.print(table)
    for line in [*(f"{kind.name}: {line}" for kind in found for line in kind.said), *errors]:
        console.print(line, markup=False, highlight=False)
    return int(bool(errors) or any(falls_short(kind, quick) for kind in found))


if __name__ == "__main__":
    sys.exit(main())
