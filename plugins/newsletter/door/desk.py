"""The store behind two threads, so that the web server waits for no disk: one that writes, one that reads.

A store object serves one thread. SQLite lets one write at a time, and a commit waits for the disk; so whatever waits
to be written at one moment is written by one transaction. What is asked of the desk is durable when it answers, and
a job that fails fails alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from queue import SimpleQueue
from typing import Any, TypeVar

from newsletter.errors import NewsletterError, StoreBusy, StoreError
from newsletter.store import Store

_Answer = TypeVar("_Answer")
# So many may wait for their turn; even one by one that is a second or two, and whoever comes then is asked to come
# again.
_MOST_WAITING = 500


class Desk:
    """Takes jobs for the store. `open_store` is called in each thread, once."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._writer = _Clerk(open_store, "door-writer", _written)
        self._reader = _Clerk(open_store, "door-reader", _read)

    async def write(self, job: Callable[[Store], _Answer], alone: bool = False) -> _Answer:
        """Do what changes the store, in the order of asking; `alone` what `store.together` cannot. Raises StoreError.

        Where the disk fails a job, nothing of it was kept. It may share a transaction with others, so it must leave
        it to the store to begin and end one.
        """
        return await self._writer.do(job, alone)

    async def read(self, job: Callable[[Store], _Answer]) -> _Answer:
        """Do what changes nothing. Raises StoreError."""
        return await self._reader.do(job)

    def close(self) -> None:
        """Finish what was asked for, and let go of the store."""
        self._writer.close()
        self._reader.close()


@dataclass(slots=True, eq=False)
class _Job:
    """What is to be done, whether alone, and who waits for it."""

    work: Callable[[Store], Any]
    alone: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    answer: Any = None
    error: Exception | None = field(default=None)

    def do(self, store: Store) -> None:
        """Do it, and keep what came of it."""
        try:
            self.answer = self.work(store)
        except Exception as error:
            self.error = error

    def tell(self) -> None:
        """Answer whoever waits, if anybody still does."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.answer)
        elif isinstance(self.error, NewsletterError):
            self.future.set_exception(self.error)
        else:
            # Its own words may have an address in them.
            words = f"{type(self.error).__name__} in the middle of a job for the door."
            self.future.set_exception(StoreError(words).with_traceback(self.error.__traceback__))


class _Clerk:
    """One thread with a store of its own. `serve` does jobs that wait at one moment."""

    def __init__(
        self, open_store: Callable[[], Store], name: str, serve: Callable[[Store, Sequence[_Job]], None]
    ) -> None:
        self._open, self._serve, self._waiting = open_store, serve, 0
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._store: Store | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def do(self, work: Callable[[Store], _Answer], alone: bool = False) -> _Answer:
        if self._waiting >= _MOST_WAITING:
            raise StoreBusy("The door has more to write down than it can.")
        self._waiting += 1
        loop = asyncio.get_running_loop()
        job = _Job(work, alone, loop, loop.create_future())
        try:
            self._jobs.put(job)
            answer: _Answer = await job.future
            return answer
        finally:
            self._waiting -= 1

    def _work(self) -> None:
        over = False
        while not over:
            waiting = [self._jobs.get()]
            while not self._jobs.empty():
                waiting.append(self._jobs.get())
            over = None in waiting
            for alone, group in groupby(filter(None, waiting), lambda job: job.alone):
                jobs = list(group)
                for some in [[job] for job in jobs] if alone else [jobs]:
                    self._do(some)
        self._drop()

    def _do(self, jobs: Sequence[_Job]) -> None:
        try:
            if self._store is None:
                self._store = self._open()
            self._serve(self._store, jobs)
        except Exception as error:
            for job in jobs:
                job.error = error
        if any(job.error and not isinstance(job.error, StoreBusy) for job in jobs):
            self._drop()  # a file that was put in its place, a disk that came back: the next job opens it anew
        with suppress(RuntimeError):  # the server has gone, and nobody waits any more
            jobs[0].loop.call_soon_threadsafe(_tell, jobs)

    def _drop(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(StoreError):
                store.close()

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()


def _read(store: Store, jobs: Sequence[_Job]) -> None:
    for job in jobs:
        job.do(store)


def _written(store: Store, jobs: Sequence[_Job]) -> None:
    """One transaction for all. Raises StoreError where that was not kept, and so none of them."""
    if len(jobs) == 1:
        jobs[0].do(store)
        return
    with store.together():
        for job in jobs:
            job.do(store)


def _tell(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        job.tell()
