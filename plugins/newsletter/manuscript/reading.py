"""Which reader a file is for."""

from __future__ import annotations

from pathlib import Path

from newsletter.errors import ContentError, Finding
from newsletter.manuscript import Manuscript

_MARKDOWN = (".md", ".markdown", ".mkd", ".mdown")


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
    elif ending in (".txt", ".text"):
        from newsletter.manuscript import plain

        sheet = plain.read(path, data)
    else:
        hint = " In Word, save it as .docx." if ending in (".doc", ".odt", ".rtf", ".pages") else ""
        reason = f"is of a kind that cannot be imported. These can: .docx, .html, .txt, .md.{hint}"
        raise ContentError([Finding(str(path), 0, "", reason)])
    return layout.arrange(sheet)
