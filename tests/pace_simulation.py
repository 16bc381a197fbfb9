"""Many workers on a clock that only the simulation moves, all sharing one account's rate by `shared_pace`.

Each takes a batch, a slot, waits for it, claims the batch in the store, calls SES and writes its answer down. Stores
and SES answer after random times, now and then very late; clocks are not quite alike. The same seed gives the same
evening.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

from newsletter.shared_pace import SECOND, Begin, Extend, Queueing, Slot, Wait, Written, slots

_MS = SECOND // 1000


@dataclass
class Stored:
    """The hourglass as DynamoDB keeps it: a number, and writes whose conditions it judges one after another."""

    until: int | None = None
    writes: int = 0
    refused: int = 0

    def write(self, step: Begin | Extend) -> Written:
        self.writes += 1
        if isinstance(step, Begin):
            holds = self.until is None or self.until < step.now
            new = step.until
        else:
            holds = self.until is not None and step.now <= self.until <= step.latest
            new = (self.until or 0) + step.by
        if holds:
            self.until = new
        self.refused += not holds
        return Written(holds, self.until)


@dataclass
class Evening:
    """What came of it: how long it took, the most recipients in any one second, and what it cost."""

    seconds: float = 0.0
    peak: int = 0
    calls: int = 0
    mailed: int = 0
    pace_writes: int = 0
    ledger_writes: int = 0
    given_up: int = 0  # slots that came and went
    worked: float = 0.0  # seconds, of all workers together, from taking a batch to its last write


@dataclass
class _Worker:
    queueing: Queueing
    skew: int
    batch: int = 0
    since: int = 0
    slot: Slot | None = None
    claimed: bool = False


@dataclass
class _Window:
    """The recipients of the last second before each call."""

    calls: deque[tuple[int, int]] = field(default_factory=deque)
    held: int = 0
    peak: int = 0

    def add(self, at: int, recipients: int) -> None:
        self.calls.append((at, recipients))
        self.held += recipients
        while self.calls[0][0] <= at - SECOND:
            self.held -= self.calls.popleft()[1]
        self.peak = max(self.peak, self.held)


def simulate(
    recipients: int, per_second: float, workers: int, seed: int = 1, stalls: float = 0.01
) -> Evening:
    """Mail to so many; `stalls` is how often a store or SES answers only after up to two seconds."""
    rng, rule, stored = random.Random(seed), slots(per_second), Stored()  # noqa: S311 - a simulation, not a secret
    full, rest = divmod(recipients, rule.size)
    waiting = deque([rule.size] * full + [rest] * bool(rest))
    crew = [_Worker(Queueing(stored), rng.randint(-2, 2) * _MS) for _ in range(workers)]
    agenda = [(rng.randint(0, SECOND), number) for number in range(workers)]
    heapq.heapify(agenda)
    evening, window, ended = Evening(), _Window(), 0

    def answer(usual: int) -> int:
        if rng.random() < stalls:
            return rng.randint(usual, 2 * SECOND)
        return int(usual * (0.7 + 0.6 * rng.random()))

    while agenda:
        now, number = heapq.heappop(agenda)
        worker = crew[number]
        clock = now + worker.skew
        if not worker.batch:
            if not waiting:
                continue
            worker.batch, worker.since = waiting.popleft(), now
        if worker.slot is None:
            writes = stored.writes
            taken = worker.queueing.take(clock, rule)
            took = sum(answer(6 * _MS) for _ in range(stored.writes - writes))
            if isinstance(taken, Wait):
                heapq.heappush(agenda, (now + took + taken.microseconds, number))
                continue
            worker.slot = taken
            heapq.heappush(agenda, (max(now + took, taken.start - worker.skew), number))
        elif worker.slot.is_over(clock):
            worker.slot = None
            evening.given_up += 1
            heapq.heappush(agenda, (now, number))
        elif not worker.claimed:
            worker.claimed = True
            evening.ledger_writes += 1
            heapq.heappush(agenda, (now + answer(8 * _MS), number))
        else:
            window.add(now, worker.batch)
            evening.calls += 1
            evening.mailed += worker.batch
            evening.ledger_writes += 1
            ended = max(ended, now)
            done = now + answer(100 * _MS) + answer(8 * _MS)
            evening.worked += (done - worker.since) / SECOND
            worker.batch, worker.slot, worker.claimed = 0, None, False
            heapq.heappush(agenda, (done, number))
    evening.seconds, evening.peak, evening.pace_writes = ended / SECOND, window.peak, stored.writes
    return evening
