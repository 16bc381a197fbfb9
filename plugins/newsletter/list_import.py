"""Taking a list in: what becomes of each line, by what the store knows of its address at that moment.

    lines ─► judge ─► added | vouched | withdrawn | known, or refused: erased

No status is raised by a list. Whoever has left, is suppressed or was erased here stays so; only the operator's express
word (`Line.vouched`) confirms somebody whom an earlier list had left pending.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from itertools import islice

from newsletter.store import Store, Subscription
from newsletter.store.door import Digests
from newsletter.store.lists import Known
from newsletter.subscriber_list import Line, Refused


class Fate(StrEnum):
    """What becomes of a line."""

    ADDED = "added"
    KNOWN = "known already"
    VOUCHED = "confirmed by your word"  # they were pending
    WITHDRAWN = "unsubscribed by the file"


def judge(line: Line, now: Subscription | None) -> Fate:
    """What a line does to whoever has its address; `now` is None where there is nobody."""
    if now is None:
        return Fate.ADDED
    if line.subscriber.subscription is Subscription.UNSUBSCRIBED and now is not Subscription.UNSUBSCRIBED:
        return Fate.WITHDRAWN
    if line.vouched and now is Subscription.PENDING:
        return Fate.VOUCHED
    return Fate.KNOWN


class _OneIsKnown(Exception):
    """Not every line of a step is new."""


class Intake:
    """Takes lines into a store, step by step; each step is one transaction, so that the same import goes on where it
    was cut off. `fates`, `added` (by status) and `suppressed` count while it does.
    """

    # Lines a transaction: it holds others up for a third of a second or so. With fewer, each page of the indexes is
    # written once for every row or two.
    step = 20_000

    def __init__(
        self, store: Store, digests: Digests, at: datetime, evidence: str, refuse: Callable[[Refused], None]
    ) -> None:
        """`digests` recognise the erased (tokens.digests), `evidence` is noted with whoever is suppressed or withdrawn
        ("import of list.csv"), `refuse` is told of the lines of the erased.
        """
        self._store, self._digests, self._at = store, digests, at
        self._evidence, self._refuse = evidence, refuse
        self.fates: Counter[Fate] = Counter()
        self.added: Counter[Subscription] = Counter()
        self.suppressed = 0

    def take(self, lines: Iterable[Line]) -> Iterator[int]:
        """Take them in. After each step: the number of the last line. Raises StoreError, and what `lines` raises."""
        # A step is read before its transaction begins, so that slow input holds nobody up.
        for step in self._steps(lines):
            with _uncollected(), self._store.together():
                if unerased := self._unerased(step):
                    self._take(unerased)
                    self._suppress_again(unerased)
            yield step[-1].number

    def weigh(self, lines: Iterable[Line]) -> Iterator[int]:
        """The same, but only count what `take` would do."""
        standings: dict[str, Subscription] = {}
        for step in self._steps(lines):
            unerased = self._unerased(step)
            for key, found in self._known(unerased).items():
                standings.setdefault(key, found.subscription)
            self._judged(unerased, standings)
            yield step[-1].number

    def _take(self, step: list[Line]) -> None:
        for line, fate in self._judged_and_taken(step):
            key = line.subscriber.address.key
            if fate is Fate.VOUCHED:
                self._store.vouch(key, line.subscriber.source, self._at)
            if line.kept and fate is Fate.ADDED:
                self._store.restore(key, line.kept)
            if line.suppressed and line.kept and line.kept.suppressed_at:
                at = datetime.fromisoformat(line.kept.suppressed_at)
                self._store.suppress(key, line.suppressed, at, line.kept.evidence)
            elif line.suppressed:
                self._store.suppress(key, line.suppressed, self._at, self._evidence)

    def _judged_and_taken(self, step: list[Line]) -> list[tuple[Line, Fate]]:
        """Each line of which there is more to be done, with what becomes of it."""
        try:  # as if all of them were new: in a new list they are
            with self._store.together():
                if self._store.import_subscribers(line.subscriber for line in step).added < len(step):
                    raise _OneIsKnown
        except _OneIsKnown:
            return self._one_by_one(step)
        self.fates[Fate.ADDED] += len(step)
        self.added.update(line.subscriber.subscription for line in step)
        self.suppressed += sum(line.suppressed != "" for line in step)
        return [(line, Fate.ADDED) for line in step if line.kept or line.suppressed]

    def _one_by_one(self, step: list[Line]) -> list[tuple[Line, Fate]]:
        known = self._known(step)
        judged = self._judged(step, {key: found.subscription for key, found in known.items()})
        for line, fate in judged:
            if fate is Fate.WITHDRAWN and (found := known.get(line.subscriber.address.key)):
                self._store.unsubscribe(found.public_id, self._at, self._evidence)
        self._store.import_subscribers(line.subscriber for line in step)
        return judged

    def _known(self, step: list[Line]) -> Mapping[str, Known]:
        return self._store.known([line.subscriber.address.key for line in step])

    def _judged(self, step: list[Line], standings: dict[str, Subscription]) -> list[tuple[Line, Fate]]:
        """Each line with what becomes of it; `standings` become those after them."""
        judged = []
        for line in step:
            key = line.subscriber.address.key
            fate = judge(line, standings.get(key))
            if fate is not Fate.KNOWN:
                standings[key] = line.subscriber.subscription
            judged.append((line, fate))
            self.fates[fate] += 1
            if fate is Fate.ADDED:
                self.added[line.subscriber.subscription] += 1
            self.suppressed += bool(line.suppressed)
        return judged

    def _suppress_again(self, step: list[Line]) -> None:
        """Whoever is suppressed by digest only, since a database was put back that did not know the address."""
        digests = (self._digests(line.subscriber.address.key) for line in step)
        reasons = self._store.stood_in(digest for each in digests for digest in each)
        for line in step if reasons else ():
            key = line.subscriber.address.key
            reason = next((reasons[digest] for digest in self._digests(key) if digest in reasons), "")
            if reason:
                self._store.suppress(key, reason, self._at, "suppressed here before")

    def _unerased(self, step: list[Line]) -> list[Line]:
        """Without those whose addresses were erased: they wanted to be forgotten, and not to come back by a list."""
        digests = (self._digests(line.subscriber.address.key) for line in step)
        erased = self._store.erased(digest for each in digests for digest in each)
        if not erased:
            return step
        kept = []
        for line in step:
            if erased.isdisjoint(self._digests(line.subscriber.address.key)):
                kept.append(line)
            else:
                # Without the address: nothing of it is to be written down again.
                reason = (
                    "was erased at its owner's wish, and only its owner can sign up again. Take the line out."
                )
                self._refuse(Refused(line.number, "email", reason))
        return kept

    def _steps(self, lines: Iterable[Line]) -> Iterator[list[Line]]:
        rest = iter(lines)
        while step := self._step(rest):
            yield step

    def _step(self, rest: Iterator[Line]) -> list[Line]:
        with _uncollected():
            return list(islice(rest, self.step))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's search for cycles, which a list has none of: going through each step's lines again and again took
    a fifth of an import.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
