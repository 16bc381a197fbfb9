"""The sender that hands out to workers is killed too, wherever it does most harm: nobody twice, nobody lost, nobody
unnamed, and nobody at all once it is withdrawn. Messages come double, late, out of order, or not at all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from newsletter.ses.submit import Ses
from newsletter.ses.work_queue import WorkQueue, task_of
from newsletter.states import ACCEPTED, State
from newsletter.store import Store, open_store
from newsletter.worker import Worker
from tests.coordinator_child import Coordinator, Errand
from tests.fanout_world import BRIEFING, World, hold, judged, tell, world
from tests.ministack_world import Ministack
from tests.worker_child import LINKS, Crew, Hands, Orders

HOUR = 3600.0
# The first call is taken and its answer lost, the second is lost on its way: in doubt, until SES's events tell.
IN_DOUBT = [{"call": 1, "action": "reset", "when": "after"}, {"call": 2, "action": "reset", "when": "before"}]


@dataclass
class Evening:
    """A world with a coordinator that is sent on one errand after another."""

    made: World
    coordinator: Coordinator
    store: Store
    runs: int = 0
    killed: list[str] = field(default_factory=list)

    def errand(self, does: str, kill_after: str = "", kill_at: int = 0) -> int:
        """Send it; while a dead one's right to send lasts, again."""
        until = time.monotonic() + 120
        one = Errand(does, self.made.url, self.made.queue, str(self.made.folder / "quarantine"))
        while True:
            self.runs += 1
            ended = self.coordinator.run(
                replace(one, kill_at=kill_at, kill_after=kill_after, seed=self.runs, ahead=self.made.ahead)
            )
            if ended != 75:
                break
            assert time.monotonic() < until, (self.made.folder / "coordinator.log").read_text()
            time.sleep(0.1)  # the right of a dead sender has an end, and nothing else does
        assert ended in (0, -9), (self.made.folder / "coordinator.log").read_text()
        if ended == -9:
            self.killed.append(f"{does}, {kill_after or f'step {kill_at}'}")
        return ended

    def killed_after(self, does: str, *steps: str) -> None:
        """Send it once for each of these steps; it must come so far, and no farther."""
        for step in steps:
            name, _, times = step.partition(" × ")
            assert self.errand(does, name, int(times or 1)) == -9, f"{does} has no step {step}"

    def pass_on(self) -> None:
        """An hour goes by, when SES has done all that was asked of it."""
        until = time.monotonic() + 60
        while self.made.ses.busy():
            assert time.monotonic() < until, "SES does not come to rest"
            time.sleep(0.02)
        self.made.ahead += HOUR

    def of(self, *states: State) -> int:
        return self.store.counts(BRIEFING).of(*states)

    def to_the_end(self, does: str) -> None:
        """Send it, until nobody is pending."""
        for _ in range(40):
            self.errand(does)
            if not self.of(State.PENDING):
                return
        raise AssertionError(f"it comes to no end: {self.store.counts(BRIEFING).states}")

    def settled(self) -> None:
        """The morning after: events come in, what they show is mailed, until nobody is in doubt."""
        for _ in range(10):
            self.pass_on()
            self.errand("events")
            self.to_the_end("send")
            if not self.of(State.IN_DOUBT):
                return
        raise AssertionError(f"still in doubt: {self.store.doubts(BRIEFING)}")


@contextmanager
def evening(
    kind: str,
    recipients: int,
    folder: Path,
    ministack: Ministack,
    monkeypatch: pytest.MonkeyPatch,
    **more: Any,
) -> Iterator[Evening]:
    with world(kind, recipients, folder, ministack, monkeypatch, **more) as made:
        coordinator = Coordinator(made.environment, folder / "coordinator.log")
        store = open_store(made.url)
        try:
            yield Evening(made, coordinator, store)
        finally:
            store.close()
            coordinator.close()


def ended(name: str, night: Evening, crew: Crew, began: float, killed: int = 0) -> None:
    """Judge a world in which everybody is to have it in the end."""
    if night.made.proxy:
        night.made.proxy.throttled = night.made.proxy.lost = 0
    row = judged(night.made, night.store, crew, night.runs)
    tell(f"{name}, coordinator killed {len(night.killed)} times", night.made, row, time.monotonic() - began)
    hold(row, killed)
    assert (row.mailed, row.in_doubt) == (night.made.recipients, 0)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("dynamodb", marks=pytest.mark.long)])
def test_the_coordinator_is_killed_where_it_would_do_most_harm(
    kind: str, tmp_path: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    with evening(kind, 260, tmp_path, ministack, monkeypatch, faults=IN_DOUBT) as night:
        # Nothing is on the queue; half of it is; all of it; and it watches.
        night.killed_after("send --fan-out", "freeze", "half handed out", "hand_out", "open_turn × 2")
        _die_with_an_answer(night)
        hands = Hands(Orders(night.made.url, night.made.queue, seed=5), night.made.environment, tmp_path / "crew.log")  # fmt: skip
        try:
            # It ends the workers of the dead one, and holds in doubt what they had claimed.
            night.killed_after("send --fan-out", "stop_turn", "hold_orphans")
            night.to_the_end("send --fan-out")
        finally:
            crew = hands.home()
        night.errand("send")  # mails the canary, if nothing else
        assert night.of(State.IN_DOUBT)
        for step in ("receive", "apply", "delete", "before release", "release"):
            night.pass_on()
            night.killed_after("events", step)
        night.settled()
        ended(kind, night, crew, began)


@pytest.mark.parametrize("kind", ["sqlite", "dynamodb"])
def test_what_is_withdrawn_stays_so_wherever_the_coordinator_is_killed(
    kind: str, tmp_path: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whatever is left on the queue, and whoever is found not to have been mailed after all."""
    with evening(kind, 160, tmp_path, ministack, monkeypatch, faults=()) as night:
        night.killed_after("send --fan-out", "hand_out")
        first, second = (
            batch for batch, _ in zip(night.store.batches_open(BRIEFING), range(2), strict=False)
        )
        queue, ses = WorkQueue(night.made.queue), Ses("newsletter")
        own = Worker(night.store, ses, LINKS, lambda: datetime.now(UTC), time.sleep)
        tasks = {task.batch: task for task in _taken(queue)}
        assert own.do(tasks[first])
        assert night.store.claim_batch(BRIEFING, second, 50, "d" * 32, datetime.now(UTC))  # by one who dies
        night.killed_after("withdraw", "hold_orphans", "withdraw")
        night.errand("withdraw")
        for task in tasks.values():  # they come again
            assert own.do(task)
        night.errand("send --fan-out")
        assert [night.of(*ACCEPTED), night.of(State.SKIPPED), night.of(State.IN_DOUBT)] == [50, 60, 50]
        # The events of what was mailed come in; of the dead worker's call they tell nothing: it was never made.
        for _ in range(3):
            night.pass_on()
            night.errand("events")
            night.errand("send")
        assert night.made.ses.calls("SendBulkEmail") == 1
        assert not night.of(State.PENDING, State.CLAIMED)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "dynamodb"])
def test_ten_thousand_whose_coordinator_and_workers_are_killed_at_random(
    kind: str, tmp_path: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any step of sending and of settling, again and again."""
    began, chance = time.monotonic(), random.Random(23)  # noqa: S311 - not a secret
    with evening(kind, 10_000, tmp_path, ministack, monkeypatch) as night:
        hands = Hands(Orders(night.made.url, night.made.queue, steps=300, kills=0.2, seed=29), night.made.environment, tmp_path / "crew.log")  # fmt: skip
        try:
            while len(night.killed) < 25 and (len(night.killed) < 5 or night.of(State.PENDING)):
                night.errand("send --fan-out", kill_at=chance.randint(2, 200))
            night.to_the_end("send --fan-out")
        finally:
            crew = hands.home()
        while night.of(State.IN_DOUBT) and len(night.killed) < 50:
            night.pass_on()
            for does in ("events", "send"):
                night.errand(does, kill_at=chance.randint(2, 120))
        night.settled()
        ended(kind, night, crew, began, killed=20)


def _die_with_an_answer(night: Evening) -> None:
    """A worker has SES's word for a batch, and dies before it is written down; its message comes again."""

    class Dying:
        def __getattr__(self, name: str) -> Any:
            return getattr(night.store, name)

        def record(self, *words: Any) -> None:
            raise KeyboardInterrupt

    queue, store = WorkQueue(night.made.queue), cast(Store, Dying())
    worker = Worker(store, Ses("newsletter"), LINKS, lambda: datetime.now(UTC), time.sleep)

    until = time.monotonic() + 60  # so long workers may act without their coordinator

    def work() -> None:
        while messages := queue.receive(5, 1):  # some are of a run that is over
            assert time.monotonic() < until
            task = task_of(messages[0])
            assert task
            worker.do(task)

    with pytest.raises(KeyboardInterrupt):
        work()


def _taken(queue: WorkQueue) -> Iterator[Any]:
    """The tasks on the queue."""
    while messages := queue.receive(0):
        for message in messages:
            if task := task_of(message):
                yield task
        queue.delete(messages)
