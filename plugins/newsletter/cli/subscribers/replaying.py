"""`newsletter subscribers replay`: after an older copy of the database was put back."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from newsletter.cli.subscribers.spoken import digests_of
from newsletter.settings import Settings
from newsletter.show import say


@click.command()
def replay() -> None:
    """Let those leave again of whom an older copy of the database no longer knows that they left.

    The journal beside the database knows them. Until then `newsletter send` mails nobody.
    """
    from newsletter.store import open_store

    settings = Settings.from_env()
    count = open_store(settings.store_url).replay(datetime.now(UTC), digests_of(settings))
    say("replay", f"{count:,} have left again" if count else "nobody who left is back")
