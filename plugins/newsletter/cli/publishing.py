"""`newsletter publish`: the built site into its bucket."""

from __future__ import annotations

import getpass
import os
import platform
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.errors import SettingsError
from newsletter.settings import Settings
from newsletter.show import Progress, Tally, columns, say

if TYPE_CHECKING:
    from newsletter.publish.piece import Piece
    from newsletter.publish.plan import Plan

_MOST_SHOWN = 40


@click.command()
@click.option(
    "--site", type=click.Path(file_okay=False, path_type=Path), default=Path("output"), show_default=True,
    help="The built site.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--force", is_flag=True, help="Delete even more than a fifth of the site's addresses.")
def publish(site: Path, dry_run: bool, force: bool) -> None:
    """Bring the built site to its bucket (SITE_BUCKET): only what has changed, in an order that breaks no link.

    An interrupted publish leaves a working site; the same command goes on from there.
    """
    from newsletter.publish import publishing
    from newsletter.publish.bucket import Bucket
    from newsletter.publish.lease import Lease
    from newsletter.publish.piece import read
    from newsletter.publish.plan import require_few_deletions

    settings = Settings.from_env()
    if not settings.site_bucket:
        raise SettingsError(
            "SITE_BUCKET: not set. It is the S3 bucket that the site is published into: the output SiteBucket of the "
            "stack (docs/operators.md)."
        )
    start = time.monotonic()
    bucket = Bucket(settings.site_bucket, settings.site_distribution, settings.region)
    pieces = read(site)
    if dry_run:
        plan = publishing.survey(bucket, pieces).plan
        _tell(plan)
        _tell_files(plan)
        require_few_deletions(plan, force)
        return
    tally, done = Tally(0, 0), Counter[str]()
    with ExitStack() as open_things:
        progress: list[Progress] = []

        def planned(plan: Plan) -> None:
            nonlocal tally
            _tell(plan)
            tally = Tally(len(plan.uploads), 0)
            progress.append(
                open_things.enter_context(
                    Progress(lambda: Tally(tally.total, done.total()), doing="uploading")
                )
            )

        def uploaded(piece: Piece) -> None:
            done[piece.kind] += 1
            progress[0].advance(1)

        lease = Lease(bucket, _me(), tell=lambda words: say("waiting", words))
        plan = publishing.Publisher(bucket, lease, uploaded).publish(pieces, force, planned)
    where = f"s3://{settings.site_bucket}"
    if not plan.uploads and not plan.deletions:
        say("published", f"{where} has it all already", time.monotonic() - start)
        return
    known = "" if settings.site_distribution or not plan.stale else "; caches forget the old within the hour"
    say(
        "published",
        f"{len(plan.uploads):,} uploaded, {len(plan.deletions):,} deleted → {where}{known}",
        time.monotonic() - start,
    )


def _tell(plan: Plan) -> None:
    size = sum(piece.size for piece in plan.uploads) / 1024
    kinds = Counter(piece.kind for piece in plan.uploads)
    what = ", ".join(f"{count:,} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(kinds.items()))
    say(
        "plan",
        f"{len(plan.uploads):,} to upload{f' ({what}; {size:,.0f} KB)' if what else ''}, "
        f"{len(plan.deletions):,} to delete, {plan.unchanged:,} unchanged",
    )
    if plan.foreign:
        say(
            "",
            f"{len(plan.foreign):,} more lie there that no publish has put there: left alone ({plan.foreign[0]} …)",
        )


def _tell_files(plan: Plan) -> None:
    from newsletter.publish.plan import invalidations

    rows: list[tuple[str, str, str]] = []
    for step, wave in enumerate(plan.waves, 1):
        rows += [(f"{step}. upload", str(piece.kind), piece.path) for piece in wave[:_MOST_SHOWN]]
        if len(wave) > _MOST_SHOWN:
            rows.append((f"{step}. upload", "…", f"and {len(wave) - _MOST_SHOWN:,} more"))
    last = len(plan.waves) + bool(plan.deletions)
    rows += [(f"{last}. delete", "", path) for path in plan.deletions[:_MOST_SHOWN]]
    if len(plan.deletions) > _MOST_SHOWN:
        rows.append((f"{last}. delete", "…", f"and {len(plan.deletions) - _MOST_SHOWN:,} more"))
    rows += [(f"{last + 1}. invalidate", "", path) for path in invalidations(plan.stale)]
    if rows:
        columns("What a publish would do, in its order", ("step", "kind", "path"), rows)


def _me() -> str:
    """Who publishes, for another publisher to read."""
    try:
        who = getpass.getuser()
    except OSError:
        who = "somebody"
    return f"{who} on {platform.node() or 'a machine'}, process {os.getpid()}, since {datetime.now(UTC):%H:%M} UTC"
