"""Pelican plugin: the small files by which machines find their way about the site.

sitemap.xml                every page, with the day it last changed     sitemaps.org, protocol 0.9
robots.txt                 everything may be read; where the map lies   RFC 9309
feeds.opml                 every feed, to follow several at once        OPML 2.0
.well-known/security.txt   whom to tell of a hole                       RFC 9116
<old address>/index.html   for each alias of a piece, the way to its present address
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from typing import Any
from xml.sax.saxutils import quoteattr

from pelican import signals
from pelican.generators import Generator

from newsletter.feed import channels, everything
from newsletter.publication import Publication

# RFC 9116 section 2.5.5: at most a year ahead.
_SECURITY_MONTHS = 6


def sitemap(entries: Iterable[tuple[str, datetime | None]], site_url: str) -> str:
    """The site map of (address below the site's, when it changed). At 50,000 addresses it would have to be split."""
    lines = [
        f"<url><loc>{escape(f'{site_url}/{address}')}</loc>"
        + (f"<lastmod>{changed:%Y-%m-%d}</lastmod>" if changed else "")
        + "</url>\n"
        for address, changed in entries
    ]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return f"{head}{''.join(lines)}</urlset>\n"


def robots(site_url: str) -> str:
    """What programs that read the web may read: all of it."""
    return f"User-agent: *\nAllow: /\nSitemap: {site_url}/sitemap.xml\n"


def opml(feeds: Iterable[tuple[str, str, str]], title: str) -> str:
    """The list of (title, address of the feed, address of its page) for feed readers."""
    lines = [
        f"<outline type={quoteattr('rss')} text={quoteattr(name)} xmlUrl={quoteattr(feed)} htmlUrl={quoteattr(page)}/>\n"
        for name, feed, page in feeds
    ]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<opml version="2.0"><head><title>{escape(title)}</title></head><body>\n'
        f"{''.join(lines)}</body></opml>\n"
    )


def security(publication: Publication, today: datetime) -> str:
    """Whom to tell of a hole in this site. It must expire, so that nobody writes to a house that is gone."""
    months = today.year * 12 + today.month - 1 + _SECURITY_MONTHS
    expires = f"{months // 12:04d}-{months % 12 + 1:02d}-01T00:00:00Z"
    return (
        f"Contact: mailto:{publication.contact}\nExpires: {expires}\n"
        f"Preferred-Languages: {publication.language.partition('-')[0]}\n"
        f"Canonical: {publication.site_url}/.well-known/security.txt\n"
    )


def redirect(title: str, address: str) -> str:
    """A page at an old address: it leads on by itself, and says so to whoever's program does not follow."""
    to = escape(address)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<link rel="canonical" href="{to}"><meta http-equiv="refresh" content="0; url={to}"></head>'
        f'<body><p>This page has moved: <a href="{to}">{escape(title)}</a></p></body></html>\n'
    )


class SignpostWriter(Generator):  # type: ignore[misc]  # pelican has no types
    """Writes them when everything else is known."""

    def generate_output(self, writer: Any) -> None:
        """Called by Pelican after every piece has been read."""
        publication: Publication = self.settings["PUBLICATION"]
        context, site_url = self.context, publication.site_url
        self._write("sitemap.xml", sitemap(_addresses(context), site_url))
        self._write("robots.txt", robots(site_url))
        self._write(".well-known/security.txt", security(publication, datetime.now(UTC)))
        if self.settings.get("NEWSLETTER_FEED"):
            own = [everything(publication), *(channel for channel, _ in channels(context, publication))]
            feeds = [(c.title, f"{site_url}/{c.rss}", f"{site_url}/{c.page}") for c in own]
            self._write("feeds.opml", opml(feeds, f"{publication.house}: {publication.name}"))
        for piece in context["articles"]:
            for alias in _aliases(piece):
                self._write(f"{alias}/index.html", redirect(piece.title, f"{site_url}/{piece.url}"))

    def _write(self, name: str, text: str) -> None:
        target = os.path.join(self.output_path, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)


def _aliases(piece: Any) -> Sequence[str]:
    analysis = getattr(piece, "analysis", None)
    return analysis.aliases if analysis else ()


def _addresses(context: Any) -> Iterator[tuple[str, datetime | None]]:
    articles = context["articles"]
    newest = _changed(articles)
    yield "", newest
    for name in context["DIRECT_TEMPLATES"]:
        address = context.get(f"{name.upper()}_URL")
        if address and name not in ("index", "404"):
            yield address, newest
    for page in context["pages"]:
        yield page.url, getattr(page, "modified", None) or getattr(page, "date", None)
    for briefing in context.get("briefings", ()):
        yield briefing.url, None
    for kind in ("categories", "tags", "authors"):
        for wrapped, some in context[kind]:
            yield wrapped.url, _changed(some)
    if context.get("YEAR_ARCHIVE_SAVE_AS"):
        for _, group in groupby(sorted(articles, key=_date), key=lambda article: article.date.year):
            some = list(group)
            yield context["YEAR_ARCHIVE_URL"].format(date=some[0].date), _changed(some)
    for article in articles:
        yield article.url, _changed([article])


def _date(article: Any) -> datetime:
    day: datetime = article.date
    return day


def _changed(articles: Sequence[Any]) -> datetime | None:
    return max((max(a.date, getattr(a, "modified", a.date)) for a in articles), default=None)


def register() -> None:
    """Called by Pelican."""
    signals.get_generators.connect(_generators)


def _generators(_pelican: Any) -> type[Generator]:
    return SignpostWriter
