"""A slice first, and the others only when its mails are known to be sound; brakes for as long as it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from newsletter.aftermath import Aftermath
from newsletter.delivery import Delivery, Links, Report
from newsletter.errors import SesError, StoreError
from newsletter.ses.queue import EventQueue
from newsletter.ses.submit import EntryResult, Ses
from newsletter.settle import Signs, Verdict, brakes, judge_slice
from newsletter.states import Evidence, State
from newsletter.store import Sighting, Store, open_store
from newsletter.vigil import Vigil
from tests.conftest import Clock
from tests.local_ses_world import SENDER, World, world
from tests.store_contract import PACKAGE, fill

BRIEFING = replace(PACKAGE, sender=SENDER)
DELIVERY, SEND = Evidence.DELIVERY, Evidence.SEND
BOUNCE, COMPLAINT = Evidence.HARD_BOUNCE, Evidence.COMPLAINT


# -- decisions


@pytest.mark.parametrize(
    ("delivered", "bounced", "complained", "stops"),
    [
        (0, 0, 0, ""),
        (0, 5, 0, ""),  # a handful says nothing: five of two hundred are 2.5 %
        (0, 6, 0, "6 hard bounces"),
        (195, 5, 0, ""),
        (975, 25, 0, ""),
        (974, 26, 0, "26 hard bounces"),
        (9_740, 260, 0, "260 hard bounces"),
        (1, 0, 1, "1 complaint "),
        (1_999, 0, 1, "1 complaint "),
        (2_000, 0, 1, ""),
        (2_000, 0, 2, "2 complaints"),
    ],
)
def test_the_brakes_stop_at_half_of_what_ses_reviews_an_account_for(
    delivered: int, bounced: int, complained: int, stops: str
) -> None:
    seen = {SEND: 1_000_000, DELIVERY: delivered, BOUNCE: bounced, COMPLAINT: complained}
    assert brakes({kind: count for kind, count in seen.items() if count}).startswith(stops or "\0") is bool(
        stops
    )
    assert bool(brakes(seen)) is bool(stops)


@pytest.mark.parametrize(
    ("signs", "verdict"),
    [
        (Signs(100, 0, {DELIVERY: 100}), Verdict.RELEASE),
        (Signs(100, 0, {DELIVERY: 50, Evidence.DELIVERY_DELAY: 50}), Verdict.RELEASE),
        (Signs(100, 0, {DELIVERY: 49, Evidence.DELIVERY_DELAY: 51}), Verdict.WAIT),
        (Signs(100, 1, {DELIVERY: 99}), Verdict.WAIT),
        (Signs(0, 0, {}), Verdict.WAIT),
        (Signs(100, 0, {DELIVERY: 99, Evidence.RENDERING_FAILURE: 1}), Verdict.HOLD),
        (Signs(100, 0, {DELIVERY: 99, Evidence.REJECT: 1}), Verdict.HOLD),
        (Signs(100, 0, {DELIVERY: 94, BOUNCE: 6}), Verdict.HOLD),
        (Signs(100, 0, {DELIVERY: 100, COMPLAINT: 1}), Verdict.HOLD),
    ],
)
def test_the_first_mails_are_sound_only_if_every_sign_says_so(signs: Signs, verdict: Verdict) -> None:
    assert judge_slice(signs)[0] is verdict


# -- the sender and its events


class Evening:
    """A sender that watches its events, 120 subscribers, and a local SES whose clock is the sender's."""

    def __init__(self, own: World, folder: Path, clock: Clock) -> None:
        self.own, self.clock = own, clock
        self.store: Store = open_store(f"sqlite:///{folder / 'newsletter.db'}")
        self.queue = EventQueue(own.server.queue_url, own.server.topic_arn)
        self.quarantine = folder / "quarantine"

    def vigil(self, store: Store | None = None, **more: Any) -> Vigil:
        store = store or self.store
        return Vigil(store, Aftermath(store, self.queue, self.quarantine, self.clock), self.clock, **more)

    def delivery(self, mailer: Ses | None = None, size: int = 10, **more: Any) -> Delivery:
        more.setdefault("vigil", self.vigil())
        links = Links("https://briefing.example.org", (b"k" * 32,))
        mailer = mailer or Ses("newsletter")
        return Delivery(self.store, mailer, links, self.clock, self.clock.pause, slice_size=size, **more)

    def deliver(self, mailer: Ses | None = None, size: int = 10, **more: Any) -> Report:
        return self.delivery(mailer, size, **more).run(BRIEFING)

    def mailed(self) -> list[str]:
        return [accept["to"].partition("@")[0] for accept in self.own.accepts()]


class Slow(Ses):
    """Half a minute a call, by the sender's clock, and then whatever `after` does."""

    def __init__(self, clock: Clock, after: Any = lambda call: None) -> None:
        super().__init__("newsletter")
        self.clock, self.after, self.call = clock, after, 0

    def submit(self, *arguments: Any, **more: Any) -> list[EntryResult]:
        results = super().submit(*arguments, **more)
        self.clock.pause(31)
        self.call += 1
        self.after(self.call)
        return results


@pytest.fixture
def evening(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Evening]:
    with world(tmp_path, max_send_rate=1e6, daily_quota=-1, now=lambda: clock.now.timestamp()) as own:
        for name, value in own.server.environment.items():
            monkeypatch.setenv(name, value)
        made = Evening(own, tmp_path, clock)
        fill(made.store, 120)
        yield made
        made.store.close()


def reader(number: int) -> str:
    return f"reader{number:04d}"


def test_the_others_follow_a_sound_slice_in_the_same_run(evening: Evening) -> None:
    told: list[str] = []
    report = evening.deliver(vigil=evening.vigil(tell=told.append))
    assert report.counts.of(State.PENDING, State.IN_DOUBT) == 0
    assert (report.stopped, report.warning) == ("", "")
    assert Counter(evening.mailed()) == {reader(number): 1 for number in range(120)}
    assert [len(call) for call in _calls(evening)] == [10, 50, 50, 10]
    assert "first 10 mails" in told[0]
    assert evening.store.sound("2020-10")


def _calls(evening: Evening) -> list[list[str]]:
    calls: dict[str, list[str]] = {}
    for accept in evening.own.accepts():
        calls.setdefault(accept["tags"]["attempt"], []).append(accept["to"])
    return list(calls.values())


def test_testers_come_first(evening: Evening) -> None:
    testers = {f"{reader(number)}@example.org" for number in (119, 80)}
    evening.deliver(testers=testers)
    assert set(evening.mailed()[:2]) == {reader(80), reader(119)}
    assert set(evening.mailed()[2:10]) == {reader(number) for number in range(8)}


def test_a_slice_of_which_ses_tells_nothing_stops_the_run_and_is_looked_at_again(evening: Evening) -> None:
    evening.own.plan(events=[{"action": "delay", "seconds": 3600}])
    began = evening.clock.now
    report = evening.deliver()
    assert "told nothing of 10 of the first 10" in report.stopped
    assert report.counts.states == {State.SUBMITTED: 10, State.PENDING: 110}
    assert 500 < (evening.clock.now - began).total_seconds() < 700
    again = evening.deliver()
    assert "told nothing of 10" in again.stopped
    assert (again.calls, len(evening.mailed())) == (0, 10)
    evening.own.plan()
    evening.clock.pause(3600)
    assert evening.deliver().stopped == ""
    assert Counter(evening.mailed()) == {reader(number): 1 for number in range(120)}


@pytest.mark.parametrize(
    ("outcome", "count", "reason"),
    [
        ("bounced", 2, "2 of the first 10 mails bounced for good"),
        ("complained", 1, "1 complaint"),
        ("rendering_failure", 1, "could not render"),
        ("rejected", 1, "rejected"),
        ("soft_bounced", 6, "only 4 of the first 10 mails are delivered"),
    ],
)
def test_a_slice_that_went_wrong_keeps_the_others_from_it(
    evening: Evening, outcome: str, count: int, reason: str
) -> None:
    to = [f"{reader(number)}@example.org" for number in range(count)]
    evening.own.plan(outcomes=[{"to": to, "outcome": outcome}])
    for _ in range(2):
        report = evening.deliver()
        assert reason in report.stopped
        assert report.counts.of(State.PENDING) == 110
    assert evening.own.bulk_calls() == 1


def test_whoever_has_looked_at_the_bounces_can_go_on_all_the_same(evening: Evening) -> None:
    to = [f"{reader(number)}@example.org" for number in range(7)]
    evening.own.plan(outcomes=[{"to": to, "outcome": "bounced"}])
    assert "7 of the first 20 mails bounced for good" in evening.deliver(size=20).stopped
    report = evening.deliver(size=20, vigil=evening.vigil(brakes=False))
    assert (report.stopped, report.counts.of(State.PENDING)) == ("", 0)


def test_an_audience_that_is_no_larger_than_the_slice_waits_for_nothing(evening: Evening) -> None:
    evening.own.plan(events=[{"action": "lose"}])
    report = evening.deliver(size=120)
    assert (report.stopped, report.counts.states) == ("", {State.SUBMITTED: 120})


def test_without_events_there_is_no_slice(evening: Evening) -> None:
    report = evening.deliver(vigil=None)
    assert (report.stopped, report.calls) == ("", 3)


def test_a_call_without_an_answer_counts_as_part_of_the_slice(evening: Evening) -> None:
    evening.own.plan(calls=[{"operation": "SendBulkEmail", "call": 1, "action": "reset", "when": "before"}])
    report = evening.deliver()
    assert "accepted none" in report.stopped
    assert report.counts.states == {State.IN_DOUBT: 10, State.PENDING: 110}


def test_a_request_to_stop_ends_the_wait_for_the_slice(evening: Evening) -> None:
    evening.own.plan(events=[{"action": "lose"}])
    delivery = evening.delivery(vigil=evening.vigil(tell=lambda words: delivery.stop()))
    began = evening.clock.now
    assert "asked" in delivery.run(BRIEFING).stopped
    assert (evening.clock.now - began).total_seconds() < 5


# -- the rest of the run


def test_a_complaint_during_the_run_stops_it_within_half_a_minute(evening: Evening) -> None:
    to = f"{reader(15)}@example.org"
    evening.own.plan(outcomes=[{"to": to, "outcome": "complained"}])
    report = evening.deliver(Slow(evening.clock))
    assert "1 complaint" in report.stopped
    assert [len(call) for call in _calls(evening)] == [10, 50]
    assert "1 complaint" in evening.deliver().stopped  # and the same command does not go on by itself
    assert len(_calls(evening)) == 2


def test_what_the_last_calls_brought_is_told_at_the_end(evening: Evening) -> None:
    evening.own.plan(outcomes=[{"to": f"{reader(118)}@example.org", "outcome": "complained"}])
    report = evening.deliver()
    assert (report.stopped, report.counts.of(State.PENDING)) == ("", 0)
    assert "1 complaint" in report.warning


def test_whoever_complains_about_an_older_mail_during_the_run_is_not_mailed(evening: Evening) -> None:
    september = replace(BRIEFING, month="2020-09", content_hash="9" * 64)
    evening.store.freeze(september, evening.clock())
    number = 120
    complaint = Sighting(COMPLAINT, "0102-9", evening.clock(), "2020-09", "a9", number)

    def after(call: int) -> None:
        if call == 2:
            evening.store.apply([complaint], evening.clock())

    report = evening.deliver(Slow(evening.clock, after))
    assert report.stopped == ""
    assert report.counts.of(State.SKIPPED) == 1
    assert reader(119) not in evening.mailed()
    assert len(evening.mailed()) == 119


def test_an_older_copy_of_a_ledger_that_crashed_learns_from_the_events_whom_it_mailed(
    evening: Evening, tmp_path: Path
) -> None:
    """The one case the turns cannot tell: no last turn was taken."""
    expired = {"action": "error", "status": 403, "code": "ExpiredTokenException"}
    evening.own.plan(
        calls=[
            {"operation": "CreateEmailTemplate", "from": 3, **expired},
            {"operation": "SendBulkEmail", "from": 3, **expired},
        ]
    )
    copy = tmp_path / "copy.db"

    def after(call: int) -> None:
        if call == 1:
            evening.store.db.execute("VACUUM INTO ?", (str(copy),))  # type: ignore[attr-defined]

    assert evening.deliver(Slow(evening.clock, after), vigil=None).counts.of(State.PENDING) == 20
    evening.own.plan()
    evening.store.close()
    evening.store = open_store(f"sqlite:///{copy}")
    vigil = evening.vigil()
    vigil.most = 1  # what is read on the way is not what saves it
    assert evening.deliver(vigil=vigil).stopped == ""
    assert Counter(evening.mailed()).most_common(1)[0][1] == 1
    # Those in flight when it was copied stay in doubt or are shown by their events; nobody is forgotten.
    assert len(evening.mailed()) == 120


def test_a_takeover_learns_from_the_events_whom_the_lost_ledger_mailed(
    evening: Evening, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    evening.store.db.execute("VACUUM INTO ?", (str(backup),))  # type: ignore[attr-defined]
    evening.own.plan(calls=[{"operation": "SendBulkEmail", "from": 3, "action": "throttle"}])
    assert evening.deliver(size=0, vigil=None).counts.states == {State.SUBMITTED: 100, State.PENDING: 20}
    evening.own.plan()
    evening.store.close()
    evening.store = open_store(f"sqlite:///{backup}")
    with pytest.raises(StoreError, match="restored from a backup"):
        evening.deliver()
    assert evening.delivery(size=0).run(BRIEFING, takeover=True).stopped == ""
    assert Counter(evening.mailed()) == {reader(number): 1 for number in range(120)}


def test_events_that_cannot_be_read_stop_the_run_in_words(evening: Evening) -> None:
    evening.queue = EventQueue(evening.own.server.queue_url + "-gone", evening.own.server.topic_arn)
    report = evening.deliver()
    assert "events cannot be read" in report.stopped
    assert report.counts.states == {State.PENDING: 120}
    with pytest.raises(SesError, match="EVENTS_QUEUE_URL"):
        evening.deliver()


def test_looking_does_not_hold_the_mailing_up(evening: Evening) -> None:
    """However many events wait and however many calls are made: one look in half a minute, at a few messages."""
    evening.deliver(vigil=None)  # 240 events are waiting
    vigil = evening.vigil()
    vigil.most = 30
    reads = []
    for seconds in (0, *29 * [1], 1, 1, -86_400, 0):  # the clock may step back a day
        evening.clock.pause(seconds)
        before = evening.own.server.calls("ReceiveMessage")
        assert vigil.alarm("2020-10") == ""
        reads.append(evening.own.server.calls("ReceiveMessage") - before)
    assert reads == [3, *29 * [0], 3, 0, 1, 0]  # a day earlier none of them had been written
