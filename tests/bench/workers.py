"""How many mails a second 1, 2 and 4 workers submit, each call answered after 100 ms, with room and at the account's limit.

Each worker is a process of its own; they share one SQLite file, one queue and one local SES. Measured is from the first
call of a run to its last. Without a limit in the way each worker should add as much as the first one submits alone; with
one, all together should come close to nine tenths of it, which is what a sender takes of the account's rate.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from newsletter import package
from newsletter.fanout import FanOut
from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.server import running
from newsletter.pace import SHARE
from newsletter.ses.submit import Ses
from newsletter.ses.work_queue import WorkQueue
from newsletter.states import State
from newsletter.store import open_store
from tests.store_contract import PACKAGE, person
from tests.worker_child import LINKS, Hands, Orders

RECIPIENTS, LATENCY = 4_000, 0.1
ROOM, LIMIT = 20_000.0, 500.0
WORKERS = (1, 2, 4)
MAILED = replace(PACKAGE, content_hash=package.content_hash(PACKAGE))


class Prompt(FanOut):
    """The run itself is not what is measured: it looks often enough not to be waited for."""

    between = 0.5


def submitted_a_second(workers: int, rate: float) -> tuple[float, int]:
    """Mails submitted a second, and how many calls SES refused for coming too fast."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "faults.json").write_text(
            f'{{"calls": [{{"operation": "SendBulkEmail", "action": "latency", "seconds": {LATENCY}}}]}}'
        )
        config = LocalSesConfig(
            folder / "mailbox", folder / "ses.sqlite", folder / "accepts.jsonl", faults=folder / "faults.json",
            identities=("example.org",), max_send_rate=rate, daily_quota=-1,
        )  # fmt: skip
        url = f"sqlite:///{folder / 'newsletter.db'}"
        with running(config) as ses, closing(open_store(url)) as store:
            os.environ.update(ses.environment)
            store.import_subscribers(person(f"reader{number:06d}") for number in range(RECIPIENTS))
            hands = Hands(
                Orders(url, ses.environment["WORK_QUEUE_URL"], workers), ses.environment, folder / "log"
            )
            times: list[tuple[float, int]] = []
            over = threading.Event()

            def watch() -> None:
                while not over.wait(0.005):
                    calls = ses.calls("SendBulkEmail")
                    if calls and (not times or calls > times[-1][1]):
                        times.append((time.monotonic(), calls))

            thread = threading.Thread(target=watch)
            thread.start()
            real = Ses("newsletter")
            queue = WorkQueue(ses.environment["WORK_QUEUE_URL"])
            with store.sending(MAILED.month):
                report = Prompt(
                    store, real, LINKS, lambda: datetime.now(UTC), time.sleep, through=real.place, queue=queue
                ).run(MAILED)  # fmt: skip
            over.set()
            thread.join()
            hands.home()
            if report.counts.states != {State.SUBMITTED: RECIPIENTS}:
                sys.exit(f"The run did not come to its end: {report}")
            (began, first), (ended, last) = times[0], times[-1]
            per_call = RECIPIENTS / (RECIPIENTS // 50)
            return (last - first) * per_call / (ended - began), last - RECIPIENTS // 50


def main() -> None:
    print(f"{RECIPIENTS:,} recipients in calls of 50, each answered after {LATENCY * 1000:.0f} ms")
    print(
        f"{'workers':>8} {'submitted/s':>12} {'of one':>8} {f'limit {LIMIT:.0f}/s':>12} {'of its share':>13}"
    )
    alone = 0.0
    refused = 0
    for workers in WORKERS:
        free, over = submitted_a_second(workers, ROOM)
        alone = alone or free
        held, over_limit = submitted_a_second(workers, LIMIT)
        refused += over + over_limit
        print(
            f"{workers:>8} {free:>12,.0f} {free / alone:>7.2f}x {held:>12,.0f} {held / (SHARE * LIMIT):>12.0%}",
            flush=True,
        )
    print(f"calls that SES refused for coming too fast: {refused}")


if __name__ == "__main__":
    main()
