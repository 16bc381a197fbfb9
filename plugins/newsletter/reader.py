"""Pelican plugin: reads every Markdown file, and stops the build when one cannot be published.

A file's complaints do not stop the reading, so that an editor sees all of them at once; they are gathered in
the build's context and raised together, before anything is written.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pelican import signals
from pelican.contents import Article, Author, Category, Tag
from pelican.generators import ArticlesGenerator, Generator
from pelican.readers import BaseReader, Readers
from pelican.utils import slugify

from newsletter import frontmatter, markdown
from newsletter.analysis import SLUG, analysis_of, moment, status, text
from newsletter.errors import ContentError, Finding, NewsletterError, SettingsError
from newsletter.frontmatter import FrontMatter
from newsletter.models import Analysis, Status

EXTENSIONS = ("md", "markdown", "mkd", "mdown")
# Where the findings of a build lie in Pelican's context.
FINDINGS = "NEWSLETTER_FINDINGS"
# The setting by which the pieces' texts are left out, with their links.
HEADS_ONLY = "NEWSLETTER_HEADS_ONLY"

# Fields that become something else than an attribute of the article with the text they hold.
_OWN_FIELDS = {
    "title", "date", "updated", "modified", "summary", "region", "category", "topics", "tags", "authors",
    "author", "status", "slug", "key_judgements", "image", "image_alt", "weight", "aliases", "timeline", "places",
    "corrections", "updates", "history",
}  # fmt: skip
_PELICAN_STATUSES = {"draft", "published", "hidden", "skip"}


# Every field becomes an attribute of Pelican's object: none may take the place of one that is there already, or a
# front matter could say what the page's HTML is, or where it is written.
_TAKEN = frozenset(dir(Article)) | {
    "analysis", "articles", "author", "authors", "briefing", "category", "context", "in_default_lang", "lang",
    "locale_date", "locale_modified", "metadata", "modified", "month", "override_save_as", "override_url", "path",
    "history", "marks", "reader", "related", "relative_source_path", "stages", "settings", "source_path", "tags", "template", "timezone",
    "translations", "classic", "front", "held", "date_format", "translation", "translation_id", "preheader", "subject",
}  # fmt: skip
# What a site that moves in may go on saying; where it leads is checked before anything is written.
_CLASSIC_FIELDS = {"save_as", "url", "lang", "translation", "date_format"}


def _is_free(key: str, classic: bool) -> bool:
    """Whether a field of a head may become an attribute that a theme or another plugin reads."""
    if key in _OWN_FIELDS or key in _CLASSIC_FIELDS:
        return classic and key in _CLASSIC_FIELDS
    return re.fullmatch(r"[a-z][a-z0-9_]*", key) is not None and key not in _TAKEN


class MarkdownReader(BaseReader):  # type: ignore[misc]  # pelican has no types
    """Front matter and Markdown to what Pelican's generators expect: HTML and a mapping of metadata.

    The mapping carries the parsed head as "front"; whoever takes it (an article, a page, a briefing) decides
    which of its fields are needed. A file that cannot be read at all comes back empty, with its findings.
    """

    file_extensions = ()  # registered in readers_init: a reader that merely is imported must not take over .md

    def read(self, source_path: str) -> tuple[str, dict[str, Any]]:
        """Read one file. Never raises for its content: complaints are in `metadata["front"].findings`."""
        shown = os.path.relpath(source_path)
        try:
            with open(source_path, "rb") as file:
                front = frontmatter.parse(frontmatter.decode(file.read(), shown), shown)
        except ContentError as error:
            front = FrontMatter(shown, {}, {}, "", 1, findings=list(error.findings))
            return "", {"front": front}
        except OSError as error:
            finding = Finding(shown, 0, "", f"cannot be read: {error.strerror}.")
            return "", {"front": FrontMatter(shown, {}, {}, "", 1, findings=[finding])}
        metadata = {key: value for key, value in front.fields.items() if _is_free(key, front.classic)}
        metadata["front"] = front
        return "" if self._is_read_elsewhere(source_path, front.body) else markdown.render(
            front.body
        ), metadata

    def _is_read_elsewhere(self, source_path: str, body: str) -> bool:
        """Whether nobody asks for the text: in a check, which reads the pieces' texts itself, pictures apart."""
        if not self.settings.get(HEADS_ONLY) or "![" in body or "<" in body:
            return False
        pieces = self.settings["ARTICLE_PATHS"][0]
        return bool(pieces) and source_path.startswith(os.path.join(self.settings["PATH"], pieces, ""))


def _article(generator: ArticlesGenerator, metadata: dict[str, Any]) -> None:
    """Turn an article's head into an Analysis and into the metadata that Pelican's own parts expect."""
    front = metadata.pop("front", None)
    if front is None:  # written in another format, for another reader
        return
    settings = generator.settings
    pelican_status = front.fields.pop("status") if front.fields.get("status") in ("hidden", "skip") else None
    try:
        analysis = None if front.findings else _analysis(front, settings)
    except (
        Exception
    ) as error:  # whatever an editor may write, it is told by file and not by Pelican's silence
        front.complain("", f"cannot be read: {type(error).__name__}: {error}.")
        analysis = None
    if analysis and analysis.image and not _lies_below(settings["PATH"], analysis.image.path):
        front.complain("image", f"there is no file content/{analysis.image.path}.")
        analysis = None
    elif analysis and analysis.image:
        generator.context["static_links"].add(analysis.image.path)
    if analysis and _is_ahead(analysis, front, datetime.now(analysis.date.tzinfo)):
        analysis = None
    if analysis is None:
        _refuse(generator, metadata, front)
        return
    metadata.update(_metadata(analysis, front, settings))
    if front.classic:
        metadata["classic"] = True
    if pelican_status:
        metadata["status"] = pelican_status
    if front.classic and "slug" not in front.fields:
        del metadata["slug"]  # Pelican makes it from the title or the file's name, as the site had it


def _is_ahead(analysis: Analysis, front: FrontMatter, now: datetime) -> bool:
    """Whether a piece that readers see tells them of a change that is still to come; complains of it."""
    if not analysis.changes or analysis.changes[0].date <= now or _held(analysis, now):
        return False
    change = analysis.changes[0]
    front.complain(
        f"{change.kind}s", f"has one of {change.date:%Y-%m-%d}, which is in the future. Is it a slip?"
    )
    return True


def _lies_below(content: str, path: str) -> bool:
    """Whether a file is there, and within the content folder even when links are followed."""
    place = os.path.realpath(os.path.join(content, path))
    return os.path.isfile(place) and place.startswith(os.path.realpath(content) + os.sep)


def _analysis(front: FrontMatter, settings: dict[str, Any]) -> Analysis | None:
    source = os.path.relpath(front.path, settings["PATH"])
    stem = os.path.splitext(os.path.basename(front.path))[0]
    slug = slugify(stem, regex_subs=settings["SLUG_REGEX_SUBSTITUTIONS"])
    publication = settings["PUBLICATION"]
    return analysis_of(front, source, slug, publication.zone, publication.yardstick)


def _metadata(analysis: Analysis, front: FrontMatter, settings: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "analysis": analysis,
        "title": analysis.title,
        "date": analysis.date,
        "slug": analysis.slug,
        "status": str(analysis.status),
    }
    if settings.get("NEWSLETTER_DRAFTS") and (held := _held(analysis, datetime.now(analysis.date.tzinfo))):
        metadata |= {"held": held, "status": str(Status.PUBLISHED)}
    if analysis.summary:
        metadata["summary"] = analysis.summary
    if analysis.updated:
        metadata["modified"] = analysis.updated
    if analysis.region:
        metadata["category"] = _wrapped(Category, analysis.region, settings)
    if analysis.topics:
        metadata["tags"] = [_wrapped(Tag, topic, settings) for topic in analysis.topics]
    if analysis.authors:
        metadata["authors"] = [_wrapped(Author, author, settings) for author in analysis.authors]
    if metadata["status"] == Status.PUBLISHED and "url" not in front.fields and not front.classic:
        # Pelican works an article's address out anew each time a template asks for it; a stated one it keeps.
        metadata["url"] = settings["ARTICLE_URL"].format(
            slug=analysis.slug,
            date=analysis.date,
            lang=settings["DEFAULT_LANG"],
            category=metadata["category"].slug,
            author=metadata["authors"][0].slug if analysis.authors else "",
        )
    return metadata


def _held(analysis: Analysis, now: datetime) -> str:
    """Why readers do not see a piece yet, in the words of the preview; "" if they do."""
    if analysis.status is Status.DRAFT:
        return "Draft: only the desk sees this"
    if analysis.date > now:
        return f"Held back until {analysis.date.day} {analysis.date:%B %Y, %H:%M}"
    return ""


def _wrapped(kind: type[Any], name: str, settings: dict[str, Any]) -> Any:
    """Pelican's Category, Tag or Author of that name; one object each, for their slug is slow to make."""
    known = settings.setdefault("NEWSLETTER_TAXONOMY", {})
    key = (kind, name)
    if key not in known:
        known[key] = kind(name, settings)
    return known[key]


def _page(generator: Generator, metadata: dict[str, Any]) -> None:
    """A page needs a title; the rest is Pelican's."""
    front = metadata.pop("front", None)
    if front is None:
        return
    metadata["title"] = text(front, "title")
    if front.classic:
        metadata["classic"] = True
    if not metadata["title"]:
        front.complain("title", "is missing. Add a line such as title: About us")
    if summary := text(front, "summary"):
        metadata["summary"] = summary
    if slug := front.fields.get("slug"):
        if isinstance(slug, str) and SLUG.match(slug):
            metadata["slug"] = slug
        else:
            front.complain("slug", "must be small letters, digits and hyphens: about-us.")
            slug = ""
    zone = generator.settings["PUBLICATION"].zone
    for key, field in (("date", "date"), ("modified", "updated")):
        if value := moment(front, field, zone):
            metadata[key] = value
    value = front.fields.get("status", "")
    metadata["status"] = value if value in _PELICAN_STATUSES else str(status(front))
    if generator.settings.get("NEWSLETTER_DRAFTS") and metadata["status"] == Status.DRAFT:
        metadata |= {"status": str(Status.PUBLISHED), "held": "Draft: only the desk sees this"}
    if metadata["status"] == Status.PUBLISHED and slug and "url" not in front.fields:
        # The header of every page links to the pages: their addresses are asked for a hundred thousand times.
        metadata["url"] = generator.settings["PAGE_URL"].format(
            slug=slug, lang=generator.settings["DEFAULT_LANG"]
        )
    if front.findings:
        _refuse(generator, metadata, front)


def complain(generator: Generator, front: FrontMatter, findings: Sequence[Finding] = ()) -> None:
    """Note the findings of a file (its head's, if none are given); the build will stop before it writes."""
    generator.context.setdefault(FINDINGS, []).extend(findings or front.findings)


def _refuse(generator: Generator, metadata: dict[str, Any], front: FrontMatter) -> None:
    complain(generator, front)
    metadata["status"] = "skip"  # Pelican's own word for: read no further


class _WithoutTraceback(logging.Filter):
    """Pelican logs whatever stops a build with its traceback; what an editor can mend needs none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, and take the traceback from those that are about our own errors."""
        if record.exc_info and isinstance(record.exc_info[1], NewsletterError):
            record.exc_info = None
        return True


def _register_readers(readers: Readers) -> None:
    for extension in EXTENSIONS:
        readers.reader_classes[extension] = MarkdownReader


def _claim_markdown(generator: Generator) -> None:
    """Pelican would warn of each Markdown file that its own reader, absent here, does not read it."""
    for extension in EXTENSIONS:
        generator.readers.disabled_readers.pop(extension, None)


def _begin(pelican: Any) -> None:
    """Before a build: every plugin is there, and the old site stays until the new content is known to be good."""
    settings = pelican.settings
    # Pelican goes on, and exits 0, when a plugin cannot be imported or registered (its issue #3172).
    if missing := [name for name in settings.get("PLUGINS_REQUIRED", ()) if name not in settings["PLUGINS"]]:
        raise SettingsError(
            f"pelicanconf.py: PLUGINS: {', '.join(missing)} could not be loaded; see the lines above."
        )
    if not os.path.isdir(os.path.join(settings["PATH"], settings["ARTICLE_PATHS"][0])):
        settings["ARTICLE_PATHS"] = [""]  # a site that has just moved in keeps its pieces where they were
        settings["ARTICLE_EXCLUDES"] = [*settings["PAGE_PATHS"], "briefings"]
    # Pelican would empty the output folder before it has read a single file.
    settings["NEWSLETTER_CLEAN"] = pelican.delete_outputdir
    pelican.delete_outputdir = False


def register() -> None:
    """Called by Pelican."""
    logging.getLogger("pelican").addFilter(_WithoutTraceback())
    signals.initialized.connect(_begin)
    signals.readers_init.connect(_register_readers)
    signals.generator_init.connect(_claim_markdown)
    signals.article_generator_context.connect(_article)
    signals.page_generator_context.connect(_page)
