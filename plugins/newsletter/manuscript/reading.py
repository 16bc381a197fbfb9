"""Which reader a file is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from newsletter.errors import ContentError, Finding
from newsletter.manuscript import Manuscript

_MARKDOWN = (".md", ".markdown", ".mkd", ".mdown")


def moved_in(manuscript: Manuscript, stated: Mapping[str, str]) -> Manuscript:
    """A manuscript with what a list beside it says of it: its title, its subtitle, its day."""
    return replace(
        manuscript,
        title=stated.get("title") or manuscript.title,
        summary=stated.get("subtitle") or manuscript.summary,
        left_out=(*manuscript.left_out, *_second(manuscript.title, stated.get("title")),
                  *_second(manuscript.summary, stated.get("subtitle"))),
        fields={**manuscript.fields, **({"date": stated["date"]} if stated.get("date") else {})},
    )  # fmt: skip


def _second(found: str, stated: str | None) -> tuple[str, ...]:
    """What was found in the text and has to stand back behind what is stated."""
    return (f"In the text: {found}",) if stated and found and found != stated else ()


def read(path: Path) -> Manuscript:
    """Read a manuscript of any kind. Raises ContentError if it is of none that is known, or cannot be read."""
    ending = path.suffix.lower()
    data = path.read_bytes()
    if ending in _MARKDOWN:
        from newsletter.manuscript import moved

        return moved.read(path, data)
    from newsletter.manuscript import layout

    if ending in (".docx", ".docm"):
        from newsletter.manuscript import word

        sheet = word.read(path, data)
    elif ending in (".html", ".htm", ".xhtml"):
        from newsletter.manuscript import web

        sheet = web.read(path, data)
        if stated := web.beside_substack(path):
            return moved_in(layout.arrange(sheet), stated)
    elif ending in (".txt", ".text"):
        from newsletter.manuscript import plain

        sheet = plain.read(path, data)
    else:
        hint = " In Word, save it as .docx." if ending in (".doc", ".odt", ".rtf", ".pages") else ""
        reason = f"is of a kind that cannot be imported. These can: .docx, .html, .txt, .md.{hint}"
        raise ContentError([Finding(str(path), 0, "", reason)])
    return layout.arrange(sheet)
