"""A sender that kills itself at its k-th step of input or output; run by test_kill.py, once for each world.

It stays warm: the parent process imports everything, then forks a child for each line it is given. A line is
JSON with `url` (the store), `briefing`, `kill_at` (0: never); the answer is the child's exit status, or -9.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from newsletter.delivery import Delivery, Links
from newsletter.ses.submit import Quota, Ses
from newsletter.store import open_store
from tests.store_contract import PACKAGE


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


def main() -> None:
    Ses()  # loads what boto3 loads once
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            world(order["url"], order["briefing"], order["kill_at"])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - this is how it answers


if __name__ == "__main__":
    main()
