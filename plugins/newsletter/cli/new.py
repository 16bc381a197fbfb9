"""`newsletter new`: a blank analysis, a blank briefing."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from newsletter import publication
from newsletter.cli.words import MONTH
from newsletter.errors import SettingsError
from newsletter.show import say

_CONTENT = click.option(
    "--content",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("content"),
    show_default=True,
    help="The content folder",
)


@click.group()
def new() -> None:
    """Begin an analysis or a briefing: a file with its front matter filled in, and what to write beside it."""


@new.command()
@click.argument("title")
@click.option("--slug", help="The last word of its address  [made from the title]")
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="When it goes out  [today]"
)
@click.option("--region", default="", help="What it is about")
@click.option("--desk", default="", help="Who writes it")
@_CONTENT
def analysis(
    title: str, slug: str | None, day: datetime | None, region: str, desk: str, content: Path
) -> None:
    """Begin an analysis by its headline: newsletter new analysis "Iraq is unlikely to vote by June"."""
    from newsletter import blank  # pelican, which makes slugs, is slow to load
    from newsletter.analysis import SLUG

    title = " ".join(title.split())
    if not title:
        raise SettingsError(
            'The title is empty. Say what the piece claims: newsletter new analysis "Iraq will wait"'
        )
    if slug and not SLUG.match(slug):
        raise SettingsError(f'"{slug}" is no slug. Write small letters, digits and hyphens: baghdad-embassy.')
    facts = publication.load(Path(publication.FILE))
    when = day.date() if day else _today(facts)
    path = content / "analyses" / f"{when:%Y}" / f"{slug or blank.slug_of(title)}.md"
    text = blank.analysis(
        title,
        when,
        facts,
        region=region,
        desk=desk,
        regions=() if facts.regions else blank.regions_in(content),
    )
    blank.write(path, text)
    say("written", f"{path} (a draft)")
    say("next", "write it, and see it as you write: newsletter preview")


@new.command()
@click.argument("month", type=MONTH)
@_CONTENT
def briefing(month: str, content: Path) -> None:
    """Begin the briefing of a month: newsletter new briefing 2020-11."""
    from newsletter import blank

    facts = publication.load(Path(publication.FILE))
    path = content / "briefings" / f"{month}.md"
    blank.write(path, blank.briefing(month, facts, blank.pieces_of(content, month)))
    say("written", f"{path} (a draft)")
    say("next", "write it, and see it as you write: newsletter preview")


def _today(facts: publication.Publication) -> date:
    return datetime.now(facts.zone).date()
