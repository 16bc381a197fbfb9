"""A worker: mails the batches that a run of the sender hands out, by the same claim, POST and record as the sender.

    task ─► may it? ─► anybody pending? ─► a slot of the account's rate ─► may it still? ─► claim ─► POST ─► record

What a task says is not believed: it can come twice, late, and from a run that is over. The store says which turn is the
newest, whether SES gave it to this ledger, and until when its run wants workers to act; a claim is one conditional write,
so a batch that is claimed or done is mailed to nobody, however often its task comes.

A claim is posted at once: one that was held up until its slot was over waits for another slot and asks again whether it
may. So between the last look and the call there is nothing to wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from newsletter.call import Submitter
from newsletter.mailing import Links, Mailing
from newsletter.pace import USED_UP, Allowance
from newsletter.ses.submit import Quota
from newsletter.ses.work_queue import Task
from newsletter.shared_pace import SECOND, Begin, Extend, Queueing, Slot, Wait, Written, slots
from newsletter.store import Store
from newsletter.turn import book


class Account(Submitter, Protocol):
    """What a worker needs of SES; `ses.submit.Ses` is it."""

    @property
    def place(self) -> str:
        """Which SES that is, for the ledger."""
        ...

    def quota(self) -> Quota:
        """What the account may send."""
        ...


@dataclass(frozen=True, slots=True)
class SharedHourglass:
    """The account's time, in the store that all its workers share."""

    store: Store
    account: str

    def write(self, step: Begin | Extend) -> Written:
        """See shared_pace. Raises StoreError."""
        if isinstance(step, Begin):
            return Written(*self.store.begin_pace(self.account, step.now, step.until))
        return Written(*self.store.extend_pace(self.account, step.by, step.now, step.latest))


class Worker:
    """One process or function that mails batches. One object serves one thread."""

    # The longest pause in one piece, in seconds: so soon a request to stop is heeded.
    longest_pause = 0.5

    def __init__(
        self,
        store: Store,
        ses: Account,
        links: Links,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
    ) -> None:
        """`clock` tells the time, `pause` waits seconds. Nobody is asked yet."""
        self._store, self._ses, self._links, self._clock, self._pause = store, ses, links, clock, pause
        self._queueing = Queueing(SharedHourglass(store, ses.place))
        self._allowance: Allowance | None = None
        self._mailing: Mailing | None = None
        self._of: tuple[str, int] | None = None
        self._stopping: Callable[[], bool] = lambda: False
        self.submitted = 0

    def do(self, task: Task, stopping: Callable[[], bool] = lambda: False) -> bool:
        """Mail a task's batch, until nobody in it is pending: True, or False where it should come again.

        `stopping` says whether to begin no further call. A task whose run is over is done: whoever is pending in it is
        handed out anew by the next run. Raises StoreError, SesError: then it should come again too.
        """
        self._stopping = stopping
        if not self._may(task):
            return True
        mailing, allowance = self._mailing_of(task), self._allowance_now()
        if mailing is None:
            return True
        while self._store.waiting(task.briefing, task.batch):
            slot = self._slot(allowance)
            if slot is None:
                return False
            if not self._may(task):
                return True
            size = int(min(slot.size, allowance.left))
            if size < 1:
                self._stop(task, USED_UP)
                return True
            claim = self._store.claim_batch(task.briefing, task.batch, size, mailing.attempt(), self._clock())
            if claim is None:
                return True
            while slot.is_over(self._now()):
                slot = self._slot(allowance)
                if slot is None or not self._may(task):
                    mailing.give_back(claim)
                    return slot is not None
            step = mailing.post(claim, full=len(claim.recipients) == size)
            self.submitted += step.submitted
            allowance.spend(step.submitted)
            if step.stop:
                self._stop(task, step.stop)
                return True
            if step.rest and not self._wait(step.rest):
                return False
        return True

    def _may(self, task: Task) -> bool:
        """Whether the run that has handed it out still wants it done, and this ledger is the one to do it."""
        turn = self._store.turn(book(task.briefing, self._ses.place))
        return bool(
            turn
            and turn.number == task.turn
            and turn.taken
            and not turn.stopped
            and turn.open_until
            and self._clock() < turn.open_until
        )

    def _stop(self, task: Task, reason: str) -> None:
        """Have all workers end, and the run too."""
        self._store.stop_turn(book(task.briefing, self._ses.place), task.turn, reason)

    def _mailing_of(self, task: Task) -> Mailing | None:
        """What a task's briefing is mailed by, kept from one task of a run to the next; None for what was not frozen to
        go through this SES.
        """
        if self._of != (task.briefing, task.turn):
            package = self._store.frozen(task.briefing)
            if package is None or self._store.through(task.briefing) != self._ses.place:
                return None
            self._mailing = Mailing(
                self._store,
                self._ses,
                self._links,
                package,
                self._clock,
                self._pause,
                lambda: self._stopping(),
            )
            self._of = task.briefing, task.turn
        return self._mailing

    def _allowance_now(self) -> Allowance:
        """What the account may mail, asked again once a minute. Raises SesError."""
        if self._allowance is None:
            self._allowance = Allowance(self._ses.quota(), self._ses.quota, self._clock)
        return self._allowance

    def _slot(self, allowance: Allowance) -> Slot | None:
        """Take a slot and wait until it begins; None if told to stop meanwhile."""
        while not self._stopping():
            allowance.renewed()
            taken = self._queueing.take(self._now(), slots(allowance.quota.per_second))
            if isinstance(taken, Wait):
                self._wait(taken.microseconds / SECOND)
            elif self._wait(taken.wait(self._now())) and not taken.is_over(self._now()):
                return taken
        return None

    def _wait(self, seconds: float) -> bool:
        """Pause, but no longer than until it is to stop; False then."""
        while not self._stopping():
            self._pause(min(seconds, self.longest_pause))
            seconds -= self.longest_pause
            if seconds <= 0:
                return True
        return False

    def _now(self) -> int:
        return int(self._clock().timestamp() * SECOND)
