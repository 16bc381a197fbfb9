"""SES's events, as SQS hands them to a function: into the ledger as `newsletter events` brings them.

A message that is no event of SES is handed back, and SQS sets it aside in the dead letters after five times: a
function has no folder for it. What the store does not take is handed back whole.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from newsletter.aftermath import Aftermath
from newsletter.aws import ground
from newsletter.aws.records import given_back, messages
from newsletter.ses.events import Event, Poison
from newsletter.ses.queue import EventQueue, Message
from newsletter.store import open_store

_log = logging.getLogger("newsletter.aws")
_log.setLevel(logging.INFO)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take in the records of one call; names those that are to be given out again. Raises StoreError."""
    settings = ground.settings()
    handed = Handed(event["Records"], settings.events_queue_url, settings.events_topic_arn)
    store = open_store(settings.store_url)
    try:
        read = Aftermath(
            store, handed, Path("/nowhere"), lambda: datetime.now(UTC), settings.secret_keys()
        ).read()
    finally:
        store.close()
    _log.info(
        "%d read, %d new, %d foreign, %d poison", read.messages, read.fresh, read.foreign, len(handed.poison)
    )
    return given_back(handed.poison)


class Handed(EventQueue):
    """The queue of events as far as one call of the function goes. What it does not name in `poison`, SQS deletes."""

    def __init__(self, records: Sequence[dict[str, Any]], queue_url: str, topic_arn: str) -> None:
        """Raises SettingsError, as EventQueue does."""
        super().__init__(queue_url, topic_arn)
        self._records = list(messages(records))
        self.poison: list[str] = []

    def receive(self, wait: int, most: int = 0) -> list[Message]:
        """All of them, once."""
        records, self._records = self._records, []
        return records

    def parse(self, message: Message) -> list[Event]:
        """Its events; none for what is no event, which is kept in mind."""
        try:
            return super().parse(message)
        except Poison as reason:
            _log.warning("%s is no event of SES: %s", message.id, reason.reason)
            self.poison.append(message.id)
            return []

    def delete(self, messages: Sequence[Message]) -> None:
        """SQS does, when the function has ended well."""
