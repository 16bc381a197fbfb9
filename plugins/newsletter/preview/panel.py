"""What the preview adds to a page: a bar that says so, and a panel with all that is wrong, in the editor's words.

Both are plain HTML with a style sheet and a script of their own at /.preview/: the site's own policy for content
(no inline script or style) holds in the preview too, and nothing of it is in a published page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from newsletter.errors import Finding, Severity
from newsletter.preview.desk import State

HERE = Path(__file__).parent
PATH = "/.preview/"
_AROUND = 1  # lines shown before and after the one that is meant
_SHOWN = 50  # warnings at most; of a large site there may be hundreds
_LONGEST = 160  # characters of a line that are shown
_HEAD_END, _BODY = re.compile(r"</head>", re.IGNORECASE), re.compile(r"<body[^>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, as the panel shows it."""

    number: int
    before: str
    words: str  # those that are meant
    after: str
    meant: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One finding with the lines it is about."""

    finding: Finding
    lines: tuple[Line, ...]


class Panel:
    """Makes the parts that are added, and the page that stands where the site has none to show."""

    def __init__(self, root: str) -> None:
        """`root` is the path below which the site's pages link to each other, "" or "/briefing"."""
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._root = root

    def panel(self, state: State, source: str = "") -> str:
        """The bar and, if something is wrong, what. `source` is the file of the page that is looked at: it comes first."""
        findings = sorted(state.findings, key=lambda finding: finding.path != source)
        errors = [finding for finding in findings if finding.severity is Severity.ERROR]
        warnings = [finding for finding in findings if finding.severity is not Severity.ERROR]
        return self._templates.get_template("panel.html").render(
            state=state,
            errors=_entries(errors),
            warnings=_entries(warnings[:_SHOWN]),
            here=sum(finding.path == source for finding in warnings),
            count=len(warnings),
        )

    def dress(self, page: str, state: State, source: str = "") -> str:
        """A page of the site with the bar, the panel and the script that keeps it up to date."""
        head = (
            f'<link rel="stylesheet" href="{PATH}preview.css">'
            f'<script src="{PATH}preview.js" data-page="{mark(page, state)}" defer></script>'
        )
        page = _HEAD_END.sub(lambda found: head + found[0], page, count=1)
        return _BODY.sub(lambda found: found[0] + self.panel(state, source), page, count=1)

    def alone(self, state: State, title: str, words: str) -> str:
        """A page with nothing of the site on it."""
        return self.dress(self.plain(title, words), state)

    def plain(self, title: str, words: str) -> str:
        """The same, without what is added to each page."""
        return self._templates.get_template("alone.html").render(title=title, words=words, root=self._root)

    def proofs(self, state: State) -> str:
        """The page with every mailing that can be proofed."""
        return self.dress(
            self._templates.get_template("proofs.html").render(state=state, root=self._root), state
        )

    def held(self, state: State) -> str:
        """The page with everything that the public does not see yet."""
        return self.dress(
            self._templates.get_template("held.html").render(state=state, root=self._root), state
        )


def mark(page: str, state: State) -> str:
    """What tells a page from the one it was."""
    return sha256(f"{state.look} {page}".encode()).hexdigest()[:16]


def _entries(findings: Sequence[Finding]) -> list[Entry]:
    texts: dict[str, list[str]] = {}
    return [Entry(finding, _lines(finding, texts)) for finding in findings]


def _lines(finding: Finding, texts: dict[str, list[str]]) -> tuple[Line, ...]:
    if not finding.path or not finding.line:
        return ()
    if finding.path not in texts:
        try:
            texts[finding.path] = (
                Path(finding.path).read_text(encoding="utf-8", errors="replace").splitlines()
            )
        except OSError:
            texts[finding.path] = []
    text = texts[finding.path]
    first = max(1, finding.line - _AROUND)
    return tuple(
        _line(number, text[number - 1], finding)
        for number in range(first, min(len(text), finding.line + _AROUND) + 1)
        if number == finding.line or text[number - 1].strip()
    )


def _line(number: int, text: str, finding: Finding) -> Line:
    if number != finding.line:
        return Line(number, text[:_LONGEST] or " ", "", "", False)
    start = finding.column - 1
    end = start + len(finding.words)
    if start < 0 or text[start:end] != finding.words:
        return Line(number, text[:_LONGEST] or " ", "", "", True)
    begin = max(0, start - _LONGEST // 2)  # of a paragraph in one line, the words that are meant are seen
    before = ("…" if begin else "") + text[begin:start]
    return Line(number, before, text[start:end], text[end : end + _LONGEST], True)
