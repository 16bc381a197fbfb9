"""`newsletter worker`: mails the batches that `newsletter send --fan-out` hands out."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter import publication
from newsletter.cli.keys import keys_of
from newsletter.settings import Settings
from newsletter.show import say, say_error

if TYPE_CHECKING:
    from newsletter.ses.queue import Message
    from newsletter.ses.work_queue import WorkQueue
    from newsletter.worker import Worker

# A message that nobody can read is left to the queue, which sets it aside; so is one that could not be done now.
_LATER = 30  # seconds


@click.command()
@click.option(
    "--wait",
    type=click.IntRange(0, 20),
    metavar="SECONDS",
    default=20,
    show_default=True,
    help="How long to wait for a batch.",
)
@click.option("--once", is_flag=True, help="End when the queue is empty, instead of waiting for more.")
def worker(wait: int, once: bool) -> None:
    """Mail batches of the briefing that `newsletter send --fan-out` hands out, one after another.

    Run as many as you like, on as many machines as reach the store and the queue (STORE_URL, WORK_QUEUE_URL): they share
    the account's rate, and nobody is mailed twice. Ctrl-C or SIGTERM ends it after the call that is under way.

    \b
        newsletter worker & newsletter worker & newsletter send 2020-10 --fan-out
    """
    from newsletter.interrupt import heeding
    from newsletter.mailing import Links
    from newsletter.ses.submit import Ses
    from newsletter.ses.work_queue import work_queue
    from newsletter.store import open_store
    from newsletter.worker import Worker

    facts, settings = publication.load(Path(publication.FILE)), Settings.from_env()
    queue = work_queue(settings.work_queue_url, settings.region)
    store = open_store(settings.store_url)
    ses = Ses(settings.configuration_set, settings.region)
    links = Links(settings.site_url or facts.site_url, keys_of(settings, store))
    own = Worker(store, ses, links, lambda: datetime.now(UTC), time.sleep)
    over: list[bool] = []
    batches = 0
    say("worker", f"takes batches from {queue.queue_url}, mails through {ses.endpoint}")
    with heeding(lambda: over.append(True)):
        while not over:
            messages = queue.receive(0 if once else wait, 1)
            if not messages and once:
                break
            for message in messages:
                batches += _done(own, queue, message, over)
    say("worker", f"{batches:,} batches, {own.submitted:,} submitted")


def _done(own: Worker, queue: WorkQueue, message: Message, over: list[bool]) -> bool:
    """Do what a message asks, or leave it for later; whether it is done. Raises StoreError."""
    from newsletter.errors import SesError, StoreBusy
    from newsletter.ses.work_queue import task_of

    task = task_of(message)
    if task is None:
        say_error(f"A message on the queue is no batch, and is left there: {message.body[:80]!r}")
        return False
    try:
        if own.do(task, lambda: bool(over)):
            queue.delete([message])
            return True
        queue.give_back(message, 0)
    except (SesError, StoreBusy) as error:
        say_error(f"{task.briefing}, batch {task.batch}: comes again later: {error}")
        queue.give_back(message, _LATER)
    return False
