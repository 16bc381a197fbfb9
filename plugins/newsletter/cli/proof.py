"""`newsletter proof`: the page by which a briefing is judged before it is mailed."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from newsletter import publication
from newsletter.cli.sending import PACKAGES
from newsletter.cli.words import MAILING
from newsletter.settings import Settings
from newsletter.show import say, say_error


@click.command()
@click.argument("month", type=MAILING)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the page goes  [build/proof/MONTH]",
)
@click.option(
    "--site", type=click.Path(file_okay=False, path_type=Path), default=Path("output"), show_default=True,
    help="The built site, against which the links are checked",
)  # fmt: skip
@click.option(
    "--check-links", is_flag=True, help="Ask other houses' servers for the pages that the mail links to."
)
def proof(month: str, output: Path | None, site: Path, check_links: bool) -> None:
    """Write the proof of a packaged briefing: the mail in every view, its links, recipients and findings on one page.

    The folder also gets summary.md, for the summary of a job. Exit status: 1 if something is in the way of mailing it.
    """
    from newsletter import issue, package
    from newsletter.check import desk
    from newsletter.check.house import house_of
    from newsletter.proof_page import facts, links, page

    start, now = time.monotonic(), datetime.now(UTC)
    about, packaged = publication.load(Path(publication.FILE)), package.read(PACKAGES / month)
    there = links.in_folder(site)
    found = links.links(packaged.html, about.site_url, there)
    if check_links:
        others = (link.address for link in found if link.status is links.Status.NOT_ASKED)
        found = links.links(packaged.html, about.site_url, there, links.ask(others))
    content = Path("content")
    checked = desk.check(content, house_of(about, content), now)
    named = issue.of_id(month)
    letter = f"content/briefings/{named.stem}.md" if named else ""
    proposal, begun = facts.propose(Settings.from_env().store_url, packaged, now)
    made = facts.Proof(packaged, found, facts.concerned(packaged, checked.findings, letter), proposal, begun)
    written = page.write(made, output or Path("build/proof") / month, about.site_url)
    say("proof", str(written), time.monotonic() - start)
    say("subject", packaged.subject)
    say("hash", packaged.content_hash)
    for finding in made.errors:
        say_error(str(finding))
    if made.errors:
        sys.exit(1)
    say("to approve", made.command)
