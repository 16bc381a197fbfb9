"""Subscribers and suppressions in SQLite."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice

from newsletter.store.people import ImportCounts, Subscriber, Subscription
from newsletter.store.sqlite import queries
from newsletter.store.sqlite.database import Database, moment

# Rows a transaction: an import that is cut off loses no more, and holds nobody up longer.
_IMPORT_STEP = 2_000


class SqlitePeople(Database):
    """Keeps the promises of `People`."""

    def import_subscribers(self, subscribers: Iterable[Subscriber]) -> ImportCounts:
        """See Store. Commits step by step: running it again goes on where it was cut off.

        Each step is read before its transaction begins, so that slow input holds nobody up.
        """
        added = withdrawn = known = 0
        rows = iter(subscribers)
        while step := list(islice(rows, _IMPORT_STEP)):
            with self.writing() as db:
                for subscriber in step:
                    if db.execute(queries.ADD, _row(subscriber)).rowcount:
                        added += 1
                    elif subscriber.subscription is Subscription.UNSUBSCRIBED:
                        changed = db.execute(queries.WITHDRAW, (subscriber.address.key,)).rowcount
                        withdrawn += changed
                        known += 1 - changed
                    else:
                        known += 1
        return ImportCounts(added, withdrawn, known)

    def suppress(self, key: str, reason: str, at: datetime, evidence: str) -> None:
        """See Store."""
        with self.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO suppression VALUES (?, ?, ?, ?)", (key, reason, moment(at), evidence)
            )

    def subscription_counts(self) -> Mapping[Subscription, int]:
        """See Store."""
        rows = self.db.execute("SELECT subscription, count(*) FROM subscriber GROUP BY subscription")
        return {Subscription(kind): count for kind, count in rows}


def _row(subscriber: Subscriber) -> tuple[object, ...]:
    return (
        secrets.token_bytes(16),
        subscriber.address.text,
        subscriber.address.key,
        str(subscriber.subscription),
        subscriber.name,
        subscriber.subscribed_at,
        subscriber.confirmed_at,
        subscriber.source,
    )
