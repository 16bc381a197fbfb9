"""`newsletter subscribers`: the list of those who want the briefing."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from newsletter.settings import Settings
from newsletter.show import say, say_error


@click.group()
def subscribers() -> None:
    """The list of those who want the briefing."""


@subscribers.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--if-empty", is_flag=True, help="Do nothing if there are subscribers already.")
@click.option(
    "--confirmed",
    is_flag=True,
    help="Vouch that everyone without a status in the file has agreed to be mailed.",
)
def import_(file: Path, if_empty: bool, confirmed: bool) -> None:
    """Add the subscribers of a CSV file (email, status, name, …) to the store.

    A status is never raised: whoever has unsubscribed or is suppressed here stays so, whatever the file says.
    """
    from newsletter.store import open_store
    from newsletter.subscriber_list import SubscriberList

    start = time.monotonic()
    rows = SubscriberList(file, vouched=confirmed)
    store = open_store(Settings.from_env().store_url)
    if if_empty and store.subscription_counts():
        return
    counts = store.import_subscribers(rows)
    for finding in rows.refused:
        say_error(str(finding))
    parts = [f"{counts.added:,} added", f"{counts.known:,} known already"]
    parts += [f"{counts.withdrawn:,} unsubscribed by the file"] if counts.withdrawn else []
    parts += [f"{len(rows.refused):,} refused"] if rows.refused else []
    say("subscribers", ", ".join(parts), time.monotonic() - start)
    if rows.without_status:
        say(
            "",
            f"{rows.without_status:,} without a status are pending and not mailed; --confirmed vouches for them",
        )
    totals = store.subscription_counts()
    say("", ", ".join(f"{count:,} {kind}" for kind, count in sorted(totals.items())) or "nobody yet")
    if rows.refused:
        sys.exit(1)
