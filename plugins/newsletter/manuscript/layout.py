"""A sheet's parts told apart: headline, standfirst, key judgements, headings, notes, and the furniture around them.

What is recognised is what analysts and house pages do: a headline above, a standfirst below it, bullets before the
first heading or under "Key judgements", a short line over longer paragraphs as a heading, and at the end of a page
the sign-up, the related pieces and the contact form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from lxml import html as parser

from newsletter.manuscript import Manuscript, Sheet
from newsletter.manuscript.notes import Notes

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_SEEN_THROUGH = (
    "div",
    "section",
    "article",
    "main",
    "header",
    "center",
    "body",
    "span",
    "font",
    "form",
    "fieldset",
)
_LISTS = ("ul", "ol")
# Where a page's furniture begins; nothing of the text comes after it.
_FURNITURE = re.compile(
    r"(?:monthly briefing|you may also (?:be interested in|like)|get in touch|related (?:articles|analyses|content|posts)"
    r"|share this(?: article)?|subscribe|sign up|more from .{1,40}|about the authors?|contact us|newsletter)[:.]?",
    re.IGNORECASE,
)
JUDGEMENTS = re.compile(
    r"(?:(?:our|the)? ?key (?:judge?ments|points|takeaways|findings|messages)|bottom line|at a glance|in brief)[:.]?",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^[•‣◦▪●∙·]\s*")
_LONGEST_HEADING = 70
_LONGEST_HEADLINE = 160
_MOST_JUDGEMENTS = 12
_DATES = ("%d %B %Y", "%B %d, %Y", "%d %b %Y", "%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y")


@dataclass
class _Page:
    """A sheet while it is being laid out: its blocks from the top down, and what has been found."""

    blocks: list[Any]
    title: str = ""
    summary: str = ""
    judgements: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def arrange(sheet: Sheet) -> Manuscript:
    """Tell a sheet's parts apart. Words are moved, none is changed or dropped."""
    root = parser.fragment_fromstring(sheet.html or "<p></p>", create_parent="div")
    notes = Notes(root)
    page = _Page(list(_blocks(root)), left_out=list(sheet.left_out), notes=list(sheet.notes))
    _gather_bullets(page)
    _find_headings(page)
    _cut_furniture(page)
    _find_headline(page)
    _find_standfirst(page)
    _find_judgements(page)
    _level(page)
    return Manuscript(
        title=page.title,
        summary=page.summary,
        judgements=tuple(page.judgements),
        body=notes.markdown(page.blocks),
        source=sheet.source,
        fields=page.fields,
        pictures=sheet.pictures,
        left_out=tuple(page.left_out),
        notes=tuple(page.notes),
    )


def _blocks(element: Any) -> Iterable[Any]:
    """The blocks of an element, those of its wrappers among them; loose words become paragraphs."""
    loose = parser.Element("p")
    loose.text = element.text

    def filled() -> bool:
        return bool((loose.text or "").strip()) or len(loose) > 0

    for child in list(element):
        tail, child.tail = child.tail, None
        if not isinstance(child.tag, str):
            pass
        elif child.tag in _SEEN_THROUGH and child.find(".//*") is not None and _has_blocks(child):
            if filled():
                yield loose
            loose = parser.Element("p")
            yield from _blocks(child)
        elif child.tag in _INLINE and not _has_blocks(child):
            loose.append(child)
            child.tail = tail
            continue
        else:
            if filled():
                yield loose
            loose = parser.Element("p")
            if child.tag in _SEEN_THROUGH:
                child.tag = "p"
            if child.text_content().strip() or child.tag in ("hr", "img") or child.find(".//img") is not None:
                yield child
        loose.text = (loose.text or "") + (tail or "") if not len(loose) else loose.text
        if len(loose):
            loose[-1].tail = (loose[-1].tail or "") + (tail or "")
    if filled():
        yield loose


_INLINE = (
    "a", "abbr", "b", "br", "cite", "code", "del", "em", "i", "img", "ins", "kbd", "label", "mark", "q", "s", "small",
    "span", "font", "strike", "strong", "sub", "sup", "time", "u", "var", "button", "input",
)  # fmt: skip
_BLOCKS = (
    *_HEADINGS,
    *_LISTS,
    "p",
    "blockquote",
    "pre",
    "table",
    "figure",
    "dl",
    "hr",
    "div",
    "section",
    "article",
)


def _has_blocks(element: Any) -> bool:
    return any(each is not element for each in element.iter(*_BLOCKS))


def _text(element: Any) -> str:
    return " ".join(element.text_content().split())


def _gather_bullets(page: _Page) -> None:
    """Paragraphs that begin with a bullet somebody typed are a list."""
    gathered: list[Any] = []
    for block in page.blocks:
        if block.tag == "p" and _BULLET.match((block.text or "").lstrip()):
            item = parser.Element("li")
            item.text = _BULLET.sub("", (block.text or "").lstrip())
            for child in list(block):
                item.append(child)
            if gathered and gathered[-1].tag == "ul" and gathered[-1].get("class") == "typed":
                gathered[-1].append(item)
            else:
                gathered.append(parser.Element("ul", {"class": "typed"}))
                gathered[-1].append(item)
        else:
            gathered.append(block)
    page.blocks = gathered


def _find_headings(page: _Page) -> None:
    """A short line without an end, over a longer paragraph, is a heading; where a text has headings already, only
    one that is bold throughout.
    """
    has_own = any(block.tag in _HEADINGS[1:] for block in page.blocks)
    for block, after in zip(page.blocks[1:], [*page.blocks[2:], None], strict=False):
        text = _text(block)
        if block.tag != "p" or not 0 < len(text) <= _LONGEST_HEADING or block.find(".//img") is not None:
            continue
        ended = text[-1] in ".!?…:;,)”’\"'" or _day(text)
        bold = _all_bold(block)
        over = after is not None and (len(_text(after)) > len(text) or after.tag in _LISTS)
        furniture = _FURNITURE.fullmatch(text) or JUDGEMENTS.fullmatch(text)
        if furniture or (not ended and over and (bold or not has_own) and text[:1].isupper()):
            block.tag = "h2"
            block.attrib.clear()
            if bold:
                _unwrap(block)


def _all_bold(block: Any) -> bool:
    inside = [child for child in block if isinstance(child.tag, str)]
    return (
        bool(inside)
        and not (block.text or "").strip()
        and all(child.tag in ("strong", "b") and not (child.tail or "").strip() for child in inside)
    )


def _unwrap(block: Any) -> None:
    for child in list(block.iter("strong", "b")):
        child.drop_tag()


def _cut_furniture(page: _Page) -> None:
    """From the first piece of furniture on, if only short lines follow it."""
    for index, block in enumerate(page.blocks):
        if index and block.tag in (*_HEADINGS, "p") and _FURNITURE.fullmatch(_text(block)):
            rest = page.blocks[index:]
            if all(len(_text(each)) <= 300 and each.tag != "table" for each in rest):
                page.left_out += [f"From the page's foot: {text}" for each in rest if (text := _text(each))]
                page.blocks = page.blocks[:index]
                return


def _find_headline(page: _Page) -> None:
    """The headline, and the day that stands beside it."""
    for block in page.blocks[:3]:
        if block.tag == "h1" and _text(block):
            before = page.blocks[: page.blocks.index(block)]
            page.title = _plain(page, block)
            page.blocks = [*before, *page.blocks[page.blocks.index(block) + 1 :]]
            break
    else:
        first = page.blocks[0] if page.blocks else None
        text = _text(first) if first is not None else ""
        after = page.blocks[1] if len(page.blocks) > 1 else None
        headed = first is not None and first.tag in _HEADINGS
        # A line without a full stop over a paragraph.
        short = (
            first is not None
            and first.tag == "p"
            and len(text) <= _LONGEST_HEADLINE
            and text[-1:] not in ".:;,"
        )
        if text and (headed or (short and after is not None and after.tag in ("p", *_LISTS))):
            page.title = _plain(page, first)
            page.blocks = page.blocks[1:]
    for block in page.blocks[:3]:
        if block.tag in ("p", *_HEADINGS) and (day := _day(_text(block))):
            page.fields["date"] = day.isoformat()
            page.left_out.append(f"The day, as it was written: {_text(block)}")
            page.blocks.remove(block)
            break


def _day(text: str) -> date | None:
    if len(text) > 30:
        return None
    for form in _DATES:
        try:
            return datetime.strptime(
                text.strip(" .").removeprefix("Published ").removeprefix("Date: "), form
            ).date()
        except ValueError:
            continue
    return None


def _find_standfirst(page: _Page) -> None:
    """The paragraph below the headline, if it is marked as standfirst, all in italics or bold, or bullets follow it."""
    if not page.blocks or page.blocks[0].tag != "p" or page.blocks[0].find(".//img") is not None:
        return
    first, after = page.blocks[0], page.blocks[1] if len(page.blocks) > 1 else None
    marked = first.get("class") in ("standfirst", "subtitle", "lead", "lede", "intro", "excerpt")
    inside = [child for child in first if isinstance(child.tag, str)]
    set_apart = (
        len(inside) == 1
        and not (first.text or "").strip()
        and not (inside[0].tail or "").strip()
        and (inside[0].tag in ("em", "i", "strong", "b"))
    )
    before_bullets = after is not None and (after.tag in _LISTS or JUDGEMENTS.fullmatch(_text(after)))
    if (marked or set_apart or before_bullets) and not Notes.refers(first) and len(_text(first)) <= 1000:
        page.summary = _plain(page, first)
        page.blocks = page.blocks[1:]


def _find_judgements(page: _Page) -> None:
    """The bullets before everything else, or those under "Key judgements"."""
    for index, block in enumerate(page.blocks):
        headed = block.tag in _HEADINGS and JUDGEMENTS.fullmatch(_text(block))
        at = index + 1 if headed else index
        if (headed or index == 0) and at < len(page.blocks) and page.blocks[at].tag in _LISTS:
            items = [item for item in page.blocks[at] if item.tag == "li"]
            if not _are_sentences(items):
                continue
            page.judgements = [_plain(page, item) for item in items]
            if headed:
                page.left_out.append(f"A heading: {_text(block)}")
            page.blocks = [*page.blocks[:index], *page.blocks[at + 1 :]]
            return


def _are_sentences(items: Sequence[Any]) -> bool:
    """Whether each is a sentence that can stand by itself: no list within it, no note, no picture."""
    return 0 < len(items) <= _MOST_JUDGEMENTS and all(
        len(_text(item)) > 25
        and not Notes.refers(item)
        and not any(True for _ in item.iter("ul", "ol", "table", "img", "pre"))
        for item in items
    )


def _plain(page: _Page, element: Any) -> str:
    """An element's words, for the front matter, which has no markup; where its links led is kept beside it."""
    for link in element.iter("a"):
        if link.get("href"):
            page.left_out.append(f"A link of “{_text(link)}”: {link.get('href')}")
    for end in element.iter("br", "p"):
        end.tail = f" {end.tail or ''}"
    return _text(element)


def _level(page: _Page) -> None:
    """The highest headings of the text are h2, for the page's headline is above them."""
    levels = sorted({block.tag for block in page.blocks if block.tag in _HEADINGS})
    for block in page.blocks:
        if block.tag in _HEADINGS:
            block.tag = _HEADINGS[min(levels.index(block.tag) + 1, len(_HEADINGS) - 1)]
