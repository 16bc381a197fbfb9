"""`newsletter check`: what is wrong with the content, where, and how to mend it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from newsletter.errors import Finding
from newsletter.show import say


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--content", type=click.Path(exists=True, file_okay=False, path_type=Path), default="content",
    show_default=True, help="The content folder",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["text", "github", "json"]), default="text", show_default=True,
    help="For a person, for annotations in a pull request, for a program",
)  # fmt: skip
@click.option("--fix", is_flag=True, help="Write what is certain into the files; tell the rest.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--no-cache", is_flag=True, help="Read everything anew, and remember nothing.")
@click.option(
    "--explain", metavar="CODE", help="Say what a rule is about, with examples; `all` lists the rules."
)
def check(
    files: Sequence[Path],
    content: Path,
    form: str,
    fix: bool,
    strict: bool,
    no_cache: bool,
    explain: str | None,
) -> None:
    """Say what is wrong with the content, where, and how to mend it; of FILES alone, if some are named.

    Writes nothing but what it remembers (var/check.json), unless told to --fix. Exit status: 0 nothing or warnings
    alone, 1 errors, 2 the command was mistyped.
    """
    from newsletter import publication
    from newsletter.check import desk, fixing, report
    from newsletter.check.house import house_of

    if explain:
        _explain(explain.upper())
        return
    start = time.monotonic()
    house = house_of(publication.load(Path(publication.FILE)), content)
    cache = None if no_cache else desk.CACHE
    checked = desk.check(content, house, datetime.now(UTC), cache)
    told = _of(files, checked.findings)
    mended = 0
    if fix and (mended := fixing.fix(told)):
        told = _of(files, desk.check(content, house, datetime.now(UTC), cache).findings)
    errors, warnings = report.counts(told)
    if form == "json":
        click.echo(report.as_json(told))
    elif form == "github":
        if told:
            click.echo(report.github(told))
    else:
        report.show(told, desk.line_of)
        seconds = time.monotonic() - start
        certain = sum(finding.fix is not None for finding in told)
        say("check", report.sentence(len(files) or checked.files, errors, warnings, mended, certain), seconds)
        if told:
            say("", f"What a rule is about: newsletter check --explain {told[0].code}")
    sys.exit(1 if errors or (strict and warnings) else 0)


def _of(files: Sequence[Path], findings: Sequence[Finding]) -> list[Finding]:
    """The findings of these files, or of what lies in these folders; all of them if none are named."""
    named = {file.resolve() for file in files}
    return [
        finding
        for finding in findings
        if not named
        or named.intersection((Path(finding.path).resolve(), *Path(finding.path).resolve().parents))
    ]


def _explain(code: str) -> None:
    from newsletter.check import pages

    if code == "ALL":
        for each in pages.rules():
            say(each.code, f"{each.severity:<8} {each.name}")
        return
    if (page := pages.page(code)) is None:
        raise click.BadParameter(
            f"there is no rule {code}. `--explain all` lists them.", param_hint="--explain"
        )
    pages.show(page)
