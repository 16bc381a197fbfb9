"""Pelican plugin: feeds of all analyses, of each region and of each topic, in RSS 2.0 and Atom, through feedgen.

    feed.xml, atom.xml, feed.json             all analyses
    regions/iraq/feed.xml, …/atom.xml         the newest of one region; topics alike

Every piece is in full. When there are more analyses than one document should hold, the oldest move into
documents of their own, each linked from the one after it as RFC 5005 (section 4, archived feeds) describes:
none is lost, and an archive once full never changes. A region's feed is for following it and has the newest.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import urlsplit

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseExtension
from feedgen.feed import FeedGenerator
from lxml.etree import SubElement, register_namespace, tostring
from pelican import signals
from pelican.generators import Generator

from newsletter.models import Change, ChangeKind, KeyJudgement
from newsletter.publication import Publication

# What an archive holds; feed.xml, which readers' programs fetch again and again, holds less than twice as many.
PAGE = 250
# What the feed of one region or topic holds.
NEWEST = 30
# Not characters of XML 1.0 (section 2.2), however they came in.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ATOM = "{http://www.w3.org/2005/Atom}link"
_HISTORY = "{http://purl.org/syndication/history/1.0}"
_CONTENT = "http://purl.org/rss/1.0/modules/content/"
register_namespace("content", _CONTENT)  # an entry by itself has the prefix that it has in feedgen's document
_DECLARED = f'<content:encoded xmlns:content="{_CONTENT}">'.encode()


class _Archived(BaseExtension):  # type: ignore[misc]  # feedgen has no types
    """The links of RFC 5005, which feedgen leaves out of RSS."""

    links: dict[str, str]
    is_archive: bool

    def extend_ns(self) -> dict[str, str]:
        return {"fh": "http://purl.org/syndication/history/1.0"}

    def extend_rss(self, feed: Any) -> Any:
        return self._extend(feed, feed[0])

    def extend_atom(self, feed: Any) -> Any:
        return self._extend(feed, feed)

    def _extend(self, feed: Any, channel: Any) -> Any:
        for relation, address in self.links.items():
            SubElement(channel, _ATOM, rel=relation, href=address)
        if self.is_archive:
            SubElement(channel, f"{_HISTORY}archive")
        return feed


@dataclass(frozen=True, slots=True)
class Channel:
    """One feed: what it is of, the page it belongs to ("regions/iraq/"), and the folder its documents lie in."""

    title: str
    page: str = ""
    folder: str = ""

    @property
    def rss(self) -> str:
        """Where its RSS lies, below the site's address."""
        return f"{self.folder}feed.xml"

    @property
    def atom(self) -> str:
        """Where its Atom lies, below the site's address."""
        return f"{self.folder}atom.xml"


@dataclass(frozen=True, slots=True)
class Item:
    """A piece as it stands in every feed that has it: in RSS, in Atom, and when it last changed."""

    rss: bytes
    atom: bytes
    changed: datetime


def item(article: Any, publication: Publication) -> Item:
    """Make a piece's entry. `article` is Pelican's."""
    try:
        entry = _entry(article, publication, _as_it_is)
        rss, atom = entry.rss_entry(), entry.atom_entry()
    except ValueError:  # lxml looks at every text, so that it need not be looked at before
        entry = _entry(article, publication, _xml)
        rss, atom = entry.rss_entry(), entry.atom_entry()
    return Item(_serial(rss), _serial(atom), entry.updated())


def _serial(element: Any) -> bytes:
    alone: bytes = tostring(element, encoding="UTF-8", xml_declaration=False)
    return alone.replace(_DECLARED, b"<content:encoded>")  # a feed's root says it once for all


def documents(
    articles: Sequence[Any], publication: Publication, channel: Channel, known: dict[str, Item] | None = None
) -> Iterator[tuple[str, bytes]]:
    """A feed of any length as (path below output/, bytes), in RSS and in Atom, the newest document first.

    `articles` are Pelican's, newest first. Depends on nothing but its arguments: the same content gives the
    same bytes, whatever the time. `known` are pieces' entries that have been made already, by address.
    """
    known = known or {}
    full = max(0, len(articles) // PAGE - 1)
    oldest_first = articles[::-1]
    for number in reversed(range(full + 1)):
        page = oldest_first[number * PAGE : (number + 1) * PAGE if number < full else None][::-1]
        items = [known.get(article.url) or item(article, publication) for article in page]
        yield from _document(items, publication, channel, number, full)


def newest(
    articles: Sequence[Any], publication: Publication, channel: Channel, known: dict[str, Item]
) -> Iterator[tuple[str, bytes]]:
    """A feed of the newest alone, in RSS and in Atom. `known` are the entries of other such feeds, by address, and grows."""
    for article in articles[:NEWEST]:
        if article.url not in known:
            known[article.url] = item(article, publication)
    items = [known[article.url] for article in articles[:NEWEST]]
    return _document(items, publication, channel, 0, 0)


def _document(
    items: Sequence[Item], publication: Publication, channel: Channel, number: int, full: int
) -> Iterator[tuple[str, bytes]]:
    feed = FeedGenerator()
    feed.title(_xml(channel.title))
    feed.description(_xml(publication.description))
    feed.language(publication.language)
    feed.generator("Monthly Briefing, with python-feedgen")
    feed.author(name=_xml(publication.house))
    changed = max((each.changed for each in items), default="1970-01-01T00:00:00+00:00")
    feed.updated(changed)
    feed.lastBuildDate(changed)
    feed.register_extension("archived", extension_class_feed=_Archived)
    for current, kind in ((channel.rss, "rss"), (channel.atom, "atom")):
        stem, ending = os.path.splitext(current)
        path = f"{stem}-{number + 1}{ending}" if number < full else current
        feed.id(f"{publication.site_url}/{channel.atom}")
        own = {"href": f"{publication.site_url}/{path}", "rel": "self", "type": f"application/{kind}+xml"}
        # feedgen takes the channel's own link to be the last one given.
        home = {"href": f"{publication.site_url}/{channel.page}", "rel": "alternate", "type": "text/html"}
        feed.link([own, home], replace=True)
        feed.archived.is_archive = number < full
        feed.archived.links = {}
        if number:
            feed.archived.links["prev-archive"] = f"{publication.site_url}/{stem}-{number}{ending}"
        if number < full:
            feed.archived.links["current"] = f"{publication.site_url}/{current}"
        # The pieces come last in both forms: feedgen's document without any, and they before its end.
        frame: bytes = feed.rss_str() if kind == "rss" else feed.atom_str()
        end = b"</channel></rss>" if kind == "rss" else b"</feed>"
        pieces = [each.rss if kind == "rss" else each.atom for each in items]
        yield path, b"".join((frame.removesuffix(end), *pieces, end, b"\n"))


def json_feed(articles: Sequence[Any], publication: Publication, channel: Channel) -> bytes:
    """The newest pieces as a JSON Feed (jsonfeed.org, version 1.1)."""
    items = []
    for article in articles[:PAGE]:
        analysis = getattr(article, "analysis", None)
        item = {
            "id": _id(article, publication),
            "url": f"{publication.site_url}/{article.url}",
            "title": article.title,
            "content_html": _content(article, publication),
            "date_published": article.date.isoformat(),
        }
        if _changed(article) != article.date:
            item["date_modified"] = _changed(article).isoformat()
        if analysis:
            item |= {
                "summary": analysis.summary,
                "tags": [t for t in (analysis.region, *analysis.topics) if t],
            }
            if analysis.authors:
                item["authors"] = [{"name": desk} for desk in analysis.authors]
        items.append(item)
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": channel.title,
        "description": publication.description,
        "home_page_url": f"{publication.site_url}/{channel.page}",
        "feed_url": f"{publication.site_url}/{channel.folder}feed.json",
        "language": publication.language,
        "authors": [{"name": publication.house, "url": f"{publication.site_url}/"}],
        "items": items,
    }
    # Lone surrogates cannot be written as UTF-8.
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"


def _entry(article: Any, publication: Publication, xml: Callable[[str], str]) -> FeedEntry:
    entry = FeedEntry()
    entry.title(xml(article.title))
    entry.link(href=f"{publication.site_url}/{article.url}")
    entry.guid(_id(article, publication), permalink=False)  # Atom's id too
    entry.published(article.date)
    entry.updated(_changed(article))
    analysis = getattr(article, "analysis", None)
    summary = analysis.summary if analysis else ""
    if summary:
        entry.description(escape(xml(summary), quote=False))  # RSS has HTML there, Atom the text itself
        entry.summary(xml(summary))
    entry.content(xml(_content(article, publication)), type="html")
    if analysis and analysis.authors:
        entry.author([{"name": xml(desk)} for desk in analysis.authors])
    if analysis:
        entry.category([{"term": xml(topic)} for topic in (analysis.region, *analysis.topics) if topic])
    return entry


def _id(article: Any, publication: Publication) -> str:
    """An id that a move of the site's address or a mended headline leaves alone (RFC 4151)."""
    return f"tag:{urlsplit(publication.site_url).hostname},{article.date:%Y-%m-%d}:{article.slug}"


def _content(article: Any, publication: Publication) -> str:
    analysis = getattr(article, "analysis", None)
    # Not get_content(), which keeps what it gives: with ten thousand pieces, a second copy of all their texts.
    body = article._update_content(article._content, publication.site_url)
    if not analysis:
        return str(body)
    wrong, newer = analysis.corrections, [c for c in analysis.changes if c.kind is ChangeKind.UPDATE]
    return f"{_changes(wrong)}{_judgements(analysis.key_judgements)}{body}{_changes(newer)}"


def _changes(changes: Sequence[Change]) -> str:
    """A paragraph for each, the corrections before everything else: whoever read the piece is to see them."""
    return "".join(f"<p><strong>{change.head}:</strong> {escape(change.text)}</p>\n" for change in changes)


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


def _as_it_is(text: str) -> str:
    return text


class FeedWriter(Generator):  # type: ignore[misc]  # pelican has no types
    """Writes the feeds beside the pages."""

    def generate_output(self, writer: Any) -> None:
        """Called by Pelican after every piece has been read."""
        if not self.settings.get("NEWSLETTER_FEED"):
            return
        publication: Publication = self.settings["PUBLICATION"]
        articles = self.context["articles"]
        known: dict[str, Item] = {}
        for channel, some in channels(self.context, publication):
            for name, document in newest(some, publication, channel, known):
                self._write(name, document)
        channel = everything(publication)
        for name, document in documents(articles, publication, channel, known):
            self._write(name, document)
        self._write(f"{channel.folder}feed.json", json_feed(articles, publication, channel))

    def _write(self, name: str, document: bytes) -> None:
        target = os.path.join(self.output_path, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(document)


def everything(publication: Publication) -> Channel:
    """The feed of all analyses."""
    return Channel(f"{publication.house}: {publication.name}")


def channels(context: Any, publication: Publication) -> Iterator[tuple[Channel, Sequence[Any]]]:
    """The feeds of each region and each topic, with their pieces, newest first."""
    for kind in ("categories", "tags"):
        for wrapped, articles in context[kind]:
            yield Channel(f"{publication.house}: {wrapped.name}", wrapped.url, wrapped.url), articles


def register() -> None:
    """Called by Pelican."""
    signals.get_generators.connect(_generators)


def _generators(_pelican: Any) -> type[Generator]:
    return FeedWriter
