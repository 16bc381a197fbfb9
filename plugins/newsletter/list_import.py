"""Taking a list in: what becomes of each line, by what the store knows of its address at that moment.

    lines ─► judge ─► added | vouched | withdrawn | known, or refused: erased

No status is raised by a list. Whoever has left, is suppressed or was erased here stays so; only the operator's express
word (`Line.vouched`) confirms somebody whom an earlier list had left pending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from itertools import islice

from newsletter.store import Store, Subscription
from newsletter.store.door import Digests
from newsletter.subscriber_list import Line, Refused

# Lines a transaction: an import that is cut off loses no more, and holds nobody up longer.
_STEP = 2_000


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


class Intake:
    """Takes lines into a store, step by step; each step is one transaction, so that the same import goes on where it
    was cut off. `fates` and `suppressed` count while it does.
    """

    def __init__(
        self, store: Store, digests: Digests, at: datetime, evidence: str, refuse: Callable[[Refused], None]
    ) -> None:
        """`digests` recognise the erased (tokens.digests), `evidence` is noted with whoever is suppressed or withdrawn
        ("import of list.csv"), `refuse` is told of the lines of the erased.
        """
        self._store, self._digests, self._at = store, digests, at
        self._evidence, self._refuse = evidence, refuse
        self.fates: Counter[Fate] = Counter()
        self.suppressed = 0

    def take(self, lines: Iterable[Line]) -> Iterator[int]:
        """Take them in. After each step: the number of the last line. Raises StoreError, and what `lines` raises."""
        # A step is read before its transaction begins, so that slow input holds nobody up.
        for step in _steps(lines):
            with self._store.together():
                self._take(self._unerased(step))
            yield step[-1].number

    def weigh(self, lines: Iterable[Line]) -> Iterator[int]:
        """Count what `take` would do, and do nothing."""
        seen: dict[str, Subscription] = {}
        for step in _steps(lines):
            unerased = self._unerased(step)
            known = self._store.known([line.subscriber.address.key for line in unerased])
            for line in unerased:
                key, subscription = line.subscriber.address.key, line.subscriber.subscription
                fate = judge(line, seen.get(key) or (known[key].subscription if key in known else None))
                if fate is not Fate.KNOWN:
                    seen[key] = subscription
                self._count(line, fate)
            yield step[-1].number

    def _unerased(self, step: list[Line]) -> list[Line]:
        """Without those whose addresses were erased: the erased wanted to be forgotten, not imported again."""
        digests = [self._digests(line.subscriber.address.key) for line in step]
        erased = self._store.erased([digest for each in digests for digest in each])
        if not erased:
            return step
        kept = []
        for line, mine in zip(step, digests, strict=True):
            if erased.isdisjoint(mine):
                kept.append(line)
            else:
                reason = "was erased at its owner's wish, and only its owner can sign up again. Take the line out."
                self._refuse(Refused(line.number, "email", reason))
        return kept

    def _take(self, step: list[Line]) -> None:
        known = dict(self._store.known([line.subscriber.address.key for line in step]))
        for line, fate in self._judged(step, known):
            subscriber = line.subscriber
            key = subscriber.address.key
            self._count(line, fate)
            if fate is Fate.VOUCHED and key in known:
                self._store.vouch(key, subscriber.source, self._at)
            elif fate is Fate.WITHDRAWN and key in known:
                self._store.unsubscribe(known[key].public_id, self._at, self._evidence)
        self._store.import_subscribers(line.subscriber for line in step)
        for line in step:
            key = line.subscriber.address.key
            if line.kept and key not in known:
                self._store.restore(key, line.kept)
            if line.suppressed:
                at, evidence = self._at, self._evidence
                if line.kept and line.kept.suppressed_at:
                    at, evidence = datetime.fromisoformat(line.kept.suppressed_at), line.kept.evidence
                self._store.suppress(key, line.suppressed, at, evidence)
