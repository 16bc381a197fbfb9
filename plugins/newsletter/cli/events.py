"""`newsletter events`: what SES tells of the mails, into the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from newsletter.errors import SettingsError
from newsletter.settings import STATE, Settings
from newsletter.show import say, say_error

if TYPE_CHECKING:
    from newsletter.aftermath import Aftermath
    from newsletter.store import Store


@click.command()
@click.option(
    "--wait", type=click.IntRange(0, 20), default=20, show_default=True, help="Seconds to wait for an event."
)
@click.option("--once", is_flag=True, help="End when the queue is empty, instead of waiting for more.")
def events(wait: int, once: bool) -> None:
    """Read what SES tells of the mails (delivered, bounced, complained …) into the ledger."""
    from newsletter.store import open_store

    settings = Settings.from_env()
    aftermath = reader(open_store(settings.store_url), settings)
    if aftermath is None:
        raise SettingsError(
            "EVENTS_QUEUE_URL: not set. It is the address of the SQS queue that SES's events go to."
        )
    while True:
        read = aftermath.read(0 if once else wait)
        if read.messages or once:
            say("events", f"{read.messages:,} read, {read.fresh:,} new to the ledger")
        if read.poison:
            say_error(f"{read.poison} messages were no events of SES; they are in {STATE / 'quarantine'}/.")
        if once:
            return


def reader(store: Store, settings: Settings) -> Aftermath | None:
    """The reader of SES's events, where there is a queue to read."""
    from newsletter.aftermath import Aftermath
    from newsletter.ses.queue import EventQueue

    if not settings.events_queue_url:
        return None
    queue = EventQueue(settings.events_queue_url, settings.events_topic_arn, settings.region)
    return Aftermath(store, queue, STATE / "quarantine", lambda: datetime.now(UTC))
