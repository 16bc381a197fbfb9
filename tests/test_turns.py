"""An old copy of the ledger mails nobody: the real sender, several ledgers, one local SES."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from newsletter.delivery import Delivery, Links, Report, template_name
from newsletter.errors import SesError, StoreError
from newsletter.ses.submit import EntryResult, Ses
from newsletter.states import State
from newsletter.store import open_store
from newsletter.turn import overtaken
from tests.conftest import Clock
from tests.kill_child import Sender
from tests.local_ses_world import World, world
from tests.store_contract import NOW, PACKAGE, fill

BULK, TEMPLATE = "SendBulkEmail", "CreateEmailTemplate"
EXPIRED = {"action": "error", "status": 403, "code": "ExpiredTokenException"}


@pytest.fixture
def ses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path, identities=("example.org",), max_send_rate=1e6, daily_quota=-1) as served:
        for name, value in served.server.environment.items():
            monkeypatch.setenv(name, value)
        yield served


class Ledger:
    """A ledger in a file of its own, and a sender that works from it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock

    def copy(self, name: str) -> Ledger:
        """As a backup does it: the whole file, at this moment."""
        path = self.path.with_name(name)
        with sqlite3.connect(self.path) as source, sqlite3.connect(path) as target:
            source.backup(target)
        return Ledger(path, self.clock)

    def fill(self, count: int) -> Ledger:
        store = open_store(f"sqlite:///{self.path}")
        fill(store, count)
        store.close()
        return self

    def deliver(self, mailer: Ses | None = None, takeover: bool = False, through: str = "") -> Report:
        store = open_store(f"sqlite:///{self.path}")
        links = Links("https://briefing.example.org", (b"k" * 32,))
        try:
            delivery = Delivery(
                store, mailer or Ses("newsletter"), links, self.clock, self.clock.pause, through=through
            )
            return delivery.run(PACKAGE, takeover=takeover)
        finally:
            store.close()

    def turns(self) -> list[tuple[int, bool]]:
        with sqlite3.connect(self.path) as ledger:
            return ledger.execute("SELECT number, taken_at != '' FROM turn ORDER BY number").fetchall()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Ledger:
    return Ledger(tmp_path / "newsletter.db", clock)


def mailed(ses: World) -> Counter[str]:
    return Counter(accept["to"] for accept in ses.accepts())


def test_a_ledger_from_before_the_mailing_mails_nobody(ses: World, ledger: Ledger) -> None:
    backup = ledger.fill(120).copy("backup.db")
    ledger.deliver()
    calls = ses.bulk_calls()
    for _ in range(2):  # and trying again does not help
        with pytest.raises(StoreError, match="restored from a backup") as caught:
            backup.deliver()
    assert ses.bulk_calls() == calls == 3
    assert "Nobody was mailed" in str(caught.value)
    assert "newsletter audit 2020-10" in str(caught.value)
    assert "newsletter send 2020-10 --takeover" in str(caught.value)
    store = open_store(f"sqlite:///{backup.path}")
    assert store.frozen("2020-10") is None
    store.close()


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_ledger_copied_while_it_was_mailing_mails_nobody(ses: World, ledger: Ledger, call: int) -> None:
    """The last turn of the run is what tells it: with the first alone the copy would go on where it was copied."""
    ledger.fill(120)
    copies = []

    class Copied(Ses):
        def submit(self, *arguments: Any, **more: Any) -> list[EntryResult]:
            if ses.bulk_calls() == call - 1:
                copies.append(ledger.copy("copy.db"))
            return super().submit(*arguments, **more)

    ledger.deliver(Copied("newsletter"))
    calls = ses.bulk_calls()
    if call < 3:
        with pytest.raises(StoreError, match="--takeover"):
            copies[0].deliver()
    else:  # the last call: those it was for are claimed in the copy, and so in doubt
        assert copies[0].deliver().counts.states == {State.SUBMITTED: 100, State.IN_DOUBT: 20}
    assert ses.bulk_calls() == calls == 3
    assert set(mailed(ses).values()) == {1}


@pytest.mark.parametrize(
    "stop", [{"from": 2, **EXPIRED}, {"from": 2, "action": "throttle"}], ids=["expired", "slow"]
)
def test_a_ledger_copied_between_two_runs_mails_nobody(
    ses: World, ledger: Ledger, stop: dict[str, Any]
) -> None:
    ledger.fill(120)
    ses.plan(calls=[{"operation": BULK, **stop}])
    assert ledger.deliver().counts.of(State.PENDING) == 70
    copy = ledger.copy("copy.db")
    ses.plan()
    assert ledger.deliver().counts.states == {State.SUBMITTED: 120}
    calls = ses.bulk_calls()
    with pytest.raises(StoreError, match="another ledger"):
        copy.deliver()
    assert ses.bulk_calls() == calls
    assert set(mailed(ses).values()) == {1}


def test_of_eight_copies_that_begin_at_the_same_moment_one_mails(ses: World, ledger: Ledger) -> None:
    copies = [ledger.fill(13).copy(f"{number}.db") for number in range(8)]
    sender = Sender(ses.server.environment)
    try:
        statuses = sender.run([f"sqlite:///{copy.path}" for copy in copies], "2020-10")
    finally:
        sender.close()
    assert sorted(statuses) == [0] + 7 * [75]
    assert len(mailed(ses)) == 13
    assert set(mailed(ses).values()) == {1}


def test_of_eight_senders_with_one_ledger_one_mails(ses: World, ledger: Ledger) -> None:
    ledger.fill(13)
    sender = Sender(ses.server.environment)
    try:
        for _ in range(3):  # a double click, and cron on top of it
            statuses = sender.run(8 * [f"sqlite:///{ledger.path}"], "2020-10")
            assert 0 in statuses
            assert set(statuses) <= {0, 75}
    finally:
        sender.close()
    assert len(mailed(ses)) == 13
    assert set(mailed(ses).values()) == {1}


# -- answers that are lost


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [1, 2, 3], ids=["the first turn", "the template", "the last turn"])
def test_a_lost_answer_about_a_template_costs_nobody_the_mail(
    ses: World, ledger: Ledger, when: str, call: int
) -> None:
    ledger.fill(60)
    ses.plan(calls=[{"operation": TEMPLATE, "call": call, "action": "reset", "when": when}])
    report = ledger.deliver()
    assert (report.counts.states, report.warning) == ({State.SUBMITTED: 60}, "")
    assert ledger.turns() == [(1, True), (2, True)]


def test_an_ses_that_does_not_say_whose_turn_it_is_mails_nobody(ses: World, ledger: Ledger) -> None:
    copy = ledger.fill(60).copy("copy.db")
    mute = {"action": "reset", "when": "after"}
    ses.plan(calls=[{"operation": TEMPLATE, **mute}, {"operation": "GetEmailTemplate", **mute}])
    with pytest.raises(SesError, match="did not say whether"):
        ledger.deliver()
    assert (ses.bulk_calls(), ledger.turns()) == (0, [(1, False)])
    ses.plan()
    assert ledger.deliver().counts.states == {State.SUBMITTED: 60}
    assert ledger.turns() == [(1, True), (2, True), (3, True)]
    with pytest.raises(StoreError, match="another ledger"):
        copy.deliver()


def test_a_turn_that_was_begun_is_not_shared_by_two_copies(ses: World, ledger: Ledger) -> None:
    """Both know its owner: it must not be enough to know it."""
    store = open_store(f"sqlite:///{ledger.fill(60).path}")
    store.take_turn("2020-10", 1, "f" * 32, NOW)  # as a sender that was killed then leaves it
    store.close()
    copy = ledger.copy("copy.db")
    assert ledger.deliver().counts.states == {State.SUBMITTED: 60}
    with pytest.raises(StoreError, match="another ledger"):
        copy.deliver()
    assert set(mailed(ses).values()) == {1}


def test_a_last_turn_that_ses_refuses_is_told_and_made_up_for(ses: World, ledger: Ledger) -> None:
    ledger.fill(120)
    ses.plan(calls=[{"operation": BULK, "from": 2, **EXPIRED}, {"operation": TEMPLATE, "from": 3, **EXPIRED}])
    report = ledger.deliver()
    assert "ExpiredTokenException" in report.stopped
    assert "last turn" in report.warning
    assert ledger.turns() == [(1, True), (2, False)]
    ses.plan()
    assert ledger.deliver().counts.states == {State.SUBMITTED: 120}
    assert ledger.turns() == [(1, True), (2, True), (3, True), (4, True)]


def test_ses_takes_one_template_a_second_and_is_waited_for(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.fill(3)
    ledger.clock.pause = time.sleep  # type: ignore[method-assign]
    with world(tmp_path, identities=("example.org",), template_calls_per_second=1.0) as served:
        for name, value in served.server.environment.items():
            monkeypatch.setenv(name, value)
        report = ledger.deliver()
        assert served.server.calls(TEMPLATE) > 3
    assert (report.counts.states, report.warning) == ({State.SUBMITTED: 3}, "")


# -- whose word counts


def test_takeover_goes_on_with_this_ledger_and_shuts_the_other_out(ses: World, ledger: Ledger) -> None:
    ledger.fill(120)
    ses.plan(calls=[{"operation": BULK, "from": 2, **EXPIRED}])
    other = ledger.copy("other.db")
    other.deliver()  # fifty are mailed by it
    ses.plan()
    with pytest.raises(StoreError):
        ledger.deliver()
    assert ledger.deliver(takeover=True).counts.states == {State.SUBMITTED: 120}
    assert ledger.turns()[-1][1]
    with pytest.raises(StoreError, match="another ledger"):
        other.deliver()


def test_a_takeover_gets_by_a_turn_that_was_begun_and_is_another_s(ses: World, ledger: Ledger) -> None:
    ses.template("briefing-2020-10-turn-1", Subject="e" * 32, Text="another's")
    store = open_store(f"sqlite:///{ledger.fill(2).path}")
    store.take_turn("2020-10", 1, "f" * 32, NOW)
    store.close()
    with pytest.raises(StoreError, match="briefing-2020-10-turn-1"):
        ledger.deliver()
    assert ledger.deliver(takeover=True).counts.states == {State.SUBMITTED: 2}
    assert ledger.turns() == [(2, True), (3, True)]


def test_practice_uses_up_no_turn_of_the_real_ses(ses: World, ledger: Ledger, tmp_path: Path) -> None:
    """Otherwise a ledger from before the practice would find its number free at the real one."""
    old = ledger.fill(60).copy("old.db")
    ledger.deliver(through="this machine")
    store = open_store(f"sqlite:///{ledger.path}")
    store.discard("2020-10")
    store.close()
    for name in ("briefing-2020-10-turn-1", "briefing-2020-10-turn-2"):  # another SES has none of them
        ses.ses.delete_email_template(TemplateName=name)
    ledger.deliver(through="email.eu-west-1.amazonaws.com")
    calls = ses.bulk_calls()
    with pytest.raises(StoreError, match="another ledger"):
        old.deliver(through="email.eu-west-1.amazonaws.com")
    assert ses.bulk_calls() == calls


def test_a_run_with_nobody_to_mail_takes_no_turn(ses: World, ledger: Ledger) -> None:
    ledger.fill(3).deliver()
    made = ses.server.calls(TEMPLATE)
    ledger.deliver()
    assert ledger.turns() == [(1, True), (2, True)]
    assert ses.server.calls(TEMPLATE) == made


@pytest.mark.parametrize("operation", [TEMPLATE, "GetEmailTemplate"])
def test_a_stand_in_without_templates_to_ask_for_has_no_fence(
    ses: World, ledger: Ledger, operation: str
) -> None:
    ses.template("briefing-2020-10-turn-1", Subject="e" * 32, Text="another's")
    ses.template(template_name(PACKAGE), Subject=PACKAGE.subject, Html=PACKAGE.html, Text=PACKAGE.text)

    class NoTemplates(Ses):
        def store_template(self, *arguments: Any) -> None:
            pass

    ses.plan(
        calls=[
            {"operation": operation, "action": "error", "status": 404, "code": "UnknownOperationException"}
        ]
    )
    ledger.fill(3)
    assert ledger.deliver(NoTemplates("newsletter")).counts.states == {State.SUBMITTED: 3}


def test_a_copied_file_is_a_copied_ledger(ses: World, ledger: Ledger, tmp_path: Path) -> None:
    """As most backups are made: the file alone, while nobody writes."""
    ledger.fill(3)
    shutil.copy(ledger.path, tmp_path / "copy.db")
    ledger.deliver()
    with pytest.raises(StoreError, match="another ledger"):
        Ledger(tmp_path / "copy.db", ledger.clock).deliver()


def test_an_old_copy_is_known_by_a_look_that_takes_nothing(ses: World, ledger: Ledger) -> None:
    """So that it reads no events, which the newest ledger then would never learn of."""
    backup = ledger.fill(13).copy("backup.db")
    ledger.deliver()
    before = ses.server.calls(TEMPLATE)
    for path, old in ((ledger.path, False), (backup.path, True)):
        store = open_store(f"sqlite:///{path}")
        assert (overtaken(store, Ses("newsletter"), "2020-10", "") is not None) is old
        store.close()
    assert ses.server.calls(TEMPLATE) == before
