"""`newsletter events`: what SES tells of the mails, into the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from newsletter.errors import SettingsError
from newsletter.settings import STATE, Settings
from newsletter.show import say, say_error

if TYPE_CHECKING:
    from newsletter.aftermath import Aftermath
    from newsletter.store import Store


# Of older mailings SES has nothing more to tell.
_RECENT = timedelta(days=62)


@click.command()
@click.option(
    "--wait",
    type=click.IntRange(0, 20),
    metavar="SECONDS",
    default=20,
    show_default=True,
    help="How long to wait for an event.",
)
@click.option("--once", is_flag=True, help="End when the queue is empty, instead of waiting for more.")
def events(wait: int, once: bool) -> None:
    """Read what SES tells of the mails (delivered, bounced, complained …) into the ledger.

    Not into an old copy of it: what that takes out of the queue, the newest never learns. A copy from before a
    mailing began knows nothing of it, and cannot be told from the newest here.
    """
    from newsletter.store import open_store

    settings = Settings.from_env()
    store = open_store(settings.store_url)
    aftermath = reader(store, settings)
    if aftermath is None:
        raise SettingsError(
            "EVENTS_QUEUE_URL: not set. It is the address of the SQS queue that SES's events go to."
        )
    _refuse_old_copy(store, settings)
    while True:
        read = aftermath.read(0 if once else wait)
        if read.messages or once:
            say("events", f"{read.messages:,} read, {read.fresh:,} new to the ledger")
        if read.poison:
            say_error(f"{read.poison} messages were no events of SES; they are in {STATE / 'quarantine'}/.")
        if read.foreign:
            say_error(
                f"{read.foreign:,} events name a call that was never made here, and were not heeded: another "
                "installation's, or forged. Who may write to the queue? newsletter doctor"
            )
        if once:
            return


def _refuse_old_copy(store: Store, settings: Settings) -> None:
    """Raises StoreError if another ledger has had a turn at one of this one's recent mailings; SesError."""
    from newsletter.ses.submit import Ses
    from newsletter.turn import overtaken

    since = datetime.now(UTC) - _RECENT
    recent = [send for send in store.sends() if send.frozen_at >= since]
    if not recent:
        return
    ses = Ses(settings.configuration_set, settings.region)
    for send in recent:
        if send.through == ses.place and (error := overtaken(store, ses, send.briefing, ses.place)):
            raise error


def reader(store: Store, settings: Settings) -> Aftermath | None:
    """The reader of SES's events, where there is a queue to read."""
    from newsletter.aftermath import Aftermath
    from newsletter.ses.queue import EventQueue

    if not settings.events_queue_url:
        return None
    queue = EventQueue(settings.events_queue_url, settings.events_topic_arn, settings.region)
    return Aftermath(store, queue, STATE / "quarantine", lambda: datetime.now(UTC), settings.secret_keys())
