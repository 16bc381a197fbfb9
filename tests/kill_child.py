"""A sender that kills itself at its k-th step of input or output; run by test_kill.py, once for each world.

It stays warm: the parent process imports everything, then forks a child for each store it is given. A line is
JSON with `urls` (the stores; several begin at the same moment), `briefing` and what else an `Evening` has; the answer
is the children's exit statuses: 0, 75 for one that was refused in words, or -9.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from newsletter import package
from newsletter.aftermath import Aftermath
from newsletter.delivery import Delivery, Links
from newsletter.errors import StoreError
from newsletter.models import Package
from newsletter.ses.queue import EventQueue
from newsletter.ses.submit import EntryResult, Quota, Ses
from newsletter.states import State
from newsletter.store import open_store
from newsletter.vigil import Vigil
from tests.store_contract import PACKAGE

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Evening:
    """How the sender is run: killed at which step (0: at none), of all steps or only as calls of `kill_after` end; how
    long it waits for an answer, with SES's events or without, how many come first, and how far ahead its clock is;
    seconds.
    """

    kill_at: int = 0
    kill_after: str = ""
    read_seconds: float = 20.0
    events: bool = False
    slice_size: int = 0
    quiet: float = 900.0
    ahead: float = 0.0


class Steps:
    """Counts the steps of a run, and ends the process, without any last words, at one of them."""

    def __init__(self, kill_at: int, only: str = "") -> None:
        self.taken, self.kill_at, self.only = 0, kill_at, only

    def step(self, name: str) -> None:
        self.taken += not self.only or self.only == name
        if self.taken == self.kill_at > 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, thing: Any) -> Any:
        """The thing, with a step before and one after each call of its methods."""
        steps = self

        class Watched:
            def __getattr__(self, name: str) -> Callable[..., Any]:
                method = getattr(thing, name)

                def call(*words: Any, **more: Any) -> Any:
                    steps.step(f"before {name}")
                    answer = method(*words, **more)
                    steps.step(name)
                    return answer

                return call

        return Watched()


class Hasty(Ses):
    """Gives SES's answer to a mailing little time. Whoever asked everything so would fail on a busy machine."""

    def __init__(self, read_seconds: float) -> None:
        self.read_seconds = read_seconds
        super().__init__("newsletter")


class FiveAtATime(Ses):
    """Small calls, so that a world of thirteen recipients has three of them."""

    def __init__(self, read_seconds: float = Evening.read_seconds) -> None:
        super().__init__("newsletter")
        self._hasty = Hasty(read_seconds)

    def quota(self) -> Quota:
        return replace(super().quota(), per_second=5.0)

    def submit(self, *words: Any, **more: Any) -> list[EntryResult]:
        return self._hasty.submit(*words, **more)


class Impatient(Vigil):
    """Whoever kills the sender does not wait ten minutes for its first slice."""

    patience, between = 1.0, 0.02


def mailed(briefing: str) -> Package:
    """What is mailed as `briefing`: a subject of its own, and so a hash of its own."""
    made = replace(PACKAGE, month=briefing, subject=briefing)
    return replace(made, content_hash=package.content_hash(made))


def world(url: str, briefing: str, evening: Evening) -> None:
    """Mail `briefing` from the ledger at `url`, as `newsletter send` does."""
    steps = Steps(evening.kill_at, evening.kill_after)

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=evening.ahead)

    real = open_store(url)
    with real.sending(briefing):
        store, ses = steps.around(real), steps.around(FiveAtATime(evening.read_seconds))
        aftermath = vigil = None
        if evening.events:
            queue = EventQueue(os.environ["EVENTS_QUEUE_URL"], os.environ["EVENTS_TOPIC_ARN"])
            aftermath = Aftermath(store, steps.around(queue), real.path.parent / "quarantine", clock)  # type: ignore[attr-defined]
            vigil = Impatient(store, aftermath, clock, quiet=timedelta(seconds=evening.quiet))
        links = Links("https://briefing.example.org", (b"k" * 32,))
        delivery = Delivery(
            store, ses, links, clock, lambda seconds: None, vigil=vigil, slice_size=evening.slice_size
        )
        report = delivery.run(mailed(briefing))
        if aftermath and report.counts.of(State.IN_DOUBT):
            aftermath.mail_canary(ses, PACKAGE.sender)


def child(url: str, briefing: str, evening: Evening, gate: tuple[int, int]) -> None:
    os.close(gate[1])
    os.read(gate[0], 1)  # until the parent closes its end
    try:
        world(url, briefing, evening)
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
                child(url, order["briefing"], Evening(**order["evening"]), gate)
            children.append(pid)
        for end in gate:
            os.close(end)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        print(json.dumps(statuses), flush=True)  # noqa: T201 - this is how it answers


class Sender:
    """The other end: starts this module in `environment`, and gives it orders."""

    def __init__(self, environment: Mapping[str, str], before: Sequence[str] = ()) -> None:
        """`before` is the beginning of the command, for a tracer."""
        self._process = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.kill_child"],
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, urls: Sequence[str], briefing: str, evening: Evening = Evening()) -> list[int]:
        """Run a sender for each store, all together; how each of them ended."""
        assert self._process.stdin
        assert self._process.stdout
        order = {"urls": list(urls), "briefing": briefing, "evening": asdict(evening)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        statuses: list[int] = json.loads(self._process.stdout.readline())
        return statuses

    def close(self) -> None:
        self._process.communicate()


if __name__ == "__main__":
    main()
