"""Subscribers and suppressions in SQLite."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from io import BytesIO
from itertools import chain, islice
from time import time_ns

from newsletter.store.people import ImportCounts, Subscriber, Subscription
from newsletter.store.sqlite import queries
from newsletter.store.sqlite.database import Database, moment

# Rows a transaction: an import that is cut off loses no more, and holds nobody up longer than half a second. With fewer,
# each page of the indexes would be written for every row or two.
_IMPORT_STEP = 50_000
_ROWS = 500  # a statement
_CACHE = 64 * 1024  # KiB, for an import: so that the indexes of a million subscribers stay in it
_TIME, _PLACE, _RANDOM = 6, 3, 7  # bytes of a public id


class SqlitePeople(Database):
    """Keeps the promises of `People`."""

    def import_subscribers(self, subscribers: Iterable[Subscriber]) -> ImportCounts:
        """See Store. Commits step by step: running it again goes on where it was cut off.

        Each step is read before its transaction begins, so that slow input holds nobody up.
        """
        added = withdrawn = known = 0
        rows = iter(subscribers)
        self.db.execute(f"PRAGMA cache_size = -{_CACHE}")
        self.db.execute("PRAGMA temp_store = MEMORY")
        while step := _rows(islice(rows, _IMPORT_STEP)):
            left = [(one[2],) for one in step if one[3] == Subscription.UNSUBSCRIBED]
            with self.writing() as db:
                new = sum(
                    db.execute(queries.add(len(part)), list(chain.from_iterable(part))).rowcount
                    for part in (step[start : start + _ROWS] for start in range(0, len(step), _ROWS))
                )
                gone = db.executemany(queries.WITHDRAW, left).rowcount if new < len(step) and left else 0
            added += new
            withdrawn += gone
            known += len(step) - new - gone
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


def _rows(subscribers: Iterable[Subscriber]) -> list[tuple[bytes | str, ...]]:
    """Each as a row with its public id. It begins with the millisecond and the place in the step, as in a UUID of
    version 7 (RFC 9562 section 5.7), so that it is added at the end of its index. The rest is random.
    """
    # sqlite3 takes a text as it is, and asks around what to do with an enum.
    told = [(text, key, str(subscription), *rest) for (text, key), subscription, *rest in subscribers]
    time = (time_ns() // 1_000_000).to_bytes(_TIME, "big")
    chance = BytesIO(secrets.token_bytes(_RANDOM * len(told)))
    return [
        (time + place.to_bytes(_PLACE, "big") + chance.read(_RANDOM), *row) for place, row in enumerate(told)
    ]
