"""How many mails a second 1, 2 and 4 workers submit, each call answered after 100 ms, with room and at the account's limit.

Each worker is a process of its own; they share one SQLite file, one queue and one SES. Measured is from the first call of
a run to its last. Without a limit in the way each worker should add as much as the first one submits alone; with one, all
together should come close to nine tenths of it, which is what a sender takes of the account's rate.

The local SES is one process, and does with a mail most of what AWS does: on a machine with few cores it is what is waited
for. So the workers are measured beside an SES that only answers, too.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from newsletter import package
from newsletter.fanout import FanOut
from newsletter.local_ses.config import LocalSesConfig, RunningSes
from newsletter.local_ses.server import running
from newsletter.pace import SHARE
from newsletter.ses.submit import Ses
from newsletter.ses.work_queue import WorkQueue
from newsletter.states import State
from newsletter.store import open_store
from tests.store_contract import PACKAGE, person
from tests.worker_child import LINKS, Hands, Orders

RECIPIENTS, BATCH, LATENCY = 8_000, 50, 0.1
ROOM, LIMIT = 20_000.0, 500.0
WORKERS = (1, 2, 4)
MAILED = replace(PACKAGE, content_hash=package.content_hash(PACKAGE))


class Prompt(FanOut):
    """The run itself is not what is measured: it looks often enough not to be waited for."""

    between = 0.5


@dataclass(frozen=True)
class Pace:
    """Mails submitted a second, how many calls SES refused for coming too fast, and the cores that all of it kept busy."""

    a_second: float
    refused: int = 0
    cores: float = 0.0


@dataclass
class Used:
    """Seconds of CPU that this process and its children take between two moments, by `getrusage`."""

    cpu: float = field(default_factory=lambda: _cpu())
    at: float = field(default_factory=time.monotonic)

    def cores(self) -> float:
        return (_cpu() - self.cpu) / (time.monotonic() - self.at)


def local(workers: int, rate: float) -> Pace:
    """Through the local SES, which renders each mail, writes it to its mailbox and tells of it by two events."""
    with tempfile.TemporaryDirectory() as name, _ses(Path(name), rate, LATENCY) as ses:
        times: list[tuple[float, int]] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.005):
                calls = ses.calls("SendBulkEmail")
                if calls and (not times or calls > times[-1][1]):
                    times.append((time.monotonic(), calls))

        thread = threading.Thread(target=watch)
        thread.start()
        cores = _mail(Path(name), ses.environment, workers)
        over.set()
        thread.join()
    (began, first), (ended, last) = times[0], times[-1]
    return Pace((last - first) * BATCH / (ended - began), last - RECIPIENTS // BATCH, cores)


def sink(workers: int) -> Pace:
    """Through an SES that only answers, as late: what is left is what the workers themselves can do."""
    with tempfile.TemporaryDirectory() as name, _ses(Path(name), ROOM, 0.0) as ses:
        answering = subprocess.Popen(
            [sys.executable, Path(__file__).parent / "sink.py", "--latency", str(LATENCY)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with answering:
            assert answering.stdout
            url = f"http://127.0.0.1:{answering.stdout.readline().split()[0]}"
            cores = _mail(Path(name), {**ses.environment, "AWS_ENDPOINT_URL_SESV2": url}, workers)
            with urllib.request.urlopen(f"{url}/tally") as answer:
                told = json.load(answer)
            answering.terminate()
    if told["mails"] != RECIPIENTS or told["twice"]:
        sys.exit(f"Not everybody was mailed once: {told}")
    return Pace((told["calls"] - 1) * BATCH / told["seconds"], cores=cores)


def _ses(folder: Path, rate: float, latency: float) -> AbstractContextManager[RunningSes]:
    call = {"operation": "SendBulkEmail", "action": "latency", "seconds": latency}
    (folder / "faults.json").write_text(json.dumps({"calls": [call] if latency else []}))
    config = LocalSesConfig(
        folder / "mailbox", folder / "ses.sqlite", folder / "accepts.jsonl", faults=folder / "faults.json",
        identities=("example.org",), max_send_rate=rate, daily_quota=-1,
    )  # fmt: skip
    return running(config)


def _mail(folder: Path, environment: Mapping[str, str], workers: int) -> float:
    """Have everybody mailed; how many cores were busy meanwhile."""
    url = f"sqlite:///{folder / 'newsletter.db'}"
    os.environ.update(environment)
    with closing(open_store(url)) as store:
        store.import_subscribers(person(f"reader{number:06d}") for number in range(RECIPIENTS))
        used = Used()
        hands = Hands(Orders(url, environment["WORK_QUEUE_URL"], workers), environment, folder / "log")
        real, queue = Ses("newsletter"), WorkQueue(environment["WORK_QUEUE_URL"])
        with store.sending(MAILED.month):
            report = Prompt(
                store, real, LINKS, lambda: datetime.now(UTC), time.sleep, through=real.place, queue=queue
            ).run(MAILED)  # fmt: skip
        hands.home()
        if report.counts.states != {State.SUBMITTED: RECIPIENTS}:
            sys.exit(f"The run did not come to its end: {report}")
        return used.cores()


def _cpu() -> float:
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def main() -> None:
    print(f"{RECIPIENTS:,} recipients in calls of {BATCH}, each answered after {LATENCY * 1000:.0f} ms")
    print(f"{'':>8} │ {'only answers':>16} │ {'the local SES':>23} │ {f'limit {LIMIT:.0f} a second':>18}")
    print(
        f"{'workers':>8} │ {'a second':>9} {'':>6} │ {'a second':>9} {'':>6} {'cores':>6} │ {'a second':>9} {'share':>8}"
    )
    bare = full = 0.0
    refused = 0
    for workers in WORKERS:
        answered, free, held = sink(workers), local(workers, ROOM), local(workers, LIMIT)
        bare, full = bare or answered.a_second, full or free.a_second
        refused += free.refused + held.refused
        print(
            f"{workers:>8} │ {answered.a_second:>9,.0f} {answered.a_second / bare:>5.2f}x"
            f" │ {free.a_second:>9,.0f} {free.a_second / full:>5.2f}x {free.cores:>6.2f}"
            f" │ {held.a_second:>9,.0f} {held.a_second / (SHARE * LIMIT):>8.0%}",
            flush=True,
        )
    print(f"calls that SES refused for coming too fast: {refused}")


if __name__ == "__main__":
    main()
