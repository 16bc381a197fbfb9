"""Many workers mail one briefing: everybody once, under the run that hands out the work, and no longer than it lasts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from newsletter import invariants, package
from newsletter.aws import ground
from newsletter.aws import worker as function
from newsletter.cli.worker import _done
from newsletter.delivery import Delivery, Links, Report
from newsletter.errors import StoreError
from newsletter.fanout import FanOut
from newsletter.local_ses.config import LocalSesConfig, RunningSes
from newsletter.local_ses.server import running
from newsletter.ses.submit import EntryResult, Ses
from newsletter.ses.work_queue import Task, WorkQueue, task_of
from newsletter.states import State
from newsletter.store import Store, open_store
from newsletter.turn import book, recall
from newsletter.worker import Worker
from tests.accepts import AcceptLog
from tests.conftest import Project
from tests.dynamo_world import CREDENTIALS, fresh
from tests.ministack_world import Ministack
from tests.store_contract import PACKAGE, fill

LINKS = Links("https://briefing.example.org", (b"k" * 32,))
BRIEFING = "2020-10"
MAILED = replace(PACKAGE, content_hash=package.content_hash(PACKAGE))


def now() -> datetime:
    return datetime.now(UTC)


class Prompt(FanOut):
    """A run that looks often: nobody wants to wait for a minute in a test."""

    between, again, patience = 0.02, timedelta(seconds=0.5), timedelta(seconds=30)
    answered = timedelta(seconds=3)


@dataclass
class House:
    """A ledger, a local SES and a queue of work, with workers in threads."""

    url: str
    ses: RunningSes
    log: AcceptLog
    faults: Path
    queue: WorkQueue
    store: Store
    over: threading.Event = field(default_factory=threading.Event)
    troubles: list[BaseException] = field(default_factory=list)

    def worker(self, ses: Ses | None = None, store: Store | None = None) -> Worker:
        return Worker(store or open_store(self.url), ses or Ses("newsletter"), LINKS, now, time.sleep)

    def work(self, ses: Ses | None = None) -> None:
        """What `newsletter worker` does."""
        own = self.worker(ses)
        while not self.over.is_set():
            for message in self.queue_again().receive(1, 1):
                try:
                    task = task_of(message)
                    assert task
                    if own.do(task, self.over.is_set):
                        self.queue_again().delete([message])
                except BaseException as error:  # a thread has nobody else to tell
                    self.troubles.append(error)

    def queue_again(self) -> WorkQueue:
        return WorkQueue(self.queue.queue_url)

    @contextmanager
    def workers(self, count: int) -> Iterator[None]:
        threads = [threading.Thread(target=self.work, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join(60)
        assert self.troubles == []

    def send(self, **more: Any) -> Report:
        way = more.pop("way", Prompt)
        queue = {"queue": more.pop("queue", self.queue)} if issubclass(way, FanOut) else {}
        with self.store.sending(BRIEFING):
            ses = Ses("newsletter")
            run = way(self.store, ses, LINKS, now, time.sleep, through=ses.place, **queue, **more)
            return run.run(MAILED)

    def opened(self) -> list[Task]:
        """A run that has handed everything out and still lasts: its tasks."""
        ses = Ses("newsletter")
        handed: list[Task] = []

        class Kept:
            def hand_out(self, tasks: list[Task]) -> None:
                handed.extend(tasks)

            def backlog(self) -> tuple[int, int]:
                return len(handed), 0

        class Abandoned(Prompt):
            def _wait(self, seconds: float) -> bool:
                raise SystemExit  # dies without a last word: nothing is stopped, nothing is closed

            def others(self, *words: Any) -> str:
                mailing, _, turns = words
                return self._watched(mailing.briefing, turns, self._store.counts(mailing.briefing))

            def has_mailed(self, mailing: Any) -> bool:
                return False

        with pytest.raises(SystemExit), self.store.sending(BRIEFING):
            Abandoned(self.store, ses, LINKS, now, time.sleep, through=ses.place, queue=Kept()).run(MAILED)
        return handed

    def accepted(self) -> Counter[str]:
        return Counter(one.address for one in self.log.accepts() if not one.address.startswith("success@"))

    def sound(self) -> None:
        """The ten invariants hold, and nobody has it twice."""
        assert [str(one) for one in invariants.check(self.store, BRIEFING, self.log.accepts())] == []
        assert set(self.accepted().values()) <= {1}


@pytest.fixture(params=["sqlite", "dynamodb"])
def house(
    request: pytest.FixtureRequest, tmp_path: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    (tmp_path / "faults.json").write_text("{}")
    log = AcceptLog(tmp_path / "accepts.jsonl", tmp_path / "mailbox")
    config = LocalSesConfig(
        log.mailbox, tmp_path / "ses.sqlite", log.log, faults=tmp_path / "faults.json",
        identities=("example.org",), max_send_rate=10_000,
    )  # fmt: skip
    with running(config) as ses:
        for name, value in {**CREDENTIALS, **ses.environment}.items():
            monkeypatch.setenv(name, value)
        url = f"sqlite:///{tmp_path / 'newsletter.db'}" if request.param == "sqlite" else fresh(ministack.url)
        queue = WorkQueue(ses.environment["WORK_QUEUE_URL"])
        made = House(url, ses, log, tmp_path / "faults.json", queue, open_store(url))
        yield made
        made.store.close()


def test_everybody_is_mailed_once_by_many_workers(house: House) -> None:
    fill(house.store, 330)
    done: list[int] = []
    with house.workers(3):
        report = house.send(progress=done.append)
    assert report.counts.states == {State.SUBMITTED: 330}
    assert (report.submitted_now, report.stopped, report.warning) == (330, "", "")
    assert sum(done) == 330
    assert house.ses.calls("SendBulkEmail") == 7
    assert len(house.accepted()) == 330
    house.sound()
    assert house.queue.backlog() == (0, 0)


def test_a_task_that_comes_again_mails_nobody_again(house: House) -> None:
    """While its batch is out with another worker, and when it is done."""
    fill(house.store, 40)
    (task,) = house.opened()
    second = house.worker()
    inside: list[bool] = []

    class Slow(Ses):
        """Before SES has answered, the same task comes to another worker."""

        def submit(self, *words: Any, **more: Any) -> list[EntryResult]:
            inside.append(second.do(task))
            return super().submit(*words, **more)

    assert house.worker(Slow("newsletter")).do(task)
    assert inside == [True]
    assert second.do(task)
    assert house.ses.calls("SendBulkEmail") == 1
    assert house.store.counts(BRIEFING).states == {State.SUBMITTED: 40}
    house.sound()


def test_a_run_that_is_over_has_no_workers(house: House) -> None:
    """Stopped, not heard of for too long, or followed by another: whatever its tasks say."""
    fill(house.store, 60)
    one, other = house.opened()
    ses = Ses("newsletter")
    own = book(BRIEFING, ses.place)
    late = Worker(house.store, ses, LINKS, lambda: now() + FanOut.lasts + timedelta(seconds=1), time.sleep)
    assert late.do(one)
    assert house.worker().do(replace(one, turn=one.turn + 1))
    house.store.stop_turn(own, one.turn, "a brake")
    assert house.worker().do(one)
    house.store.take_turn(own, one.turn + 1, "another run", now())
    assert house.worker().do(other)
    assert house.ses.calls("SendBulkEmail") == 0
    assert house.store.counts(BRIEFING).states == {State.PENDING: 60}


def test_the_next_run_goes_on_where_a_dead_one_was_and_its_late_worker_is_heard(house: House) -> None:
    fill(house.store, 120)
    first, second, _ = house.opened()
    assert house.worker().do(first)
    # A worker dies with the second batch in its hands.
    claim = house.store.claim_batch(BRIEFING, second.batch, 50, "d" * 32, now())
    assert claim
    with house.workers(2):
        report = house.send()
    assert report.counts.states == {State.SUBMITTED: 70, State.IN_DOUBT: 50}
    house.sound()
    doubts = house.store.doubts(BRIEFING)
    assert [(doubt.attempt, doubt.held) for doubt in doubts] == [("d" * 32, 50)]


def test_without_workers_the_same_send_mails_them_itself(house: House) -> None:
    fill(house.store, 120)
    tasks = house.opened()
    assert house.worker().do(tasks[0])
    report = house.send(way=Delivery)
    assert report.counts.states == {State.SUBMITTED: 120}
    assert house.worker().do(tasks[1])
    house.sound()


def test_batches_whose_messages_are_lost_are_handed_out_again(house: House) -> None:
    fill(house.store, 150)
    lost: list[int] = []

    class Leaky(WorkQueue):
        def hand_out(self, tasks: Any) -> None:
            if not lost:
                lost.append(len(tasks := list(tasks)))
                tasks = tasks[:1]
            super().hand_out(tasks)

    with house.workers(2):
        report = house.send(queue=Leaky(house.queue.queue_url))
    assert lost == [3]
    assert report.counts.states == {State.SUBMITTED: 150}
    house.sound()


def test_what_stops_one_worker_stops_all_and_the_run_says_why(house: House) -> None:
    fill(house.store, 400)
    fault = {
        "call": 3,
        "operation": "SendBulkEmail",
        "action": "entry_status",
        "status": "ACCOUNT_SENDING_PAUSED",
    }
    house.faults.write_text(json.dumps({"calls": [{**fault, "from": 3}]}))
    with house.workers(3):
        report = house.send()
    assert "ACCOUNT_SENDING_PAUSED" in report.stopped
    assert report.counts.of(State.PENDING) >= 150
    calls = house.ses.calls("SendBulkEmail")
    assert calls <= 2 + 3  # those that were under way
    house.sound()
    house.faults.write_text("{} ")
    house.over.clear()
    with house.workers(3):
        report = house.send()
    assert report.counts.states == {State.SUBMITTED: 400}
    house.sound()


def test_without_a_worker_the_run_ends_and_says_what_is_missing(house: House) -> None:
    fill(house.store, 3)

    class Brief(Prompt):
        patience = timedelta(seconds=0.3)

    report = house.send(way=Brief)
    assert "newsletter worker" in report.stopped
    assert report.counts.states == {State.PENDING: 3}


def test_a_person_who_stops_the_run_stops_its_workers(house: House) -> None:
    fill(house.store, 500)
    ses = Ses("newsletter")
    run = Prompt(
        house.store, ses, LINKS, now, time.sleep, through=ses.place, queue=house.queue,
        progress=lambda done: run.stop(),
    )  # fmt: skip
    with house.workers(1), house.store.sending(BRIEFING):
        report = run.run(MAILED)
    assert report.stopped == "it was asked to"
    calls = house.ses.calls("SendBulkEmail")
    assert report.counts.of(State.SUBMITTED) == min(500, 50 * calls)
    assert not report.counts.of(State.CLAIMED, State.IN_DOUBT)
    house.sound()


def test_withdrawing_waits_for_a_worker_that_is_at_it(house: House) -> None:
    fill(house.store, 60)
    first, second = house.opened()
    claim = house.store.claim_batch(BRIEFING, first.batch, 50, "a" * 32, now())
    assert claim
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        house.worker()._mailing_of(first)
        mailing = house.worker()._mailing_of(first)
        assert mailing
        mailing.post(claim, True)

    assert recall(house.store, BRIEFING, now, pause) == 0
    assert len(waits) == 1
    assert house.store.counts(BRIEFING).states == {State.SUBMITTED: 50, State.PENDING: 10}
    assert house.worker().do(second)
    assert house.store.counts(BRIEFING).of(State.PENDING) == 10


def test_a_claim_that_is_held_up_takes_another_slot_and_is_given_back_if_the_run_is_over(
    house: House,
) -> None:
    """A machine that sleeps between the claim and the call must not wake up and mail."""
    fill(house.store, 10)
    (task,) = house.opened()
    ahead = [0.0]
    store = open_store(house.url)

    class Sleepy:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def claim_batch(self, *words: Any) -> Any:
            claim = store.claim_batch(*words)
            ahead[0] += 3600.0
            return claim

    asleep = Worker(
        Sleepy(),
        Ses("newsletter"),
        LINKS,
        lambda: now() + timedelta(seconds=ahead[0]),
        time.sleep,  # type: ignore[arg-type]
    )
    assert asleep.do(task)
    assert house.ses.calls("SendBulkEmail") == 0
    assert house.store.counts(BRIEFING).states == {State.PENDING: 10}


def test_a_worker_set_up_with_another_ses_leaves_it_alone(house: House) -> None:
    fill(house.store, 10)
    (task,) = house.opened()

    class Elsewhere(Ses):
        @property
        def place(self) -> str:
            return "email.eu-west-1.amazonaws.com"

    assert house.worker(Elsewhere("newsletter")).do(task)
    assert house.ses.calls("SendBulkEmail") == 0


def test_a_restored_ledger_has_no_workers_and_gets_no_turn(tmp_path: Path, house: House) -> None:
    if not house.url.startswith("sqlite"):
        return  # a table is restored as another one; the rules are the same
    fill(house.store, 120)
    path = Path(house.url.removeprefix("sqlite:///"))
    tasks = house.opened()
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    with house.workers(2):
        assert house.send().counts.states == {State.SUBMITTED: 120}
    restored = replace(house, url=f"sqlite:///{copy}", store=open_store(f"sqlite:///{copy}"))
    later = Worker(restored.store, Ses("newsletter"), LINKS, lambda: now() + FanOut.lasts, time.sleep)
    for task in tasks:
        assert later.do(task)
    with pytest.raises(StoreError, match="another ledger has mailed it"):
        restored.send()
    assert len(house.accepted()) == 120
    house.sound()
    restored.store.close()


def test_a_message_that_is_no_batch_ends_among_the_dead_letters_and_holds_up_nobody(
    house: House, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is ministack's, with the rule that the template makes."""
    fill(house.store, 60)
    sqs = ministack.client("sqs")
    name = f"work-{os.urandom(4).hex()}"
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "1", "RedrivePolicy": rule})[
        "QueueUrl"
    ]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", ministack.url)
    queue = WorkQueue(url)
    queue.put(["no batch at all", '{"briefing": "2020-10", "turn": "1", "batch": 7}'])
    queue.hand_out(house.opened())
    own = house.worker()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for message in queue.receive(1, 1):
            _done(own, queue, message, [])
        counts = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])
        if counts["Attributes"]["ApproximateNumberOfMessages"] == "2":
            break
    else:
        pytest.fail(f"the dead letters are {counts['Attributes']}")
    assert house.store.counts(BRIEFING).states == {State.SUBMITTED: 60}
    house.sound()


def test_the_function_on_aws_mails_what_sqs_hands_it_and_gives_back_what_it_has_no_time_for(
    house: House, built: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(house.store, 60)
    first, second = house.opened()
    monkeypatch.chdir(built.path)
    monkeypatch.setenv("STORE_URL", house.url)
    monkeypatch.setenv("SECRET_KEY", "k" * 32)
    for cached in (ground.settings, ground.facts, function._worker):
        cached.cache_clear()

    class Context:
        left = 100_000

        def get_remaining_time_in_millis(self) -> int:
            return self.left

    def record(body: str, name: str) -> dict[str, Any]:
        return {
            "messageId": name,
            "receiptHandle": f"r-{name}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
        }

    hurried = Context()
    hurried.left = 10_000
    body = json.dumps(asdict(first))
    back = [{"itemIdentifier": "m1"}]
    assert function.handler({"Records": [record(body, "m1")]}, hurried) == {"batchItemFailures": back}
    assert house.ses.calls("SendBulkEmail") == 0
    records = [record(body, "m2"), record("no batch", "m3"), record(json.dumps(asdict(second)), "m4")]
    answer = function.handler({"Records": records}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m3"}]}
    assert function.handler({"Records": [record(body, "m2")]}, Context()) == {"batchItemFailures": []}
    assert house.ses.calls("SendBulkEmail") == 2
    assert house.store.counts(BRIEFING).states == {State.SUBMITTED: 60}
    house.sound()
    for cached in (ground.settings, ground.facts, function._worker):
        cached.cache_clear()


def test_an_operator_starts_workers_and_sends(own: Project, tmp_path: Path) -> None:
    """Every process as it is typed; the first slice is mailed by the sender itself, and watched."""
    config = LocalSesConfig(
        tmp_path / "mailbox", tmp_path / "ses.sqlite", tmp_path / "accepts.jsonl", identities=("example.org",)
    )
    with running(config) as ses:
        environment = {**ses.environment, "SECRET_KEY": "k" * 32, "PYTHONUNBUFFERED": "1"}
        done = own.newsletter("subscribers", "import", "samples/subscribers.csv", **environment)
        assert done.returncode == 0, done.stderr
        inherited = {
            name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "STORE_URL"))
        }
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "newsletter", "worker", "--wait", "1"], cwd=own.path, text=True,
                env={**inherited, "COLUMNS": "200", "PYTHONPATH": "plugins", **environment},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]  # fmt: skip
        try:
            sent = own.newsletter(
                "send", BRIEFING, "--approve", own.hash(), "--fan-out", "--canary", "20", **environment
            )
        finally:
            for one in workers:
                one.terminate()
            said = [one.communicate(timeout=60) for one in workers]
        assert sent.returncode == 0, sent.stdout + sent.stderr
        assert "117 submitted" in " ".join(sent.stdout.split())
        assert "batches are on the queue" in sent.stdout
        assert [(one.returncode, errors) for one, (_, errors) in zip(workers, said, strict=True)] == [
            (0, "")
        ] * 2
        by_workers = sum(int(re.search(r"(\d+) submitted", told)[1]) for told, _ in said)  # type: ignore[index]
        assert by_workers == 97
        mails = Counter(
            json.loads(line)["to"] for line in (tmp_path / "accepts.jsonl").read_text().splitlines()
        )
        assert sum(mails[to] for to in mails if not to.startswith("success@")) == 117
        again = own.newsletter("send", BRIEFING, "--fan-out", **environment)
        assert again.returncode == 0, again.stderr
        missing = own.newsletter("worker", "--once", **{**environment, "WORK_QUEUE_URL": ""})
        assert missing.returncode == 1
        assert "WORK_QUEUE_URL: not set" in missing.stderr
