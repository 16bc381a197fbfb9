"""Findings as a person reads them in a terminal, as GitHub shows them in a pull request, and as a program takes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from newsletter.errors import Finding, Severity

_STYLES = {Severity.ERROR: ("✗", "bold red"), Severity.WARNING: ("!", "bold yellow")}
_MARGIN = 2
# How much of a line is shown before the words, and at most in all.
_BEFORE, _SHOWN = 28, 100


def counts(findings: Sequence[Finding]) -> tuple[int, int]:
    """How many errors and how many warnings."""
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    return errors, len(findings) - errors


def sentence(files: int, errors: int, warnings: int, mended: int, certain: int) -> str:
    """What is to be said of so many files: "22 files: 1 mended, 2 errors, 3 warnings (--fix mends 2)". `certain` are
    the findings of which the remedy is.
    """
    told = [
        f"{mended} mended" if mended else "",
        _many(errors, "error") if errors else "",
        _many(warnings, "warning") if warnings else "",
        "" if errors or warnings else "nothing to mend",
    ]
    remedy = f" (--fix mends {certain:,} of them)" if certain else ""
    return f"{_many(files, 'file')}: {', '.join(filter(None, told))}{remedy}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def show(findings: Sequence[Finding], line_of: Callable[[str, int], str]) -> None:
    """Each finding at its place, with the line it is in and how to mend it. `line_of(path, line)` reads a file."""
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    room = max(40, min(_SHOWN, console.width - 6))
    for finding in findings:
        mark, style = _STYLES[finding.severity]
        place = ":".join(str(part) for part in (finding.path, finding.line, finding.column) if part)
        console.print(
            Text.assemble(
                (f"{mark} ", style),
                (_plain(place), "bold"),
                "  ",
                (finding.code, style),
                " ",
                _plain(finding.name),
            )
        )
        if finding.column:
            for row in _excerpt(line_of(finding.path, finding.line), finding, style, room):
                console.print(row)
        goes_on = finding.reason[:1].islower()  # "is missing": the sentence begins with the field's name
        where = f"{finding.field}: " if finding.field and (goes_on or not finding.column) else ""
        _wrapped(console, where + finding.reason, "")
        if finding.mend:
            _wrapped(console, finding.mend, "→ ")
        console.print()


def _excerpt(line: str, finding: Finding, style: str, room: int) -> list[Text]:
    start, width = finding.column - 1, max(1, len(finding.words))
    first = max(0, start - _BEFORE) if len(line) > room else 0
    width = min(width, max(1, first + room - start))
    last = first + room
    head, tail = "…" if first else "", "…" if last < len(line) else ""
    shown = Text.assemble(("│ ", "dim"), head, _plain(line[first:start]),
                          (_plain(line[start : start + width]), style), _plain(line[start + width : last]), tail)  # fmt: skip
    below = Text.assemble(
        ("│ ", "dim"), " " * (len(head) + start - first), ("^" * min(width, len(line) - start or 1), style)
    )
    return [Text(" " * _MARGIN) + shown, Text(" " * _MARGIN) + below]


def _wrapped(console: Console, words: str, lead: str) -> None:
    indent = " " * _MARGIN
    for number, line in enumerate(
        Text(_plain(words)).wrap(console, max(40, console.width - _MARGIN - len(lead)))
    ):
        line.rstrip()
        console.print(Text(indent + (lead if number == 0 else " " * len(lead))) + line)


def github(findings: Sequence[Finding]) -> str:
    """Workflow commands, one a line: GitHub shows them beside the lines of a pull request.

    Source: docs.github.com, Workflow commands for GitHub Actions, "Setting an error message".
    """
    return "\n".join(_command(finding) for finding in findings)


def _command(finding: Finding) -> str:
    properties = {"file": finding.path, "title": f"{finding.code} {finding.name}".strip()}
    if finding.line:
        properties |= {"line": str(finding.line), "endLine": str(finding.line)}
    if finding.column:
        end = finding.column + max(1, len(finding.words))
        properties |= {"col": str(finding.column), "endColumn": str(end)}
    named = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    where = f"{finding.field}: " if finding.field else ""
    return f"::{finding.severity} {named}::{_data(f'{where}{finding.reason} {finding.mend}'.strip())}"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def as_json(findings: Sequence[Finding]) -> str:
    """An object with `errors`, `warnings` and the list `findings`; its keys are those of `errors.Finding`."""
    errors, warnings = counts(findings)
    document = {"errors": errors, "warnings": warnings, "findings": [asdict(finding) for finding in findings]}
    return json.dumps(document, ensure_ascii=False, indent=2)


def _plain(words: str) -> str:
    """Without the characters by which a file's content could write over the terminal, or turn its line around."""
    return "".join(c if c.isprintable() or c in "\u00a0" else f"\\u{ord(c):04x}" for c in words)
