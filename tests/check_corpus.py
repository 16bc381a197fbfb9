"""`make check-corpus`: how much of what is marked in tests/check_corpus is found, and how much is found that is not.

A line's marks tell what is to be found on it, and are taken out before anything is read: in the text
`<!-- expect: T207 the the -->`, in the head `# expect: F101 topcis`; the words after the code are within those that
the finding marks. A file without a mark is clean. beyond.md holds what a person would mark and no rule sees yet.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from newsletter import yardstick
from newsletter.check.engine import conclude, read
from newsletter.check.house import House
from newsletter.errors import Finding

FOLDER = Path(__file__).parent / "check_corpus"
NOW = datetime(2021, 6, 1, tzinfo=UTC)
HOUSE = House(
    zone=ZoneInfo("Europe/London"),
    site_url="https://briefing.example.org",
    yardstick=yardstick.load("ICD 203"),
    regions=("Iraq", "North Africa"),
    topics=("Armed groups", "Elections", "Energy", "Sanctions"),
    glossary={
        "GNA": "Government of National Accord",
        "PMUs": "Popular Mobilisation Units",
        "KH": "Kataib Hizbullah",
    },
)
_MARK = re.compile(r"[ \t]*(?:<!-- expect: ([A-Z]\d{3}) ?(.*?) ?-->|# expect: ([A-Z]\d{3}) ?([^#\n]*))")


@dataclass(frozen=True)
class Expected:
    line: int
    code: str
    words: str

    def __str__(self) -> str:
        return f"{self.line}: {self.code} {self.words}".strip()


def marks(text: str) -> tuple[str, list[Expected]]:
    """A piece without its marks, and what they expect."""
    expected = []
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        for match in _MARK.finditer(line):
            code, words = match[1] or match[3], match[2] if match[1] else match[4]
            expected.append(Expected(number, code, (words or "").strip()))
        lines[number - 1] = _MARK.sub("", line)
    return "\n".join(lines), expected


def findings(text: str, name: str = "piece", house: House = HOUSE) -> list[Finding]:
    """What is found in one piece by itself."""
    reading = read(text, name, PurePosixPath(f"analyses/2020/{name}.md"), house)
    return conclude([reading], house, NOW, lambda path: None)


def compare(text: str, name: str) -> tuple[list[Finding], list[Finding], list[Expected]]:
    """What was found and expected, what was found alone, what was expected alone."""
    text, expected = marks(text)
    right, surplus, missing = [], [], list(expected)
    for finding in findings(text, name):
        match = next(
            (
                one
                for one in missing
                if one.line == finding.line and one.code == finding.code and one.words in finding.words
            ),
            None,
        )
        if match:
            missing.remove(match)
            right.append(finding)
        else:
            surplus.append(finding)
    return right, surplus, missing


def main() -> int:
    console = Console(width=100, highlight=False)
    right, surplus, missing = Counter[str](), Counter[str](), Counter[str]()
    files = sorted(FOLDER.glob("*.md"))
    clean = 0
    for file in files:
        found, more, lost = compare(file.read_text(encoding="utf-8"), file.stem)
        clean += not (found or lost)
        right.update(finding.code for finding in found)
        surplus.update(finding.code for finding in more)
        missing.update(one.code for one in lost)
        for finding in more:
            console.print(
                f"not marked  {file.name}:{finding.line}:{finding.column} {finding.code} {finding.words} — {finding.reason}",
                style="yellow",
            )
        for one in lost:
            console.print(f"not found   {file.name}:{one}", style="yellow")
    table = Table(title=f"{len(files)} pieces, {clean} of them clean", title_justify="left")
    for head in ("", "marked", "found", "not found", "not marked", "precision", "recall"):
        table.add_column(head, justify="right" if head else "left")
    kinds = {
        "F": "front matter",
        "T": "text",
        "A": "abbreviations",
        "E": "estimative language",
        "D": "dates, numbers",
        "S": "silences",
    }
    for kind, words in [*kinds.items(), ("", "all")]:
        counts = [
            sum(n for code, n in each.items() if code.startswith(kind)) for each in (right, missing, surplus)
        ]
        table.add_row(words, *_row(*counts), style="" if kind else "bold")
    console.print(table)
    return int(bool(surplus))


def _row(found: int, missing: int, surplus: int) -> list[str]:
    shares = [found / (found + other) if found + other else 1.0 for other in (surplus, missing)]
    return [
        *(str(n) for n in (found + missing, found, missing, surplus)),
        *(f"{share:.1%}" for share in shares),
    ]


if __name__ == "__main__":
    sys.exit(main())
