"""`newsletter subscribers stats` and `prune`: the list in numbers, and what is too old to be kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from newsletter.settings import Settings
from newsletter.show import columns, say, table

_KEPT = timedelta(days=30)
_MONTHS, _BAR = 12, 30
_EIGHTHS = " ▏▎▍▌▋▊▉"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def stats(as_json: bool) -> None:
    """How many there are of each kind, who is suppressed and why, and how the list grows."""
    from newsletter.store import Subscription, open_store
    from newsletter.store.door import OUT, LetterKind, LetterState

    now = datetime.now(UTC)
    store = open_store(Settings.from_env().store_url, make=False)
    numbers, letters = store.numbers(now), store.letter_counts()
    kinds = {str(kind): numbers.subscriptions.get(kind, 0) for kind in Subscription}
    waiting = sum(letters.get((LetterKind.CONFIRM, state), 0) for state in {*OUT, LetterState.ASKED})
    if as_json:
        document = {
            **kinds,
            "paused": numbers.paused,
            "unconfirmed_sign_ups": waiting,
            "suppressed": dict(numbers.suppressed),
            "joined": dict(sorted(numbers.joined.items())),
            "left": dict(sorted(numbers.left.items())),
        }
        click.echo(json.dumps(document))
        return
    rows = [("confirmed", kinds["confirmed"]), ("  paused", numbers.paused)]
    rows += [(kind, kinds[kind]) for kind in ("pending", "unsubscribed")]
    rows.append(("sign-ups that wait to be confirmed", waiting))
    table("Subscribers", rows)
    if numbers.suppressed:
        table(
            "Suppressed",
            [(reason.replace("_", " "), count) for reason, count in sorted(numbers.suppressed.items())],
        )
    if growth := _growth(numbers.joined, numbers.left, now):
        columns("Growth, by month", ("", "joined", "left", ""), growth)


def _growth(
    joined: Mapping[str, int], left: Mapping[str, int], now: datetime
) -> list[tuple[str, int, int, str]]:
    """The last months, from the first in which anything happened, each with a bar of those who joined."""
    months = [
        f"{now.year - (back >= now.month):04}-{(now.month - back - 1) % 12 + 1:02}" for back in range(_MONTHS)
    ]
    months = months[::-1]
    while months and not (joined.get(months[0]) or left.get(months[0])):
        months.pop(0)
    most = max((joined.get(month, 0) for month in months), default=0)
    return [
        (month, joined.get(month, 0), left.get(month, 0), _bar(joined.get(month, 0), most))
        for month in months
    ]


def _bar(count: int, most: int) -> str:
    whole, eighths = divmod(round(count / most * _BAR * 8) if most else 0, 8)
    return ("█" * whole + _EIGHTHS[eighths]).rstrip()


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
def prune(dry_run: bool) -> None:
    """Delete what is older than 30 days and not needed: sign-ups that were never confirmed, letters, counts for the
    limits, reports of refused lines.
    """
    from newsletter.cli.subscribers import refusals
    from newsletter.store import open_store

    before = datetime.now(UTC) - _KEPT
    store = open_store(Settings.from_env().store_url, make=False)
    outdated = dict(store.outdated(before))
    files = _old_files(refusals.FOLDER, before)
    if not dry_run:
        store.prune(before)
        for file in files:
            file.unlink(missing_ok=True)
    table(
        f"{'Would be deleted' if dry_run else 'Deleted'}: from before {before:%Y-%m-%d %H:%M} UTC",
        [*outdated.items(), ("reports of refused lines", len(files))],
    )
    if not dry_run and not any(outdated.values()) and not files:
        say("prune", "nothing is that old")


def _old_files(folder: Path, before: datetime) -> list[Path]:
    return [file for file in folder.glob("*") if file.is_file() and file.stat().st_mtime < before.timestamp()]
