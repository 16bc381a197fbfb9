"""Rules of the text itself: what a proof-reader marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import compress, islice, pairwise
from operator import eq

from newsletter.check.document import Document, Kind
from newsletter.check.house import House
from newsletter.check.rule import rule
from newsletter.errors import Finding, Severity

_SAYS_NOTHING = {"", "here", "click here", "click", "this", "this link", "link", "see here", "more", "read more",
                 "this page", "this article", "this piece"}  # fmt: skip
# What turns a line around or is not seen at all. ZWNJ and ZWJ (Persian, emoji), the marks LRM and RLM and the soft
# hyphen have their uses.
_UNSEEN = re.compile("[\u200b\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_DELETED = "\u200b\u2060\u2061\u2062\u2063\u2064\ufeff"
# Right English all the same: "had had", "that that"; and names ("Duran Duran") have a capital twice.
_RIGHT_TWICE = {"had", "that"}
_DOUBLED = re.compile(r"(?<![\w’'-])([^\W\d_]+)([ \t]+|[ \t]*\n[ \t]*)(\1)(?![\w’'-])", re.IGNORECASE)
_PARAGRAPHS = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*+]|\d+[.)]|:|>|#{1,6})[ \t])|\|")


@rule("T203", "link without words", Severity.WARNING)
def links_without_words(document: Document, house: House) -> Iterator[Finding]:
    """A link that says nothing of where it leads, to whoever hears only the links."""
    for link in document.links:
        if link.image:
            continue
        words = link.words.strip().strip(".:→»› ").lower()
        if words in _SAYS_NOTHING:
            shown = (
                f"“{link.words.strip()}” says nothing of where the link leads."
                if words
                else "The link has no text."
            )
            mend = "Put the link on the words that name what is there."
            yield document.at(link.start, link.end, shown, mend)


@rule("T204", "heading order", Severity.WARNING)
def heading_order(document: Document, house: House) -> Iterator[Finding]:
    """Headings that skip a level, or that take the headline's."""
    before = 1
    for heading in document.headings:
        if heading.level == 1:
            reason, mend = "The first level is the headline's.", "Begin the headings of a text with ##."
            yield document.at(heading.start, heading.end, reason, mend)
        elif heading.level > before + 1:
            reason = f"A heading of level {heading.level} after one of level {before}: a level is left out."
            yield document.at(heading.start, heading.end, reason, f"Write {'#' * (before + 1)}.")
        before = heading.level


@rule("T205", "unseen character", Severity.ERROR)
def unseen_characters(document: Document, house: House) -> Iterator[Finding]:
    """A character that nobody sees and that changes what is read: directions, spaces of no width."""
    if document.text.isascii():
        return
    for match in _UNSEEN.finditer(document.text):
        certain = match[0] in _DELETED
        what = "a space of no width" if certain else "a mark that turns the direction of the text"
        reason = f"U+{ord(match[0]):04X}, {what}, stands here unseen."
        yield document.at(match.start(), match.end(), reason, "Delete it.", "" if certain else None)


@rule("T206", "placeholder", Severity.ERROR)
def placeholders(document: Document, house: House) -> Iterator[Finding]:
    """`{{` or `}}` in what is mailed: SES would take it for a placeholder of its template."""
    if "{{" not in document.text and "}}" not in document.text:
        return
    mailed = document.kind in (Kind.BRIEFING, Kind.ERRATUM)  # code and all; of a piece the words alone
    for start, text in _texts(document, mailed):
        for match in re.finditer(r"\{\{|\}\}", text):
            reason = f"{match[0]} would break the email: SES takes it for a placeholder."
            at = start + match.start(), start + match.end()
            yield document.at(*at, reason, "Write one brace, or say it in words.")


def _texts(document: Document, whole: bool) -> Iterator[tuple[int, str]]:
    """The head and the body with their places; of the body the prose alone, or the whole of it."""
    yield 0, document.text[: document.body_start]
    yield document.body_start, document.front.body if whole else document.prose


@rule("T207", "doubled word", Severity.WARNING)
def doubled_words(document: Document, house: House) -> Iterator[Finding]:
    """A word that stands twice in a row."""
    for passage in document.passages:
        words = passage.text.lower().split()
        twice = compress(words, map(eq, words, islice(words, 1, None)))
        if not any(word.isalpha() for word in twice):  # nearly always; the pattern below takes much longer
            continue
        for match in _DOUBLED.finditer(passage.text):
            first, gap, second = match.groups()
            if first.lower() in _RIGHT_TWICE or (first[0].isupper() and second[0].isupper()):
                continue
            if first != second and len(first) > 1 and first.isupper() != second.isupper():
                continue  # "IS is weak"
            same = "\n" not in gap and first.lower() == second.lower()
            yield document.within(
                passage,
                match.start(),
                match.end(),
                f"“{first} {second}”: the word stands twice.",
                "Delete one of them.",
                first if same else None,
            )


@rule("T208", "unclosed quotation", Severity.WARNING)
def unclosed_quotations(document: Document, house: House) -> Iterator[Finding]:
    """A quotation mark that opens and is not closed in its paragraph, or closes what was never opened."""
    for passage in document.passages:
        text = passage.text
        if '"' not in text and "“" not in text and "”" not in text:
            continue
        starts = [0, *(match.end() for match in _PARAGRAPHS.finditer(text)), len(text) + 1]
        for start, end in pairwise(starts):
            paragraph = text[start:end]
            straight, opened, closed = paragraph.count('"'), paragraph.count("“"), paragraph.count("”")
            if (opened == closed and not straight) or (not opened and not closed and straight % 2 == 0):
                continue
            following = text[end:].lstrip()
            at = _unmatched(paragraph, following[:1])
            if at >= 0:
                opens = paragraph[at] != "”"
                reason = (
                    "This quotation is not closed."
                    if opens
                    else "This closes a quotation that was not opened."
                )
                mend = (
                    "Put the mark where it ends."
                    if opens
                    else "Put the mark where it begins, or take this one out."
                )
                yield document.within(passage, start + at, start + at + 1, reason, mend)


def _unmatched(paragraph: str, following: str) -> int:
    """Where a mark stands alone; -1 if none does. A quotation of several paragraphs opens in each, and closes once."""
    opened = -1
    for match in re.finditer(r'[„“”]|(?<!\d)"|(?<=\d)"(?=[\s,.;:]*$)', paragraph):
        sign, at = match[0], match.start()
        inner = paragraph[opened] if opened >= 0 else ""
        closes = sign == "”" or (sign == '"' == inner) or (sign == "“" and inner == "„")
        if not closes:
            if opened >= 0 and sign == "“":
                return opened
            opened = at
        elif opened < 0:
            return at
        else:
            opened = -1
    return -1 if opened >= 0 and following in ("“", '"') and following else opened
