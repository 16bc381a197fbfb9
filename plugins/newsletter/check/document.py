"""A content file as the rules see it: parsed once, every word still at its place in the file.

comrak says where each heading, link and piece of code lies (data-sourcepos); the body's prose is the body itself with
all that is no prose (code, addresses, HTML, marks of footnotes) made blank, so that a place in the one is a place in
the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from html import unescape
from pathlib import PurePosixPath
from typing import Any

from newsletter import frontmatter, issue, markdown
from newsletter.analysis import analysis_of, moment, status
from newsletter.check.house import House
from newsletter.errors import Finding, Fix
from newsletter.frontmatter import FrontMatter

# What is no prose, and a sign without which there is none of it: comments, tags and <addresses>; a link's destination;
# footnote marks; bare addresses; addresses listed for links by reference.
_NOISE = (
    ("<", re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>", re.DOTALL)),
    ("](", re.compile(r"\]\((?:[^()\n]|\([^()\n]*\))*\)")),
    ("[^", re.compile(r"\[\^[^\]\n]+\]:?")),
    ("://", re.compile(r"https?://[^\s<>|]+")),
    ("]: ", re.compile(r"^[ ]{0,3}\[[^\]\n]+\]: .*$", re.MULTILINE)),
)
# Stands for code and bare addresses: no word, and no space between two words either.
_OBJECT = "\ufffc"
_TAG = re.compile(
    r'<(h[1-6]|a|img|code|pre)(?: id="([^"]*)")? data-sourcepos="(\d+):(\d+)-(\d+):(\d+)"([^>]*)>'
)
_IDS = re.compile(r' id="([^"]+)"')
_MARKUP = re.compile(r"<[^>]*>")
_TARGET = re.compile(r'(?:href|src)="([^"]*)"')
_ALT = re.compile(r'alt="([^"]*)"')
_RAW = re.compile(r"<(a|img)\b([^<>]*)>", re.IGNORECASE)
_BRACES = re.compile(r"%7B(filename|static|attach)%7D")


class Kind(StrEnum):
    """What a content file becomes."""

    ANALYSIS = "analysis"
    BRIEFING = "briefing"
    ERRATUM = "erratum"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that a reader meets: a field of the head (`name` "title", "key_judgements[2]" …), or the body's prose
    (`name` ""). `line` is where it begins; `offset` is the body's place in the file's text, -1 for a field.
    """

    name: str
    text: str
    line: int
    offset: int = -1


@dataclass(frozen=True, slots=True)
class Link:
    """A link or picture of the body, from `start` to `end` of the file's text; `words` are its text or alt."""

    target: str
    words: str
    start: int
    end: int
    image: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of `level` 1 to 6, from `start` to `end` of the file's text."""

    level: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Document:
    """One file. `path` is as shown to people, `below` the same below content/, `text` what `frontmatter.decode`
    makes of its bytes, `complaints` what the build says of its head.
    """

    path: str
    kind: Kind
    text: str
    front: FrontMatter
    below: PurePosixPath
    complaints: tuple[Finding, ...] = ()

    @cached_property
    def slug(self) -> str:
        """The slug that the head states or the file's name gives."""
        stated = self.front.fields.get("slug")
        return stated if isinstance(stated, str) and stated else self.below.stem

    @cached_property
    def body_start(self) -> int:
        """Where the body begins in `text`."""
        return len(self.text) - len(self.front.body)

    @cached_property
    def _html(self) -> str:
        return markdown.render_with_places(self.front.body) if self.front.body else ""

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids that a link may lead to with #: headings, footnotes, what raw HTML names."""
        own = _IDS.findall(self._html)
        return tuple(own + _IDS.findall(self.front.body) if markdown.OMITTED in self._html else own)

    @cached_property
    def _tags(self) -> tuple[tuple[Heading, ...], tuple[Link, ...], tuple[tuple[int, int], ...]]:
        """Headings, links and code, in the order of the text."""
        html, headings, links, code = self._html, [], [], []
        lines = _Lines(self.front.body)
        for match in _TAG.finditer(html):
            tag, _, line, column, last_line, last_column, rest = match.groups()
            start = self.body_start + lines.offset(int(line), int(column))
            end = self.body_start + lines.offset(int(last_line), int(last_column)) + 1
            if tag in ("code", "pre"):
                code.append((start, end))
            elif tag in ("a", "img"):
                target = _TARGET.search(rest)
                alt = _ALT.search(rest) if tag == "img" else None
                words = alt[1] if alt else _words_of(html[match.end() : html.find("</a>", match.end())])
                links.append(
                    Link(
                        _BRACES.sub(r"{\1}", unescape(target[1])) if target else "",
                        unescape(words) if alt or tag == "a" else "",
                        start,
                        end,
                        tag == "img",
                    )
                )
            else:
                headings.append(Heading(int(tag[1]), start, end))
        if markdown.OMITTED in html:
            links += self._raw_links()
        return tuple(headings), tuple(links), tuple(code)

    def _raw_links(self) -> Iterator[Link]:
        for match in _RAW.finditer(self.front.body):
            start = self.body_start + match.start()
            target, alt = _TARGET.search(match[2]), _ALT.search(match[2])
            image = match[1].lower() == "img"
            if not image:
                end = self.front.body.find("</a>", match.end())
                words = _MARKUP.sub("", self.front.body[match.end() : end]) if end >= 0 else "?"
            else:
                words = alt[1] if alt else ""
            if target:
                yield Link(unescape(target[1]), words, start, self.body_start + match.end(), image)

    @property
    def headings(self) -> tuple[Heading, ...]:
        """Headings of the body."""
        return self._tags[0]

    @property
    def links(self) -> tuple[Link, ...]:
        """Links and pictures of the body."""
        return self._tags[1]

    @cached_property
    def prose(self) -> str:
        """The body with everything blank that is no prose; character by character at the same place."""
        body = self.front.body
        for sign, noise in _NOISE:
            if sign in body:
                body = noise.sub(_filled if sign == "://" else _blank, body)
        for start, end in self._tags[2] if "<code" in self._html else ():
            start, end = start - self.body_start, end - self.body_start
            body = body[:start] + _blanked(body[start:end], _OBJECT) + body[end:]
        return body

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """Everything that is read, in the order in which a reader meets it."""
        fields = self.front.fields
        found = []
        for key in ("title", "subject", "preheader", "summary"):
            if isinstance(value := fields.get(key), str) and value:
                found.append(Passage(key, value, self.front.lines[key]))
        found += self.judgements
        found.append(Passage("", self.prose, self.front.body_line, self.body_start))
        return tuple(found)

    @cached_property
    def judgements(self) -> tuple[Passage, ...]:
        """The texts of the key judgements."""
        found = []
        for name, entry in self.entries("key_judgements"):
            value = entry.get("text", "") if isinstance(entry, dict) else entry
            if isinstance(value, str) and value:
                line = self.front.lines.get(f"{name}.text") or self.front.lines[name]
                found.append(Passage(name, value, line))
        return tuple(found)

    def entries(self, key: str) -> Iterator[tuple[str, Any]]:
        """The entries of a list in the head, each with its name: "key_judgements[2]"."""
        value = self.front.fields.get(key)
        for number, entry in enumerate(value if isinstance(value, list) else (), start=1):
            yield f"{key}[{number}]", entry

    # -- findings

    def place(self, offset: int) -> tuple[int, int]:
        """The line and column, from 1, of a place in `text`."""
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)

    def at(self, start: int, end: int, reason: str, mend: str = "", new: str | None = None) -> Finding:
        """A finding about text[start:end]; `new` is what it certainly should be."""
        line, column = self.place(start)
        words = self.text[start:end].split("\n")[0]
        fix = Fix(line, column, words, new) if new is not None and end - start == len(words) else None
        return Finding(self.path, line, "", reason, column, words=words, mend=mend, fix=fix)

    def within(
        self, passage: Passage, start: int, end: int, reason: str, mend: str = "", new: str | None = None
    ) -> Finding:
        """A finding about passage.text[start:end]."""
        if passage.offset >= 0:
            return self.at(passage.offset + start, passage.offset + end, reason, mend, new)
        words = passage.text[start:end]
        offset = self._offset(passage.line, words, passage.text.count(words, 0, start))
        if offset < 0:  # YAML has folded it over two lines
            return Finding(self.path, passage.line, passage.name, reason, words=words, mend=mend)
        line, column = self.place(offset)
        fix = Fix(line, column, words, new) if new is not None else None
        return Finding(self.path, line, passage.name, reason, column, words=words, mend=mend, fix=fix)

    def field(self, name: str, words: str, reason: str, mend: str = "", new: str | None = None) -> Finding:
        """A finding about the field `name` of the head, at its `words` (its key or its value, as written)."""
        line = self.front.lines.get(name) or self.front.lines.get(name.partition("[")[0]) or 1
        offset = self._offset(line, words, 0) if words else -1
        if offset < 0 or self.place(offset)[0] > line + 3:
            return Finding(self.path, line, name, reason, words=words, mend=mend)
        line, column = self.place(offset)
        fix = Fix(line, column, words, new) if new is not None else None
        return Finding(self.path, line, name, reason, column, words=words, mend=mend, fix=fix)

    def _offset(self, line: int, words: str, nth: int) -> int:
        at = 0
        for _ in range(line - 1):
            at = self.text.find("\n", at) + 1
        at = self.text.find(words, at)
        while nth > 0 and at >= 0:
            at = self.text.find(words, at + len(words))
            nth -= 1
        return at if at < self.body_start else -1


def _words_of(html: str) -> str:
    """What a link says: its text, or the alt of the picture that it is."""
    alts = " ".join(_ALT.findall(html)) if "<img" in html else ""
    return f"{_MARKUP.sub('', html)} {alts}".strip()


class _Lines:
    """Places in a text by line and column, as comrak counts them: from 1, columns in bytes of UTF-8."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def offset(self, line: int, column: int) -> int:
        text = self._lines[line - 1]
        if not text.isascii():
            column = len(text.encode()[: column - 1].decode(errors="ignore")) + 1
        return self._starts[line - 1] + column - 1


def parse(text: str, path: str, below: PurePosixPath, house: House) -> Document:
    """A file's text as a document. Raises ContentError for a head that is no head."""
    front, kind = frontmatter.parse(text, path), kind_of(below)
    if kind is Kind.ANALYSIS:
        analysis_of(front, str(below), below.stem, house.zone, house.yardstick)
    else:
        moment(front, "date", house.zone)
        moment(front, "updated", house.zone)
        status(front)
    return Document(path, kind, text, front, below, tuple(front.findings))


def kind_of(below: PurePosixPath) -> Kind:
    """What the file at that path below content/ becomes."""
    if below.parts[0] == "pages":
        return Kind.PAGE
    if below.parts[0] == "briefings":
        named = issue.of_stem(below.stem)
        return Kind.ERRATUM if named and named.corrects else Kind.BRIEFING
    return Kind.ANALYSIS


def _blank(match: re.Match[str]) -> str:
    return _blanked(match[0])


def _filled(match: re.Match[str]) -> str:
    return _blanked(match[0], _OBJECT)


def _blanked(text: str, sign: str = " ") -> str:
    return "\n".join(sign * len(line) for line in text.split("\n")) if "\n" in text else sign * len(text)
