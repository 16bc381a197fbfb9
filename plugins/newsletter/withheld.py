"""Pelican plugin: a picture or a file that only held-back pieces refer to is held back with them.

What lies in content/images/ is published as it is, and the map of a piece that is to come would be there before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pelican import signals
from pelican.generators import Generator, StaticGenerator

_TEXTS = (".md", ".markdown", ".mkd", ".mdown")


def _hold(generators: Sequence[Generator]) -> None:
    settings = generators[0].settings
    if settings.get("NEWSLETTER_DRAFTS"):
        return
    context = generators[0].context
    static = [
        each
        for generator in generators
        if isinstance(generator, StaticGenerator)
        for each in generator.staticfiles
    ]
    folders = "|".join(re.escape(path) for path in settings["STATIC_PATHS"])
    named = re.compile(rf"(?:{folders})/[^\s\"'()<>\]}}{{,]+")
    secret = {path for text in _held_back(context, settings["PATH"]) for path in named.findall(text)}
    secret &= {each.relative_source_path for each in static}
    if not secret:
        return
    open_ = {path for path in secret if any(path in text for text in _public(generators))}
    kept = [each for each in context["staticfiles"] if each.relative_source_path not in secret - open_]
    for generator in generators:
        if isinstance(generator, StaticGenerator):
            generator.staticfiles[:] = kept
    context["staticfiles"][:] = kept


def _held_back(context: Any, content: str) -> Iterator[str]:
    """The texts of all files that are read and not shown: drafts, and what is dated in the future."""
    drafts = {piece.source_path for name in ("drafts", "draft_pages") for piece in context.get(name, ())}
    # A briefing that is a draft is noted among what could not be read.
    unread = {
        os.path.join(content, path)
        for path, piece in context["generated_content"].items()
        if piece is None and path.endswith(_TEXTS)
    }
    for path in sorted(drafts | unread):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                yield file.read()
        except OSError:
            continue


def _public(generators: Sequence[Generator]) -> Iterable[str]:
    """The texts of all that is shown, and where their pictures lie."""
    for generator in generators:
        for name in ("articles", "hidden_articles", "pages", "hidden_pages", "briefings", "errata"):
            for piece in getattr(generator, name, ()):
                yield piece._content or ""
                analysis = getattr(piece, "analysis", None)
                if analysis and analysis.image:
                    yield analysis.image.path


def register() -> None:
    """Called by Pelican."""
    signals.all_generators_finalized.connect(_hold)
