"""Pelican plugin: a PDF edition and a card beside each analysis and each briefing, set anew only when a text has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pelican import signals
from pelican.generators import Generator

from newsletter.edition import Edition, Item, card, pdf
from newsletter.errors import ContentError, Finding
from newsletter.models import Briefing
from newsletter.publication import Publication
from newsletter.stock import Stock


class EditionWriter(Generator):  # type: ignore[misc]  # pelican has no types
    """Writes them beside the pages."""

    def generate_output(self, writer: Any, only: str | None = None) -> None:
        """Called by Pelican after every piece has been read. Raises ContentError naming the piece that cannot be set.

        With `only`, a place below the output folder, nothing but what lies there is made.
        """
        for setting, template, make in (
            ("NEWSLETTER_EDITIONS", "print/edition.typ", pdf),
            ("NEWSLETTER_CARDS", "print/card.typ", card),
        ):
            path = Path(self.theme, template)
            if self.settings.get(setting) and path.is_file():  # another theme than ours has no such thing
                self._write(Stock(Path(self.settings[setting])), path, make, only)

    def _write(
        self, stock: Stock, template: Path, make: Callable[[Edition, Path], bytes], only: str | None
    ) -> None:
        setter = template.read_bytes() + version("typst").encode()
        for piece, edition in self._editions():
            says, place = (
                (edition.card, card_address(piece)) if make is card else (edition.document, address(piece))
            )
            if only not in (None, place):
                continue
            try:
                stock.put(
                    Path(self.output_path, place), setter + says.encode(), partial(make, edition, template)
                )
            except RuntimeError as error:
                where = os.path.relpath(piece.source_path)
                raise ContentError([Finding(where, 0, "", f"cannot be set in type: {error}.")]) from error
        if only is None:
            stock.clear_out()

    def _editions(self) -> Iterator[tuple[Any, Edition]]:
        publication: Publication = self.settings["PUBLICATION"]
        for article in self.context["articles"]:
            if getattr(article, "analysis", None):
                yield article, _of_analysis(article, publication)
        for page in self.context.get("briefings", ()):
            yield page, _of_briefing(page, publication)


def address(piece: Any) -> str:
    """Where a piece's PDF lies, below the site's address."""
    name = getattr(piece, "month", None)
    return f"{piece.url}{f'briefing-{name}' if name else piece.slug}.pdf"


def card_address(piece: Any) -> str:
    """Where a piece's card lies, below the site's address."""
    return f"{piece.url}card.png"


def _of_analysis(article: Any, publication: Publication) -> Edition:
    analysis = article.analysis
    return Edition(
        title=analysis.title,
        kind=analysis.region,
        summary=analysis.summary,
        house=publication.house,
        desk=", ".join(analysis.authors),
        date=article.date,
        language=publication.language,
        url=f"{publication.site_url}/{article.url}",
        citation=_citation(publication, analysis.title, article),
        html=article._update_content(article._content, publication.site_url),
        keywords=tuple(word for word in (analysis.region, *analysis.topics) if word),
        judgements=analysis.key_judgements,
        changes=analysis.changes,
        timeline=analysis.timeline,
    )


def _of_briefing(page: Any, publication: Publication) -> Edition:
    newest = max(article.date for article in page.articles) if page.articles else page.date
    return Edition(
        title=page.title,
        kind=publication.name,
        summary=page.subject,
        house=publication.house,
        desk="",
        date=newest,
        language=publication.language,
        url=f"{publication.site_url}/{page.url}",
        citation=f"{publication.house}, “{page.title}”. {publication.site_url}/{page.url}",
        html=page._update_content(page._content, publication.site_url),
        items=tuple(_item(article, publication) for article in page.articles),
        rest=_changes(page.briefing),
    )


def _changes(briefing: Briefing) -> str:
    """What has changed in earlier pieces, as the end of a briefing's edition tells it."""
    told = "".join(
        f'<p><strong>{each.change.head}:</strong> {escape(each.change.text)} <a href="{escape(each.url)}">{escape(each.title)}</a></p>'
        for each in briefing.changes
    )
    return f"<h2>Corrections and updates</h2>{told}" if told else ""


def _item(article: Any, publication: Publication) -> Item:
    analysis, url = article.analysis, f"{publication.site_url}/{article.url}"
    return Item(analysis.title, url, analysis.summary, analysis.key_judgements)


def _citation(publication: Publication, title: str, article: Any) -> str:
    day = f"{article.date.day} {article.date:%B %Y}"
    return f"{publication.house}, “{title}”, {publication.name}, {day}. {publication.site_url}/{article.url}"


def register() -> None:
    """Called by Pelican."""
    signals.get_generators.connect(_generators)


def _generators(_pelican: Any) -> type[Generator]:
    return EditionWriter
