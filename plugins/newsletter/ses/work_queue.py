"""The SQS queue that hands batches to workers. A message is one batch of one briefing, under the turn of one run:

    {"briefing": "2020-10", "turn": 3, "batch": "1 50"}

SQS gives a message to anybody at least once, in no promised order, and again when its receiver is not heard of for the
queue's visibility timeout. So a message is only a hint that there is work: what may be done is in the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from newsletter.errors import SettingsError
from newsletter.ses.queue import Message, Queue


@dataclass(frozen=True, slots=True)
class Task:
    """One batch of a briefing's recipients, by the store's name for it, to be mailed under that turn."""

    briefing: str
    turn: int
    batch: str


class WorkQueue(Queue):
    """The queue of tasks."""

    setting = "WORK_QUEUE_URL"
    actions = (
        "sqs:SendMessage and sqs:GetQueueAttributes to send, sqs:ReceiveMessage, sqs:DeleteMessage and "
        "sqs:ChangeMessageVisibility to work"
    )

    def hand_out(self, tasks: Iterable[Task]) -> None:
        """Put tasks on the queue. Raises SesError."""
        self.put([json.dumps(asdict(task)) for task in tasks])


def task_of(message: Message) -> Task | None:
    """The task that a message is, or None for what is none."""
    try:
        said = json.loads(message.body)
        task = Task(**{field.name: said[field.name] for field in fields(Task)})
    except (ValueError, KeyError, TypeError):
        return None
    sound = isinstance(task.briefing, str) and type(task.turn) is int and isinstance(task.batch, str)
    return task if sound else None


def work_queue(url: str, region: str = "") -> WorkQueue:
    """The queue that WORK_QUEUE_URL names. Raises SettingsError."""
    if not url:
        raise SettingsError(
            "WORK_QUEUE_URL: not set. It is the address of the SQS queue that hands batches to workers; "
            "docs/operators.md says how to make one. Without --fan-out, send needs none."
        )
    return WorkQueue(url, region)
