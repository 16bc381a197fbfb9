"""Standard SQS queues over the state file: at least once, in no promised order, with visibility timeouts.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/
"""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from dataclasses import dataclass

from newsletter.local_ses.api_error import ApiError
from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.state import State

VISIBILITY = 30  # seconds, API_CreateQueue VisibilityTimeout
RETENTION = 345_600  # seconds, API_CreateQueue MessageRetentionPeriod: four days
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a receiver gets it."""

    message_id: str
    receipt: str
    body: str
    sent: float
    receives: int
    first_received: float


class Queues:
    """All queues. Every method may be called from any thread."""

    def __init__(self, state: State, config: LocalSesConfig) -> None:
        self._state, self._now = state, config.now

    def create(self, name: str, attributes: dict[str, str]) -> None:
        """Make a queue; the same call again is no error (API_CreateQueue)."""
        if not _NAME.fullmatch(name):
            raise ApiError(
                "InvalidParameterValue",
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            )
        with self._state.transaction() as db:
            there = db.execute("SELECT attributes FROM queues WHERE name = ?", (name,)).fetchone()
            if there and attributes and json.loads(there[0]) != attributes:
                raise ApiError(
                    "QueueNameExists", "A queue already exists with the same name and a different value"
                )
            db.execute(
                "INSERT OR IGNORE INTO queues VALUES (?, ?, ?)", (name, json.dumps(attributes), self._now())
            )

    def names(self, prefix: str) -> list[str]:
        """Return the queues whose name begins with `prefix`."""
        with self._state.transaction() as db:
            rows = db.execute("SELECT name FROM queues ORDER BY name").fetchall()
        return [name for (name,) in rows if name.startswith(prefix)]

    def attributes(self, name: str) -> dict[str, str]:
        """Return a queue's own attributes and its counts."""
        now = self._now()
        with self._state.transaction() as db:
            own = _own(db, name)
            _expire(db, name, now, own)
            ready, flying, delayed = db.execute(
                "SELECT coalesce(sum(visible <= ?), 0), coalesce(sum(visible > ? AND receives > 0), 0),"
                " coalesce(sum(visible > ? AND receives = 0), 0) FROM messages WHERE queue = ?",
                (now, now, now, name),
            ).fetchone()
            created = db.execute("SELECT created FROM queues WHERE name = ?", (name,)).fetchone()[0]
        return {
            "VisibilityTimeout": str(VISIBILITY),
            "MessageRetentionPeriod": str(RETENTION),
            "ReceiveMessageWaitTimeSeconds": "0",
            "DelaySeconds": "0",
            **own,
            "CreatedTimestamp": str(int(created)),
            "ApproximateNumberOfMessages": str(ready),
            "ApproximateNumberOfMessagesNotVisible": str(flying),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
        }

    def put(self, db: sqlite3.Connection, name: str, body: str, delay: float = 0.0) -> str | None:
        """Add a message inside the caller's transaction; return its id, or None if there is no such queue."""
        if not db.execute("SELECT 1 FROM queues WHERE name = ?", (name,)).fetchone():
            return None
        message_id, now = str(uuid.uuid4()), self._now()
        db.execute(
            "INSERT INTO messages (queue, message_id, body, sent, visible) VALUES (?, ?, ?, ?, ?)",
            (name, message_id, body, now, now + delay),
        )
        return message_id

    def send(self, name: str, body: str, delay: float) -> str:
        """Add a message; return its id."""
        with self._state.transaction() as db:
            _own(db, name)
            return self.put(db, name, body, delay) or ""

    def receive(self, name: str, limit: int, visibility: int | None) -> list[Message]:
        """Take up to `limit` visible messages and hide them for `visibility` seconds."""
        now = self._now()
        taken: list[Message] = []
        with self._state.transaction() as db:
            own = _own(db, name)
            _expire(db, name, now, own)
            hidden = visibility if visibility is not None else int(own.get("VisibilityTimeout", VISIBILITY))
            rows = db.execute(
                "SELECT id, message_id, body, sent, receives, first_received FROM messages"
                " WHERE queue = ? AND visible <= ? ORDER BY visible, id LIMIT ?",
                (name, now, limit),
            ).fetchall()
            for row, message_id, body, sent, receives, first in rows:
                receipt = f"{row}-{uuid.uuid4()}"
                db.execute(
                    "UPDATE messages SET visible = ?, receipt = ?, receives = ?, first_received = ?"
                    " WHERE id = ?",
                    (now + hidden, receipt, receives + 1, first or now, row),
                )
                taken.append(Message(message_id, receipt, body, sent, receives + 1, first or now))
        return taken

    def next_visible(self, name: str) -> float | None:
        """Return in how many seconds the next hidden message comes back, or None."""
        with self._state.transaction() as db:
            at = db.execute("SELECT min(visible) FROM messages WHERE queue = ?", (name,)).fetchone()[0]
        return None if at is None else max(0.0, float(at) - self._now())

    def delete(self, name: str, receipt: str) -> None:
        """Delete a received message. A receipt that was used or is out of date deletes nothing, silently."""
        with self._state.transaction() as db:
            _own(db, name)
            row = _row(receipt)
            db.execute(
                "DELETE FROM messages WHERE id = ? AND queue = ? AND receipt = ?", (row, name, receipt)
            )

    def change_visibility(self, name: str, receipt: str, seconds: int) -> None:
        """Hide a received message for `seconds` from now; 0 gives it back at once."""
        now = self._now()
        with self._state.transaction() as db:
            _own(db, name)
            changed = db.execute(
                "UPDATE messages SET visible = ? WHERE id = ? AND queue = ? AND receipt = ? AND visible > ?",
                (now + seconds, _row(receipt), name, receipt, now),
            ).rowcount
        if not changed:
            raise ApiError("MessageNotInflight", "The message is not in flight.")

    def purge(self, name: str) -> None:
        """Delete all messages of a queue."""
        with self._state.transaction() as db:
            _own(db, name)
            db.execute("DELETE FROM messages WHERE queue = ?", (name,))


def _own(db: sqlite3.Connection, name: str) -> dict[str, str]:
    row = db.execute("SELECT attributes FROM queues WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise ApiError("QueueDoesNotExist", "The specified queue does not exist.")
    attributes: dict[str, str] = json.loads(row[0])
    return attributes


def _expire(db: sqlite3.Connection, name: str, now: float, own: dict[str, str]) -> None:
    kept = float(own.get("MessageRetentionPeriod", RETENTION))
    db.execute("DELETE FROM messages WHERE queue = ? AND sent < ?", (name, now - kept))


def _row(receipt: str) -> int:
    number = receipt.partition("-")[0]
    if not number.isdigit():
        raise ApiError(
            "ReceiptHandleIsInvalid", f'The input receipt handle "{receipt}" is not a valid receipt handle.'
        )
    return int(number)
