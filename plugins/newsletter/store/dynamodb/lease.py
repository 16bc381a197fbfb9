"""The right to do something alone, for as long as its holder lives: an item with an end, moved on by a thread.

A machine that stops for longer than the lease loses it, and does not notice at once. So a lease only keeps two from
getting in each other's way; that nobody is mailed twice rests on claims, each a conditional write.
"""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime
from types import TracebackType

from newsletter.errors import StoreError
from newsletter.store.dynamodb import item as actions
from newsletter.store.dynamodb.table import Conflict, Table

# How long after its holder's death a lease is held, in seconds, and how often it is moved on.
LASTS, _EVERY = 60, 15.0


class Lease:
    """A context manager. Entering raises StoreError, with `told`, if another has it."""

    def __init__(self, table: Table, what: str, told: str) -> None:
        self._table, self._key, self._told = table, ("LEASE", what), told
        self._owner = secrets.token_hex(8)
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"lease: {what}", daemon=True)

    def __enter__(self) -> None:
        """Take it."""
        before = self._table.get(self._key)
        now = int(time.time())
        if before and int(before["until"]) > now:
            raise self._refused(int(before["until"]))
        try:
            self._table.act([actions.put(self._item(now), before)])
        except Conflict:
            raise self._refused(now + LASTS) from None
        self._keeper.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""
        self._over.set()
        self._keeper.join()
        item = self._table.get(self._key)
        if item and item["owner"] == self._owner:
            try:
                self._table.act([actions.delete(self._key, item)])
            except Conflict:
                return  # it is another's by now

    def _keep(self) -> None:
        while not self._over.wait(_EVERY):
            try:
                item = self._table.get(self._key)
                if item is None or item["owner"] != self._owner:
                    return
                self._table.act([actions.put(self._item(int(time.time())), item)])
            except (Conflict, StoreError):
                continue  # it is still ours until its end

    def _item(self, now: int) -> actions.Item:
        return {"pk": self._key[0], "sk": self._key[1], "owner": self._owner, "until": now + LASTS}

    def _refused(self, until: int) -> StoreError:
        end = datetime.fromtimestamp(until, UTC)
        return StoreError(f"{self._told} If it has died, its right ends at {end:%H:%M:%S} UTC.")
