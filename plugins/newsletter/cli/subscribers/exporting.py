"""`newsletter subscribers export`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from newsletter.settings import Settings
from newsletter.show import fact, say
from newsletter.store import Subscription


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--status",
    "kinds",
    type=click.Choice([str(kind) for kind in Subscription]),
    multiple=True,
    help="Only these; may be given more than once. Without it also the suppressed addresses that are nobody's.",
)
def export(file: Path, kinds: tuple[str, ...]) -> None:
    """Write the list to a CSV file with everything that is kept: status, suppression, proof of consent.

    import reads it back exactly. Cells that a spreadsheet would take for formulas begin with an apostrophe.
    """
    from newsletter import list_export
    from newsletter.store import open_store

    start = time.monotonic()
    store = open_store(Settings.from_env().store_url, make=False)
    only = {Subscription(kind) for kind in kinds}
    count = list_export.write(file, store.listed(only))
    say("export", f"{count:,} lines → {file}", time.monotonic() - start)
    fact(
        "",
        "only you can read it (mode 0600); erasing somebody here does not reach it, so delete it after use",
    )
