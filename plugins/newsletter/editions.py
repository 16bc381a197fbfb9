"""Pelican plugin: a PDF edition beside each analysis and each briefing, set anew only when its text has changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pelican import signals
from pelican.generators import Generator

from newsletter.edition import Edition, pdf
from newsletter.errors import ContentError, Finding
from newsletter.publication import Publication

_TEMPLATE = "print/edition.typ"


class EditionWriter(Generator):  # type: ignore[misc]  # pelican has no types
    """Writes them beside the pages, out of a folder of those that were set before."""

    def generate_output(self, writer: Any) -> None:
        """Called by Pelican after every piece has been read. Raises ContentError naming the piece that cannot be set."""
        template = Path(self.theme) / _TEMPLATE
        if not self.settings.get("NEWSLETTER_EDITIONS") or not template.is_file():
            return  # another theme than ours has no such thing
        shelf = Path(self.settings["NEWSLETTER_EDITIONS"])
        shelf.mkdir(parents=True, exist_ok=True)
        setter = template.read_bytes() + version("typst").encode()
        used = set()
        for piece, edition in self._editions():
            kept = shelf / f"{sha256(setter + edition.document.encode()).hexdigest()}.pdf"
            used.add(kept)
            if not kept.is_file():
                try:
                    made = pdf(edition, template)
                except RuntimeError as error:
                    place = os.path.relpath(piece.source_path)
                    raise ContentError(
                        [Finding(place, 0, "", f"cannot be set as a PDF: {error}.")]
                    ) from error
                draft = kept.with_suffix(".tmp")
                draft.write_bytes(made)
                draft.replace(kept)
            target = Path(self.output_path, *address(piece).split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept, target)
        for old in set(shelf.glob("*.pdf")) - used:
            old.unlink()

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
    )


def _of_briefing(page: Any, publication: Publication) -> Edition:
    newest = max(article.date for article in page.articles) if page.articles else page.date
    pieces = "".join(_item(article, publication) for article in page.articles)
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
        html=page._update_content(page._content, publication.site_url) + pieces,
    )


def _item(article: Any, publication: Publication) -> str:
    analysis = article.analysis
    judgements = "".join(
        f"<li>{escape(each.text)}{f'<br><em>{escape(each.assessment)}</em>' if each.assessment else ''}</li>"
        for each in analysis.key_judgements
    )
    link = f'<a href="{escape(publication.site_url)}/{escape(article.url)}">{escape(analysis.title)}</a>'
    return f"<h2>{link}</h2><p>{escape(analysis.summary)}</p>" + (
        f"<ol>{judgements}</ol>" if judgements else ""
    )


def _citation(publication: Publication, title: str, article: Any) -> str:
    day = f"{article.date.day} {article.date:%B %Y}"
    return f"{publication.house}, “{title}”, {publication.name}, {day}. {publication.site_url}/{article.url}"


def register() -> None:
    """Called by Pelican."""
    signals.get_generators.connect(_generators)


def _generators(_pelican: Any) -> type[Generator]:
    return EditionWriter
