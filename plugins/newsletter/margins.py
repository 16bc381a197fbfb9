"""Pelican plugin: what stands in the margins of a piece: its contents on one side, its notes on the other.

Made from the body's HTML as the page shows it; feeds, mails and PDF editions have margins of their own.
"""

from __future__ import annotations

import re

from pelican import signals
from pelican.generators import Generator

# A piece gets contents from this many sections and this many characters of HTML (about five minutes) on.
SECTIONS, LONG = 4, 7_000
_HEADING = re.compile(r'<h2 id="(?P<id>[^"]+)">(?P<words>.*?)</h2>', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
# A table is no place for a note beside the text: its cells are narrow, and it may run on into the margin.
_TABLE = re.compile(r"(<table.*?</table>)", re.DOTALL)
_REFERENCE = re.compile(
    r'<sup class="footnote-ref"><a href="#(?P<note>fn-[^"]+)" id="[^"]+"[^>]*>(?P<number>\d+)</a></sup>'
)
_NOTE = re.compile(r'<li id="(?P<note>fn-[^"]+)">\n(?P<text>.*?)\n</li>', re.DOTALL)
_BACK = re.compile(r'\s*<a href="#fnref-[^"]*" class="footnote-backref".*?</a>', re.DOTALL)
_SECTION = '<section class="footnotes"'


def contents(html: str) -> list[tuple[str, str]]:
    """The sections of a long piece as (id, words in HTML without tags); [] for one that is read in a few minutes."""
    if len(html) < LONG:
        return []
    found = [(match["id"], _TAG.sub("", match["words"])) for match in _HEADING.finditer(html)]
    return found if len(found) >= SECTIONS else []


def beside(html: str) -> str:
    """HTML in which each footnote also stands where it is first referred to, hidden until a style sheet shows it there.

    The notes below the text stay, for small screens, paper and programs. They are marked "beside" if every one of them
    has its place in the margin, so that a style sheet may leave them out where it shows those. What is no plain
    paragraph (a list, a table) stays below alone.
    """
    text, mark, notes = html.partition(_SECTION)
    if not mark:
        return html
    found = {match["note"]: match["text"] for match in _NOTE.finditer(notes)}
    words = {name: plain for name, body in found.items() if (plain := _in_line(body))}
    placed: set[str] = set()

    def place(match: re.Match[str]) -> str:
        name, number = match["note"], match["number"]
        if name not in words or name in placed:
            return match[0]
        placed.add(name)
        return f'{match[0]}<small class="side-note" hidden data-pagefind-ignore><sup>{number}</sup> {words[name]}</small>'

    parts = (
        part if part.startswith("<table") else _REFERENCE.sub(place, part) for part in _TABLE.split(text)
    )
    text = "".join(parts)
    if placed == found.keys():
        mark = f'{mark[:-1]} beside"'
    return f"{text}{mark}{notes}"


def _in_line(note: str) -> str:
    """A note's paragraphs as one run of words, without its arrows back; "" if it is more than paragraphs."""
    paragraphs = [part.removeprefix("<p>").removesuffix("</p>") for part in _BACK.sub("", note).split("\n")]
    whole = " ".join(paragraphs)
    return (
        ""
        if any(f"<{tag}" in whole for tag in ("p>", "ul", "ol", "table", "pre", "blockquote", "sup", "img"))
        else whole
    )


def _offer(generator: Generator) -> None:
    generator.env.filters.update(contents=contents, beside=beside)


def register() -> None:
    """Called by Pelican."""
    signals.generator_init.connect(_offer)
