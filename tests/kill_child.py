"""A sender that kills itself at its k-th step of input or output; run by test_kill.py, once for each world.

It stays warm: the parent process imports everything, then forks a child for each store it is given. A line is
JSON with `urls` (the stores; several begin at the same moment), `briefing`, `kill_at` (0: never); the answer is the
children's exit statuses: 0, 75 for one that was refused in words, or -9.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from newsletter.delivery import Delivery, Links
from newsletter.errors import StoreError
from newsletter.ses.submit import Quota, Ses
from newsletter.store import open_store
from tests.store_contract import PACKAGE

ROOT = Path(__file__).parent.parent


class Steps:
    """Counts the steps of a run, and ends the process, without any last words, at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.taken, self.kill_at = 0, kill_at

    def step(self) -> None:
        self.taken += 1
        if self.taken == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, thing: Any) -> Any:
        """The thing, with a step before and one after each call of its methods."""
        steps = self

        class Watched:
            def __getattr__(self, name: str) -> Callable[..., Any]:
                method = getattr(thing, name)

                def call(*words: Any, **more: Any) -> Any:
                    steps.step()
                    answer = method(*words, **more)
                    steps.step()
                    return answer

                return call

        return Watched()


class FiveAtATime(Ses):
    """Small calls, so that a world of thirteen recipients has three of them."""

    def quota(self) -> Quota:
        return replace(super().quota(), per_second=5.0)


def world(url: str, briefing: str, kill_at: int) -> None:
    steps = Steps(kill_at)
    store = open_store(url)
    with store.sending(briefing):
        mailer = steps.around(FiveAtATime("newsletter"))
        links = Links("https://briefing.example.org", (b"k" * 32,))
        delivery = Delivery(
            steps.around(store), mailer, links, lambda: datetime.now(UTC), lambda seconds: None
        )
        delivery.run(replace(PACKAGE, month=briefing, subject=briefing, content_hash=briefing.ljust(64, "0")))


def child(url: str, briefing: str, kill_at: int, gate: tuple[int, int]) -> None:
    os.close(gate[1])
    os.read(gate[0], 1)  # until the parent closes its end
    try:
        world(url, briefing, kill_at)
    except StoreError:
        os._exit(75)
    os._exit(0)


def main() -> None:
    Ses()  # loads what boto3 loads once
    for line in sys.stdin:
        order = json.loads(line)
        gate, children = os.pipe(), []
        for url in order["urls"]:
            if not (pid := os.fork()):
                child(url, order["briefing"], order["kill_at"], gate)
            children.append(pid)
        for end in gate:
            os.close(end)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        print(json.dumps(statuses), flush=True)  # noqa: T201 - this is how it answers


class Sender:
    """The other end: starts this module in `environment`, and gives it orders."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kill_child"],
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, urls: Sequence[str], briefing: str, kill_at: int = 0) -> list[int]:
        """Run a sender for each store, all together; how each of them ended."""
        assert self._process.stdin
        assert self._process.stdout
        order = {"urls": list(urls), "briefing": briefing, "kill_at": kill_at}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        statuses: list[int] = json.loads(self._process.stdout.readline())
        return statuses

    def close(self) -> None:
        self._process.communicate()


if __name__ == "__main__":
    main()
