"""`newsletter subscribers stats` and `prune`: the list in numbers, and what is too old to be kept."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from newsletter.settings import Settings
from newsletter.show import columns, say, table

_MONTHS, _BAR = 12, 30
_EIGHTHS = " ▏▎▍▌▋▊▉"
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")  # an older list may have had other words for a moment


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
    if growth := _growth(numbers.joined, numbers.left):
        columns("Growth, by month", ("", "joined", "left", ""), growth)


def _growth(joined: Mapping[str, int], left: Mapping[str, int]) -> list[tuple[str, int, int, str]]:
    """The last months up to the one in which somebody joined or left last, each with a bar of those who joined."""
    known = sorted(month for month in {*joined, *left} if _MONTH.fullmatch(month))
    if not known:
        return []
    last = int(known[-1][:4]) * 12 + int(known[-1][5:]) - 1
    months = [f"{at // 12:04}-{at % 12 + 1:02}" for at in range(last - _MONTHS + 1, last + 1)]
    months = [month for month in months if month >= known[0]]
    most = max(joined.get(month, 0) for month in months)
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
    from newsletter.store.door import KEPT

    before = datetime.now(UTC) - KEPT
    store = open_store(Settings.from_env().store_url, make=False)
    outdated = dict(store.outdated(before))
    files = _old_files(refusals.FOLDER, before)
    if not dry_run:
        store.prune(before)
        for file in files:
            file.unlink(missing_ok=True)
    rows = [*outdated.items(), ("reports of refused lines", len(files))]
    if any(count for _, count in rows):
        table(
            f"{'Would be deleted' if dry_run else 'Deleted'}, from before {before:%Y-%m-%d %H:%M} UTC", rows
        )
    else:
        say("prune", f"nothing is from before {before:%Y-%m-%d %H:%M} UTC")


def _old_files(folder: Path, before: datetime) -> list[Path]:
    return [file for file in folder.glob("*") if file.is_file() and file.stat().st_mtime < before.timestamp()]
