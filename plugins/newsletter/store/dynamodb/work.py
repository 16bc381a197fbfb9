"""A change of several items as one: read, think, and write if nothing that was read has changed meanwhile.

    base.write(step) ─► step(work) reads and changes through a Work ─► one conditional write, or one transaction
                              ▲                                             │ another was quicker
                              └───────────── again, from the start ─────────┘

So a step sees its own changes at once, everybody else sees all of them or none, and no lock is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from newsletter.errors import StoreBusy, StoreError
from newsletter.store.dynamodb import item as actions
from newsletter.store.dynamodb.item import Item, Key, key_of
from newsletter.store.dynamodb.journal import Journal
from newsletter.store.dynamodb.table import MOST_ACTIONS, Conflict, Patience, Table
from newsletter.store.journal import Line

_Answer = TypeVar("_Answer")
# Steps that are written together are parted when so many changes wait: the next one has room to be as large.
_ENOUGH = MOST_ACTIONS // 2


@dataclass(slots=True)
class _Number:
    there: int
    added: int
    most: int | None
    expires: int


@dataclass(slots=True)
class Work:
    """What a step has read (`_read`, as it is in the table) and made of it (`_now`; None where it was deleted)."""

    table: Table
    _read: dict[Key, Item | None] = field(default_factory=dict)
    _now: dict[Key, Item | None] = field(default_factory=dict)
    _blind: set[Key] = field(default_factory=set)
    _guarded: set[Key] = field(default_factory=set)
    _numbers: dict[Key, _Number] = field(default_factory=dict)
    notes: list[Line] = field(default_factory=list)  # for the journal, before anything is kept

    def __len__(self) -> int:
        return len(self._now) + len(self._numbers)

    def get(self, key: Key, guard: bool = False) -> Item | None:
        """The item, a copy that may be changed and `put`; `guard` sees that it is the same when this is written."""
        return self.get_many([key], guard).get(key)

    def get_many(self, keys: Iterable[Key], guard: bool = False) -> dict[Key, Item]:
        """As `get`, of many: those that there are."""
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if key not in self._read and key not in self._now]
        if len(missing) == 1:
            self._read[missing[0]] = self.table.get(missing[0])
        elif missing:
            found = self.table.get_many(missing)
            self._read |= {key: found.get(key) for key in missing}
        if guard:
            self._guarded.update(wanted)
        here = {key: self._now[key] if key in self._now else self._read[key] for key in wanted}
        return {key: dict(item) for key, item in here.items() if item is not None}

    def query(
        self, pk: str, first: str = "", last: str = "", most: int = 0, backwards: bool = False
    ) -> list[Item]:
        """As Table.query, with what this step has changed."""
        mine = {
            key
            for key in self._now
            if key[0] == pk and (not first or key[1] >= first) and (not last or key[1] <= last)
        }
        found = {}
        # Of those in the table as many may be deleted here as this step has touched.
        for item in self.table.query(pk, first, last, most + len(mine) if most else 0, backwards):
            key = key_of(item)
            self._read.setdefault(key, item)
            found[key] = item
        now = {key: self._now.get(key, found.get(key)) for key in {*found, *mine}}
        here = sorted((key for key, item in now.items() if item is not None), reverse=backwards)
        return [dict(now[key] or {}) for key in (here[:most] if most else here)]

    def put(self, item: Item, blind: bool = False) -> None:
        """Write an item in place of what was read of it. It must have been read, unless it is `blind`: then whatever
        is there is replaced.
        """
        key = key_of(item)
        if blind and key not in self._read:
            self._blind.add(key)
        elif key not in self._read:
            self.get(key)
        self._now[key] = item

    def insert(self, item: Item) -> None:
        """Write an item that is not there yet, which is seen when it is written: a new number's, or a random one's."""
        self._read.setdefault(key_of(item), None)
        self._now[key_of(item)] = item

    def delete(self, key: Key) -> None:
        """Delete an item."""
        if self.get(key) is not None:
            self._now[key] = None

    def number(self, key: Key) -> int:
        """The number that `add` counts under this key."""
        known = self._numbers.get(key)
        if known is None:
            item = self.table.get(key)
            known = self._numbers[key] = _Number(int(item["n"]) if item else 0, 0, None, 0)
        return known.there + known.added

    def add(self, key: Key, count: int = 1, most: int | None = None, expires: int = 0) -> bool:
        """Add to a number; False, and nothing added, where it would be more than `most`."""
        if most is not None and self.number(key) + count > most:
            return False
        known = self._numbers.setdefault(key, _Number(0, 0, None, 0))
        known.added += count
        known.most, known.expires = most, expires
        return True

    def snapshot(self) -> Work:
        """All of it as it is now."""
        numbers = {
            key: _Number(one.there, one.added, one.most, one.expires) for key, one in self._numbers.items()
        }
        return Work(
            self.table,
            dict(self._read),
            dict(self._now),
            set(self._blind),
            set(self._guarded),
            numbers,
            list(self.notes),
        )

    def commit(self) -> None:
        """Write all of it, or nothing. Raises Conflict, StoreError."""
        doing: list[dict[str, Any]] = []
        for key, item in self._now.items():
            read = None if key in self._blind else self._read[key]
            if item is not None:
                doing.append(actions.put(item, read, blind=key in self._blind))
            elif read is not None:
                doing.append(actions.delete(key, read))
        doing += [
            actions.add(key, one.added, one.most, one.expires)
            for key, one in self._numbers.items()
            if one.added
        ]
        if doing:
            doing += [actions.check(key, self._read[key]) for key in self._guarded - set(self._now)]
            self.table.act(doing)


class Base:
    """What every part of the store stands on: the table, and the one way to change it. One object serves one thread."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.path = table.name  # for messages
        self.journal = Journal(table)
        self._together: Work | None = None

    def write(self, step: Callable[[Work], _Answer]) -> _Answer:
        """Do a step, again if another was quicker, and keep what it changed. Raises StoreBusy, StoreError.

        Within `together` it is kept with the others, and undone by itself if it fails.
        """
        if self._together is not None:
            return self._join(step)
        waits = Patience(self.table)
        noted: list[Line] = []
        while True:
            work = Work(self.table)
            answer = step(work)
            self.journal.write([line for line in work.notes if line not in noted])
            noted += work.notes
            try:
                work.commit()
            except Conflict:
                waits.wait()
                continue
            return answer

    def read(self) -> Work:
        """For looking: what is being written together is seen as if it were there."""
        return self._together or Work(self.table)

    @contextmanager
    def together(self) -> Iterator[None]:
        """See Door. More than fits into one transaction goes into several, each step whole in one."""
        if self._together is not None:
            yield
            return
        self._together = Work(self.table)
        try:
            yield
            self._flush(self._together)
        finally:
            self._together = None

    def _join(self, step: Callable[[Work], _Answer]) -> _Answer:
        work = self._together
        if work is None or len(work) > _ENOUGH:
            if work is not None:
                self._flush(work)
            work = Work(self.table)
        self._together = work
        before = work.snapshot()
        try:
            return step(work)
        except BaseException:
            self._together = before
            raise

    def _flush(self, work: Work) -> None:
        self.journal.write(work.notes)
        try:
            work.commit()
        except Conflict:
            raise StoreBusy(
                f"{self.path}: another has changed the same meanwhile. Nothing of this step was kept."
            ) from None

    def alone(self) -> None:
        """Raises StoreError within `together`."""
        if self._together is not None:
            raise StoreError(f"{self.path}: nobody can be erased together with other changes.")

    def close(self) -> None:
        """Let go of the table; there is nothing to let go of."""


def moment(at: datetime) -> str:
    """A moment as the table keeps it: ISO 8601 in UTC, to the millisecond, so that texts sort as moments."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
