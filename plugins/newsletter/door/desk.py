"""The store behind two threads, so that the web server waits for no disk: one that writes, one that reads.

A store object serves one thread. SQLite lets one write at a time; writers that stand in a queue here are served in
the order in which they came, while writers of several connections would poll for their turn. What is asked of the
desk is durable when it answers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from newsletter.errors import StoreBusy, StoreError
from newsletter.store import Store

_Answer = TypeVar("_Answer")
# So many may wait for their turn; at a millisecond or two each that is a second, and whoever comes then is asked
# to come again.
_MOST_WAITING = 500


class Desk:
    """Takes jobs for the store. `open_store` is called in each thread, once."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._writer, self._reader = _Clerk(open_store, "door-writer"), _Clerk(open_store, "door-reader")

    async def write(self, job: Callable[[Store], _Answer]) -> _Answer:
        """Do what changes the store, in the order of asking. Raises StoreError."""
        return await self._writer.do(job)

    async def read(self, job: Callable[[Store], _Answer]) -> _Answer:
        """Do what changes nothing. Raises StoreError."""
        return await self._reader.do(job)

    def close(self) -> None:
        """Finish what was asked for, and let go of the store."""
        self._writer.close()
        self._reader.close()


class _Clerk:
    """One thread with a store of its own."""

    def __init__(self, open_store: Callable[[], Store], name: str) -> None:
        self._open, self._waiting = open_store, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._local = threading.local()

    async def do(self, job: Callable[[Store], _Answer]) -> _Answer:
        if self._waiting >= _MOST_WAITING:
            raise StoreBusy("The door has more to write down than it can.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, job)
        finally:
            self._waiting -= 1

    def _do(self, job: Callable[[Store], _Answer]) -> _Answer:
        store: Store | None = getattr(self._local, "store", None)
        if store is None:
            store = self._local.store = self._open()
        try:
            return job(store)
        except StoreBusy:
            raise
        except StoreError:
            self._drop()  # a file that was put in its place, a disk that came back: the next job opens it anew
            raise

    def _drop(self) -> None:
        store: Store | None = getattr(self._local, "store", None)
        self._local.store = None
        if store is not None:
            store.close()

    def close(self) -> None:
        self._thread.submit(self._drop)
        self._thread.shutdown()
