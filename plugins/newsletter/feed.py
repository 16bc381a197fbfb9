"""Pelican plugin: the RSS 2.0 feed of all analyses with their full text, through feedgen.

The newest pieces are in feed.xml. When there are more than one document should hold, the oldest move into
documents of their own, each linked from the one after it as RFC 5005 (section 4, archived feeds) describes:
none is lost, and an archive once full never changes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any
from urllib.parse import urlsplit

from feedgen.ext.base import BaseExtension
from feedgen.feed import FeedGenerator
from lxml.etree import SubElement
from pelican import signals
from pelican.generators import Generator

from newsletter.models import KeyJudgement
from newsletter.publication import Publication

# What an archive holds; feed.xml, which readers' programs fetch again and again, holds less than twice as many.
PAGE = 250
# Not characters of XML 1.0 (section 2.2), however they came in.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ATOM = "{http://www.w3.org/2005/Atom}link"
_HISTORY = "{http://purl.org/syndication/history/1.0}"


class _Archived(BaseExtension):  # type: ignore[misc]  # feedgen has no types
    """The links of RFC 5005, which feedgen leaves out of RSS."""

    links: dict[str, str]
    is_archive: bool

    def extend_ns(self) -> dict[str, str]:
        return {"fh": "http://purl.org/syndication/history/1.0"}

    def extend_rss(self, feed: Any) -> Any:
        channel = feed[0]
        for relation, address in self.links.items():
            SubElement(channel, _ATOM, rel=relation, href=address)
        if self.is_archive:
            SubElement(channel, f"{_HISTORY}archive")
        return feed


def documents(articles: Sequence[Any], publication: Publication, path: str) -> Iterator[tuple[str, bytes]]:
    """The feed as (path below output/, RSS bytes), newest document first.

    `articles` are Pelican's, newest first. Depends on nothing but its arguments: the same content gives the
    same bytes, whatever the time.
    """
    stem, ending = os.path.splitext(path)
    full = max(0, len(articles) // PAGE - 1)
    names = [f"{stem}-{number}{ending}" for number in range(1, full + 1)] + [path]
    oldest_first = articles[::-1]
    for number in reversed(range(full + 1)):
        page = oldest_first[number * PAGE : (number + 1) * PAGE if number < full else None][::-1]
        links = {"prev-archive": f"{publication.site_url}/{names[number - 1]}"} if number else {}
        if number < full:
            links["current"] = f"{publication.site_url}/{path}"
        yield names[number], _document(page, publication, names[number], links, archive=number < full)


def _document(
    articles: Sequence[Any], publication: Publication, path: str, links: dict[str, str], archive: bool
) -> bytes:
    feed = FeedGenerator()
    feed.title(_xml(f"{publication.house}: {publication.name}"))
    feed.description(_xml(publication.description))
    feed.link(href=f"{publication.site_url}/{path}", rel="self", type="application/rss+xml")
    # feedgen takes the channel's own link to be the last one given.
    feed.link(href=f"{publication.site_url}/", rel="alternate")
    feed.language(publication.language)
    feed.generator("Monthly Briefing, with python-feedgen")
    newest = max((_changed(article) for article in articles), default=None)
    feed.lastBuildDate(newest or "Thu, 01 Jan 1970 00:00:00 +0000")
    feed.register_extension("archived", extension_class_feed=_Archived, atom=False)
    feed.archived.links, feed.archived.is_archive = links, archive
    for article in articles:
        _entry(feed, article, publication)
    document: bytes = feed.rss_str(pretty=False)
    return document + b"\n"


def _entry(feed: FeedGenerator, article: Any, publication: Publication) -> None:
    entry = feed.add_entry(order="append")
    entry.title(_xml(article.title))
    entry.link(href=f"{publication.site_url}/{article.url}")
    # An id that a move of the site's address or a mended headline leaves alone (RFC 4151).
    host = urlsplit(publication.site_url).hostname
    entry.guid(f"tag:{host},{article.date:%Y-%m-%d}:{article.slug}", permalink=False)
    entry.pubDate(article.date)
    analysis = getattr(article, "analysis", None)
    summary = analysis.summary if analysis else ""
    if summary:
        entry.description(_xml(summary))
    # Not get_content(), which keeps what it gives: with ten thousand pieces, a second copy of all their texts.
    body = article._update_content(article._content, publication.site_url)
    entry.content(_xml(_judgements(analysis.key_judgements if analysis else ()) + body))
    for topic in (analysis.region, *analysis.topics) if analysis else ():
        if topic:
            entry.category(term=_xml(topic))


def _judgements(judgements: Sequence[KeyJudgement]) -> str:
    if not judgements:
        return ""
    lines = (
        f"<li>{escape(judgement.text)}{f' <em>[{escape(judgement.assessment)}]</em>' if judgement.assessment else ''}</li>\n"
        for judgement in judgements
    )
    return f"<p><strong>Key judgements</strong></p>\n<ul>\n{''.join(lines)}</ul>\n"


def _changed(article: Any) -> Any:
    return max(article.date, getattr(article, "modified", article.date))


def _xml(text: str) -> str:
    return _NOT_XML.sub("", text)


class FeedWriter(Generator):  # type: ignore[misc]  # pelican has no types
    """Writes the feed beside the pages."""

    def generate_output(self, writer: Any) -> None:
        """Called by Pelican after every piece has been read."""
        if path := self.settings.get("NEWSLETTER_FEED"):
            for name, document in documents(self.context["articles"], self.settings["PUBLICATION"], path):
                target = os.path.join(self.output_path, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(document)


def register() -> None:
    """Called by Pelican."""
    signals.get_generators.connect(_generators)


def _generators(_pelican: Any) -> type[Generator]:
    return FeedWriter
