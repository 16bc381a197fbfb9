"""`newsletter migrate`: from one store into another."""

from __future__ import annotations

from pathlib import Path

import click

from newsletter.show import say


@click.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "--make", is_flag=True, help="Make the target's tables in DynamoDB first, if they are not there."
)
def migrate(source: str, target: str, make: bool) -> None:
    """Take everything from the store SOURCE over into the store TARGET, and compare both.

    A store is named as in STORE_URL: sqlite:///var/newsletter.db or dynamodb://TABLE. Stop the door and everything
    else that writes first. While a briefing is being sent, nothing is moved. If it is cut off, run it again: it goes on.
    The source stays as it was; from then on name the target in STORE_URL, everywhere.
    """
    from newsletter.errors import SettingsError
    from newsletter.migration import Moved, move
    from newsletter.settings import located
    from newsletter.store import open_store

    if located(source) == located(target):
        raise SettingsError("The source and the target are the same store.")
    scheme, _, path = source.partition(":///")
    if scheme == "sqlite" and not Path(path).is_file():
        raise SettingsError(
            f"{path}: there is no such store to move. Look at STORE_URL, and at where you are."
        )
    if make and target.startswith("dynamodb:"):
        from newsletter.store.dynamodb.making import make_tables

        made = make_tables(located(target))
        say("tables", "made" if made else "there already")

    def tell(moved: Moved) -> None:
        what = f"{moved.kind} of {moved.briefing}" if moved.briefing else str(moved.kind)
        how = "there already" if moved.already else "taken over"
        say("same", f"{moved.sum.count:>9,}  {what} · {how} · checksum {moved.sum.digest[:12]}")

    parts = move(open_store(located(source), make=False), open_store(located(target)), tell)
    rows = sum(moved.sum.count for moved in parts)
    say("moved", f"{rows:,} rows are the same in both. From now on: STORE_URL={target}")
