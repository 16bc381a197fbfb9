"""Pelican plugin: a month's letter and analyses become a web page and a package to mail.

content/briefings/YYYY-MM.md ─► Briefing ─► output/briefings/YYYY-MM/ (the web version)
                                        └─► build/briefings/YYYY-MM/ (what `newsletter send` mails)

An erratum, content/briefings/YYYY-MM.erratum.md, becomes a package in the same way, and a box on the web version
of the briefing it corrects.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pelican import signals
from pelican.contents import Content
from pelican.generators import Generator

from newsletter import erratum, frontmatter, issue, message, package
from newsletter.analysis import PLACEHOLDER, status, text, words
from newsletter.erratum import ErratumPage
from newsletter.errors import ContentError, Finding
from newsletter.glossary import Glossary
from newsletter.issue import Issue
from newsletter.models import Analysis, Briefing, ChangedItem, Item, Package, Status
from newsletter.reader import EXTENSIONS, complain


class BriefingPage(Content):  # type: ignore[misc]  # pelican has no types
    """The editor's letter of a month, as Pelican knows a page; `briefing`, `articles` and `errata` come with it."""

    mandatory_properties = ("title", "month")
    default_status = "published"
    default_template = "briefing"
    issue: Issue
    briefing: Briefing
    articles: list[Any]
    errata: list[ErratumPage]

    def _expand_settings(self, key: str, klass: str | None = None) -> str:
        return str(super()._expand_settings(key, "briefing"))


def month_of(analysis: Analysis) -> str:
    """The month ("YYYY-MM") an analysis is dated in, in the publication's time zone."""
    return f"{analysis.date:%Y-%m}"


def choose(month: str, articles: Sequence[Any], wanted: Sequence[str]) -> tuple[list[Any], list[str]]:
    """The articles of a month's briefing in their order, and the `wanted` words that name none of them.

    `wanted` are slugs or paths of analyses, in the editor's order. Without any, it is every article dated in
    the month, by weight (smallest first, the unweighted last), then by date.
    """
    if not wanted:
        return sorted((a for a in articles if month_of(a.analysis) == month), key=_order), []
    by_name: dict[str, Any] = {}
    for article in sorted(articles, key=lambda a: a.date):  # of two with one slug the newer is meant
        by_name[article.slug] = by_name[article.relative_source_path] = article
    found = [(name, by_name.get(_plain(name))) for name in wanted]
    return [article for _, article in found if article], [name for name, article in found if not article]


def _order(article: Any) -> tuple[bool, int, Any, str]:
    weight = article.analysis.weight
    return weight is None, weight or 0, article.date, article.slug


def _plain(name: str) -> str:
    path = name.removeprefix("{filename}").lstrip("/")
    return path if path.endswith(EXTENSIONS) else path.rpartition("/")[2]


def item(article: Any, site_url: str) -> Item:
    """An article as the email carries it."""
    analysis: Analysis = article.analysis
    return Item(
        title=analysis.title,
        url=f"{site_url}/{article.url}",
        region=analysis.region,
        date=analysis.date,
        summary=analysis.summary,
        key_judgements=analysis.key_judgements,
        source=os.path.relpath(article.source_path),
    )


def spelled(briefing: Briefing, words: Glossary) -> Briefing:
    """The briefing with the words of each abbreviation in brackets after its first use, from the letter to the end."""
    done: set[str] = set()
    letter_html = words.spell_html(briefing.letter_html, done)
    items = tuple(
        replace(
            each,
            summary=words.spell(each.summary, done),
            key_judgements=tuple(
                replace(judgement, text=words.spell(judgement.text, done))
                for judgement in each.key_judgements
            ),
        )
        for each in briefing.items
    )
    return replace(briefing, letter_html=letter_html, items=items)


def changed_since(before: str, month: str, articles: Sequence[Any], site_url: str) -> tuple[ChangedItem, ...]:
    """The corrections and updates that the briefing of `month` tells, corrections first, then by their days.

    They are those dated after the month `before` ("2020-09", the briefing before; "" for none: then those of `month`
    alone) and not after `month`: each change is told in one briefing and only one.
    """
    told = [
        ChangedItem(
            article.analysis.title, f"{site_url}/{article.url}", change, os.path.relpath(article.source_path)
        )
        for article in articles
        if (analysis := getattr(article, "analysis", None)) and analysis.changes
        for change in analysis.changes
        if (before < f"{change.date:%Y-%m}" if before else f"{change.date:%Y-%m}" == month)
        and f"{change.date:%Y-%m}" <= month
    ]
    return tuple(sorted(told, key=lambda each: (each.change.kind, each.change.date, each.url)))


class BriefingGenerator(Generator):  # type: ignore[misc]  # pelican has no types
    """Reads the months' letters and their errata, chooses the analyses, writes page and package."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.briefings: list[BriefingPage] = []
        self.errata: list[ErratumPage] = []
        self.packages: list[Package] = []
        super().__init__(*args, **kwargs)

    def generate_context(self) -> None:
        """Called by Pelican after articles and pages have been read."""
        articles = [article for article in self.context["articles"] if hasattr(article, "analysis")]
        unread = set()
        for path in sorted(self.get_files(self.settings["BRIEFING_PATHS"])):
            named = issue.of_stem(Path(path).stem)
            page = self.readers.read_file(
                base_path=self.path,
                path=path,
                content_class=ErratumPage if named and named.corrects else BriefingPage,
                context=self.context,
                context_signal=_BRIEFING_CONTEXT,
                context_sender=self,
            )
            read = isinstance(page, BriefingPage | ErratumPage)
            if not read or page.status != Status.PUBLISHED:
                self._add_failed_source_path(path)
                if named and not read:
                    unread.add(named.id)
                continue
            if isinstance(page, ErratumPage):
                self.errata.append(page)
            else:
                self._choose(page, articles)
                self.briefings.append(page)
            self.add_source_path(page)
            self.add_static_links(page)
        self.briefings.sort(key=lambda page: page.month, reverse=True)
        for front in erratum.attach(self.errata, self.briefings, unread):
            complain(self, front)
        self.context["briefings"], self.context["errata"] = self.briefings, self.errata

    def _choose(self, page: BriefingPage, articles: Sequence[Any]) -> None:
        front = page.metadata["front"]
        page.articles, unknown = choose(page.month, articles, words(front, "analyses"))
        for name in unknown:
            front.complain(
                "analyses",
                f'"{name}" names no published analysis. Write the file\'s name without .md, as it lies '
                "in content/analyses/.",
            )
        # A draft in the preview stops nothing, and its month may have no piece yet.
        held = "held" in page.metadata
        if not page.articles and "analyses" not in front.fields and not front.findings and not held:
            front.complain(
                "",
                f"no published analysis is dated in {page.month}. Wait for one, name some (analyses: [slug]), say that "
                "the letter goes alone (analyses: []), or hold it back (status: draft).",
            )
        if front.findings:
            complain(self, front)

    def compose(self) -> None:
        """Make each package, before anything is written: what cannot be mailed stops the build.

        With the setting NEWSLETTER_PACKAGES only those of the ids it names.
        """
        wanted = self.settings.get("NEWSLETTER_PACKAGES")
        commit = _commit(Path(self.path))
        publication = self.settings["PUBLICATION"]
        letters: list[BriefingPage | ErratumPage] = [*self.briefings, *self.errata]
        for page in letters:
            written = Briefing(
                month=page.issue.id,
                title=page.title,
                subject=page.subject,
                preheader=page.preheader,
                letter_html=page.get_content(publication.site_url),
                url=f"{publication.site_url}/{page.url}",
                items=tuple(item(article, publication.site_url) for article in page.articles),
                source=os.path.relpath(page.source_path),
                changes=() if page.issue.corrects else self._changes(page.month),
            )
            page.briefing = spelled(written, self.settings.get("NEWSLETTER_GLOSSARY") or Glossary())
            if wanted is not None and page.issue.id not in wanted:
                continue
            try:
                templates = Path(self.settings["EMAIL_TEMPLATES"]) / "briefing"
                self.packages.append(message.compose(page.briefing, publication, templates, commit))
            except ContentError as error:
                complain(self, page.metadata["front"], [_located(finding) for finding in error.findings])

    def _changes(self, month: str) -> tuple[ChangedItem, ...]:
        """What the briefing of a month tells of earlier pieces."""
        before = max((page.month for page in self.briefings if page.month < month), default="")
        site_url = self.settings["PUBLICATION"].site_url
        return changed_since(before, month, self.context["articles"], site_url)

    def generate_output(self, writer: Any) -> None:
        """Called by Pelican when everything has been found good."""
        write_packages(self)
        _withdraw(Path(self.settings["BRIEFING_PACKAGES"]), {each.month for each in self.packages})
        if "briefing.html" not in self.env.list_templates():
            return  # another theme than ours: it shows the letters nowhere, and the rest of it works
        for page in self.briefings:
            writer.write_file(
                page.save_as,
                self.get_template(page.template),
                self.context,
                page=page,
                briefing=page.briefing,
                articles=page.articles,
                corrections=[erratum.correction(each) for each in page.errata],
                relative_urls=self.settings["RELATIVE_URLS"],
                url=page.url,
            )


def _located(finding: Finding) -> Finding:
    """A finding about a mail, with the line of the file its words came from, where that can be told."""
    try:
        text = Path(finding.path).read_text(encoding="utf-8")
        front = frontmatter.parse(text, finding.path)
    except (OSError, ContentError):
        return finding
    culprit = next((word for word in ("{{", "}}") if word in finding.reason and word in text), "")
    place = (
        text.find(culprit, text.find(f"{finding.field}:") if finding.field in front.lines else 0)
        if culprit
        else -1
    )
    line = text.count("\n", 0, place) + 1 if place >= 0 else front.lines.get(finding.field, 0)
    return replace(finding, line=finding.line or line)


def _withdraw(packages: Path, ids: set[str]) -> None:
    """Take away the packages of what is no more, or a draft again: it must not be mailed."""
    for folder in packages.glob("*-*"):
        if issue.of_id(folder.name) and folder.name not in ids and (folder / "briefing.json").is_file():
            shutil.rmtree(folder)


def write_packages(generator: BriefingGenerator, ids: Sequence[str] = ()) -> list[Path]:
    """Write the packages (of the given ids, or all) below BRIEFING_PACKAGES; answers with their folders."""
    folders = []
    for each in generator.packages:
        if not ids or each.month in ids:
            folder = Path(generator.settings["BRIEFING_PACKAGES"]) / each.month
            package.write(each, folder)
            folders.append(folder)
    return folders


def _letter(generator: BriefingGenerator, metadata: dict[str, Any]) -> None:
    front = metadata["front"]
    named = issue.of_stem(Path(front.path).stem)
    if named is None:
        front.complain(
            "",
            "a briefing's file is named by its month, content/briefings/2020-10.md, and an erratum's by the month "
            "it corrects: 2020-10.erratum.md, the second one 2020-10.erratum-2.md.",
        )
        named = Issue("")
    for key in ("title", "subject", "preheader"):
        metadata[key] = text(front, key)
        if metadata[key].startswith(PLACEHOLDER) and status(front) is Status.PUBLISHED:
            reason = f"still says {PLACEHOLDER}. Write it, or hold the briefing back: status: draft."
            front.complain(key, reason)
        if not metadata[key] and not front.findings:
            front.complain(key, f"is missing. Add a line such as {_EXAMPLES[key]}")
    metadata["issue"], metadata["month"], metadata["slug"] = named, named.month, named.month
    metadata["status"] = str(status(front))
    drafts = generator.settings.get("NEWSLETTER_DRAFTS") or generator.settings.get("NEWSLETTER_DRAFT_LETTERS")
    if drafts and metadata["status"] == Status.DRAFT:
        metadata |= {"status": str(Status.PUBLISHED), "held": "Draft: only the desk sees this"}
    if named.corrects:
        zone = generator.settings["PUBLICATION"].zone
        if date := erratum.examine(front, named, metadata["subject"], zone):
            metadata["date"] = date
    if front.findings:
        complain(generator, front)
        metadata["status"] = "skip"  # Pelican's own word for: read no further


_EXAMPLES = {
    "title": 'title: "Monthly Briefing, October 2020"',
    "subject": 'subject: "Baghdad, Baku and the price of a ceasefire"',
    "preheader": 'preheader: "What an inbox shows after the subject: one line that makes it worth opening."',
}


class _BriefingContext:
    """Pelican's readers tell a signal when a file's metadata is ready; this is the one for briefings."""

    name = "briefing_generator_context"

    @staticmethod
    def send(sender: BriefingGenerator, metadata: dict[str, Any]) -> None:
        _letter(sender, metadata)


_BRIEFING_CONTEXT = _BriefingContext()


def _commit(content: Path) -> str | None:
    """The commit the content is at, with "-dirty" if it has changed since; None outside git."""

    def git(*words: str) -> str | None:
        done = subprocess.run(
            ["git", "-C", str(content), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit = git("rev-parse", "--verify", "HEAD")
    except FileNotFoundError:  # no git on this machine
        return None
    return f"{commit}-dirty" if commit and git("status", "--porcelain", "--", ".") else commit


def _compose_all(generators: Sequence[Any]) -> None:
    for generator in generators:
        if isinstance(generator, BriefingGenerator):
            generator.compose()


def _generators(_pelican: Any) -> type[Generator]:
    return BriefingGenerator


def register() -> None:
    """Called by Pelican."""
    signals.get_generators.connect(_generators)
    signals.all_generators_finalized.connect(_compose_all)
