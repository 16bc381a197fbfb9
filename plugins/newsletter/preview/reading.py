"""The content, read again and again in one process: only what has changed is read anew.

Pelican keeps the pieces it has read, if it is let (its `CachingGenerator`); here they are kept in memory, by each
file's time, size and number. What hangs together (lists, related pieces, links) is worked out anew each time.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pelican import signals
from pelican.contents import Article, Content
from pelican.generators import ArticlesGenerator, CachingGenerator

from newsletter import site
from newsletter.errors import ContentError, Finding, NewsletterError
from newsletter.reader import FINDINGS


class Reading:
    """One configuration's way to read the content; `generators` are Pelican's, as they were after the last time."""

    def __init__(self, overrides: Mapping[str, Any]) -> None:
        """`overrides` are settings beside those of pelicanconf.py. Raises SettingsError, and whatever that file raises."""
        with site.quiet() as log:
            self._pelican = site.prepare(overrides)
            log.raise_errors()
        self.settings: dict[str, Any] = self._pelican.settings
        self.generators: list[Any] = []
        self._kept: dict[type, dict[str, Any]] = {}

    def read(self) -> tuple[Finding, ...]:
        """Read what has changed and work everything out; answers with what is wrong.

        Raises NewsletterError for what belongs to no file.
        """
        Content.get_content.cache.clear()  # Pelican would keep every text it ever had, and the links of then
        Content.get_summary.cache.clear()
        try:
            with site.quiet() as log:
                self.generators = site.read(self._pelican, self._bring)
                errors = log.errors
        finally:
            gc.enable()  # a build works without; this process goes on (press.py)
        found: Sequence[Finding] = self.context.get(FINDINGS, ())
        return (*found, *(Finding("", 0, "", error) for error in errors))

    @property
    def context(self) -> dict[str, Any]:
        """What Pelican's generators share."""
        context: dict[str, Any] = self.generators[0].context
        return context

    def again(self, path: str) -> tuple[Any, Any, tuple[Finding, ...]]:
        """One analysis, by its path below the content folder: as it was, as it is now, and what is wrong with it.

        None for what it was if it was not there; None for what it is if it cannot be published so, or has moved.
        """
        generator = next(each for each in self.generators if isinstance(each, ArticlesGenerator))
        old = self.context["generated_content"].get(path)
        if not isinstance(old, Article):
            return None, None, ()
        before = list(self.context.get(FINDINGS, ()))
        with site.quiet() as log:
            new = generator.readers.read_file(
                base_path=generator.path,
                path=path,
                content_class=Article,
                context=generator.context,
                context_signal=signals.article_generator_context,
                context_sender=generator,
            )
        findings = tuple(self.context.get(FINDINGS, ()))[len(before) :]
        self.context[FINDINGS] = before
        if findings or log.errors or not isinstance(new, Article) or new.save_as != old.save_as:
            return old, None, findings
        new.related = getattr(old, "related", [])
        return old, new, ()

    def _bring(self, generators: Sequence[Any]) -> None:
        for generator in generators:
            if isinstance(generator, CachingGenerator):
                kept = self._kept.setdefault(type(generator), {})
                for name, (_, content) in list(kept.items()):
                    if not self._is_good(content):
                        del kept[name]
                    else:
                        content._context = generator.context
                        if image := getattr(getattr(content, "analysis", None), "image", None):
                            generator.context["static_links"].add(image.path)
                generator._cache, generator._cache_data_policy = kept, True
                generator._filestamp_func = _stamp
                generator.save_cache = _keep_in_memory

    def _is_good(self, content: Any) -> bool:
        """Whether a piece can be taken as it was read: its day has not come meanwhile, its picture is still there."""
        image = getattr(getattr(content, "analysis", None), "image", None)
        there = image is None or os.path.isfile(os.path.join(self.settings["PATH"], image.path))
        waiting = content.status == "draft" or getattr(content, "held", "")
        return there and os.path.isfile(content.source_path) and not waiting


def _stamp(path: str) -> tuple[int, int, int]:
    """What tells a file from the one it was: two saves in one tick of the clock differ in size or in number."""
    seen = os.stat(path)
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def _keep_in_memory() -> None:
    """In place of Pelican's writing its cache to disk."""


def findings_of(error: Exception) -> tuple[Finding, ...]:
    """Whatever has stopped the reading, as what an editor can mend."""
    if isinstance(error, ContentError):
        return error.findings
    if isinstance(error, NewsletterError):
        return (Finding("", 0, "", str(error)),)
    place = (
        getattr(error, "filename", None) or ""
    )  # Jinja's and Python's own errors of syntax know file and line
    line = getattr(error, "lineno", None) or 0
    shown = os.path.relpath(place) if isinstance(place, str) and place else ""
    return (Finding(shown, line, "", f"{type(error).__name__}: {error}"),)
