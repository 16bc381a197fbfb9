"""Silences: an editor's word that a finding is known and meant.

    In 1914 the the printers … <!-- check: allow T207 because the misprint is quoted -->
    # check: allow E401 because it quotes the minister          (in the head, above the line or at its end)

A silence on a line of its own stands for the next line that has words. It must give a reason, and it must be needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from newsletter.check.document import Document
from newsletter.check.rule import RULES, named
from newsletter.errors import Finding, Severity

_MARK = re.compile(r"<!--[ \t]*check:[ \t]*(.*?)[ \t]*-->|#[ \t]+check:[ \t]*(.*)$", re.MULTILINE)
_FORM = re.compile(r"allow[ \t]+((?:[A-Z]\d{3}[, \t]*)+)(?:because[ \t]+(\S.*))?$", re.DOTALL)

S901 = named("S901", "silence without a reason", Severity.ERROR)
S902 = named("S902", "silence that silences nothing", Severity.WARNING)
S903 = named("S903", "silence that cannot be read", Severity.ERROR)


@dataclass(frozen=True, slots=True)
class Silence:
    """`code` is not to be told of line `silenced`; the mark itself is at (line, column)."""

    code: str
    silenced: int
    line: int
    column: int
    words: str


def silences(document: Document) -> tuple[list[Silence], list[Finding]]:
    """The silences of a document, and what is wrong with them."""
    text = document.text
    if "check:" not in text:
        return [], []
    found: list[Silence] = []
    wrong: list[Finding] = []
    for match in _MARK.finditer(text):
        in_head = match.start() < document.body_start
        if (match[2] is not None) != in_head:
            continue  # a # in the body is a heading, and a comment of HTML in the head is text
        form = _FORM.match(match[1] if match[2] is None else match[2])
        codes = re.findall(r"[A-Z]\d{3}", form[1]) if form else []
        unknown = [code for code in codes if code not in RULES]
        if not form or unknown:
            what = f"there is no rule {unknown[0]}." if unknown else "is not read as a silence."
            mend = "Write: check: allow T207 because the misprint is quoted"
            wrong.append(S903.stamp(document.at(match.start(), match.end(), what, mend)))
            continue
        if not form[2]:
            mend = f"Say why: check: allow {', '.join(codes)} because …"
            wrong.append(S901.stamp(document.at(match.start(), match.end(), "has no reason.", mend)))
        line, column = document.place(match.start())
        silenced = _meant(text, match.start(), match.end(), line)
        found += [Silence(code, silenced, line, column, match[0]) for code in codes]
    return found, wrong


def _meant(text: str, start: int, end: int, line: int) -> int:
    """The line a mark stands for: its own, or the next one with words if it has its line to itself."""
    rest = text[text.rfind("\n", 0, start) + 1 : start] + text[end : (text + "\n").find("\n", end)]
    if rest.strip():
        return line
    following = text[end:].split("\n")[1:]
    return line + next((number for number, words in enumerate(following, start=1) if words.strip()), 0)


def apply(findings: Iterable[Finding], marks: Iterable[Silence], path: str) -> Iterator[Finding]:
    """The findings of one file without the silenced ones, and the silences that were not needed."""
    marks = list(marks)
    by_place = {(mark.silenced, mark.code): mark for mark in marks}
    needed = set()
    for finding in findings:
        if mark := by_place.get((finding.line, finding.code)):
            needed.add(mark)
        else:
            yield finding
    for mark in marks:
        if mark not in needed:
            reason = f"{mark.code} is not found here (any more)."
            yield S902.stamp(
                Finding(
                    path, mark.line, "", reason, mark.column, words=mark.words, mend="Delete the silence."
                )
            )
