"""A worker, as SQS hands it tasks: one batch a call of the function, by the same code as `newsletter worker`."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

from newsletter.aws import ground
from newsletter.aws.records import each
from newsletter.errors import SesError
from newsletter.mailing import Links
from newsletter.ses.queue import Message
from newsletter.ses.submit import Ses
from newsletter.ses.work_queue import task_of
from newsletter.store import open_store
from newsletter.worker import Worker

_log = logging.getLogger("newsletter.aws")
_log.setLevel(logging.INFO)
# What a call may take that is begun now: SES is given a minute to answer, and then it is written down.
_ENOUGH = 75_000  # milliseconds


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Mail the batches of one call; names those messages that are to be given out again."""

    def short() -> bool:
        return bool(context.get_remaining_time_in_millis() < _ENOUGH)

    def do(message: Message) -> None:
        task = task_of(message)
        if task is None:
            raise SesError(f"It is no batch: {message.body[:80]!r}")
        if not _worker().do(task, short):
            raise SesError(f"{task.briefing}, batch {task.batch}: there is no time left for it")

    return each(event, do)


@cache
def _worker() -> Worker:
    """One for all calls of a function's life, so that it asks for package and quota once. Raises SettingsError."""
    settings = ground.settings()
    links = Links(ground.facts().site_url, settings.secret_keys())
    ses = Ses(settings.configuration_set, settings.region)
    return Worker(open_store(settings.store_url), ses, links, lambda: datetime.now(UTC), time.sleep)
