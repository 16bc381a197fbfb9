"""Each line of `newsletter doctor` for itself: what it takes for sound, and what it says to change."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest

from newsletter import tokens
from newsletter.delivery import Links
from newsletter.doctor import (
    Finding,
    Verdict,
    account,
    content,
    events,
    identity,
    key,
    ledger,
    queues,
    rendering,
    unsubscribe,
)
from newsletter.doctor.key import KeyFacts
from newsletter.doctor.rendering import Rendering
from newsletter.doctor.unsubscribe import Answer
from newsletter.errors import Finding as Fault
from newsletter.errors import PackageError, Refused, SesError
from newsletter.invariants import NAMES, Broken
from newsletter.ses.account import (
    AccountFacts,
    Destination,
    Hindrance,
    IdentityFacts,
    SetFacts,
    Unread,
)
from newsletter.ses.queue import DeadLetters, QueueFacts
from newsletter.ses.submit import Quota
from newsletter.settings import Settings
from newsletter.states import State
from newsletter.store import Counts
from newsletter.store.sqlite import SqliteStore, health
from tests.doctor_door import Door
from tests.store_contract import PACKAGE, fill

NOW = datetime(2020, 11, 2, 12, 0, tzinfo=UTC)
KEYS = (b"k" * 32,)
QUOTA = Quota(per_second=14, per_day=50_000, used=1_000, enabled=True, production=True)
ACCOUNT = AccountFacts(QUOTA, "HEALTHY", frozenset({"BOUNCE", "COMPLAINT"}))
IDENTITY = IdentityFacts("example.com", True, "SUCCESS", "SUCCESS", True, "bounce.example.com", "SUCCESS")
TOPIC = "arn:aws:sns:eu-west-1:000000000000:newsletter-events"
EVENTS = Destination("events", True, events.NEEDED, TOPIC)
SET = SetFacts("newsletter", True)
QUEUE = QueueFacts(0, 120, DeadLetters("https://q-dead", 5, 0))
DENIED = Unread("ses:GetEmailIdentity", Hindrance.DENIED, "AccessDeniedException: no")
PATH = Path("var/newsletter.db")


def waiting(count: int) -> Counts:
    return Counts({State.PENDING: count}, {})


def unread(why: Hindrance, action: str = "ses:GetAccount") -> Unread:
    return Unread(action, why, "its own words")


# -- the judges: each red or yellow line names what to change

SIDES: list[tuple[str, Callable[[], Finding], Verdict, str]] = [
    ("no credentials", lambda: account.reach("x", unread(Hindrance.CREDENTIALS)), Verdict.BROKEN, "AWS_PROFILE"),
    ("no way there", lambda: account.reach("x", unread(Hindrance.OUT_OF_REACH)), Verdict.BROKEN, "AWS_ENDPOINT_URL_SESV2"),
    ("GetAccount denied", lambda: account.reach("x", unread(Hindrance.DENIED)), Verdict.BROKEN, "ses:GetAccount"),
    ("SES is ill", lambda: account.reach("x", unread(Hindrance.FAILED)), Verdict.BROKEN, "health.aws.amazon.com"),
    ("a read denied", lambda: account.unread("n", DENIED), Verdict.WARNING, "ses:GetEmailIdentity"),
    ("a read fails", lambda: account.unread("n", unread(Hindrance.FAILED)), Verdict.BROKEN, "newsletter doctor again"),
    ("sandbox", lambda: account.production(replace(QUOTA, production=False)), Verdict.BROKEN, "Request production access"),
    ("sending off", lambda: account.sending(replace(QUOTA, enabled=False)), Verdict.BROKEN, "put-account-sending-attributes"),
    ("shut down", lambda: account.reputation(replace(ACCOUNT, enforcement="SHUTDOWN")), Verdict.BROKEN, "Reputation metrics"),
    ("probation", lambda: account.reputation(replace(ACCOUNT, enforcement="PROBATION")), Verdict.WARNING, "Reputation metrics"),
    ("a new word", lambda: account.reputation(replace(ACCOUNT, enforcement="GONE")), Verdict.WARNING, "Reputation metrics"),
    ("nobody", lambda: account.audience(waiting(0), begun=False), Verdict.WARNING, "newsletter subscribers import"),
    ("quota used up", lambda: account.today(replace(QUOTA, used=50_000), 1), Verdict.BROKEN, "Sending quota"),
    ("quota of nothing", lambda: account.today(replace(QUOTA, per_day=0, used=0), 1), Verdict.BROKEN, "Sending quota"),
    ("quota too small", lambda: account.today(QUOTA, 150_000), Verdict.WARNING, "Sending quota"),
    ("no rate", lambda: account.rate(replace(QUOTA, per_second=0), 1), Verdict.BROKEN, "Sending rate"),
    ("slow", lambda: account.rate(replace(QUOTA, per_second=1), 200_000), Verdict.WARNING, "Sending rate"),
    ("suppression off", lambda: account.suppression(replace(ACCOUNT, suppressed=frozenset({"BOUNCE"})), None), Verdict.WARNING, "put-account-suppression-attributes"),
    ("suppression off in the set", lambda: account.suppression(ACCOUNT, frozenset()), Verdict.WARNING, "put-configuration-set-suppression-options"),
    ("no identity", lambda: identity.findings(Unread("ses:GetEmailIdentity", Hindrance.ABSENT, "a@example.com"))[0], Verdict.BROKEN, "create-email-identity --email-identity example.com"),
    ("identity denied", lambda: identity.findings(DENIED)[0], Verdict.WARNING, "ses:GetEmailIdentity"),
    ("not verified", lambda: identity.verified(replace(IDENTITY, verified=False, status="PENDING")), Verdict.BROKEN, "CNAME"),
    ("address not verified", lambda: identity.verified(replace(IDENTITY, name="a@example.com", verified=False)), Verdict.BROKEN, "link that AWS mailed"),
    ("no DKIM", lambda: identity.dkim(replace(IDENTITY, dkim="NOT_STARTED")), Verdict.BROKEN, "_domainkey"),
    ("DKIM failed", lambda: identity.dkim(replace(IDENTITY, dkim="FAILED")), Verdict.BROKEN, "_domainkey"),
    ("not signing", lambda: identity.dkim(replace(IDENTITY, signing=False)), Verdict.BROKEN, "put-email-identity-dkim-attributes"),
    ("no MAIL FROM", lambda: identity.mail_from(replace(IDENTITY, mail_from="")), Verdict.WARNING, "--mail-from-domain bounce.example.com"),
    ("MAIL FROM failed", lambda: identity.mail_from(replace(IDENTITY, mail_from_status="FAILED")), Verdict.WARNING, "MX and TXT records of bounce.example.com"),
    ("MAIL FROM rejects", lambda: identity.mail_from(replace(IDENTITY, mail_from_status="FAILED", rejects=True)), Verdict.BROKEN, "MX and TXT records of bounce.example.com"),
    ("no set named", lambda: events.configuration_set("", None, practice=False), Verdict.BROKEN, "SES_CONFIGURATION_SET"),
    ("no set named in practice", lambda: events.configuration_set("", None, practice=True), Verdict.WARNING, "SES_CONFIGURATION_SET"),
    ("no such set", lambda: events.configuration_set("n", unread(Hindrance.ABSENT), practice=False), Verdict.BROKEN, "create-configuration-set --configuration-set-name n"),
    ("set switched off", lambda: events.configuration_set("n", replace(SET, sending=False), practice=False), Verdict.BROKEN, "put-configuration-set-sending-options --configuration-set-name n"),
    ("no destination", lambda: events.event_types("n", (), TOPIC), Verdict.BROKEN, "create-configuration-set-event-destination"),
    ("another topic", lambda: events.event_types("n", (replace(EVENTS, topic="arn:x"),), TOPIC), Verdict.BROKEN, "EVENTS_TOPIC_ARN"),
    ("destination off", lambda: events.event_types("n", (replace(EVENTS, enabled=False),), TOPIC), Verdict.BROKEN, "--event-destination-name events with Enabled=true"),
    ("types lacking", lambda: events.event_types("n", (replace(EVENTS, types=events.NEEDED - {"BOUNCE"}),), TOPIC), Verdict.BROKEN, "MatchingEventTypes=BOUNCE,COMPLAINT"),
    ("opens followed", lambda: events.tracking(ACCOUNT, SET, (replace(EVENTS, types=events.NEEDED | {"OPEN"}),)), Verdict.WARNING, "Take OPEN out"),
    ("engagement of the set", lambda: events.tracking(ACCOUNT, replace(SET, engagement=True), (EVENTS,)), Verdict.WARNING, "EngagementMetrics=DISABLED"),
    ("engagement of the account", lambda: events.tracking(replace(ACCOUNT, engagement=True), SET, (EVENTS,)), Verdict.WARNING, "EngagementMetrics=DISABLED"),
    ("no queue", lambda: events.queue(None, practice=False), Verdict.BROKEN, "EVENTS_QUEUE_URL"),
    ("queue denied", lambda: events.queue(Refused("AccessDenied", "no"), practice=False), Verdict.BROKEN, "sqs:GetQueueAttributes"),
    ("queue silent", lambda: events.queue(SesError("SQS: no answer. Nothing is lost."), practice=False), Verdict.BROKEN, "EVENTS_QUEUE_URL"),
    ("no dead letters", lambda: queues.dead_letters("queue", "https://q", replace(QUEUE, dead=None), "See"), Verdict.WARNING, "--queue-url https://q --attributes"),
    ("dead letters", lambda: queues.dead_letters("queue", "https://q", replace(QUEUE, dead=DeadLetters("https://q-dead", 5, 2)), "See"), Verdict.WARNING, "https://q-dead"),
    ("dead letters denied", lambda: queues.dead_letters("queue", "https://q", replace(QUEUE, dead=DeadLetters("https://q-dead", 5, None)), "See"), Verdict.WARNING, "sqs:GetQueueAttributes on https://q-dead"),
    ("work queue hasty", lambda: next(queues.work("https://q", replace(QUEUE, again=30), practice=False)), Verdict.WARNING, "VisibilityTimeout=120"),
    ("work queue denied", lambda: next(queues.work("https://q", Refused("AccessDenied", "no"), practice=False)), Verdict.BROKEN, "WORK_QUEUE_URL"),
    ("canary lost", lambda: events.lost(timedelta(seconds=60), None), Verdict.BROKEN, "sqs:SendMessage from EVENTS_TOPIC_ARN"),
    ("key short", lambda: key.judge(KeyFacts("var/secret.key", 31, 0o600), begun=False), Verdict.BROKEN, "var/secret.key"),
    ("key open", lambda: key.judge(KeyFacts("var/secret.key", 43, 0o644), begun=False), Verdict.BROKEN, "chmod 600 var/secret.key"),
    ("key not readable", lambda: key.judge(KeyFacts("var/secret.key", None, 0), begun=False), Verdict.BROKEN, "var/secret.key"),
    ("no key yet", lambda: key.judge(KeyFacts("var/secret.key", None), begun=False), Verdict.WARNING, "SECRET_KEY"),
    ("key gone", lambda: key.judge(KeyFacts("var/secret.key", None), begun=True), Verdict.BROKEN, "Restore var/secret.key"),
    ("no package", lambda: content.missing(PackageError("build/x: there is no package. Type: newsletter briefing 2020-10")), Verdict.BROKEN, "newsletter briefing 2020-10"),
    ("lint", lambda: content.linted("2020-10", [Fault("p", 0, "html", "lacks alt.")], 1, 9), Verdict.BROKEN, "newsletter briefing 2020-10"),
    ("from the future", lambda: content.dates(replace(PACKAGE, items=({"title": "x", "date": "2020-11-03"},)), NOW, ZoneInfo("UTC")), Verdict.BROKEN, "content/analyses/"),
    ("schema", lambda: health.schema(PATH, 99), Verdict.BROKEN, "Update the program"),
    ("WAL unsound", lambda: health.durability(PATH, (3, 40, 1), "wal", "FULL"), Verdict.BROKEN, "PRAGMA journal_mode=DELETE"),
    ("WAL half synced", lambda: health.durability(PATH, (3, 52, 0), "wal", "NORMAL"), Verdict.BROKEN, "synchronous"),
    ("journal half synced", lambda: health.durability(PATH, (3, 40, 1), "delete", "FULL"), Verdict.BROKEN, "synchronous"),
    ("no journal", lambda: health.durability(PATH, (3, 40, 1), "off", "EXTRA"), Verdict.BROKEN, "journal_mode"),
    ("damaged", lambda: health.integrity(PATH, ["row 3 missing"]), Verdict.BROKEN, "restore it from a backup"),
    ("disk full", lambda: health.room(PATH, 10 * 1024**2, 1), Verdict.BROKEN, "Make room on the disk of var/newsletter.db"),
    ("disk too small for it", lambda: health.room(PATH, 300 * 1024**2, 200 * 1024**2), Verdict.BROKEN, "Make room"),
    ("open to all", lambda: health.privacy(PATH, True), Verdict.WARNING, "chmod 600 var/newsletter.db"),
    ("held", lambda: health.busy(PATH), Verdict.BROKEN, "fuser var/newsletter.db"),
]  # fmt: skip


@pytest.mark.parametrize(("judged", "verdict", "names"), [s[1:] for s in SIDES], ids=[s[0] for s in SIDES])
def test_what_is_wrong_is_told_with_the_name_of_what_to_change(
    judged: Callable[[], Finding], verdict: Verdict, names: str
) -> None:
    finding = judged()
    assert finding.verdict is verdict
    assert names in finding.mend
    assert finding.words


SOUND: list[Callable[[], Finding]] = [
    lambda: account.reach("https://email.eu-west-1.amazonaws.com", ACCOUNT),
    lambda: account.production(QUOTA),
    lambda: account.sending(QUOTA),
    lambda: account.reputation(ACCOUNT),
    lambda: account.audience(waiting(3), begun=False),
    lambda: account.audience(waiting(0), begun=True),
    lambda: account.today(QUOTA, 49_000),
    lambda: account.today(replace(QUOTA, per_day=-1), 10**9),
    lambda: account.rate(QUOTA, 100_000),
    lambda: account.suppression(ACCOUNT, None),
    lambda: account.suppression(replace(ACCOUNT, suppressed=frozenset()), frozenset({"BOUNCE", "COMPLAINT"})),
    lambda: identity.verified(IDENTITY),
    lambda: identity.dkim(IDENTITY),
    lambda: identity.mail_from(IDENTITY),
    lambda: events.configuration_set("newsletter", SET, practice=False),
    lambda: events.event_types("n", (EVENTS,), TOPIC),
    lambda: events.event_types("n", (EVENTS,), ""),
    lambda: events.event_types(
        "n",
        (replace(EVENTS, types=events.NEEDED - {"SEND"}), replace(EVENTS, types=frozenset({"SEND"}))),
        TOPIC,
    ),
    lambda: events.tracking(ACCOUNT, SET, (EVENTS,)),
    lambda: events.tracking(replace(ACCOUNT, engagement=True), replace(SET, engagement=False), (EVENTS,)),
    lambda: events.queue(QUEUE, practice=False),
    lambda: queues.dead_letters("queue", "https://q", QUEUE, "See"),
    lambda: next(queues.work("https://q", QUEUE, practice=False)),
    lambda: key.judge(KeyFacts("var/secret.key", 43, 0o600), begun=True),
    lambda: key.judge(KeyFacts("SECRET_KEY", 32), begun=True),
    lambda: content.dates(PACKAGE, NOW, ZoneInfo("UTC")),
    lambda: content.dates(
        replace(PACKAGE, items=({"title": "x", "date": "2020-11-02T07:00:00+00:00"},)), NOW, ZoneInfo("UTC")
    ),
    lambda: health.durability(PATH, (3, 52, 0), "wal", "FULL"),
    lambda: health.durability(PATH, (3, 40, 1), "delete", "EXTRA"),
    lambda: health.room(PATH, 300 * 1024**2, 1),
]


@pytest.mark.parametrize("judged", SOUND)
def test_what_is_as_it_should_be_asks_for_nothing(judged: Callable[[], Finding]) -> None:
    finding = judged()
    assert (finding.verdict, finding.mend) == (Verdict.SOUND, "")


def test_a_quota_that_is_too_small_says_on_how_many_days() -> None:
    # 49,000 are left today, then 50,000 a day: 150,000 are done on the fourth.
    assert "takes 4 days" in account.today(QUOTA, 150_000).words


def test_the_rate_says_how_long_it_takes_at_nine_tenths_of_it() -> None:
    assert "45,360 take 60 min" in account.rate(QUOTA, 45_360).words


def test_a_stand_in_that_lacks_an_operation_is_not_asked_and_not_blamed() -> None:
    assert account.unread("n", unread(Hindrance.UNSUPPORTED)).verdict is Verdict.SKIPPED
    assert account.reach("x", unread(Hindrance.UNSUPPORTED)).verdict is Verdict.SOUND


def test_a_lint_with_several_faults_counts_them() -> None:
    faults = [Fault("p", 0, "html", f"fault {number}.") for number in range(3)]
    assert "fault 0 (and 2 more)" in content.linted("2020-10", faults, 1, 9).words


def test_each_invariant_has_a_line_and_a_broken_one_says_where() -> None:
    found = ledger.judge([Broken(1, NAMES[1], "3 addresses have it twice", "2020-10")] * 2, ["2020-10"])
    assert [finding.name for finding in found] == [f"invariant {number}" for number in NAMES]
    assert found[0].verdict is Verdict.BROKEN
    assert "2020-10: 3 addresses have it twice (and 1 more)" in found[0].words
    assert "newsletter audit 2020-10" in found[0].mend
    assert {finding.verdict for finding in found[1:]} == {Verdict.SOUND}


# -- what SES makes of the package


RENDERED = Rendering("https://x.org/u/1", "S", "<p>https://x.org/u/1</p>", "https://x.org/u/1")


@pytest.mark.parametrize(
    ("change", "says", "names"),
    [
        ({"subject": "Other"}, "the subject “Other” of “S”", "content/briefings/2020-10.md"),
        ({"html": "<p>{{name}} https://x.org/u/1"}, "the HTML half still holds {{", "newsletter briefing 2020-10"),
        ({"text": "https://x.org/u/1 {{"}, "the text half still holds {{", "newsletter briefing 2020-10"),
        ({"html": "<p>"}, "the HTML half lacks", "theme/templates/email/briefing/"),
        ({"text": "https://x.org/u/2"}, "the text half lacks", "theme/templates/email/briefing/"),
    ],
)  # fmt: skip
def test_a_mail_that_comes_out_wrong_is_told(change: dict[str, str], says: str, names: str) -> None:
    finding = rendering.judge(PACKAGE, [RENDERED, replace(RENDERED, **change)])
    assert finding.verdict is Verdict.BROKEN
    assert says in finding.words
    assert names in finding.mend
    assert rendering.judge(PACKAGE, [RENDERED]).verdict is Verdict.SOUND


@pytest.mark.parametrize(
    ("action", "why", "verdict", "names"),
    [
        ("ses:CreateEmailTemplate", Hindrance.DENIED, Verdict.BROKEN, "ses:CreateEmailTemplate"),
        ("ses:TestRenderEmailTemplate", Hindrance.DENIED, Verdict.WARNING, "ses:TestRenderEmailTemplate"),
        ("ses:DeleteEmailTemplate", Hindrance.DENIED, Verdict.WARNING, "delete doctor-a"),
        ("ses:TestRenderEmailTemplate", Hindrance.FAILED, Verdict.BROKEN, "newsletter briefing 2020-10"),
    ],
)
def test_a_rendering_that_is_refused_says_what_to_change(
    action: str, why: Hindrance, verdict: Verdict, names: str
) -> None:
    finding = rendering.hindered(Unread(action, why, "said"), "doctor-a", "2020-10")
    assert finding.verdict is verdict
    assert names in finding.mend


# -- the unsubscribe link, asked of a real server


@pytest.fixture
def door() -> Iterator[Door]:
    with Door().open() as door:
        yield door


def probe(door: Door, timeout: float = 5.0) -> Finding:
    """What a door on this machine does, judged as one in the world is."""
    link = Links(door.url, KEYS).unsubscribe(bytes(16))
    post = unsubscribe.ask(link, timeout, b"List-Unsubscribe=One-Click")
    return unsubscribe.judge(door.url, post, unsubscribe.ask(link, timeout))


def test_the_link_is_asked_as_a_mail_program_asks_it(door: Door) -> None:
    """RFC 8058 section 3.1, with a genuine token that is nobody's and another one each time."""
    assert unsubscribe.examine(door.url, KEYS, practice=True).verdict is Verdict.SOUND
    (method, path, headers, body), (other, again, _, _) = door.asked
    assert (method, other) == ("POST", "GET")
    assert path == again
    assert body == b"List-Unsubscribe=One-Click"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert not {"Cookie", "Authorization", "Referer"} & set(headers)
    assert tokens.verify(path.removeprefix("/u/"), tokens.Purpose.UNSUBSCRIBE, KEYS)
    unsubscribe.examine(door.url, KEYS, practice=True)
    assert door.asked[2][1] != path


@pytest.mark.parametrize(
    ("method", "status", "headers", "says", "names"),
    [
        ("POST", 301, {"Location": "https://www.example.org/u/x"}, "redirected (301, to www.example.org)", "site_url"),
        ("POST", 308, {"Location": "/elsewhere"}, "redirected (308, to another path)", "site_url"),
        ("POST", 404, {}, "answered 404", "SECRET_KEY"),
        ("POST", 403, {}, "answered 403", "the proxy pass /u/ on"),
        ("POST", 202, {}, "answered 202", "newsletter web"),
        ("POST", 500, {}, "answered 500", "log of newsletter web"),
        ("POST", 200, {"Set-Cookie": "a=b"}, "sets a cookie", "Set-Cookie"),
        ("GET", 503, {}, "a GET of", "newsletter web"),
    ],
)  # fmt: skip
def test_a_link_that_does_not_unsubscribe_is_told(
    door: Door, method: str, status: int, headers: dict[str, str], says: str, names: str
) -> None:
    door.answers[method] = status, headers
    finding = probe(door)
    assert finding.verdict is Verdict.BROKEN
    assert says in finding.words
    assert names in finding.mend
    assert len(door.asked) == 2, "nothing was followed"


def test_a_get_may_redirect_to_a_page(door: Door) -> None:
    door.answers["GET"] = 302, {"Location": "/my-page"}
    assert probe(door).verdict is Verdict.SOUND


def test_a_door_that_does_not_answer_in_time_or_at_all_is_told(door: Door) -> None:
    door.pause = 0.5
    finding = probe(door, timeout=0.1)
    assert (finding.verdict, "got no answer" in finding.words) == (Verdict.BROKEN, True)
    nobody = unsubscribe.examine("http://127.0.0.1:9", KEYS, practice=True)
    assert (nobody.verdict, "site_url" in nobody.mend) == (
        Verdict.WARNING,
        True,
    )  # in practice nobody's mail hangs on it


def test_a_certificate_that_does_not_hold_is_told_as_one() -> None:
    finding = unsubscribe.judge("https://x.org", Answer(0, trouble="expired", certificate=True), Answer(0))
    assert finding.verdict is Verdict.BROKEN
    assert "certificate of https://x.org does not hold: expired" in finding.words
    assert "Renew the certificate of x.org" in finding.mend


def test_practice_leaves_the_public_site_alone_and_the_world_takes_no_link_to_this_machine() -> None:
    assert unsubscribe.examine("https://briefing.example.org", KEYS, practice=True).verdict is Verdict.SKIPPED
    finding = unsubscribe.examine("http://127.0.0.1:8000", KEYS, practice=False)
    assert finding.verdict is Verdict.BROKEN
    assert "SITE_URL" in finding.mend


# -- the database


def lines(found: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in found}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(str(tmp_path / "newsletter.db"))
    fill(made, 500)
    yield made
    made.close()


def test_a_sound_database_is_sound_and_is_left_as_it_was(store: SqliteStore) -> None:
    before = sorted(path.name for path in store.path.parent.iterdir()), store.path.read_bytes()
    assert {finding.verdict for finding in store.health()} == {Verdict.SOUND}
    assert (sorted(path.name for path in store.path.parent.iterdir()), store.path.read_bytes()) == before


def test_a_damaged_page_is_found(store: SqliteStore) -> None:
    path = store.path
    store.close()
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 6)
    reopened = SqliteStore(str(path))
    finding = lines(reopened.health())["integrity"]
    reopened.close()
    assert finding.verdict is Verdict.BROKEN
    assert str(path) in finding.words


def test_settings_that_were_loosened_are_found(store: SqliteStore) -> None:
    store.db.execute("PRAGMA synchronous = OFF")
    assert lines(store.health())["durability"].verdict is Verdict.BROKEN


def test_a_database_that_another_process_holds_is_told_within_moments(store: SqliteStore) -> None:
    """It is held until that is told; a doctor as patient as a sender, which waits for half a minute, finds it free."""
    told, held = threading.Event(), threading.Event()

    def hold() -> None:
        with sqlite3.connect(store.path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            held.set()
            told.wait(20)
            other.execute("ROLLBACK")
        other.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    finding = lines(store.health())["lock"]
    told.set()
    holder.join()
    assert (finding.verdict, "fuser" in finding.mend) == (Verdict.BROKEN, True)
    assert store.db.execute("PRAGMA busy_timeout").fetchone() == (30_000,), "a sender waits as long as before"


def test_a_database_that_others_can_read_is_told_unless_its_folder_keeps_them_out() -> None:
    with TemporaryDirectory() as name:  # pytest's own folders keep others out already
        folder = Path(name)
        made = SqliteStore(str(folder / "x.db"))
        told = []
        for folder_mode, file_mode in ((0o755, 0o644), (0o700, 0o644), (0o755, 0o600)):
            folder.chmod(folder_mode)
            made.path.chmod(file_mode)
            told.append(lines(made.health())["privacy"].verdict)
        made.close()
    assert told == [Verdict.WARNING, Verdict.SOUND, Verdict.SOUND]


# -- the key


def test_the_key_is_looked_at_and_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings("sqlite:///x.db")
    assert key.look(settings).length is None
    assert key.usable(settings) == ()
    assert not (tmp_path / "var").exists()
    settings.secret_keys()
    assert key.judge(key.look(settings), begun=True).verdict is Verdict.SOUND
    assert key.usable(settings) == settings.secret_keys()
    os.chmod("var/secret.key", 0o640)
    assert key.judge(key.look(settings), begun=True).verdict is Verdict.BROKEN
