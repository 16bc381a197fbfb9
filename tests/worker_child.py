"""A crew of workers, each a process that is killed again and again; run by test_fanout_kill.py, once for each world.

The first process stays warm and forks a worker whenever one has died. A worker ends itself without any last words at
one of its steps (before or after a call of the store, of SES or of the queue), and every now and then one is killed from
outside, wherever it is. It reads its orders from one line of JSON (`Orders`), works until its input ends, and answers
with a line: how many workers it has started, and how many were killed at a step and from outside.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from newsletter.mailing import Links
from newsletter.ses.submit import Ses
from newsletter.ses.work_queue import WorkQueue, task_of
from newsletter.store import open_store
from newsletter.worker import Worker
from tests.kill_child import Steps

ROOT = Path(__file__).parent.parent
LINKS = Links("https://briefing.example.org", (b"k" * 32,))


@dataclass(frozen=True)
class Orders:
    """Which store and queue; how many workers at one time; at which of its steps a worker dies at the latest (0: never),
    and how often a second one is killed from outside; the seed of the chances.
    """

    url: str
    queue: str
    workers: int = 4
    steps: int = 0
    kills: float = 0.0
    seed: int = 1


@dataclass
class Crew:
    """What became of the workers."""

    started: int = 0
    at_a_step: int = 0
    from_outside: int = 0

    @property
    def killed(self) -> int:
        return self.at_a_step + self.from_outside


def work(orders: Orders, chance: random.Random) -> None:
    """What `newsletter worker` does, with a step around every call."""
    steps = Steps(chance.randint(3, orders.steps) if orders.steps else 0)
    store, ses = steps.around(open_store(orders.url)), steps.around(Ses("newsletter"))
    queue = steps.around(WorkQueue(orders.queue))
    # `place` is no call: Steps would make one of it.
    ses.__class__.place = Ses("newsletter").place
    worker = Worker(store, ses, LINKS, lambda: datetime.now(UTC), time.sleep)
    while True:
        for message in queue.receive(1, 1):
            task = task_of(message)
            if task is None or worker.do(task):
                queue.delete([message])
            else:
                queue.give_back(message, 0)


def main() -> None:
    Ses()  # loads what boto3 loads once
    orders = Orders(**json.loads(sys.stdin.readline()))
    chance = random.Random(orders.seed)  # noqa: S311 - not a secret
    crew, hands, told = Crew(), set[int](), set[int]()
    over = False
    while hands or not over:
        while not over and len(hands) < orders.workers:
            crew.started += 1
            seed = chance.random()
            if not (pid := os.fork()):
                try:
                    work(orders, random.Random(seed))  # noqa: S311
                finally:
                    os._exit(1)
            hands.add(pid)
        if not over and select.select([sys.stdin], [], [], 0.02)[0]:
            over = not sys.stdin.read(1)
            told |= hands
            for pid in hands:
                os.kill(pid, signal.SIGKILL)
        if not over and hands and chance.random() < orders.kills * 0.02:
            pid = chance.choice(sorted(hands))
            os.kill(pid, signal.SIGKILL)
            crew.from_outside += 1
            told.add(pid)
        while hands:
            pid, status = os.waitpid(-1, 0 if over else os.WNOHANG)
            if not pid:
                break
            hands.discard(pid)
            if os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
                crew.at_a_step += pid not in told
            else:
                print(f"a worker ended by itself: {status}", file=sys.stderr)  # noqa: T201
    print(json.dumps(asdict(crew)), flush=True)  # noqa: T201 - this is how it answers


class Hands:
    """The other end: a crew at work."""

    def __init__(self, orders: Orders, environment: Mapping[str, str], log: Path) -> None:
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.worker_child"],
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asdict(orders)) + "\n")
        self._process.stdin.flush()

    def home(self) -> Crew:
        """End them all; what became of them."""
        said, _ = self._process.communicate()
        self._log.close()
        return Crew(**json.loads(said))


if __name__ == "__main__":
    main()
