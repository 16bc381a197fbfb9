"""HTML blocks as Markdown, by markdownify; footnotes, which it does not know, as those of our Markdown.

A footnote is a link in small figures to something below that leads back to it: so Word's do by way of mammoth, and
those of pandoc, WordPress, Substack, Hugo and Jekyll.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lxml import html as parser
from markdownify import markdownify

_MARK = "zqnote{}qz"
_MARKS = re.compile(r"zqnote(\d+)qz")
_BLANK_LINES = re.compile(r"\n{3,}")


_WRITTEN: dict[str, Any] = {
    "heading_style": "atx",
    "bullets": "-",
    "escape_misc": True,
    "newline_style": "backslash",
    "table_infer_header": True,
    "sup_symbol": "<sup>",
    "sub_symbol": "<sub>",
    "keep_inline_images_in": ["td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "li", "a"],
}


class Notes:
    """The footnotes of a text, taken out of it; `markdown` puts them back, where our Markdown has them."""

    def __init__(self, root: Any) -> None:
        """Find them in `root`; their places hold a mark from then on, and they themselves are gone from it."""
        self._notes: list[Any] = []
        by_id = {element.get("id"): element for element in root.iter() if element.get("id")}
        numbers: dict[str, int] = {}
        for link in list(root.iter("a")):
            to = (
                (link.get("href") or "").partition("#")[2] if (link.get("href") or "").startswith("#") else ""
            )
            target = by_id.get(to)
            if target is None or not _is_reference(link) or link in target.iter():
                continue
            if to not in numbers:
                numbers[to] = len(numbers) + 1
                self._notes.append(_holder(target))
            mark = _MARK.format(numbers[to])
            outer = (
                link.getparent() if link.getparent() is not None and link.getparent().tag == "sup" else link
            )
            span = parser.Element("span", {"class": "note-mark"})
            span.text, span.tail = mark, outer.tail
            outer.getparent().replace(outer, span)
        for note in self._notes:
            self._take_out(note)

    @staticmethod
    def refers(element: Any) -> bool:
        """Whether there is a footnote's mark in an element."""
        return any(each.get("class") == "note-mark" for each in element.iter("span"))

    @staticmethod
    def _take_out(note: Any) -> None:
        for back in list(note.iter("a")):
            if (back.get("href") or "").startswith("#") and len(back.text_content().strip()) <= 3:
                back.drop_tree()
        owner = note.getparent()
        if owner is None:
            return
        note.tail, tail = None, note.tail
        owner.remove(note)
        if tail and tail.strip():
            owner.text = (owner.text or "") + tail
        while owner is not None and owner.getparent() is not None and not owner.text_content().strip():
            gone, owner = owner, owner.getparent()
            gone.drop_tree()

    def markdown(self, blocks: Sequence[Any]) -> str:
        """The blocks as Markdown, with the footnotes' texts at the end."""
        parts = [_markdown(block) for block in blocks]
        for number, note in enumerate(self._notes, start=1):
            text = _markdown(_unlisted(note)).strip()
            text = re.sub(rf"^\[?{number}\]?[.):]?\s+(?=\S)", "", text)
            lines = text.split("\n")
            rest = "".join(f"\n{'    ' + line if line.strip() else ''}" for line in lines[1:])
            parts.append(f"[^{number}]: {lines[0]}{rest}")
        text = "\n\n".join(part for part in parts if part.strip())
        return _MARKS.sub(r"[^\1]", _BLANK_LINES.sub("\n\n", text)).strip("\n") + "\n"


def _is_reference(link: Any) -> bool:
    owner = link.getparent()
    small = (owner is not None and owner.tag == "sup") or link.find("sup") is not None
    named = re.search(
        r"footnote|fnref|noteref", f"{link.get('class', '')} {link.get('id', '')} {link.get('rel', '')}"
    )
    return bool(small or named) and len(link.text_content().strip()) <= 6 and "↩" not in link.text_content()


def _holder(target: Any) -> Any:
    """The entry or paragraph that a note's address is on, or within."""
    for element in (target, *target.iterancestors()):
        if element.tag in ("li", "p", "div", "dd", "aside"):
            return element
    return target


def _unlisted(note: Any) -> Any:
    if note.tag == "li":
        note.tag = "div"
    return note


def _markdown(block: Any) -> str:
    html = parser.tostring(block, encoding="unicode", with_tail=False)
    text: str = markdownify(html, **_WRITTEN)
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
