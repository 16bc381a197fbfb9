"""A briefing reaches everyone once: the real sender, over HTTP, against the local SES and its faults."""

from __future__ import annotations

import email
import email.policy
import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from newsletter import tokens
from newsletter.delivery import Delivery, Links, Report
from newsletter.errors import Refused
from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.server import running
from newsletter.ses.submit import EntryResult, Ses
from newsletter.states import OPEN, STEPS, State, may
from newsletter.store import Store, Subscription, open_store
from tests.conftest import Clock
from tests.store_contract import PACKAGE, fill, person

KEYS = (b"k" * 32,)


class Post:
    """A local SES of the test's own, with a store and a sender beside it."""

    def __init__(self, folder: Path, clock: Clock, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.clock, self.url = folder, clock, url
        self.store: Store = open_store(f"sqlite:///{folder / 'newsletter.db'}")

    def deliver(self, package: Any = PACKAGE) -> Report:
        links = Links("https://briefing.example.org", KEYS)
        return Delivery(self.store, Ses("newsletter"), links, self.clock, self.clock.pause).run(package)

    def faults(self, *calls: dict[str, Any]) -> None:
        (self.folder / "faults.json").write_text(json.dumps({"calls": list(calls)}))

    def accepted(self) -> Counter[str]:
        """How many mails the local SES accepted for each address: its own log, not our ledger."""
        log = self.folder / "accepts.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return Counter(json.loads(line)["to"] for line in lines)

    def mails(self) -> list[EmailMessage]:
        files = sorted((self.folder / "mailbox").glob("*.eml"))
        return [email.message_from_bytes(f.read_bytes(), policy=email.policy.default) for f in files]  # type: ignore[misc]


@pytest.fixture
def post(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    (tmp_path / "faults.json").write_text("{}")
    config = LocalSesConfig(
        mailbox=tmp_path / "mailbox",
        state=tmp_path / "ses.sqlite",
        accept_log=tmp_path / "accepts.jsonl",
        faults=tmp_path / "faults.json",
        identities=("example.org",),
        max_send_rate=10_000,
    )
    with running(config) as ses:
        for name, value in ses.environment.items():
            monkeypatch.setenv(name, value)
        made = Post(tmp_path, clock, ses.url, monkeypatch)
        yield made
        made.store.close()


def test_each_confirmed_subscriber_gets_one_complete_mail(post: Post) -> None:
    fill(post.store, 117)
    post.store.import_subscribers([person("left", Subscription.UNSUBSCRIBED)])
    report = post.deliver()
    assert report.counts.states == {State.SUBMITTED: 117}
    assert report.calls == 3
    mails = post.mails()
    assert Counter(str(mail["To"]) for mail in mails) == {f"reader{n:04d}@example.org": 1 for n in range(117)}
    links = set()
    for mail in mails:
        assert len(mail.get_all("To")) == 1
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail["List-Id"] == "<l.example.org>"
        link = re.fullmatch(r"<(https://briefing\.example\.org/u/([\w-]+))>", mail["List-Unsubscribe"])
        assert link, mail["List-Unsubscribe"]
        assert tokens.verify(link[2], tokens.Purpose.UNSUBSCRIBE, KEYS)
        links.add(link[1])
        for kind in ("plain", "html"):
            part = mail.get_body((kind,))
            assert part
            content = part.get_content()
            assert link[1] in content
            assert "{{" not in content
    assert len(links) == 117


def test_sending_again_posts_nothing(post: Post) -> None:
    fill(post.store, 60)
    post.deliver()
    again = post.deliver()
    assert (again.calls, again.submitted_now) == (0, 0)
    assert set(post.accepted().values()) == {1}


def test_someone_who_joins_after_the_freeze_is_not_of_this_briefing(post: Post) -> None:
    fill(post.store, 2)
    post.deliver()
    post.store.import_subscribers([person("late")])
    post.deliver()
    assert "late@example.org" not in post.accepted()


AMBIGUOUS: list[dict[str, Any]] = [
    {"action": "reset", "when": "before"},
    {"action": "reset", "when": "after"},
    {"action": "drop", "when": "after"},
    {"action": "error", "when": "before", "status": 500},
    {"action": "error", "when": "after", "status": 500},
    {"action": "unavailable", "when": "after"},
    {"action": "html"},
    {"action": "truncated"},
    {"action": "broken_json"},
    {"action": "results", "change": -1},
    {"action": "results", "change": 1},
]


@pytest.mark.parametrize(
    "fault", AMBIGUOUS, ids=lambda fault: "-".join(str(value) for value in fault.values())
)
def test_a_call_without_a_clear_answer_is_in_doubt_and_never_repeated(
    post: Post, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment tells boto3 about retries: its own would mail the same fifty again."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
    fill(post.store, 120)
    post.faults({"operation": "SendBulkEmail", "call": 2, **fault})
    report = post.deliver()
    assert report.calls == 3
    assert report.counts.states == {State.SUBMITTED: 70, State.IN_DOUBT: 50}
    again = post.deliver()
    assert again.calls == 0
    assert max(post.accepted().values()) == 1
    in_ledger = {f"reader{n:04d}@example.org" for n in range(120)}
    assert set(post.accepted()) <= in_ledger


def test_calls_that_go_unanswered_in_a_row_end_the_run_before_everyone_is_in_doubt(post: Post) -> None:
    fill(post.store, 200)
    post.faults({"operation": "SendBulkEmail", "from": 2, "action": "error", "status": 502})
    report = post.deliver()
    assert "unanswered" in report.stopped
    assert report.counts.states == {State.SUBMITTED: 50, State.IN_DOUBT: 100, State.PENDING: 50}


def test_an_answer_is_written_down_even_if_the_database_is_held_meanwhile(post: Post, tmp_path: Path) -> None:
    fill(post.store, 50)
    other = sqlite3.connect(tmp_path / "newsletter.db", isolation_level=None)
    post.store.db.execute("PRAGMA busy_timeout = 50")  # type: ignore[attr-defined]

    class Held(Ses):
        def submit(self, *arguments: Any, **more: Any) -> list[EntryResult]:
            results = super().submit(*arguments, **more)
            other.execute("BEGIN IMMEDIATE")
            return results

    def pause(seconds: float) -> None:
        if other.in_transaction and seconds:
            other.execute("ROLLBACK")

    links = Links("https://briefing.example.org", KEYS)
    report = Delivery(post.store, Held("newsletter"), links, post.clock, pause).run(PACKAGE)
    other.close()
    assert report.counts.states == {State.SUBMITTED: 50}


def test_whoever_unsubscribes_while_the_sender_waits_is_not_mailed(post: Post) -> None:
    fill(post.store, 60)

    def pause(seconds: float) -> None:
        post.store.import_subscribers([person("reader0059", Subscription.UNSUBSCRIBED)])

    links = Links("https://briefing.example.org", KEYS)
    Delivery(post.store, Ses("newsletter"), links, post.clock, pause).run(PACKAGE)
    assert "reader0059@example.org" not in post.accepted()


def test_throttling_is_waited_out_and_nobody_is_mailed_twice(post: Post) -> None:
    fill(post.store, 120)
    post.faults({"operation": "SendBulkEmail", "call": [1, 2, 4], "action": "throttle"})
    started = post.clock.now
    report = post.deliver()
    assert report.counts.states == {State.SUBMITTED: 120}
    assert set(post.accepted().values()) == {1}
    assert (post.clock.now - started).total_seconds() >= 1.5


def test_endless_throttling_ends_the_run_with_everyone_still_pending(post: Post) -> None:
    fill(post.store, 20)
    post.faults({"operation": "SendBulkEmail", "action": "throttle"})
    report = post.deliver()
    assert "TooManyRequestsException" in report.stopped
    assert report.counts.states == {State.PENDING: 20}
    post.faults()
    assert post.deliver().counts.states == {State.SUBMITTED: 20}


def test_one_address_that_ses_refuses_costs_only_itself(post: Post) -> None:
    fill(post.store, 50)
    bad = "reader0033@example.org"
    post.faults(
        {
            "operation": "SendBulkEmail",
            "to": bad,
            "action": "error",
            "status": 400,
            "code": "BadRequestException",
        }
    )
    report = post.deliver()
    assert report.counts.states == {State.SUBMITTED: 49, State.FAILED: 1}
    assert bad not in post.accepted()
    assert set(post.accepted().values()) == {1}
    assert report.calls <= 13


@pytest.mark.parametrize(
    "refusal",
    [
        {"status": 400, "code": "BadRequestException", "message": "Something about the template"},
        {"status": 400, "code": "MessageRejected", "message": "Email address is not verified."},
        {"status": 400, "code": "AccountSuspendedException"},
        {"status": 404, "code": "NotFoundException", "message": "Configuration set does not exist"},
    ],
    ids=lambda refusal: refusal["code"],
)
def test_a_refusal_of_everything_gives_nobody_up(post: Post, refusal: dict[str, Any]) -> None:
    fill(post.store, 60)
    post.faults({"operation": "SendBulkEmail", "action": "error", **refusal})
    report = post.deliver()
    assert refusal["code"] in report.stopped
    assert report.counts.states == {State.PENDING: 60}
    post.faults()
    assert post.deliver().counts.states == {State.SUBMITTED: 60}


@pytest.mark.parametrize(
    ("status", "state", "stops"),
    [
        ("ACCOUNT_THROTTLED", State.SUBMITTED, False),  # tried again, and then accepted
        ("TRANSIENT_FAILURE", State.SUBMITTED, False),
        ("MESSAGE_REJECTED", State.FAILED, False),
        ("INVALID_PARAMETER", State.FAILED, False),
        ("FAILED", State.FAILED, False),
        ("ACCOUNT_SUSPENDED", State.PENDING, True),
        ("ACCOUNT_DAILY_QUOTA_EXCEEDED", State.PENDING, True),
        ("ACCOUNT_SENDING_PAUSED", State.PENDING, True),
        ("TEMPLATE_NOT_FOUND", State.PENDING, True),
        ("MAIL_FROM_DOMAIN_NOT_VERIFIED", State.PENDING, True),
        ("SOMETHING_NEW", State.IN_DOUBT, False),
    ],
)
def test_each_status_of_an_entry_has_its_meaning(post: Post, status: str, state: State, stops: bool) -> None:
    fill(post.store, 10)
    post.faults(
        {"operation": "SendBulkEmail", "call": 1, "action": "entry_status", "entries": [3], "status": status}
    )
    report = post.deliver()
    assert report.counts.of(State.SUBMITTED) == (10 if state is State.SUBMITTED else 9)
    if state is not State.SUBMITTED:
        assert report.counts.of(state) == 1
    assert bool(report.stopped) is stops
    assert max(post.accepted().values()) == 1


def test_expired_credentials_stop_the_run_and_the_next_one_mails_the_rest(post: Post) -> None:
    fill(post.store, 120)
    post.faults(
        {
            "operation": "SendBulkEmail",
            "from": 2,
            "action": "error",
            "status": 403,
            "code": "ExpiredTokenException",
        }
    )
    report = post.deliver()
    assert "ExpiredTokenException" in report.stopped
    assert report.counts.states == {State.SUBMITTED: 50, State.PENDING: 70}
    post.faults()
    assert post.deliver().counts.states == {State.SUBMITTED: 120}
    assert set(post.accepted().values()) == {1}


@pytest.mark.parametrize("operation", ["GetAccount", "GetEmailTemplate"])
def test_a_stand_in_that_has_only_what_mails_will_do(post: Post, operation: str) -> None:
    fill(post.store, 28)
    unknown = {"action": "error", "status": 404, "code": "UnknownOperationException"}
    post.faults(
        {"operation": operation, **unknown},
        {"operation": "SendBulkEmail", "call": 1, "action": "throttle"},
        {
            "operation": "SendBulkEmail",
            "call": 2,
            "action": "error",
            "status": 403,
            "code": "ExpiredTokenException",
        },
    )
    assert "ExpiredTokenException" in post.deliver().stopped
    assert post.deliver().counts.states == {State.SUBMITTED: 28}


def test_an_ses_that_is_not_there_leaves_everything_as_it_was(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(post.store, 3)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:9")
    with pytest.raises(Refused):
        post.deliver()
    assert post.store.frozen("2020-10") is None


def test_the_last_of_the_days_quota_is_used_and_not_more(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = LocalSesConfig(
        tmp_path / "m",
        tmp_path / "s.sqlite",
        tmp_path / "a.jsonl",
        identities=("example.org",),
        daily_quota=70,
    )
    with running(config) as ses:
        for name, value in ses.environment.items():
            monkeypatch.setenv(name, value)
        post = Post(tmp_path, clock, ses.url, monkeypatch)
        fill(post.store, 100)
        report = post.deliver()
        post.store.close()
    assert report.counts.states == {State.SUBMITTED: 70, State.PENDING: 30}
    assert "quota" in report.stopped


def test_the_pace_keeps_under_the_accounts_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In real time: the local SES counts recipients per second and refuses whoever is faster, as SES does."""
    config = LocalSesConfig(
        tmp_path / "m",
        tmp_path / "s.sqlite",
        tmp_path / "a.jsonl",
        identities=("example.org",),
        max_send_rate=40,
    )
    with running(config) as ses:
        for name, value in ses.environment.items():
            monkeypatch.setenv(name, value)
        store = open_store(f"sqlite:///{tmp_path / 'newsletter.db'}")
        fill(store, 120)
        links = Links("https://briefing.example.org", KEYS)
        report = Delivery(store, Ses(), links, lambda: datetime.now(UTC), time.sleep).run(PACKAGE)
        store.close()
    assert report.counts.states == {State.SUBMITTED: 120}, report.stopped
    assert (
        report.calls == 3
    )  # forty at a time: a call may not ask for more than a second's worth, and none was refused


def test_an_unsubscription_during_the_run_is_heeded_at_the_next_claim(post: Post) -> None:
    fill(post.store, 120)
    withdrawn = "reader0110@example.org"

    class Interrupted(Ses):
        def submit(self, *arguments: Any, **more: Any) -> list[EntryResult]:
            results = super().submit(*arguments, **more)
            post.store.import_subscribers([person("reader0110", Subscription.UNSUBSCRIBED)])
            return results

    links = Links("https://briefing.example.org", KEYS)
    report = Delivery(post.store, Interrupted("newsletter"), links, post.clock, post.clock.pause).run(PACKAGE)
    assert report.counts.states == {State.SUBMITTED: 119, State.SKIPPED: 1}
    assert withdrawn not in post.accepted()


def test_the_table_of_steps_never_leads_back_from_accepted_to_pending() -> None:
    reached, edge = set(), {State.SUBMITTED}
    while edge:
        state = edge.pop()
        reached.add(state)
        edge |= STEPS[state] - reached
    assert not reached & OPEN
    assert not may(State.SUBMITTED, State.PENDING)
    assert set(STEPS) == set(State)
