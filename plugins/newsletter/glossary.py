"""The house's glossary, content/glossary.yml: its actors, places and abbreviations, and where a text first uses them.

    KH: {expansion: Kataib Hizbullah, kind: actor, note: "The most powerful of the factions that Iran backs in Iraq."}

On a page a term's first use is marked up, `<abbr title="Kataib Hizbullah">KH</abbr>`; where there is no markup to
lean on, in a mail, the words stand in brackets: "KH (Kataib Hizbullah)". One expression finds all terms at once, so
that the time does not grow with their number.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from html import escape
from itertools import groupby
from pathlib import Path

import yaml

from newsletter import markdown
from newsletter.errors import ContentError, Finding

FILE = "glossary.yml"
_FIELDS = ("expansion", "kind", "note")
# What no term is looked for in: links, headings, code, what is marked up already; and tags themselves.
_SKIPPED = re.compile(r"<(a|abbr|code|pre|h[1-6]|script|style|svg)\b[^>]*>.*?</\1\s*>|<[^>]*>", re.DOTALL)
_CAPITALS = re.compile(r"[A-Z][A-Z0-9]+\Z")


class Kind(StrEnum):
    """What a term names."""

    ACTOR = "actor"
    PLACE = "place"
    ABBREVIATION = "abbreviation"


@dataclass(frozen=True, slots=True)
class Term:
    """One entry: `expansion` is what it is short for ("" for a name in full), `note` a sentence on it."""

    name: str
    kind: Kind
    expansion: str = ""
    note: str = ""

    @property
    def title(self) -> str:
        """As a heading names it: "Kataib Hizbullah (KH)"."""
        return f"{self.expansion} ({self.name})" if self.expansion else self.name


@dataclass(frozen=True, slots=True)
class Use:
    """A term as it stands in a text, from `start` to `end`; `short` tells the term itself from its expansion."""

    term: Term
    start: int
    end: int
    short: bool


@dataclass(frozen=True)
class Glossary:
    """All terms by name, in the order of the file."""

    terms: Mapping[str, Term] = field(default_factory=dict)

    @property
    def expansions(self) -> dict[str, str]:
        """What each abbreviation is short for."""
        return {term.name: term.expansion for term in self.terms.values() if term.expansion}

    @cached_property
    def _forms(self) -> dict[str, tuple[Term, bool]]:
        """Every form a term is written in, as HTML has it, with its term and whether it is the short one."""
        forms: dict[str, tuple[Term, bool]] = {}
        for term in self.terms.values():
            if term.expansion:
                forms.setdefault(escape(term.expansion, quote=False), (term, False))
        for term in self.terms.values():
            name = escape(term.name, quote=False)
            forms[name] = (term, True)
            if _CAPITALS.match(term.name) and f"{term.name}s" not in self.terms:
                forms[f"{name}s"] = (term, True)
        return forms

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"(?:{_any_of(self._forms)})(?!\w)")

    def uses(self, html: str) -> list[Use]:
        """Every use of a term in clean HTML (or plain text that has been escaped), in its order."""
        found = list(self._pattern.finditer(html)) if self.terms else []
        if not found:
            return []
        skipped = [match.span() for match in _SKIPPED.finditer(html)] if "<" in html else []
        starts = [start for start, _ in skipped]
        uses = []
        for match in found:
            start, end = match.span()
            region = bisect_right(starts, start) - 1
            if (region >= 0 and start < skipped[region][1]) or (start and _is_of_a_word(html[start - 1])):
                continue
            term, short = self._forms[match[0]]
            uses.append(Use(term, start, end, short))
        return uses

    def mark(self, html: str, said: str = "") -> str:
        """The HTML with the first use of each abbreviation marked up; those that `said` uses already are left alone."""
        return marked(html, self.uses(html), {use.term.name for use in self.uses(said) if use.short})[0]

    def spell_html(self, html: str, done: set[str]) -> str:
        """The HTML with each abbreviation's words in brackets after its first use: "KH (Kataib Hizbullah)".

        `done` are the names of those already spelled out, and grows. One whose words stand in the text anyway is not
        spelled out; neither is one in brackets, before brackets or in the genitive: then its next use is.
        """
        parts: list[str] = []
        at = 0
        for use in self.uses(html):
            expansion = escape(use.term.expansion, quote=False)
            if not use.short or not expansion or use.term.name in done:
                continue
            if expansion.lower() in html.lower():
                done.add(use.term.name)
                continue
            before, after = html[: use.start][-1:], html[use.end : use.end + 2]
            if before == "(" or after in (" (", "’s", "'s") or after[:1] == ")":
                continue
            done.add(use.term.name)
            parts += [html[at : use.end], f" ({expansion})"]
            at = use.end
        return "".join([*parts, html[at:]]) if parts else html

    def spell(self, text: str, done: set[str]) -> str:
        """The same for plain text."""
        from html import unescape

        escaped = escape(text, quote=False)
        spelled = self.spell_html(escaped, done)
        return text if spelled == escaped else unescape(spelled)


def marked(html: str, uses: Sequence[Use], said: Collection[str] = ()) -> tuple[str, tuple[str, ...]]:
    """The HTML with the first of the `uses` of each abbreviation marked up, but for those whose names were `said`;
    and what was put in, so that it can be taken out again.
    """
    done = set(said)
    parts: list[str] = []
    marks: list[str] = []
    at = 0
    for use in uses:
        if use.short and use.term.expansion and use.term.name not in done:
            done.add(use.term.name)
            form = html[use.start : use.end]
            given = ' class="given"' if html[use.start - 1 : use.start] == "(" else ""
            marks.append(f'<abbr{given} title="{escape(use.term.expansion)}">{form}</abbr>')
            parts += [html[at : use.start], marks[-1]]
            at = use.end
    return "".join([*parts, html[at:]]) if parts else html, tuple(marks)


def unmarked(html: str, marks: Iterable[str]) -> str:
    """The HTML without those marks, as it was before."""
    for mark in marks:
        html = html.replace(mark, mark[mark.index(">") + 1 : -len("</abbr>")], 1)
    return html


def _any_of(words: Iterable[str]) -> str:
    """An expression for any of these words, the longest that is there; what they begin with is looked at once."""
    branches = []
    for first, group in groupby(sorted(words), key=lambda word: word[:1]):
        rest = [word[1:] for word in group]
        tails = _any_of(word for word in rest if word)
        if not tails:
            branches.append(re.escape(first))
        else:
            branches.append(f"{re.escape(first)}(?:{tails}){'?' if '' in rest else ''}")
    return "|".join(branches)


def _is_of_a_word(sign: str) -> bool:
    return sign.isalnum() or sign in "_&@#/"


def load(path: Path, shown: str = "") -> Glossary:
    """Read the glossary; an empty one if there is no such file. Raises ContentError with every finding, by its line.

    `shown` is how the findings name the file.
    """
    shown = shown or str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return Glossary()
    except UnicodeDecodeError:
        raise ContentError(
            [Finding(shown, 0, "", "is not UTF-8. Save the file with that encoding.")]
        ) from None
    return parse(text, shown)


def parse(text: str, shown: str) -> Glossary:
    """Read a glossary's text. Raises ContentError with every finding, by its line."""
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        reason = f'is not valid YAML ({problem}). A text with ": " or # in it must stand in quotation marks.'
        raise ContentError([Finding(shown, mark.line + 1 if mark else 0, "", reason)]) from None
    if node is None:
        return Glossary()
    if not isinstance(node, yaml.MappingNode):
        raise ContentError([Finding(shown, 1, "", f"must be terms, one after another: {_EXAMPLE}")])
    findings: list[Finding] = []
    terms: dict[str, Term] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = " ".join(str(key.value).split()) if isinstance(key, yaml.ScalarNode) else ""
        if not name:
            findings.append(Finding(shown, line, "", f"a term must be plain text: {_EXAMPLE}"))
        elif markdown.smart(name) in terms:
            findings.append(Finding(shown, line, name, "stands twice. Delete one of the two."))
        elif term := _term(name, value, shown, line, findings):
            terms[term.name] = term
    if findings:
        raise ContentError(findings)
    return Glossary(terms)


_EXAMPLE = 'KH: {expansion: Kataib Hizbullah, kind: actor, note: "Who they are."}'


def _term(name: str, node: yaml.Node, shown: str, line: int, findings: list[Finding]) -> Term | None:
    def refuse(reason: str, at: yaml.Node | None = None) -> None:
        findings.append(Finding(shown, at.start_mark.line + 1 if at else line, name, reason))

    if not isinstance(node, yaml.MappingNode):
        refuse(f"must have a kind, and an expansion or a note: {_EXAMPLE}")
        return None
    facts: dict[str, str] = {}
    before = len(findings)
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in _FIELDS:
            refuse(f'"{key.value}" is no field of a term. The fields are expansion, kind and note.', key)
        elif not isinstance(value, yaml.ScalarNode):
            refuse(f"{key.value} must be one piece of text.", value)
        elif key.value in facts:
            refuse(f"{key.value} stands twice. Delete one of the two.", key)
        else:
            facts[key.value] = markdown.smart(" ".join(value.value.split()))
    kind = facts.get("kind", "")
    if len(findings) == before and kind not in set(Kind):
        said = f'"{kind}" is no kind' if kind else "has no kind"
        refuse(f"{said}. Write kind: actor, kind: place or kind: abbreviation.")
    elif kind == Kind.ABBREVIATION and not facts.get("expansion"):
        refuse("is an abbreviation without its words. Add expansion: …")
    if len(findings) > before:
        return None
    return Term(markdown.smart(name), Kind(kind), facts.get("expansion", ""), facts.get("note", ""))
