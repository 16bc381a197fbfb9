"""What SQS hands to a function: each record on its own, and the names of those that are to be given out again.

Source: Lambda developer guide, "Using Lambda with Amazon SQS" (ReportBatchItemFailures).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from newsletter.errors import NewsletterError
from newsletter.ses.queue import Message

_log = logging.getLogger("newsletter.aws")


def messages(records: Sequence[dict[str, Any]]) -> Iterator[Message]:
    """The records as messages of a queue."""
    for record in records:
        yield Message(
            id=record["messageId"],
            receipt=record["receiptHandle"],
            body=record["body"],
            receive_count=int(record["attributes"]["ApproximateReceiveCount"]),
        )


def given_back(ids: Sequence[str]) -> dict[str, Any]:
    """The answer that has SQS delete all messages but these."""
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in ids]}


def each(event: dict[str, Any], do: Callable[[Message], None]) -> dict[str, Any]:
    """Do each message; one that cannot be done now goes back alone, and the others stay done."""
    again = []
    for message in messages(event["Records"]):
        try:
            do(message)
        except NewsletterError as error:
            _log.error("%s goes back to the queue: %s", message.id, error)
            again.append(message.id)
    return given_back(again)
