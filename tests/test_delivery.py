"""A briefing reaches everyone once: the real sender, over HTTP, against the local SES and its faults."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from math import log2
from pathlib import Path
from typing import Any

import pytest

from newsletter import tokens
from newsletter.delivery import Delivery, Links, Report
from newsletter.errors import Refused, StoreError
from newsletter.interrupt import heeding
from newsletter.local_ses.config import LocalSesConfig, RunningSes
from newsletter.local_ses.server import running
from newsletter.ses.submit import EntryResult, Ses
from newsletter.states import OPEN, STEPS, State, may
from newsletter.store import Claim, Store, Subscription, open_store
from newsletter.store.sqlite import SqliteStore
from tests.conftest import Clock
from tests.store_contract import PACKAGE, fill, person

KEYS = (b"k" * 32,)


class Post:
    """A local SES of the test's own, with a store and a sender beside it."""

    def __init__(self, folder: Path, clock: Clock, ses: RunningSes) -> None:
        self.folder, self.clock, self.calls = folder, clock, ses.calls
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
        made = Post(tmp_path, clock, ses)
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


@pytest.mark.parametrize("bad", [{0}, {24}, {25}, {33}, {49}, {0, 49}, {7, 8}], ids=str)
def test_an_address_that_ses_refuses_costs_only_itself_and_few_calls(post: Post, bad: set[int]) -> None:
    fill(post.store, 50)
    to = [f"reader{number:04d}@example.org" for number in bad]
    refusal = {"action": "error", "status": 400, "code": "BadRequestException"}
    post.faults({"operation": "SendBulkEmail", "to": to, **refusal})
    report = post.deliver()
    assert report.counts.states == {State.SUBMITTED: 50 - len(bad), State.FAILED: len(bad)}
    assert not post.accepted().keys() & set(to)
    assert set(post.accepted().values()) == {1}
    assert report.calls <= len(bad) * (2 * log2(50) + 1)


def test_whoever_fails_three_times_is_given_up_and_the_others_are_mailed(post: Post) -> None:
    fill(post.store, 10)
    failing = ["reader0003@example.org", "reader0007@example.org"]
    post.faults({"operation": "SendBulkEmail", "to": failing, "action": "entry_status", "status": "FAILED"})
    report = post.deliver()
    assert report.counts.states == {State.SUBMITTED: 8, State.FAILED: 2}
    assert (report.calls, report.stopped) == (3, "")
    assert post.deliver().calls == 0


def test_the_tries_of_earlier_runs_count(post: Post) -> None:
    fill(post.store, 60)
    failing = {"to": "reader0003@example.org", "action": "entry_status", "status": "FAILED"}
    for call in (2, 4):  # each run is stopped at its second call
        post.faults(
            {"operation": "SendBulkEmail", **failing},
            {
                "operation": "SendBulkEmail",
                "call": 2,
                "action": "error",
                "status": 403,
                "code": f"Expired{call}",
            },
        )
        assert post.deliver().counts.of(State.FAILED) == 0
    post.faults({"operation": "SendBulkEmail", **failing})
    report = post.deliver()
    assert report.counts.states == {State.SUBMITTED: 59, State.FAILED: 1}
    assert report.calls == 1


@pytest.mark.parametrize("to", ["*", "reader00[3-9]*"], ids=["all", "all from the thirtieth on"])
def test_if_everybody_fails_nobody_is_given_up(post: Post, to: str) -> None:
    fill(post.store, 130)
    post.faults({"operation": "SendBulkEmail", "to": to, "action": "entry_status", "status": "FAILED"})
    report = post.deliver()
    assert "SES keeps refusing: FAILED" in report.stopped
    assert report.counts.of(State.FAILED) == 0
    post.faults()
    assert post.deliver().counts.states == {State.SUBMITTED: 130}


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
        ("FAILED", State.SUBMITTED, False),  # it may be tried three times
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


@pytest.fixture
def seventy_a_day(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    """An account that may mail 70 in 24 hours; its clock is the sender's."""
    config = LocalSesConfig(
        tmp_path / "m",
        tmp_path / "s.sqlite",
        tmp_path / "accepts.jsonl",
        identities=("example.org",),
        daily_quota=70,
        max_send_rate=10_000,
        now=lambda: clock.now.timestamp(),
    )
    with running(config) as ses:
        for name, value in ses.environment.items():
            monkeypatch.setenv(name, value)
        made = Post(tmp_path, clock, ses)
        yield made
        made.store.close()


def test_the_days_quota_is_used_up_and_the_rest_follows_on_the_next_days(
    seventy_a_day: Post, clock: Clock
) -> None:
    post = seventy_a_day
    fill(post.store, 150)
    for now, pending in ((70, 80), (70, 10), (10, 0)):
        report = post.deliver()
        assert (report.submitted_now, report.counts.of(State.PENDING)) == (now, pending)
        assert ("quota is used up" in report.stopped) is bool(pending)
        clock.now += timedelta(hours=23)
        assert post.deliver().calls == 0
        clock.now += timedelta(hours=1)
    assert Counter(post.accepted().values()) == {1: 150}


def test_what_the_account_s_other_mail_uses_of_the_quota_is_noticed_within_a_minute(
    seventy_a_day: Post, clock: Clock
) -> None:
    post = seventy_a_day
    fill(post.store, 70)
    sizes = []

    class Shared(Ses):
        def submit(self, *arguments: Any, **more: Any) -> list[EntryResult]:
            template, package, entries, tags = arguments
            results = super().submit(*arguments, **more)
            if not sizes:
                others = [replace(entry, to=f"other{n}@example.org") for n, entry in enumerate(entries[:15])]
                super().submit(template, package, others, tags)
            sizes.append(len(entries))
            clock.now += timedelta(seconds=61)
            return results

    links = Links("https://briefing.example.org", KEYS)
    report = Delivery(post.store, Shared("newsletter"), links, clock, clock.pause).run(PACKAGE)
    assert sizes == [50, 5]
    assert "quota is used up" in report.stopped
    assert report.counts.states == {State.SUBMITTED: 55, State.PENDING: 15}


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


class Acting(Ses):
    """Does something after its n-th call, before the answer is written down."""

    def __init__(self, call: int, act: Callable[[], None]) -> None:
        super().__init__("newsletter")
        self.left, self.act = call, act

    def submit(self, *arguments: Any, **more: Any) -> list[EntryResult]:
        try:
            return super().submit(*arguments, **more)
        finally:
            self.left -= 1
            if self.left == 0:
                self.act()


def sender(post: Post, mailer: Ses, **more: Any) -> Delivery:
    links = Links("https://briefing.example.org", KEYS)
    return Delivery(post.store, mailer, links, post.clock, more.pop("pause", post.clock.pause), **more)


class Slept(SqliteStore):
    """A store whose machine falls asleep right after its second claim."""

    claims = 0

    def sleep(self) -> None:
        """What happens meanwhile."""

    def claim(self, *words: Any) -> Claim | None:
        claim = super().claim(*words)
        self.claims += 1
        if self.claims == 2:
            self.sleep()
        return claim


def test_a_sender_that_slept_between_claim_and_call_mails_nobody_whom_another_has_mailed(post: Post) -> None:
    fill(post.store, 120)
    slept = Slept(str(post.folder / "newsletter.db"))

    def sleep() -> None:  # another machine, whose lease it is now, takes over what SES told nothing of
        post.clock.pause(3600)
        post.store.hold_orphans("2020-10", post.clock())
        (doubt,) = post.store.doubts("2020-10")
        post.store.release("2020-10", doubt.attempt, State.PENDING, "no event of it", post.clock())
        assert post.deliver().counts.states == {State.SUBMITTED: 120}

    slept.sleep = sleep  # type: ignore[method-assign]
    links = Links("https://briefing.example.org", KEYS)
    with pytest.raises(StoreError, match="it is not claimed by it"):
        Delivery(slept, Ses("newsletter"), links, post.clock, post.clock.pause).run(PACKAGE)
    assert set(post.accepted().values()) == {1}
    assert post.accepted().total() == 120
    slept.close()


def fill_disk(store: Store, full: bool = True) -> None:
    """Let the database grow no further, as on a full disk; or let it grow again."""
    db = store.db  # type: ignore[attr-defined]
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages if full else 1_000_000}")


def test_a_disk_that_is_full_before_a_claim_mails_nobody_of_it(post: Post) -> None:
    fill(post.store, 2_000)
    post.store.freeze(PACKAGE, post.clock())
    fill_disk(post.store)
    with pytest.raises(StoreError, match="full"):
        post.deliver()
    claimed = post.store.counts("2020-10").of(State.SUBMITTED)
    assert post.accepted().total() == claimed < 2_000
    fill_disk(post.store, full=False)
    assert post.deliver().counts.states == {State.SUBMITTED: 2_000}
    assert set(post.accepted().values()) == {1}


def test_a_disk_that_is_full_when_ses_answers_leaves_that_call_in_doubt_and_doubles_nobody(
    post: Post,
) -> None:
    fill(post.store, 120)
    with pytest.raises(StoreError, match="full"):
        sender(post, Acting(1, lambda: fill_disk(post.store))).run(PACKAGE)
    assert post.accepted().total() == 50
    fill_disk(post.store, full=False)
    assert post.deliver().counts.states == {State.SUBMITTED: 70, State.IN_DOUBT: 50}
    assert post.accepted().total() == 120
    assert set(post.accepted().values()) == {1}


def test_asked_to_stop_it_ends_after_the_call_that_is_under_way(post: Post) -> None:
    fill(post.store, 150)
    delivery = sender(post, Acting(2, lambda: delivery.stop()))
    report = delivery.run(PACKAGE)
    assert (report.stopped, report.calls) == ("it was asked to", 2)
    assert report.counts.states == {State.SUBMITTED: 100, State.PENDING: 50}
    assert post.deliver().counts.states == {State.SUBMITTED: 150}
    assert set(post.accepted().values()) == {1}


def test_asked_to_stop_while_it_looks_for_a_bad_address_it_makes_no_further_call(post: Post) -> None:
    fill(post.store, 50)
    refusal = {"action": "error", "status": 400, "code": "BadRequestException"}
    post.faults({"operation": "SendBulkEmail", "to": "reader0049@example.org", **refusal})
    delivery = sender(post, Acting(2, lambda: delivery.stop()))
    report = delivery.run(PACKAGE)
    assert report.calls == 2
    assert report.counts.states == {State.SUBMITTED: 25, State.PENDING: 25}


def test_a_pause_ends_when_it_is_asked_to_stop(post: Post) -> None:
    fill(post.store, 20)
    post.faults({"operation": "SendBulkEmail", "action": "throttle"})
    began = post.clock.now

    def pause(seconds: float) -> None:
        post.clock.pause(seconds)
        if (post.clock.now - began).total_seconds() > 20:
            delivery.stop()

    delivery = sender(post, Ses("newsletter"), pause=pause)
    assert delivery.run(PACKAGE).counts.states == {State.PENDING: 20}
    assert 20 < (post.clock.now - began).total_seconds() < 21


def test_asked_to_stop_before_a_call_it_makes_none(post: Post) -> None:
    fill(post.store, 20)
    delivery = sender(post, Ses("newsletter"), pause=lambda seconds: delivery.stop())
    report = delivery.run(PACKAGE)
    assert (report.calls, report.counts.states) == (0, {State.PENDING: 20})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_falls_between_no_call_and_its_record(post: Post, number: signal.Signals) -> None:
    """In this very process: without `heeding` the signal would end the tests, as it would end a sender."""
    fill(post.store, 150)
    post.faults({"operation": "SendBulkEmail", "call": 2, "action": "latency", "seconds": 0.6})

    def press() -> None:
        while post.calls("SendBulkEmail") < 2:
            time.sleep(0.01)
        for _ in range(3):  # impatiently
            time.sleep(0.05)
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=press)
    delivery = sender(post, Ses("newsletter"))
    before = signal.getsignal(number)
    thread.start()
    with heeding(delivery.stop):
        report = delivery.run(PACKAGE)
        thread.join()
    assert signal.getsignal(number) is before
    assert report.counts.states == {State.SUBMITTED: 100, State.PENDING: 50}


@pytest.mark.parametrize("step", [timedelta(days=-1), timedelta(days=1)], ids=["back", "forward"])
def test_a_clock_that_is_set_by_a_day_during_the_run_changes_nothing(post: Post, step: timedelta) -> None:
    fill(post.store, 220)

    def turn() -> None:
        post.clock.now += step

    post.faults({"operation": "SendBulkEmail", "call": 3, "action": "reset", "when": "after"})
    report = sender(post, Acting(2, turn)).run(PACKAGE)
    assert report.counts.states == {State.SUBMITTED: 170, State.IN_DOUBT: 50}
    assert post.deliver().calls == 0
    assert set(post.accepted().values()) == {1}


def test_the_table_of_steps_never_leads_back_from_accepted_to_pending() -> None:
    reached, edge = set(), {State.SUBMITTED}
    while edge:
        state = edge.pop()
        reached.add(state)
        edge |= STEPS[state] - reached
    assert not reached & OPEN
    assert not may(State.SUBMITTED, State.PENDING)
    assert set(STEPS) == set(State)
