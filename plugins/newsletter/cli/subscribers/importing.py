"""`newsletter subscribers import`."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.subscribers.spoken import WORDS, digests_of
from newsletter.list_formats import FORMATS
from newsletter.settings import Settings
from newsletter.show import Progress, Tally, fact, say

if TYPE_CHECKING:
    from newsletter.list_formats import Head
    from newsletter.list_import import Intake
    from newsletter.store import Store


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["auto", *FORMATS], case_sensitive=False),
    default="auto",
    show_default=True,
    help="Whose export it is; by itself it is recognised by its columns.",
)
@click.option("--confirmed", is_flag=True, help="Vouch for everyone of whose consent the file does not tell.")
@click.option(
    "--source", type=WORDS, default="", help="Where these people agreed, for the record of their consent."
)
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option("--if-empty", is_flag=True, help="Do nothing if there are subscribers already.")
def import_(
    file: Path, format_name: str, confirmed: bool, source: str, dry_run: bool, if_empty: bool
) -> None:
    """Add the subscribers of a CSV file: of Mailchimp, Substack, Ghost, listmonk, Buttondown or beehiiv, one that
    export has written, or any with a column email.

    A status is never raised: whoever has unsubscribed, is suppressed or was erased here stays so, whatever the file
    says. Whoever bounced or complained elsewhere is suppressed here. The same command goes on after any interruption.
    """
    from newsletter.cli.subscribers.refusals import Refusals
    from newsletter.list_import import Intake
    from newsletter.store import open_store
    from newsletter.subscriber_list import SubscriberList

    start, at = time.monotonic(), datetime.now(UTC)
    settings = Settings.from_env()
    rows = SubscriberList(file, vouched=confirmed, form=FORMATS.get(format_name))
    head = rows.head()
    rows.origin = _origin(file, head, at, source)
    store = open_store(settings.store_url, make=not dry_run)
    if if_empty and store.subscription_counts():
        return
    _announce(head, format_name != "auto")
    refusals = Refusals(file, head.columns, at)
    rows.refuse = refusals.add
    intake = Intake(store, digests_of(settings), at, f"import of {_visible(file.name)}", refusals.add)
    lines = _lines(file)
    done = 0

    def look() -> Tally:
        counts = [(str(fate), count) for fate, count in intake.fates.items()]
        return Tally(lines, done, [*counts, ("refused", refusals.count)])

    with Progress(look, doing="importing") as progress:
        for number in (intake.weigh if dry_run else intake.take)(rows.lines()):
            progress.advance(number - done)
            done = number
    refusals.tell()
    _tell(intake, refusals.count, rows.without_status, dry_run, time.monotonic() - start)
    _tell_list(store)
    if refusals.count:
        sys.exit(1)


def _origin(file: Path, head: Head, at: datetime, source: str) -> str:
    """Where a line of this file comes from, for the consent record."""
    service = f" ({head.form.name})" if head.form.words is not FORMATS["plain"].words else ""
    imported = f"imported from {_visible(file.name)[:100]}{service} at {at:%Y-%m-%dT%H:%MZ}"
    return f"{source}; {imported}" if source else imported


def _visible(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)


def _announce(head: Head, told: bool) -> None:
    """What the file is taken for, why, and what that means."""
    signs = ", ".join(head.signs())
    if told or not signs:
        why = f"{'as you say' if told else 'as no service has it'}; read from it: {', '.join(head.read())}"
    else:
        why = f"by its columns {signs}"
    fact("format", f"{head.form.name}, {why}")
    if whole := head.whole():
        words = f", and suppressed ({whole.suppressed})" if whole.suppressed else ""
        fact("", f"everybody in it is {whole.subscription}{words}")
    if head.form.note:
        fact("", head.form.note)


def _tell(intake: Intake, refused: int, without_status: int, dry_run: bool, seconds: float) -> None:
    from newsletter.list_import import Fate

    always = (Fate.ADDED, Fate.KNOWN)
    parts = [f"{intake.fates[fate]:,} {fate}" for fate in Fate if fate in always or intake.fates[fate]]
    parts += [f"{intake.suppressed:,} suppressed"] if intake.suppressed else []
    parts += [f"{refused:,} refused"] if refused else []
    say("dry run" if dry_run else "import", ", ".join(parts), seconds)
    if intake.added:
        fact("", "added: " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(intake.added.items())))
    if without_status:
        are = "is" if without_status == 1 else "are"
        fact(
            "",
            f"{without_status:,} without a status {are} pending and not mailed; --confirmed vouches for such",
        )
    if dry_run:
        fact("", "nothing was changed")


def _tell_list(store: Store) -> None:
    totals = store.subscription_counts()
    say("list", ", ".join(f"{count:,} {kind}" for kind, count in sorted(totals.items())) or "nobody yet")


def _lines(file: Path) -> int:
    """How many lines a file has, nearly: enough for a bar."""
    with file.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))
