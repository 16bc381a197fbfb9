"""The rules, by their codes. F front matter, T text, A abbreviations, E estimative language, D dates and numbers,
H the piece's history, S silences.

A rule's number is never used for another one: editors' silences name it. Its page is pages/CODE.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from newsletter.errors import Finding, Severity

if TYPE_CHECKING:
    from newsletter.check.document import Document
    from newsletter.check.house import House

Examine = Callable[["Document", "House"], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A code with its name and its gravity; `examine` is None for one that needs more than one document."""

    code: str
    name: str
    severity: Severity
    examine: Examine | None = None

    def stamp(self, finding: Finding) -> Finding:
        """The finding as this rule's own."""
        return replace(finding, code=self.code, severity=self.severity, name=self.name)


RULES: dict[str, Rule] = {}


def rule(code: str, name: str, severity: Severity) -> Callable[[Examine], Examine]:
    """Enter a rule of one document."""

    def enter(examine: Examine) -> Examine:
        _enter(Rule(code, name, severity, examine))
        return examine

    return enter


def named(code: str, name: str, severity: Severity) -> Rule:
    """Enter a rule that is found elsewhere: by the parser, by what several documents say, in git."""
    return _enter(Rule(code, name, severity))


def _enter(entry: Rule) -> Rule:
    if entry.code in RULES:
        raise ValueError(f"two rules with the code {entry.code}")
    RULES[entry.code] = entry
    return entry


@cache
def by_document() -> list[tuple[Rule, Examine]]:
    """The rules that examine one document, in the order of their codes."""
    return [(entry, entry.examine) for _, entry in sorted(RULES.items()) if entry.examine]
