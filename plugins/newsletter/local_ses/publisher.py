"""Publishing event records: configuration set → event destination → SNS topic → queue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from newsletter.local_ses import events
from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.faults import FaultPlan
from newsletter.local_ses.queue import Queues
from newsletter.local_ses.state import topic_queue


class Publisher:
    """Puts records on the queues, as the fault plan allows, inside the caller's transaction."""

    def __init__(self, queues: Queues, plan: FaultPlan, config: LocalSesConfig) -> None:
        self._queues, self._plan, self._config = queues, plan, config

    def publish(
        self,
        db: sqlite3.Connection,
        configuration_set: str,
        kind: str,
        record: Mapping[str, Any],
        address: str,
        tags: Mapping[str, str],
    ) -> None:
        """Publish a record to every enabled destination that asks for its type ("SEND", "BOUNCE" …)."""
        rows = db.execute(
            "SELECT topic_arn, types FROM event_destinations WHERE configuration_set = ? AND enabled",
            (configuration_set,),
        ).fetchall()
        topics = [topic for topic, types in rows if kind in json.loads(types)]
        if not topics:
            return
        text = json.dumps(record) + "\n"  # SES's messages end with a line end
        for delay in self._plan.event(kind, address, tags):
            for topic in topics:
                self.notify(db, topic, text, delay)

    def notify(self, db: sqlite3.Connection, topic_arn: str, text: str, delay: float = 0.0) -> None:
        """Hand a text to a topic. Without a queue of the topic's name it goes nowhere, as in SNS."""
        now = datetime.fromtimestamp(self._config.now(), UTC)
        body = events.envelope(text, topic_arn, now, self._config.region)
        self._queues.put(db, topic_queue(topic_arn), body, delay)
