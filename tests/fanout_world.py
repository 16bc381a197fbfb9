"""A local SES, a store and a queue in which four workers, and a sender beside them, are killed; what became of it."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from newsletter import invariants, package
from newsletter.fanout import FanOut
from newsletter.local_ses.config import LocalSesConfig, RunningSes
from newsletter.local_ses.server import running
from newsletter.ses.work_queue import Task, WorkQueue
from newsletter.show import table
from newsletter.states import ACCEPTED, State
from newsletter.store import Store, open_store
from tests.accepts import AcceptLog
from tests.dynamo_proxy import Proxy, between
from tests.dynamo_world import CREDENTIALS, fresh
from tests.local_ses_world import session
from tests.ministack_world import Ministack
from tests.store_contract import PACKAGE, person
from tests.worker_child import Crew

BRIEFING = PACKAGE.month
MAILED = replace(PACKAGE, content_hash=package.content_hash(PACKAGE))
# So long after it was given out a message comes again: sooner than some batches are done.
VISIBILITY = 2


class Prompt(FanOut):
    """A run that looks often, and does not wait long for whoever was killed."""

    between, again, patience = 0.1, timedelta(seconds=2), timedelta(seconds=120)
    answered = timedelta(seconds=4)


class Careless(WorkQueue):
    """Hands everything out twice, out of order, and loses some."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(url)
        self._chance = random.Random(seed)  # noqa: S311 - not a secret

    def hand_out(self, tasks: Any) -> None:
        several: list[Task] = [task for task in tasks for _ in range(2)]
        self._chance.shuffle(several)
        super().hand_out(several[: max(1, int(len(several) * 0.95))])


@dataclass
class World:
    """A local SES, a store and a queue, and how many there are to be mailed. SES's clock is `ahead` so many seconds."""

    ses: RunningSes
    url: str
    recipients: int
    log: AcceptLog
    queue: str
    environment: dict[str, str]
    folder: Path
    proxy: Proxy | None = None
    ahead: float = 0.0


@dataclass
class Row:
    """What became of a world."""

    crew: Crew
    runs: int
    throttled: int
    mailed: int
    twice: int
    lost: int
    in_doubt: int
    named: int
    broken: list[str]


# Of the calls some are taken and their answer is lost, and some refused.
FAULTS = ({"share": 0.02, "action": "reset", "when": "after"}, {"share": 0.02, "action": "throttle"})


@contextmanager
def world(
    kind: str,
    recipients: int,
    folder: Path,
    ministack: Ministack,
    monkeypatch: pytest.MonkeyPatch,
    faults: Sequence[Mapping[str, Any]] = FAULTS,
) -> Iterator[World]:
    """Subscribers to be mailed, on the store of that `kind`, and all that is in the way."""
    calls = [{"operation": "SendBulkEmail", **fault} for fault in faults]
    (folder / "faults.json").write_text(json.dumps({"seed": 3, "calls": calls}))
    made: list[World] = []

    def ahead() -> float:
        return made[0].ahead if made else 0.0

    log = AcceptLog(folder / "accepts.jsonl", folder / "mailbox")
    config = LocalSesConfig(
        log.mailbox, folder / "ses.sqlite", log.log, faults=folder / "faults.json", identities=("example.org",),
        max_send_rate=1e6, daily_quota=-1, now=lambda: time.time() + ahead(),
    )  # fmt: skip
    with ExitStack() as stack:
        ses = stack.enter_context(running(config))
        environment = {**CREDENTIALS, **ses.environment}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        sqs = session().client("sqs", endpoint_url=ses.url)
        attributes = {"VisibilityTimeout": str(VISIBILITY)}
        queue = sqs.create_queue(QueueName="hasty", Attributes=attributes)["QueueUrl"]
        sqs.close()
        url, proxy = f"sqlite:///{folder / 'newsletter.db'}", None
        if kind == "dynamodb":
            proxy = stack.enter_context(between(ministack.url))
            url = fresh(proxy.url)
        with closing(open_store(url)) as store:
            store.import_subscribers(person(f"reader{number:06d}") for number in range(recipients))
        if proxy:
            proxy.fresh()
            proxy.throttled, proxy.lost = 9, 31
        made.append(World(ses, url, recipients, log, queue, environment, folder, proxy))
        yield made[0]


def judged(made: World, store: Store, crew: Crew, runs: int) -> Row:
    mails = Counter(one.tags["recipient"] for one in made.log.accepts() if "recipient" in one.tags)
    kept = list(store.kept(BRIEFING))
    states = Counter(one.state for one in kept)
    lost = [one for one in kept if str(abs(one.number)) not in mails and one.state is not State.IN_DOUBT]
    named = sum(doubt.held for doubt in store.doubts(BRIEFING))
    broken = [str(one) for one in invariants.check(store, BRIEFING, made.log.accepts())]
    broken += [
        f"{one.number} ended {one.state}" for one in kept if one.state not in {*ACCEPTED, State.IN_DOUBT}
    ]
    return Row(
        crew, runs, made.proxy.refused if made.proxy else 0, len(mails),
        sum(count > 1 for count in mails.values()), len(lost) + made.recipients - len(kept),
        states[State.IN_DOUBT], named, broken[:20],
    )  # fmt: skip


def tell(name: str, made: World, row: Row, seconds: float) -> None:
    table(
        f"{name}: {made.recipients:,} recipients, four workers, {seconds:.0f} s",
        [
            ("workers killed at a step", row.crew.at_a_step),
            ("workers killed from outside", row.crew.from_outside),
            ("runs of the sender", row.runs),
            ("answers of DynamoDB refused or lost", row.throttled),
            ("mailed", row.mailed),
            ("mailed twice", row.twice),
            ("lost", row.lost),
            ("in doubt", row.in_doubt),
            ("in doubt and named", row.named),
            ("invariants broken", len(row.broken)),
        ],
    )


def hold(row: Row, killed: int = 3) -> None:
    """Nobody twice, nobody lost, nobody unnamed, although at least so many workers were killed."""
    assert row.broken == []
    assert (row.twice, row.lost) == (0, 0)
    assert row.named == row.in_doubt
    assert row.crew.killed >= killed
