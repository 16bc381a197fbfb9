"""Pelican plugin, the last in the row: nothing is printed before all of it is good, and then quickly."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import chain, groupby
from operator import attrgetter
from types import MethodType
from typing import Any

from pelican import signals
from pelican.contents import Content
from pelican.generators import ArticlesGenerator, Generator
from pelican.utils import clean_output_dir

from newsletter.compiled import Compiled
from newsletter.errors import SettingsError
from newsletter.proof import check


class Shelf(list[Any]):
    """A list that answers "is this in you?" at once.

    Pelican asks it of every article for every region, topic and desk; with plain lists that is the part of a
    build which grows with the square of the pieces.
    """

    def __init__(self, articles: list[Any]) -> None:
        super().__init__(articles)
        self._ids = frozenset(map(id, articles))

    def __contains__(self, article: object) -> bool:
        return id(article) in self._ids


def _place(content: Content) -> None:
    """Pelican works out anew where below the content folder a piece's file lies, four times for each, and looks through
    every text for the few files that are linked to as {static} or {attach}.
    """
    content.get_relative_source_path = MethodType(_relative_source_path, content)
    content.get_static_links = MethodType(_static_links, content)


def _relative_source_path(content: Content, source_path: str | None = None) -> str | None:
    own: str | None = content.relative_source_path
    return Content.get_relative_source_path(content, source_path) if source_path else own


def _static_links(content: Content) -> set[str]:
    html = content._content or ""  # looked at when it is asked for: another plugin may have written into it
    if "static" not in html and "attach" not in html:
        return set()
    found: set[str] = Content.get_static_links(content)
    return found


def _shelve(generator: ArticlesGenerator) -> None:
    for tag, articles in generator.tags.items():
        generator.tags[tag] = Shelf(articles)
    generator.categories[:] = [(category, Shelf(articles)) for category, articles in generator.categories]
    generator.authors[:] = [(author, Shelf(articles)) for author, articles in generator.authors]
    for article in generator.articles:
        # Pelican keeps each text with its links filled in, beside the one without: that is the largest part of the
        # memory of a build, and each is asked for once.
        article.get_content = MethodType(_content, article)
        # Pelican looks for {filename} links in every text for every address it is asked for.
        if "{" not in (article._content or ""):
            article._update_content = MethodType(_unchanged, article)


# Stands for the address of the site until it is known from where a text is asked for (a page, a feed). RFC 2606.
_SOMEWHERE = "https://address.invalid/"


def _fill_in_links(generators: Sequence[Generator]) -> None:
    """Fill in every article's {filename} links, now that all are known to lead somewhere.

    Pelican does it anew for every address a text is asked for. A preview, which keeps its pieces and looks at their
    links again, goes Pelican's way.
    """
    context = generators[0].context
    if context.get("NEWSLETTER_GO_ON") or context["RELATIVE_URLS"]:
        return
    for article in context["articles"]:
        if "{" in (article._content or ""):
            article._content = article._update_content(article._content, _SOMEWHERE)
            article._update_content = MethodType(_addressed, article)


def _addressed(article: Content, content: str, siteurl: str) -> str:
    filled = content.replace(_SOMEWHERE, f"{siteurl.rstrip('/')}/")
    return filled if content is article._content else _as_pelican(article, filled, siteurl)


def _find_periods(generator: ArticlesGenerator) -> None:
    generator._build_period_archives = partial(_periods, generator._build_period_archives)


def _periods(pelicans: Callable[..., Any], dates: list[Any], articles: list[Any], settings: Any) -> Any:
    """Pelican's archives by year, month and day, without its search for every article in the list of every period."""
    periods: dict[str, list[dict[str, Any]]] = pelicans(dates, (), settings)
    place = {id(article): number for number, article in enumerate(articles)}
    for archive in chain.from_iterable(periods.values()):
        archive["articles"] = sorted(archive["dates"], key=lambda article: place[id(article)])
    return periods


def _content(article: Any, siteurl: str) -> str:
    html: str = article._update_content(article._content, siteurl)
    return html


def _unchanged(article: Content, content: str, siteurl: str) -> str:
    return content if content is article._content else _as_pelican(article, content, siteurl)


def _as_pelican(article: Content, content: str, siteurl: str) -> str:
    """What is not the text itself: a summary, or a field of FORMATTED_FIELDS, can have links that the text has not."""
    html: str = Content._update_content(article, content, siteurl)
    return html


_GLOBALS = (
    "PUBLICATION", "SITE_ROOT", "SITEURL", "NEWSLETTER_FEED", "THEME_STATIC_DIR",
    "ARCHIVES_URL", "BRIEFINGS_URL", "SEARCH_URL", "FORECASTS_URL", "CATEGORIES_URL", "TAGS_URL", "AUTHORS_URL",
)  # fmt: skip


def _share_pages(generators: Sequence[Generator]) -> None:
    for generator in generators:
        generator.env.globals["pages"] = generator.context["pages"]


def _is_ours(theme: str) -> bool:
    return os.path.isdir(os.path.join(theme, "templates", "email"))


def _by_year(pieces: Iterable[Any]) -> list[tuple[int, list[Any]]]:
    """Pieces under the years they are of, the newest year first; within one they stay in their order."""
    year = attrgetter("date.year")
    return [(number, list(group)) for number, group in groupby(sorted(pieces, key=year, reverse=True), year)]


def _set_up(generator: Generator) -> None:
    """Our theme's templates escape what they print; another theme's expect Pelican's default, which does not."""
    generator.env.autoescape = _is_ours(generator.theme)
    # Links from one piece to another lead to this site wherever it is served, on a laptop or at its address.
    generator.context["localsiteurl"] = generator.settings.get("SITE_ROOT", "") + "/"
    # Templates that are imported rather than rendered know only globals; so they are read once and not per page.
    generator.env.globals.update({name: generator.settings.get(name) for name in _GLOBALS})
    generator.env.filters["by_year"] = _by_year
    # What a macro says of a thing depends on nothing else, so it need not say it twice.
    generator.env.filters["remembered"] = cache


def _keep_nothing(generator: ArticlesGenerator) -> None:
    if not generator.settings["CACHE_CONTENT"]:
        generator._filestamp_func = len  # Pelican asks for every file's time, twice, though it keeps nothing


def _begin(pelican: Any) -> None:
    gc.disable()  # a build makes objects and keeps them: collecting finds nothing and takes a tenth of the time
    settings, templates = pelican.settings, os.path.join(pelican.theme, "templates")
    # A template that a build has loaded stays as it was then.
    settings["JINJA_ENVIRONMENT"] = {
        "bytecode_cache": Compiled(), "auto_reload": False, **settings["JINJA_ENVIRONMENT"]
    }  # fmt: skip
    if _is_ours(pelican.theme):
        settings["PAGINATED_TEMPLATES"].pop("index", None)  # our front page shows the newest and leads on
        return
    settings["DIRECT_TEMPLATES"] = [
        name
        for name in settings["DIRECT_TEMPLATES"]
        if name in _PELICANS_OWN or os.path.isfile(os.path.join(templates, f"{name}.html"))
    ]


# What Pelican's built-in theme, which every theme falls back on, has a template for.
_PELICANS_OWN = {"index", "archives", "tags", "categories", "authors"}


# Says that what lies here was made by a build, and may be deleted by the next.
_MARK = ".made-by-monthly-briefing"


def _clean(pelican: Any) -> None:
    """Empty the output folder, now that all is known to be good. Raises SettingsError if it is not ours to empty."""
    output, content = (os.path.realpath(pelican.settings[name]) for name in ("OUTPUT_PATH", "PATH"))
    if not pelican.settings.get("NEWSLETTER_CLEAN"):
        return
    mark = os.path.join(output, _MARK)
    if os.path.isdir(output) and os.listdir(output) and not os.path.isfile(mark):
        raise SettingsError(
            f"{output}: holds files that no build has made. Choose another folder, or empty this one by hand."
        )
    if os.path.commonpath([output, content]) in (output, content):
        raise SettingsError(
            f"{output}: the site cannot lie within the content, nor the content within the site."
        )
    clean_output_dir(output, pelican.settings["OUTPUT_RETENTION"])
    os.makedirs(output, exist_ok=True)
    with open(mark, "w"):
        pass


def _end(_pelican: Any) -> None:
    gc.enable()


def register() -> None:
    """Called by Pelican."""
    signals.initialized.connect(_begin)
    signals.generator_init.connect(_set_up)
    signals.article_generator_init.connect(_keep_nothing)
    signals.content_object_init.connect(_place)
    signals.article_generator_pretaxonomy.connect(_find_periods)
    signals.article_generator_finalized.connect(_shelve)
    signals.all_generators_finalized.connect(check)
    signals.all_generators_finalized.connect(_fill_in_links)
    signals.all_generators_finalized.connect(_share_pages)
    signals.get_writer.connect(_clean)  # sent when everything is read and checked, and nothing written
    signals.finalized.connect(_end)
