"""The sender that hands batches out to workers, killed at one of its own steps; run by test_coordinator_kill.py.

The first process stays warm and forks a child for each order it is given (one line of JSON, an `Errand`); the answer is
how the child ended: 0, 75 for one that was refused in words, or -9.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from newsletter.aftermath import Aftermath
from newsletter.delivery import Delivery
from newsletter.errors import StoreError
from newsletter.ses.queue import EventQueue
from newsletter.ses.submit import Ses
from newsletter.states import State
from newsletter.store import Store, open_store
from newsletter.store.dynamodb import lease
from newsletter.turn import recall
from newsletter.vigil import Vigil
from tests.fanout_world import BRIEFING, MAILED, Careless, Prompt
from tests.kill_child import ROOT, Steps
from tests.worker_child import LINKS


@dataclass(frozen=True)
class Errand:
    """What is typed (send, with workers or alone; withdraw; events, which settles) in which world; at which step it is
    killed (0: at none), of all steps or only of those with that name; how far ahead its clock is, in seconds.
    """

    does: str
    url: str
    queue: str
    quarantine: str
    kill_at: int = 0
    kill_after: str = ""
    seed: int = 1
    ahead: float = 0.0


class Halting(Careless):
    """Hands out one half, takes a step, and hands out the other."""

    def __init__(self, url: str, seed: int, step: Callable[[str], None]) -> None:
        super().__init__(url, seed)
        self._step = step

    def hand_out(self, tasks: Any) -> None:
        given = list(tasks)
        super().hand_out(given[: len(given) // 2])
        self._step("half handed out")
        super().hand_out(given[len(given) // 2 :])


class Hurried(Prompt):
    """Waits a moment only for what a dead worker has claimed."""

    answered = timedelta(seconds=1)


def run(errand: Errand) -> None:
    steps = Steps(errand.kill_at, errand.kill_after)

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=errand.ahead)

    real = open_store(errand.url)
    _step_at_writes(real, steps)
    store, ses = steps.around(real), steps.around(Ses("newsletter"))
    events = steps.around(EventQueue(os.environ["EVENTS_QUEUE_URL"], os.environ["EVENTS_TOPIC_ARN"]))
    aftermath = Aftermath(store, events, Path(errand.quarantine), clock, LINKS.secret_keys)
    with real.sending(BRIEFING):
        match errand.does:
            case "withdraw":
                recall(store, BRIEFING, clock, time.sleep, Hurried.answered)
                store.withdraw(BRIEFING, clock())
            case "events":
                aftermath.read()
                aftermath.settle(BRIEFING)
            case _:
                more: dict[str, Any] = {
                    "through": Ses("newsletter").place,
                    "vigil": Vigil(store, aftermath, clock),
                }
                if errand.does == "send --fan-out":
                    queue = steps.around(Halting(errand.queue, errand.seed, steps.step))
                    report = Hurried(store, ses, LINKS, clock, time.sleep, queue=queue, **more).run(MAILED)
                else:
                    Delivery.answered = Hurried.answered
                    report = Delivery(store, ses, LINKS, clock, time.sleep, **more).run(MAILED)
                if report.counts.of(State.IN_DOUBT):
                    aftermath.mail_canary(ses, MAILED.sender)


def _step_at_writes(store: Store, steps: Steps) -> None:
    """DynamoDB does one promise of the store by several writes: a step before and after each of them."""
    table: Any = getattr(store, "table", None)
    if table is None:
        return
    act = table.act

    def stepping(actions: Any) -> None:
        steps.step("before write")
        act(actions)
        steps.step("write")

    table.act = stepping


def child(errand: Errand) -> None:
    lease.LASTS, lease._EVERY = 1, 0.2  # nobody waits a minute for what a dead one held
    random.seed(errand.seed)
    try:
        run(errand)
    except StoreError as refused:
        print(refused, file=sys.stderr, flush=True)  # noqa: T201
        os._exit(75)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def main() -> None:
    Ses()  # loads what boto3 loads once
    for line in sys.stdin:
        if not (pid := os.fork()):
            child(Errand(**json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - this is how it answers


class Coordinator:
    """The other end: starts this module in `environment`, and gives it orders."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.coordinator_child"],
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def run(self, errand: Errand) -> int:
        """Do one errand; how it ended."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asdict(errand)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()
        self._log.close()


if __name__ == "__main__":
    main()
