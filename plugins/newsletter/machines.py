"""Pelican plugin: what an analysis is, and where a page stands, for programs: JSON-LD in the words of schema.org.

Source: schema.org/AnalysisNewsArticle, schema.org/BreadcrumbList.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from pelican import signals
from pelican.generators import Generator

from newsletter.publication import Publication


def facts(article: Any, description: str, publication: Publication, archive: str) -> dict[str, Any]:
    """The piece and the way to it as a JSON-LD graph; `archive` is the address of all analyses below the site's."""
    analysis = getattr(article, "analysis", None)
    category, desks = getattr(article, "category", None), getattr(article, "authors", ())
    site, address = publication.site_url, f"{publication.site_url}/{article.url}"
    house = {"@type": "Organization", "name": publication.house, "url": f"{site}/"}
    piece: dict[str, Any] = {
        "@type": "AnalysisNewsArticle",
        "headline": article.title,
        "description": description,
        "url": address,
        "datePublished": article.date.isoformat(),
        "dateModified": (getattr(article, "modified", None) or article.date).isoformat(),
        "inLanguage": publication.language,
        "articleSection": category.name if category else "",
        "keywords": ", ".join(topic.name for topic in getattr(article, "tags", ())),
        "isAccessibleForFree": True,
        "publisher": house,
        "author": [house],
    }
    if desks:
        names = ", ".join(desk.name for desk in desks)
        piece["author"] = [{"@type": "Organization", "name": names, "parentOrganization": house}]
    if analysis and analysis.corrections:
        piece["correction"] = [change.text for change in analysis.corrections]
    steps = [("Analyses", f"{site}/{archive}"), (article.title, address)]
    if category:
        steps.insert(1, (category.name, f"{site}/{category.url}"))
    return {"@context": "https://schema.org", "@graph": [piece, _way(steps)]}


def crumbs(steps: Sequence[tuple[str, str]], site_url: str) -> dict[str, Any]:
    """The way to a page, as JSON-LD: (name, address below the site's) from the top to the page itself."""
    return {"@context": "https://schema.org"} | _way([(name, f"{site_url}/{to}") for name, to in steps])


def _way(steps: Sequence[tuple[str, str]]) -> dict[str, Any]:
    items = [
        {"@type": "ListItem", "position": number, "name": name, "item": item}
        for number, (name, item) in enumerate(steps, start=1)
    ]
    return {"@type": "BreadcrumbList", "itemListElement": items}


def _offer(generator: Generator) -> None:
    settings = generator.settings
    generator.env.filters["crumbs"] = partial(crumbs, site_url=settings["PUBLICATION"].site_url)
    generator.env.filters["facts"] = partial(
        facts, publication=settings["PUBLICATION"], archive=settings["ARCHIVES_URL"]
    )


def register() -> None:
    """Called by Pelican."""
    signals.generator_init.connect(_offer)
