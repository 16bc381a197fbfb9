"""Four workers, each killed at random, their messages doubled, lost and out of order: nobody twice, nobody lost, nobody
unnamed, on both stores.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from newsletter import invariants, package
from newsletter.fanout import FanOut
from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.server import running
from newsletter.ses.submit import Ses
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
from tests.worker_child import LINKS, Crew, Hands, Orders

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
    """A local SES, a store and a queue, and how many there are to be mailed."""

    url: str
    recipients: int
    log: AcceptLog
    queue: str
    environment: dict[str, str]
    folder: Path
    proxy: Proxy | None = None


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


@contextmanager
def world(
    kind: str, recipients: int, folder: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    (folder / "faults.json").write_text(
        '{"seed": 3, "calls": [{"operation": "SendBulkEmail", "share": 0.02, "action": "reset", "when": "after"},'
        ' {"operation": "SendBulkEmail", "share": 0.02, "action": "throttle"}]}'
    )
    log = AcceptLog(folder / "accepts.jsonl", folder / "mailbox")
    config = LocalSesConfig(
        log.mailbox, folder / "ses.sqlite", log.log, faults=folder / "faults.json", identities=("example.org",),
        max_send_rate=1e6, daily_quota=-1,
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
        yield World(url, recipients, log, queue, environment, folder, proxy)


def evening(made: World, orders: Orders) -> Row:
    """Send with a crew that is killed all the time, again and again until nobody is pending; what became of it."""
    hands = Hands(orders, made.environment, made.folder / "crew.log")
    store, runs = open_store(made.url), 0
    try:
        while not runs or store.counts(BRIEFING).of(State.PENDING):
            assert runs < 40, f"it comes to no end: {store.counts(BRIEFING).states}"
            runs += 1
            ses = Ses("newsletter")
            with store.sending(BRIEFING):
                Prompt(
                    store, ses, LINKS, lambda: datetime.now(UTC), time.sleep, through=ses.place,
                    queue=Careless(made.queue, runs),
                ).run(MAILED)  # fmt: skip
    finally:
        crew = hands.home()
    if made.proxy:
        made.proxy.throttled = made.proxy.lost = 0
    row = judged(made, store, crew, runs)
    store.close()
    return row


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


def hold(row: Row) -> None:
    assert row.broken == []
    assert (row.twice, row.lost) == (0, 0)
    assert row.named == row.in_doubt
    assert row.crew.killed >= 3


@pytest.mark.parametrize("kind", ["sqlite", "dynamodb"])
def test_four_workers_killed_at_random(
    kind: str, tmp_path: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(kind, 400, tmp_path, ministack, monkeypatch) as made:
        began = time.monotonic()
        row = evening(made, Orders(made.url, made.queue, steps=60, kills=0.3, seed=7))
        tell(kind, made, row, time.monotonic() - began)
        hold(row)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "dynamodb"])
def test_a_hundred_thousand_by_four_workers_killed_at_random(
    kind: str, tmp_path: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(kind, 100_000, tmp_path, ministack, monkeypatch) as made:
        began = time.monotonic()
        row = evening(made, Orders(made.url, made.queue, steps=400, kills=0.2, seed=11))
        tell(kind, made, row, time.monotonic() - began)
        hold(row)
        assert row.crew.killed >= 50
