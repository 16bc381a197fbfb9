"""What survives a restart: one SQLite file, one connection, one writer at a time."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from newsletter.errors import StoreError
from newsletter.local_ses.config import ACCOUNT_ID, CONFIGURATION_SET, QUEUE, WORK_QUEUE, LocalSesConfig

_SCHEMA = """
CREATE TABLE IF NOT EXISTS templates (
    name TEXT PRIMARY KEY, subject TEXT, text TEXT, html TEXT, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS suppressed (
    key TEXT PRIMARY KEY, address TEXT NOT NULL, reason TEXT NOT NULL, updated REAL NOT NULL,
    message_id TEXT, feedback_id TEXT);
CREATE TABLE IF NOT EXISTS configuration_sets (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event_destinations (
    configuration_set TEXT NOT NULL REFERENCES configuration_sets (name) ON DELETE CASCADE,
    name TEXT NOT NULL, enabled INTEGER NOT NULL, types TEXT NOT NULL, topic_arn TEXT NOT NULL,
    PRIMARY KEY (configuration_set, name));
CREATE TABLE IF NOT EXISTS identities (name TEXT PRIMARY KEY, verified INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sent (id INTEGER PRIMARY KEY, at REAL NOT NULL, recipients INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS sent_at ON sent (at);
CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, attributes TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, queue TEXT NOT NULL, message_id TEXT NOT NULL, body TEXT NOT NULL,
    sent REAL NOT NULL, visible REAL NOT NULL, receipt TEXT, receives INTEGER NOT NULL DEFAULT 0,
    first_received REAL);
CREATE INDEX IF NOT EXISTS messages_visible ON messages (queue, visible, id);
"""
_EVENT_TYPES = ["SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "RENDERING_FAILURE", "DELIVERY_DELAY"]


class State:
    """The database. `transaction()` is the only way in; it may be entered from any thread."""

    def __init__(self, config: LocalSesConfig) -> None:
        """Open or make the file and seed it. Raises StoreError."""
        self._lock = threading.RLock()
        try:
            Path(config.state).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                config.state, timeout=10, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = DELETE")
            # The process may be killed at any moment and loses nothing; only a power cut could, and a
            # stand-in for SES need not survive that. It spares two fsyncs per call.
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(_SCHEMA)
            self._seed(config)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{config.state}: the local SES cannot keep its state here: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside BEGIN IMMEDIATE … COMMIT; an exception rolls back."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _seed(self, config: LocalSesConfig) -> None:
        topic = config.topic_arn
        with self.transaction() as db:
            fresh = db.execute("SELECT count(*) FROM configuration_sets").fetchone()[0] == 0
            if fresh:
                db.execute("INSERT INTO configuration_sets VALUES (?, '{}')", (CONFIGURATION_SET,))
                db.execute(
                    "INSERT INTO event_destinations VALUES (?, 'events', 1, ?, ?)",
                    (CONFIGURATION_SET, json.dumps(_EVENT_TYPES), topic),
                )
            for name in (QUEUE, WORK_QUEUE):
                db.execute("INSERT OR IGNORE INTO queues VALUES (?, '{}', ?)", (name, config.now()))
            for name in config.identities:
                db.execute(
                    "INSERT INTO identities VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET verified = 1",
                    (name.lower(),),
                )


def topic_queue(topic_arn: str) -> str:
    """Return the name of the queue that is subscribed to a topic: the one of the same name.

    SNS itself is not part of the local SES; this convention stands for the subscription.
    """
    return topic_arn.rpartition(":")[2]


def queue_arn(name: str, region: str) -> str:
    """Return a queue's ARN."""
    return f"arn:aws:sqs:{region}:{ACCOUNT_ID}:{name}"
