"""`newsletter build` and `briefing`: the site half."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import click

from newsletter.cli.words import MAILING
from newsletter.show import say


@click.command()
@click.option(
    "--content", type=click.Path(exists=True, file_okay=False), help="The content folder  [content]"
)
@click.option("--output", type=click.Path(file_okay=False), help="Where the site goes  [output]")
@click.option(
    "--drafts", is_flag=True, help="With what is held back, into an --output that is never published."
)
def build(content: str | None, output: str | None, drafts: bool) -> None:
    """Build the site, its feed, and the package of every briefing."""
    from newsletter import site

    built = site.build(content, output, drafts)
    gc.freeze()  # this process ends here: nobody needs to look through a whole site for what can be thrown away
    held = f", {built.drafts} held back (drafts, or dated in the future)" if built.drafts else ""
    say(
        "site",
        f"{built.analyses} analyses, {built.pages} pages{held} → {_shown(built.output)}/",
        built.seconds,
    )
    for about, note in built.notes:
        say(about, note)
    if built.packages:
        names = ", ".join(sorted(folder.name for folder in built.packages))
        say("package", f"{names} → {built.packages[0].parent}/")


@click.command()
@click.argument("month", type=MAILING)
def briefing(month: str) -> None:
    """Package one month's briefing as an email: build/briefings/YYYY-MM/. An erratum by its name: 2020-10-erratum."""
    from newsletter import site

    start = time.monotonic()
    folder, package = site.briefing(month)
    size = len(package.html.encode()) / 1024
    shortened = sum(bool(item.get("shortened")) for item in package.items)
    what = f"{len(package.items)} analyses" if package.items else "a letter alone"
    note = f", {shortened} shortened to their link" if shortened else ""
    say(
        "package",
        f"{folder}/: {what}, {size:.0f} KB of 90{note}",
        time.monotonic() - start,
    )
    say("subject", package.subject)
    say("hash", package.content_hash)


def _shown(path: Path) -> Path:
    """A path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
