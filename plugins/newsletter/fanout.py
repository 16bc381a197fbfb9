"""A run of the sender whose calls are made by workers: it hands out the batches, watches, and ends them.

    first slice, by itself ─► open the turn ─► batches on the queue ─► watch: events, brakes, counts ─► stop the turn
                                                        ▲                       │
                                                        └── the queue is empty ─┘ and somebody is pending

Workers act only while this run says so, every quarter of a minute: whatever ends it (a brake, a person, a crash) ends
them too. Lost and dead messages leave their batches pending; those are put on the queue again by this run, and by the
next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, Protocol

from newsletter.delivery import BY_HAND, Delivery
from newsletter.errors import SesError
from newsletter.mailing import Mailing
from newsletter.pace import SHARE, Allowance
from newsletter.ses.work_queue import Task
from newsletter.states import ACCEPTED, OPEN, State
from newsletter.store import Counts
from newsletter.turn import Turns, recall


class Handing(Protocol):
    """Where tasks are put; `ses.work_queue.WorkQueue` is it."""

    def hand_out(self, tasks: list[Task]) -> None:
        """Put tasks on the queue."""
        ...

    def backlog(self) -> tuple[int, int]:
        """How many messages wait, and how many are given out."""
        ...


class FanOut(Delivery):
    """One run over one briefing, with workers. It is told apart from `Delivery` by `others` alone: all before and after
    (turn, template, freeze, first slice) is the same.
    """

    # For how long workers may act without hearing from this run again.
    lasts = timedelta(seconds=60)
    # How long between two looks at the ledger, in seconds, at the least; which part of the time may be spent on looking;
    # and into how many looks a whole mailing is divided. A look reads all batches, so that is what looking costs.
    between, share, looks = 2.0, 0.05, 100
    # How long nothing may change until what is pending is put on the queue again; and until there are no workers.
    again, patience = timedelta(seconds=60), timedelta(minutes=10)

    def __init__(
        self, *words: Any, queue: Handing, tell: Callable[[str], None] = lambda words: None, **more: Any
    ) -> None:
        """As Delivery, with the `queue`; `tell` is told, in words, what is waited for."""
        super().__init__(*words, **more)
        self._queue, self._tell = queue, tell
        self._handed_out = False
        self._by_workers = 0
        self._took = timedelta(0)  # by the last look
        self._per_second = 1.0  # SES's rate

    def has_mailed(self, mailing: Mailing) -> bool:
        """Whether this run, or its workers, may have mailed anybody."""
        return self._handed_out or super().has_mailed(mailing)

    def submitted_now(self, mailing: Mailing) -> int:
        """How many were submitted by this run and its workers."""
        return super().submitted_now(mailing) + self._by_workers

    def others(self, mailing: Mailing, allowance: Allowance, turns: Turns) -> str:
        """Have workers submit to all who are pending; the reason for stopping early, or ""."""
        briefing = mailing.briefing
        before = self._store.counts(briefing)
        if not before.of(State.PENDING):
            return ""
        self._handed_out, self._per_second = True, allowance.quota.per_second
        reason = "it has ended"
        try:
            reason = self._watched(briefing, turns, before)
        finally:
            told = turns.stop(reason or "everybody has had their turn")
            recall(self._store, briefing, self._clock, self._pause, self.answered)
            after = self._store.counts(briefing)
            self._by_workers = max(0, after.of(*ACCEPTED) - before.of(*ACCEPTED))
        return reason and told

    def _watched(self, briefing: str, turns: Turns, counts: Counts) -> str:
        first = counts.of(State.PENDING)
        due = changed = handed = self._clock()
        if not self._renewed(turns):
            return "its turn is over"
        if not self._hand_out(briefing, turns):
            return BY_HAND
        while not self._stopping:
            if not self._renewed(turns):
                return "a worker has stopped it"  # the turn itself says why
            if self._vigil and (reason := self._vigil.alarm(briefing)):
                return reason
            if self._clock() >= due:
                began = self._clock()
                now = self._store.counts(briefing)
                self._took = self._clock() - began
                if now.states != counts.states:
                    self._progress(max(0, counts.of(*OPEN) - now.of(*OPEN)))
                    counts, changed = now, self._clock()
                still = self._clock() - changed
                if not now.of(State.PENDING) and (not now.of(State.CLAIMED) or still > self.answered):
                    return ""
                if still > self.patience:
                    return (
                        f"nothing has happened for {self.patience.total_seconds() / 60:.0f} minutes. Does any worker run "
                        "(newsletter worker), and with this store and queue?"
                    )
                if min(still, self._clock() - handed) > self.again and now.of(State.PENDING) and self._idle():
                    self._tell(
                        "the queue is empty, and somebody is still pending: those batches are put on it again"
                    )
                    if not self._hand_out(briefing, turns):
                        break
                    handed = self._clock()
                took, per_second = self._took.total_seconds(), self._per_second
                due = self._clock() + timedelta(
                    seconds=self.rest(took, first, now.of(State.PENDING), per_second)
                )
            self._wait(min(max(0.0, (due - self._clock()).total_seconds()), self.lasts.total_seconds() / 4))
        return BY_HAND

    @classmethod
    def rest(cls, took: float, first: int, pending: int, per_second: float) -> float:
        """How many seconds until the next look, after one that `took` so many, when of `first` recipients so many are
        pending at `per_second`. Looks that came as often in a long mailing of many as in a short one of few would cost
        as the square of the recipients. Towards the end they come sooner, since the end is waited for.
        """
        whole, left = (count / (SHARE * max(1.0, per_second)) for count in (first, pending))
        return max(cls.between, min(max(took / cls.share, whole / cls.looks), max(took, left)))

    def _renewed(self, turns: Turns) -> bool:
        """Tell the workers that they may go on, also while this run looks; False where they may not any more."""
        return turns.open(self._clock() + self.lasts + 2 * self._took)

    def _hand_out(self, briefing: str, turns: Turns) -> bool:
        """Put every batch in which somebody is pending on the queue; False if told to stop meanwhile. Raises SesError."""
        names: Iterator[str] = self._store.batches_open(briefing)
        count, last = 0, self._clock()
        while some := list(islice(names, 100)):
            if self._stopping:
                return False
            self._queue.hand_out([Task(briefing, turns.number, name) for name in some])
            count += len(some)
            if self._clock() - last > self.lasts / 4:
                last = self._clock()
                if not self._renewed(turns):
                    break
        self._tell(f"{count:,} batches are on the queue for the workers")
        return True

    def _idle(self) -> bool:
        """Whether no message waits, as far as SQS knows. One that is given out and changes nothing is as good as lost:
        it may stay with a dead worker for as long as the queue's visibility timeout.
        """
        try:
            return self._queue.backlog()[0] == 0
        except SesError:
            return False
