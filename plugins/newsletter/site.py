"""The site half as one call: Pelican run in this process, with its log turned into our errors.

`pelican content --fatal errors` does the same by Pelican's own hand.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from newsletter import issue
from newsletter.addresses_kept import formers, lost
from newsletter.errors import ContentError, Finding, NewsletterError, SettingsError
from newsletter.frontmatter import FrontMatter

CONFIGURATION = "pelicanconf.py"
# Plugins that add to pages and refuse nothing: `check` has no use for what they work out.
_ADDING = ("newsletter.related", "newsletter.history", "newsletter.forecasts", "newsletter.margins")


@dataclass(frozen=True, slots=True)
class Built:
    """What a build read and wrote. `packages` are the folders of briefings and errata, `seconds` the time it took.

    `notes` are what it has to say besides: (about what, a sentence).
    """

    analyses: int
    drafts: int
    pages: int
    briefings: tuple[str, ...]
    packages: tuple[Path, ...]
    output: Path
    seconds: float
    notes: tuple[tuple[str, str], ...] = ()


def build(content: str | None = None, output: str | None = None, drafts: bool = False) -> Built:
    """Build site, feed and every briefing's package. Raises ContentError with all that is wrong.

    With `drafts` what is held back is built too, as it will look once it is out, for the desk's eyes alone:
    `output` must then be a folder that is never published, and the packages go into a folder beside it.
    Raises SettingsError if that would be the site's own.
    """
    start = time.monotonic()
    with quiet() as log:
        pelican = prepare({"PATH": content, "OUTPUT_PATH": output}, drafts)
        generators = _catch(pelican, log)
        pelican.run()
        log.raise_errors()
    return _built(generators, pelican.settings, start)


def check(content: str | None = None, texts: bool = True) -> Built:
    """Read everything as a build does, and write nothing. Raises ContentError with all that is wrong.

    Without `texts` the pieces' own texts are left out, with the links in them: whoever asks has read them already.
    """
    start = time.monotonic()
    with quiet() as log:
        pelican = prepare({"PATH": content, "NEWSLETTER_HEADS_ONLY": not texts}, without=_ADDING)
        generators = read(pelican)
        log.raise_errors()
        if findings := _lost_addresses(generators[0].context, pelican.settings):
            raise ContentError(findings)
    return _built(generators, pelican.settings, start)


def _lost_addresses(context: Any, settings: dict[str, Any]) -> list[Finding]:
    """Where readers' links would lead nowhere any more; looked for by `check` alone, for it asks git for the past."""
    from pelican.utils import slugify  # pelican is slow to load

    def address_of(front: FrontMatter, path: str, day: datetime) -> str | None:
        if front.classic or not path.startswith(f"{settings['ARTICLE_PATHS'][0]}/"):
            return None
        stated = front.fields.get("slug")
        slug = stated or slugify(Path(path).stem, regex_subs=settings["SLUG_REGEX_SUBSTITUTIONS"])
        try:
            return str(settings["ARTICLE_URL"].format(slug=slug, date=day, lang=settings["DEFAULT_LANG"]))
        except KeyError:  # an address made of more than these can be judged by nobody but Pelican
            return None

    present: set[str] = set()
    for name in ("articles", "hidden_articles", "drafts"):
        for article in context[name]:
            if analysis := getattr(article, "analysis", None):
                held_back = settings["ARTICLE_URL"].format(
                    slug=article.slug, date=article.date, lang="", category=article.category.slug, author=""
                )
                present |= {article.url, held_back, *(f"{alias}/" for alias in analysis.aliases)}
    content, publication = Path(settings["PATH"]), settings["PUBLICATION"]
    known = formers(content, publication, address_of, datetime.now(UTC))
    return lost(known, present, os.path.relpath(content))


def briefing(mailing: str) -> tuple[Path, Any]:
    """Write the package of one briefing or erratum alone; answers with its folder and the Package. Raises ContentError."""
    with quiet() as log:
        pelican = prepare({})
        generators = read(pelican)
        log.raise_errors()
        from newsletter.briefing import BriefingGenerator, write_packages  # pelican is slow to load

        (generator,) = (g for g in generators if isinstance(g, BriefingGenerator))
        folders = write_packages(generator, [mailing])
        if not folders:
            have = ", ".join(sorted(package.month for package in generator.packages)) or "none"
            named = issue.of_id(mailing) or issue.Issue(mailing)
            raise SettingsError(
                f"There is no published {'erratum' if named.corrects else 'briefing'} for {named.month}: "
                f"write content/briefings/{named.stem}.md. There are: {have}."
            )
        return folders[0], next(package for package in generator.packages if package.month == mailing)


def prepare(overrides: Mapping[str, Any], drafts: bool = False, without: Collection[str] = ()) -> Any:
    """Pelican, set up for this project and not yet run; an override of None is as the configuration says, and the
    plugins named in `without` are left out.

    Raises SettingsError where there is no project, or where `drafts` would come near what is published.
    """
    from pelican import Pelican
    from pelican.settings import read_settings

    if not Path(CONFIGURATION).is_file():
        raise SettingsError(f"{CONFIGURATION}: not found. Run the command in the project's folder.")
    stated = {key: value for key, value in overrides.items() if value is not None}
    if drafts:
        stated |= _for_the_desk(read_settings(CONFIGURATION)["OUTPUT_PATH"], stated.get("OUTPUT_PATH"))
    settings = read_settings(CONFIGURATION, override=stated)
    for key in ("PLUGINS", "PLUGINS_REQUIRED"):
        settings[key] = [name for name in settings.get(key) or () if name not in without]
    return Pelican(settings)


def _for_the_desk(published: str, output: str | None) -> dict[str, Any]:
    """The settings of a build with everything that is held back: none of it comes near what is published."""
    if output is None or _overlap(output, published):
        raise SettingsError(
            "Drafts are never built into the published site. Name another folder: --drafts --output build/preview"
        )
    return {
        "NEWSLETTER_DRAFTS": True,
        "WITH_FUTURE_DATES": True,
        "BRIEFING_PACKAGES": f"{output.rstrip('/')}-packages/briefings",
        "DOOR_FRAME": f"{output.rstrip('/')}-packages/door/frame.html",
        # Set in type when they are out; and the store of what is set is emptied of all that is not published.
        "NEWSLETTER_EDITIONS": "",
        "NEWSLETTER_CARDS": "",
    }


def _overlap(one: str, other: str) -> bool:
    """Whether two folders are the same, or one lies in the other."""
    ends = os.path.realpath(one), os.path.realpath(other)
    return os.path.commonpath(ends) in ends


def _catch(pelican: Any, log: Log) -> list[Any]:
    """The generators of the coming run, which Pelican keeps to itself: filled when they have read everything."""
    from pelican import signals

    caught: list[Any] = []

    def keep(generators: Sequence[Any]) -> None:
        log.raise_errors()  # what Pelican only logged stops the build before it writes
        caught.extend(generators)

    pelican.keep = keep  # the signal holds it weakly
    signals.all_generators_finalized.connect(keep)
    return caught


def read(pelican: Any, before: Callable[[Sequence[Any]], None] = lambda generators: None) -> list[Any]:
    """The first half of Pelican.run(): read everything, let every plugin have its say, write nothing.

    `before` is given the generators when nothing has been read. Raises ContentError with all that is wrong.
    """
    from pelican import signals

    settings = pelican.settings
    settings["NEWSLETTER_CLEAN"] = False
    context = settings.copy()
    context.update(
        generated_content={}, static_links=set(), static_content={}, localsiteurl=settings["SITEURL"]
    )
    generators = [
        kind(
            context=context,
            settings=settings,
            path=pelican.path,
            theme=pelican.theme,
            output_path=pelican.output_path,
        )
        for kind in pelican._get_generator_classes()
    ]
    before(generators)
    for generator in generators:
        if hasattr(generator, "generate_context"):
            generator.generate_context()
    signals.all_generators_finalized.send(generators)
    return generators


def _built(generators: Sequence[Any], settings: dict[str, Any], start: float) -> Built:
    context = generators[0].context
    letters = (*context["briefings"], *context["errata"])
    return Built(
        analyses=len(context["articles"]),
        drafts=len(context["drafts"]),
        pages=len(context["pages"]),
        briefings=tuple(page.month for page in context["briefings"]),
        packages=tuple(Path(settings["BRIEFING_PACKAGES"]) / page.issue.id for page in letters),
        output=Path(settings["OUTPUT_PATH"]),
        seconds=time.monotonic() - start,
        notes=tuple(context.get("NEWSLETTER_NOTES", ())),
    )


class Log(logging.Handler):
    """Keeps what Pelican complains of: it goes on after an error, and exits 0."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    @property
    def errors(self) -> list[str]:
        """What was logged as an error since the beginning."""
        return [record.getMessage() for record in self.records if record.levelno >= logging.ERROR]

    def raise_errors(self) -> None:
        """Raise what was logged as an error since the beginning; warnings are no errors."""
        if errors := self.errors:
            raise NewsletterError("\n".join(errors))


@contextmanager
def quiet() -> Iterator[Log]:
    """Pelican's log, caught, and its closing sentence left out; the command line says it in its own words."""
    from pelican.log import console

    log = Log()
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [log]
    was_quiet, console.quiet = console.quiet, True
    try:
        yield log
    finally:
        root.handlers[:] = before
        console.quiet = was_quiet
