"""One piece as a PDF to print, keep and cite: its HTML becomes data, and Typst sets it.

    HTML (clean, from the build) ─► nodes ─► JSON ─► theme/print/edition.typ ─► tagged PDF (PDF/UA-1)

The text reaches Typst as data alone, so nothing that stands in it can be a command of Typst. The wheel of `typst`
(typst.app, Apache-2.0) carries the compiler and its fonts: nothing else need be installed, and the same piece gives
the same bytes on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias

from lxml import html as parser

from newsletter.models import Change, Event, KeyJudgement

Node: TypeAlias = str | dict[str, Any]

# Elements that stand in the data under another name; those that are not here and not below are seen through.
_INLINE = {"em": "em", "i": "em", "strong": "strong", "b": "strong", "del": "del", "sub": "sub", "sup": "sup"}
# What fits on one line of a card, and what below one another.
_LONGEST_LINE = 70
_LONGEST_TITLE, _LONGEST_STATEMENT = 120, 190
_LEVELS = {"h1": 2, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}


@dataclass(frozen=True, slots=True)
class Item:
    """One piece within a briefing's edition; `url` is its page's full address."""

    title: str
    url: str
    summary: str
    judgements: tuple[KeyJudgement, ...]


@dataclass(frozen=True, slots=True)
class Edition:
    """What one PDF says. `html` is the body, `rest` (HTML too) what follows the items, `kind` the line above the title
    (a region, "Monthly Briefing"), `url` the page's full address, `language` a tag such as "en-GB".
    """

    title: str
    kind: str
    summary: str
    house: str
    desk: str
    date: datetime
    language: str
    url: str
    citation: str
    html: str
    keywords: tuple[str, ...] = ()
    judgements: tuple[KeyJudgement, ...] = ()
    changes: tuple[Change, ...] = ()
    timeline: tuple[Event, ...] = ()
    items: tuple[Item, ...] = ()
    rest: str = ""

    @property
    def document(self) -> str:
        """All of it as the JSON that the template reads: equal texts mean equal PDFs."""
        language, _, region = self.language.partition("-")
        return json.dumps(
            {
                "title": self.title,
                "kind": self.kind,
                "summary": self.summary,
                "house": self.house,
                "desk": self.desk,
                "date": _day(self.date),
                "language": language,
                "region_code": region or None,
                "url": self.url,
                "citation": self.citation,
                "keywords": list(self.keywords),
                "judgements": [_judgement(judgement) for judgement in self.judgements],
                "changes": [{"kind": c.kind, "head": c.head, "text": c.text} for c in self.changes],
                "timeline": [{"day": _day(event.date), "text": event.text} for event in self.timeline],
                "items": [
                    {
                        "title": item.title,
                        "url": item.url,
                        "summary": item.summary,
                        "judgements": [_judgement(judgement) for judgement in item.judgements],
                    }
                    for item in self.items
                ],
                "body": nodes(self.html, self.url),
                "rest": nodes(self.rest, self.url),
            },
            ensure_ascii=False,
            sort_keys=True,
        )

    @property
    def card(self) -> str:
        """What its card says, as JSON: of the judgements the first, whole or not at all.

        A likelihood without its statement would be read as that of the title.
        """
        fits = self.judgements and self.judgements[0].bracket and len(self.title) <= _LONGEST_TITLE
        first = self.judgements[0] if fits and len(self.judgements[0].text) <= _LONGEST_STATEMENT else None
        return json.dumps(
            {
                "title": self.title,
                "kind": self.kind,
                "house": self.house,
                "date": _day(self.date),
                "summary": self.summary if len(self.summary) <= _LONGEST_LINE else "",
                "judgement": first.text if first else "",
                "range": _judgement(first)["range"] if first else [],
                "likelihood": f"{first.likelihood} ({first.bracket})" if first else "",
            },
            ensure_ascii=False,
            sort_keys=True,
        )


def pdf(edition: Edition, template: Path) -> bytes:
    """The edition, set by `template`: PDF/UA-1 wherever the compiler's own fonts have all its letters.

    Raises RuntimeError (Typst's) with its words if it cannot be set.
    """
    import typst  # a compiler, which nobody loads without need

    inputs, moment = {"document": edition.document}, int(edition.date.timestamp())
    try:
        made: bytes = typst.compile(
            template, sys_inputs=inputs, timestamp=moment, ignore_system_fonts=True, pdf_standards="ua-1"
        )
    except RuntimeError:
        # Mostly a script that the compiler's own fonts lack (Arabic, Hebrew), which the standard forbids to leave
        # blank: then with the fonts of this machine, still tagged, and without the standard's seal.
        made = typst.compile(template, sys_inputs=inputs, timestamp=moment)
    return made


def card(edition: Edition, template: Path) -> bytes:
    """The picture (PNG, 1200 by 630) that other sites show beside a link to the piece."""
    import typst

    made: bytes = typst.compile(
        template, sys_inputs={"document": edition.card}, format="png", ppi=72.0, ignore_system_fonts=True
    )
    return made


def nodes(html: str, url: str) -> list[Node]:
    """Clean HTML as nested nodes: texts, and mappings with `is` and what is in them.

    Footnotes stand where they are referred to. Links are made whole against `url`; those within the page become
    plain text. Pictures are left out: their places are named by the words that describe them.
    """
    if not html.strip():
        return []
    tree = parser.fragment_fromstring(html, create_parent="div")
    tree.make_links_absolute(url, resolve_base_href=False)
    notes = {}
    for section in tree.xpath("//section[contains(@class, 'footnotes')]"):
        for item in section.iter("li"):
            for back in item.xpath(".//a[contains(@class, 'footnote-backref')]"):
                back.drop_tree()
            notes[item.get("id", "")] = item
        section.drop_tree()
    return _inside(tree, url, notes)


def _inside(element: Any, url: str, notes: Mapping[str, Any]) -> list[Node]:
    found: list[Node] = [element.text] if element.text else []
    for child in element:
        if isinstance(child.tag, str):
            node = _node(child, url, notes)
            found += node if isinstance(node, list) else [node]
        if child.tail:
            found.append(child.tail)
    return [node for node in found if not isinstance(node, str) or node.strip(" \n\t") or node == " "]


def _node(element: Any, url: str, notes: Mapping[str, Any]) -> Node | list[Node]:
    tag = element.tag
    if tag == "sup" and element.get("class") == "footnote-ref":
        link = element.find("a")
        to = link.get("href", "").rpartition("#")[2] if link is not None else ""
        if to not in notes:
            return {"is": "sup", "has": _inside(element, url, notes)}
        return {"is": "note", "has": [n for p in notes[to].findall("p") for n in _inside(p, url, {})]}
    if tag == "pre" or tag == "code":
        return {"is": tag, "text": element.text_content()}
    if tag == "br":
        return {"is": "br"}
    if tag == "hr":
        return {"is": "rule"}
    if tag == "img":
        return {"is": "em", "has": [f"[Picture: {element.get('alt')}]"]} if element.get("alt") else []
    if tag in ("ul", "ol"):
        items = [{"has": _inside(item, url, notes)} for item in element.findall("li")]
        return {"is": "list", "ordered": tag == "ol", "start": _number(element.get("start")), "has": items}
    if tag == "dl":
        return {"is": "terms", "pairs": _pairs(element, url, notes)}
    if tag == "table":
        return _table(element, url, notes)
    inside = _inside(element, url, notes)
    if tag == "a":
        to = element.get("href", "")
        return (
            {"is": "link", "to": to, "has": inside}
            if to and not to.startswith(f"{url}#") and inside
            else inside
        )
    if tag in _LEVELS:
        return {"is": "heading", "level": _LEVELS[tag], "has": inside}
    if tag == "p" or tag == "blockquote":
        return {"is": "p" if tag == "p" else "quote", "has": inside}
    return {"is": _INLINE[tag], "has": inside} if tag in _INLINE else inside


def _number(text: str | None) -> int:
    """Where a list begins; at 1 unless it says another number."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 7 else 1


def _pairs(element: Any, url: str, notes: Mapping[str, Any]) -> list[list[list[Node]]]:
    pairs: list[list[list[Node]]] = []
    for child in element:
        if child.tag == "dt":
            pairs.append([_inside(child, url, notes), []])
        elif child.tag == "dd" and pairs:
            pairs[-1][1] += _inside(child, url, notes)
    return pairs


def _table(element: Any, url: str, notes: Mapping[str, Any]) -> Node:
    rows = [
        [
            {"align": cell.get("align") or "left", "has": _inside(cell, url, notes)}
            for cell in row
            if cell.tag in ("th", "td")
        ]
        for row in element.iter("tr")
    ]
    columns = max((len(row) for row in rows), default=0)
    if not columns:
        return {"is": "span", "has": []}
    filled = [row + [{"has": []}] * (columns - len(row)) for row in rows]
    return {"is": "table", "columns": columns, "head": filled[0], "rows": filled[1:]}


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _judgement(judgement: KeyJudgement) -> dict[str, str | list[int]]:
    ends: Sequence[str] = judgement.bracket.replace("\u00a0%", "").split("–") if judgement.bracket else ()
    return {
        "text": judgement.text,
        "assessment": judgement.assessment,
        "outcome": judgement.outcome,
        "range": [int(end) for end in ends],
    }
