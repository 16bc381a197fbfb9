"""`newsletter check`: what is wrong with the content, where, and how to mend it."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from newsletter.show import say


@click.command()
@click.option(
    "--content", type=click.Path(exists=True, file_okay=False), help="The content folder  [content]"
)
@click.option(
    "--format", "form", type=click.Choice(["text", "github", "json"]), default="text", show_default=True,
    help="For a person, for annotations in a pull request, for a program",
)  # fmt: skip
def check(content: str | None, form: str) -> None:
    """Say what is wrong with the content, where, and how to mend it. Writes nothing unless told to --fix.

    Exit status: 0 nothing or warnings alone, 1 errors, 2 the command was mistyped.
    """
    from newsletter import publication
    from newsletter.check import desk, report
    from newsletter.check.house import house_of

    start = time.monotonic()
    folder = Path(content or "content")
    house = house_of(publication.load(Path(publication.FILE)), folder)
    checked = desk.check(folder, house, datetime.now(UTC))
    errors, warnings = report.counts(checked.findings)
    if form == "json":
        click.echo(report.as_json(checked.findings))
    elif form == "github":
        if checked.findings:
            click.echo(report.github(checked.findings))
    else:
        report.show(checked.findings, desk.line_of)
        found = f"{errors} to mend" if errors else "nothing to mend"
        also = f", {warnings} to look at" if warnings else ""
        say("check", f"{checked.files} files: {found}{also}", time.monotonic() - start)
    sys.exit(1 if errors else 0)
