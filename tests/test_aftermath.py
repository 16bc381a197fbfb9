"""SES's own events settle what a call did not answer; the real sender, queue and local SES."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from newsletter.aftermath import Aftermath
from newsletter.delivery import Delivery, Links
from newsletter.ses.queue import EventQueue
from newsletter.ses.submit import Ses
from newsletter.settle import QUIET, Verdict
from newsletter.states import State
from newsletter.store import Store, open_store
from newsletter.store.moving import Kind
from tests.conftest import Clock, Project
from tests.local_ses_world import SENDER, World, world
from tests.store_contract import PACKAGE, fill


class Evening:
    """A sender, its store, its queue and a local SES."""

    def __init__(self, own: World, folder: Path, clock: Clock) -> None:
        self.own, self.clock, self.folder = own, clock, folder
        self.store: Store = open_store(f"sqlite:///{folder / 'newsletter.db'}")
        self.ses = Ses("newsletter")
        queue = EventQueue(own.server.queue_url, own.server.topic_arn)
        self.aftermath = Aftermath(self.store, queue, folder / "quarantine", clock)

    def deliver(self) -> dict[State, int]:
        links = Links("https://briefing.example.org", (b"k" * 32,))
        package = replace(PACKAGE, sender=SENDER)
        return dict(
            Delivery(self.store, self.ses, links, self.clock, self.clock.pause).run(package).counts.states
        )

    def canary(self) -> None:
        self.clock.pause(1)
        self.aftermath.mail_canary(self.ses, SENDER)

    def settle(self) -> list[Verdict]:
        self.aftermath.read()
        self.clock.now += QUIET
        return [verdict for _, verdict, _ in self.aftermath.settle("2020-10")]

    def states(self) -> dict[State, int]:
        return dict(self.store.counts("2020-10").states)

    def mails(self) -> Counter[str]:
        lines = (self.folder / "accepts.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return Counter(entry["to"] for entry in entries if "reader" in entry["to"])


@pytest.fixture
def evening(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Evening]:
    with world(tmp_path, accept_log=tmp_path / "accepts.jsonl", max_send_rate=10_000) as own:
        for name, value in own.server.environment.items():
            monkeypatch.setenv(name, value)
        made = Evening(own, tmp_path, clock)
        fill(made.store, 120)
        yield made
        made.store.close()


class Hasty:
    """A store into which events are read before the first answer is written down."""

    def __init__(self, evening: Evening) -> None:
        self._evening, self._hasty = evening, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evening.store, name)

    def record(self, *answer: Any) -> None:
        """Write it down, when SES's untagged event has been read."""
        for _ in range(600 if self._hasty else 0):
            self._evening.aftermath.read(wait=1)
            if any(self._evening.store.rows(Kind.STRAY)):
                break
        self._hasty = False
        self._evening.store.record(*answer)


def test_a_rendering_failure_that_is_quicker_than_its_calls_answer_is_told_of(evening: Evening) -> None:
    """It has none of our tags, and its message id is in the answer that is not written down yet."""
    evening.own.plan(outcomes=[{"to": "reader0001@example.org", "outcome": "rendering_failure"}])
    links = Links("https://briefing.example.org", (b"k" * 32,))
    hasty = cast(Store, Hasty(evening))
    Delivery(hasty, evening.ses, links, evening.clock, evening.clock.pause).run(
        replace(PACKAGE, sender=SENDER)
    )
    evening.aftermath.read()
    assert evening.aftermath.read().messages == 0
    (trace,) = evening.store.trace("2020-10", "reader0001@example.org")
    assert trace.state == "failed"
    assert not any(evening.store.rows(Kind.STRAY))


def test_events_lead_every_recipient_to_delivered_bounced_or_complained(evening: Evening) -> None:
    evening.own.plan(
        outcomes=[
            {"to": "reader0001@example.org", "outcome": "bounced"},
            {"to": "reader0002@example.org", "outcome": "complained"},
            {"to": "reader0003@example.org", "outcome": "soft_bounced"},
        ]
    )
    evening.deliver()
    evening.aftermath.read(wait=2)
    assert evening.states() == {State.DELIVERED: 117, State.BOUNCED: 2, State.COMPLAINED: 1}
    before = evening.states()
    assert evening.aftermath.read().fresh == 0
    assert evening.states() == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_unanswered_call_is_settled_the_right_way_round(evening: Evening, when: str) -> None:
    evening.own.plan(calls=[{"operation": "SendBulkEmail", "call": 2, "action": "reset", "when": when}])
    assert evening.deliver() == {State.SUBMITTED: 70, State.IN_DOUBT: 50}
    evening.own.plan()
    evening.canary()
    assert evening.settle() == ([Verdict.RELEASE] if when == "before" else [])
    evening.deliver()
    evening.aftermath.read(wait=2)
    assert evening.states() == {State.DELIVERED: 120}
    assert set(evening.mails().values()) == {1}
    assert len(evening.mails()) == 120


def test_a_stream_that_loses_events_releases_nobody(evening: Evening) -> None:
    evening.own.plan(
        calls=[{"operation": "SendBulkEmail", "call": 2, "action": "reset", "when": "after"}],
        events=[{"share": 0.5, "action": "lose"}],
    )
    evening.deliver()
    evening.own.plan()
    evening.canary()
    assert Verdict.RELEASE not in evening.settle()
    evening.deliver()
    assert set(evening.mails().values()) == {1}


def test_a_stream_that_has_stopped_releases_nobody(evening: Evening) -> None:
    evening.own.plan(
        calls=[{"operation": "SendBulkEmail", "action": "reset", "when": "after"}],
        events=[{"action": "lose"}],
    )
    assert evening.deliver() == {State.IN_DOUBT: 100, State.PENDING: 20}
    evening.canary()
    assert set(evening.settle()) == {Verdict.HOLD}
    assert evening.states() == {State.IN_DOUBT: 100, State.PENDING: 20}


def test_too_early_releases_nobody(evening: Evening) -> None:
    evening.own.plan(calls=[{"operation": "SendBulkEmail", "call": 1, "action": "reset", "when": "before"}])
    evening.deliver()
    evening.own.plan()
    evening.canary()
    evening.aftermath.read(wait=2)
    verdicts = evening.aftermath.settle("2020-10", quiet=timedelta(minutes=15))
    assert [verdict for _, verdict, _ in verdicts] == [Verdict.WAIT]


def test_what_is_no_event_is_put_aside_and_the_others_go_on(evening: Evening) -> None:
    evening.own.sqs.send_message(QueueUrl=evening.own.server.queue_url, MessageBody='{"half": ')
    evening.deliver()
    read = evening.aftermath.read(wait=2)
    assert read.poison == 1
    assert evening.states() == {State.DELIVERED: 120}
    (aside,) = (evening.folder / "quarantine").iterdir()
    assert '{\\"half\\": ' in aside.read_text()


def test_the_commands_settle_a_month_by_themselves(project: Project) -> None:
    """send with a lost answer, events, send again: as an operator types it, against one lasting local SES."""
    project.analysis("a")
    project.briefing()
    project.newsletter("briefing", "2020-10")
    rows = "".join(f"reader{number:02d}@example.org,confirmed\n" for number in range(60))
    project.write("list.csv", f"email,status\n{rows}")
    project.newsletter("subscribers", "import", "list.csv")
    project.write(
        "plan.json",
        '{"calls": [{"operation": "SendBulkEmail", "call": 2, "action": "reset", "when": "before"}]}',
    )
    evening = (
        f"newsletter send 2020-10 --approve {project.hash()}; newsletter events --once; "
        "newsletter send 2020-10 --quiet 0; "
        "newsletter events --once; newsletter status 2020-10 --json"
    )
    done = project.newsletter("local-ses", "--faults", "plan.json", "--", "sh", "-c", evening)
    assert json.loads(done.stdout.splitlines()[-1])["submitted"] == 60, done.stdout + done.stderr
    assert "release" in done.stdout
    accepts = [json.loads(line)["to"] for line in project.read("var/accepts.jsonl").splitlines()]
    assert set(Counter(to for to in accepts if to.startswith("reader")).values()) == {1}


KEYS = (b"k" * 32,)


def test_forged_events_with_made_up_calls_decide_about_nobody(evening: Evening) -> None:
    """SES itself tells of these mails: somebody else of the account mails them with our tags."""
    evening.own.plan(calls=[{"operation": "SendBulkEmail", "call": 2, "action": "reset", "when": "before"}])
    evening.deliver()
    queue = EventQueue(evening.own.server.queue_url, evening.own.server.topic_arn)
    reader = Aftermath(evening.store, queue, evening.folder / "quarantine", evening.clock, KEYS)
    assert reader.read(wait=2).foreign == 0
    before = evening.states()
    for number in range(1, 121):
        evening.ses.canary(
            SENDER, {"briefing": "2020-10", "attempt": f"{number:032x}", "recipient": str(number)}
        )
    read = reader.read(wait=2)
    assert read.foreign >= 120
    assert (read.fresh, read.poison) == (0, 0)
    assert evening.states() == before


def test_genuine_events_count_in_a_ledger_that_does_not_know_the_calls(evening: Evening) -> None:
    backup = evening.folder / "backup.db"
    evening.store.freeze(replace(PACKAGE, sender=SENDER), evening.clock())
    with sqlite3.connect(evening.folder / "newsletter.db") as source, sqlite3.connect(backup) as target:
        source.backup(target)
    evening.deliver()
    store = open_store(f"sqlite:///{backup}")
    queue = EventQueue(evening.own.server.queue_url, evening.own.server.topic_arn)
    read = Aftermath(store, queue, evening.folder / "quarantine", evening.clock, KEYS).read(wait=2)
    assert read.foreign == 0
    assert dict(store.counts("2020-10").states) == {State.DELIVERED: 120}
    store.close()
