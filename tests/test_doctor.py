"""`newsletter doctor`: whatever would spoil a mailing is told beforehand, on its own line, with how to mend it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from newsletter import package as packages
from newsletter import publication
from newsletter.doctor import (
    Finding,
    Part,
    Patient,
    Verdict,
    events,
    examine,
    queues,
)
from newsletter.errors import PackageError, SettingsError, StoreError
from newsletter.finding import worst
from newsletter.ses.account import (
    A_SECOND,
    Account,
    Unread,
)
from newsletter.ses.queue import EventQueue
from newsletter.ses.work_queue import WorkQueue
from newsletter.settings import Settings
from newsletter.store import Store, open_store
from tests.conftest import ROOT, Project
from tests.doctor_door import Door
from tests.local_ses_world import SENDER, World, world
from tests.ministack_world import Ministack
from tests.store_contract import PACKAGE, fill

NOW = datetime(2020, 11, 2, 12, 0, tzinfo=UTC)


def lines(found: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in found}


@pytest.fixture
def door() -> Iterator[Door]:
    with Door().open() as door:
        yield door


# -- the whole, against a local SES over HTTP


class Practice:
    """A patient whose SES is a local one."""

    def __init__(self, own: World, folder: Path) -> None:
        self.own = own
        self.store: Store = open_store(f"sqlite:///{folder / 'newsletter.db'}")
        fill(self.store, 3)
        facts = replace(publication.load(ROOT / publication.FILE), sender=SENDER, postal_address="P 1")
        html = (
            "<html><body><p>P 1 <a href='{{unsubscribe_url}}'>Leave</a> {{unsubscribe_url}}</p></body></html>"
        )
        package = replace(
            PACKAGE, sender=SENDER, html=html, text="P 1 {{unsubscribe_url}}", items=({"title": "x"},)
        )
        self.patient = Patient(
            settings=Settings(
                f"sqlite:///{folder / 'newsletter.db'}",
                secret_key="k" * 32,
                configuration_set="newsletter",
                events_queue_url=own.server.queue_url,
                events_topic_arn=own.server.topic_arn,
            ),
            publication=facts,
            site_url="https://briefing.example.org",
            month="2020-10",
            package=replace(package, content_hash=packages.content_hash(package)),
            store=self.store,
            ses=Account("newsletter", pause=lambda seconds: time.sleep(seconds / 20)),
            queue=EventQueue(own.server.queue_url, own.server.topic_arn),
            quarantine=folder / "quarantine",
            clock=lambda: datetime.now(UTC),
            patience=timedelta(seconds=1),
        )

    def examine(self, *leave_out: Part, **changes: Any) -> dict[str, Finding]:
        return lines(examine(replace(self.patient, **changes), dict.fromkeys(leave_out, "not now")))

    def worst(self) -> Verdict:
        return worst(self.examine().values())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ses")) as own:
        yield own


@pytest.fixture
def practice(shared: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Practice]:
    for name, value in shared.server.environment.items():
        monkeypatch.setenv(name, value)
    made = Practice(shared.fresh(), tmp_path)
    yield made
    made.store.close()


@contextmanager
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Iterator[Practice]:
    """A patient with a local SES that is set up otherwise."""
    folder = tmp_path / "apart"
    folder.mkdir()
    with world(folder, **changes) as own:
        for name, value in own.server.environment.items():
            monkeypatch.setenv(name, value)
        made = Practice(own, folder)
        yield made
        made.store.close()


def test_in_practice_all_is_sound_and_nothing_is_left_behind(practice: Practice) -> None:
    found = practice.examine()
    assert found.pop("unsubscribe").verdict is Verdict.SKIPPED
    assert {finding.verdict for finding in found.values()} == {Verdict.SOUND}, found
    assert len(found) == 29
    assert practice.own.ses.list_email_templates()["TemplatesMetadata"] == []
    assert practice.own.files() == [], "a canary is no mail to look at"


def test_the_link_is_asked_in_practice_where_a_door_is_on_this_machine(
    practice: Practice, door: Door
) -> None:
    assert practice.examine(site_url=door.url)["unsubscribe"].verdict is Verdict.SOUND


def test_parts_can_be_left_out_with_their_reason(practice: Practice) -> None:
    found = practice.examine(Part.CANARY, Part.RENDERING)
    assert (found["events"].verdict, found["events"].words) == (Verdict.SKIPPED, "not now")
    assert found["rendering"].verdict is Verdict.SKIPPED
    assert practice.own.accepts() == []


def test_each_finding_is_told_as_it_is_made(practice: Practice) -> None:
    told: list[str] = []
    findings = examine(
        practice.patient,
        asking=lambda part: told.append(f"asking {part}"),
        found=lambda finding: told.append(finding.name),
    )
    assert told[0] == "asking store"
    assert [name for name in told if not name.startswith("asking")] == [finding.name for finding in findings]
    assert told.index("asking rendering") > told.index("events")


def test_the_sandbox_and_a_paused_account_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with apart(tmp_path, monkeypatch, production_access=False, sending_enabled=False) as practice:
        found = practice.examine()
    assert {name for name, one in found.items() if one.verdict is Verdict.BROKEN} == {
        "production", "sending", "events",
    }  # fmt: skip
    assert "would not take a canary" in found["events"].words


def test_a_quota_that_is_used_up_and_one_too_small_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with apart(tmp_path, monkeypatch, daily_quota=2.0) as practice:
        assert "2 days" in practice.examine()["quota"].words
        practice.own.simple("a@x.org", "b@x.org")
        assert practice.examine(Part.CANARY)["quota"].verdict is Verdict.BROKEN


def test_a_sender_that_ses_does_not_know_is_told(practice: Practice) -> None:
    stranger = replace(PACKAGE, sender="S <s@other.example.net>")
    found = practice.examine(package=stranger)
    assert found["identity"].verdict is Verdict.BROKEN
    assert "--email-identity other.example.net" in found["identity"].mend
    assert "DKIM" not in found


def test_a_verified_domain_lets_its_subdomain_and_an_address_of_its_own_mail(practice: Practice) -> None:
    assert "example.com is verified" in practice.examine(
        package=replace(PACKAGE, sender="a@mail.example.com")
    )["identity"].words  # fmt: skip
    practice.own.ses.create_email_identity(EmailIdentity="new@example.com")
    found = practice.examine(package=replace(PACKAGE, sender="new@example.com"))
    assert found["identity"].verdict is Verdict.SOUND
    assert found["DKIM"].verdict is Verdict.SOUND, "an address that sets nothing has it from its domain"


def test_an_address_that_sets_no_dkim_has_that_of_its_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with apart(tmp_path, monkeypatch, identities=("example.com", "briefing@example.com")) as practice:
        found = practice.examine(Part.CANARY)
    assert "briefing@example.com is verified" in found["identity"].words
    assert found["DKIM"].verdict is Verdict.SOUND
    assert "bounce.example.com" in found["MAIL FROM"].words


def test_a_policy_that_names_the_domain_alone_is_enough(practice: Practice) -> None:
    practice.own.plan(
        calls=[{"operation": "GetEmailIdentity", "times": 1, "action": "error", "status": 403,
                "code": "AccessDeniedException"}]
    )  # fmt: skip
    assert "example.com is verified" in practice.examine()["identity"].words


def test_a_configuration_set_that_is_not_there_and_one_that_says_too_little_are_told(
    practice: Practice,
) -> None:
    settings = replace(practice.patient.settings, configuration_set="nowhere")
    found = practice.examine(settings=settings, ses=Account("nowhere"))
    assert found["configuration set"].verdict is Verdict.BROKEN
    assert found["events"].verdict is Verdict.SKIPPED, "a canary would only wait"
    destination = {
        "ConfigurationSetName": "newsletter",
        "EventDestinationName": "events",
        "EventDestination": {
            "Enabled": True,
            "MatchingEventTypes": ["SEND", "DELIVERY", "OPEN"],
            "SnsDestination": {"TopicArn": practice.own.server.topic_arn},
        },
    }
    practice.own.ses.update_configuration_set_event_destination(**destination)
    try:
        found = practice.examine()
        assert "BOUNCE, COMPLAINT, DELIVERY_DELAY, REJECT, RENDERING_FAILURE" in found["event types"].words
        assert found["tracking"].verdict is Verdict.WARNING
    finally:
        destination["EventDestination"]["MatchingEventTypes"] = sorted(events.NEEDED)  # type: ignore[index]
        practice.own.ses.update_configuration_set_event_destination(**destination)


def test_events_that_do_not_arrive_are_told_and_those_late_by_moments_are_waited_for(
    practice: Practice,
) -> None:
    practice.own.plan(events=[{"action": "lose"}])
    finding = practice.examine()["events"]
    assert finding.verdict is Verdict.BROKEN
    assert "within 1 s" in finding.words or "within 2 s" in finding.words
    practice.own.plan(events=[{"action": "delay", "seconds": 0.5}])
    assert practice.examine(patience=timedelta(seconds=10))["events"].verdict is Verdict.SOUND


def test_an_old_canary_is_not_taken_for_the_new_one(practice: Practice) -> None:
    assert practice.examine()["events"].verdict is Verdict.SOUND
    practice.own.plan(events=[{"action": "lose"}])
    finding = practice.examine()["events"]
    assert finding.verdict is Verdict.BROKEN
    assert "the last one that did" in finding.words


def test_a_queue_that_is_not_there_is_told(practice: Practice) -> None:
    gone = practice.own.server.queue_url.replace("newsletter-events", "no-such-queue")
    found = practice.examine(queue=EventQueue(gone, practice.own.server.topic_arn))
    assert found["queue"].verdict is Verdict.BROKEN
    assert "EVENTS_QUEUE_URL" in found["queue"].mend
    assert practice.examine(queue=SettingsError("EVENTS_TOPIC_ARN: '' is no topic's ARN. Copy it."))[
        "queue"
    ].mend == "Copy it."  # fmt: skip


def test_the_queue_of_the_workers_is_looked_at_where_there_are_any(practice: Practice) -> None:
    assert "work queue" not in practice.examine(Part.CANARY)
    url = practice.own.server.environment["WORK_QUEUE_URL"]
    found = practice.examine(Part.CANARY, work=WorkQueue(url))
    assert found["work queue"].verdict is Verdict.SOUND
    found = practice.examine(Part.CANARY, work=WorkQueue(f"{url}-is-not-there"))
    assert found["work queue"].verdict is Verdict.BROKEN
    assert "WORK_QUEUE_URL" in found["work queue"].mend
    unset = SettingsError("WORK_QUEUE_URL: 'x' is no queue's address. Copy it.")
    assert practice.examine(Part.CANARY, work=unset)["work queue"].mend == "Copy it."


def test_what_died_in_a_queue_is_told_and_a_queue_without_a_place_for_it(
    ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queues are ministack's."""
    for name, value in ministack.environment.items():
        monkeypatch.setenv(name, value)
    sqs, name = ministack.client("sqs"), f"work-{os.urandom(4).hex()}"
    queue = WorkQueue(sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0"})["QueueUrl"])
    hasty, homeless = queues.work(queue.queue_url, queue.facts(), practice=False)
    assert ("after 0 seconds" in hasty.words, hasty.verdict) == (True, Verdict.WARNING)
    assert ("no place" in homeless.words, homeless.verdict) == (True, Verdict.WARNING)

    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "2"})
    sqs.set_queue_attributes(QueueUrl=queue.queue_url, Attributes={"RedrivePolicy": rule})
    queue.put(["no batch"])
    until = time.monotonic() + 60
    while not (died := queue.facts().dead) or not died.count:
        assert time.monotonic() < until, queue.facts()
        queue.receive(0)
    sqs.set_queue_attributes(QueueUrl=queue.queue_url, Attributes={"VisibilityTimeout": "120"})
    well, letters = queues.work(queue.queue_url, queue.facts(), practice=False)
    assert well.verdict is Verdict.SOUND
    assert (letters.verdict, letters.words) == (
        Verdict.WARNING,
        "1 message given out 2 times, in vain each time",
    )
    assert dead in letters.mend
    sqs.purge_queue(QueueUrl=dead)
    *_, letters = queues.work(queue.queue_url, queue.facts(), practice=False)
    assert letters.verdict is Verdict.SOUND


def test_a_template_that_asks_for_what_nobody_fills_in_is_told(practice: Practice) -> None:
    """SES would accept each mail, and mail none of them."""
    assert practice.patient.package is not None
    package = replace(practice.patient.package, text="P 1 {{unsubscribe_url}} {{first_name}}")  # type: ignore[type-var]
    found = practice.examine(package=package)
    assert "first_name" in found["rendering"].words
    assert found["rendering"].verdict is Verdict.BROKEN
    assert found["mail"].verdict is Verdict.BROKEN
    assert practice.own.ses.list_email_templates()["TemplatesMetadata"] == []


READS = {
    "GetEmailIdentity": "identity",
    "GetConfigurationSet": "configuration set",
    "GetConfigurationSetEventDestinations": "event types",
    "CreateEmailTemplate": "rendering",
    "TestRenderEmailTemplate": "rendering",
    "DeleteEmailTemplate": "rendering",
    "SendEmail": "events",
    "GetQueueAttributes": "queue",
}


@pytest.mark.parametrize("operation", READS)
def test_one_thing_denied_by_iam_is_a_finding_of_its_line_and_the_others_go_on(
    practice: Practice, operation: str
) -> None:
    denial = {"operation": operation, "action": "error", "status": 403, "code": "AccessDeniedException",
              "message": f"User: x is not authorized to perform: {operation}"}  # fmt: skip
    practice.own.plan(calls=[denial])
    found = practice.examine()
    line = found[READS[operation]]
    assert line.verdict in {Verdict.WARNING, Verdict.BROKEN}
    assert operation in line.mend
    wrong = {name for name, one in found.items() if one.verdict in {Verdict.WARNING, Verdict.BROKEN}}
    also = {"tracking"} if operation == "GetConfigurationSetEventDestinations" else set()
    assert wrong == {READS[operation]} | also
    assert found["audience"].verdict is Verdict.SOUND


def test_getaccount_denied_is_told_and_what_can_be_asked_all_the_same_is(practice: Practice) -> None:
    practice.own.plan(
        calls=[{"operation": "GetAccount", "action": "error", "status": 403, "code": "AccessDeniedException"}]
    )
    found = practice.examine()
    assert (found["SES"].verdict, "ses:GetAccount" in found["SES"].mend) == (Verdict.BROKEN, True)
    assert found["identity"].verdict is Verdict.SOUND
    assert "production" not in found


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("ExpiredTokenException", "AWS_PROFILE"),
        ("UnrecognizedClientException", "AWS_ACCESS_KEY_ID"),
        ("InternalFailure", "health.aws.amazon.com"),
    ],
)
def test_an_ses_that_cannot_be_asked_is_one_red_line_and_the_rest_is_left_out(
    practice: Practice, code: str, names: str
) -> None:
    status = 500 if code == "InternalFailure" else 403
    practice.own.plan(calls=[{"operation": "GetAccount", "action": "error", "status": status, "code": code}])
    found = practice.examine()
    assert [name for name, one in found.items() if one.verdict is Verdict.BROKEN] == ["SES"]
    assert names in found["SES"].mend
    for name in ("identity", "configuration set", "events", "rendering", "unsubscribe"):
        assert found[name].verdict is Verdict.SKIPPED


def test_what_is_asked_too_fast_is_asked_again(practice: Practice) -> None:
    practice.own.plan(calls=[{"operation": "GetConfigurationSet", "times": 1, "action": "throttle"}])
    before = practice.own.server.calls("GetConfigurationSet")
    assert practice.examine()["configuration set"].verdict is Verdict.SOUND
    assert practice.own.server.calls("GetConfigurationSet") == before + 2


def test_ses_is_asked_for_a_rendering_once_a_second_as_it_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with apart(tmp_path, monkeypatch, template_calls_per_second=1.0) as practice:
        account_ = Account("newsletter")
        package = practice.patient.package
        assert not isinstance(package, PackageError)
        assert package is not None
        filled = account_.trial(
            "doctor-x", package, [{"unsubscribe_url": "a"}, {"unsubscribe_url": "b"}], A_SECOND
        )
        assert not isinstance(filled, Unread)
        assert len(filled) == 2
        assert practice.own.server.calls("TestRenderEmailTemplate") == 2, "none was refused and repeated"


def test_what_was_frozen_is_what_is_looked_at(practice: Practice) -> None:
    package = practice.patient.package
    assert package is not None
    assert not isinstance(package, PackageError)
    practice.store.freeze(package, NOW)
    found = practice.examine(package=PackageError("build/briefings/2020-10: there is no package. Type: x"))
    assert "as frozen" in found["package"].words
    assert "3 of 3 recipients" in found["audience"].words


def test_a_database_that_cannot_be_opened_leaves_the_rest_to_be_asked(practice: Practice) -> None:
    found = practice.examine(store=StoreError("x.db: cannot be opened as the database: no."))
    assert found["database"].verdict is Verdict.BROKEN
    assert "STORE_URL" in found["database"].mend
    assert found["audience"].verdict is Verdict.SKIPPED
    assert found["events"].verdict is Verdict.SKIPPED
    assert found["identity"].verdict is Verdict.SOUND


def test_a_damaged_database_is_a_red_line_and_never_a_traceback(practice: Practice, tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    store = open_store(f"sqlite:///{path}")
    fill(store, 2_000)
    store.close()
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))
    store = open_store(f"sqlite:///{path}")
    found = practice.examine(store=store)
    store.close()
    assert found["integrity"].verdict is Verdict.BROKEN
    assert found["audience"].verdict is Verdict.SKIPPED
    assert found["identity"].verdict is Verdict.SOUND


# -- as a person types it


def test_the_command_says_all_is_sound_and_ends_with_0(own: Project) -> None:
    done = own.newsletter("local-ses", "--", "newsletter", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^✓ package           2020-10: 8 analyses", done.stdout, re.MULTILINE)
    assert re.search(r"^doctor      \d+ sound", done.stdout, re.MULTILINE)
    assert "✗" not in done.stdout


def test_without_a_region_it_says_what_to_set_and_ends_with_1(project: Project) -> None:
    done = project.newsletter(
        "doctor", "--json", AWS_CONFIG_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true"
    )
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    assert told["verdict"] == "broken"
    assert told["briefing"] is None
    (red,) = [one for one in told["findings"] if one["verdict"] == "broken"]
    assert (red["name"], "AWS_REGION=eu-west-1" in red["mend"]) == ("SES", True)
    assert not (project.path / "var").exists(), "looking makes nothing"


def test_a_month_that_is_not_packaged_is_a_red_line(project: Project) -> None:
    done = project.newsletter("local-ses", "--", "newsletter", "doctor", "2020-09", "--no-canary")
    assert done.returncode == 1
    assert "✗ package" in done.stdout
    assert "mend: Type: newsletter briefing 2020-09" in done.stdout
    assert "– events            --no-canary" in done.stdout


def test_the_invariants_of_what_was_mailed_are_looked_at_alone(own: Project, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'ledger.db'}")
    fill(store, 2)
    store.freeze(PACKAGE, NOW)
    store.close()
    done = own.newsletter("doctor", "--invariants", STORE_URL=f"sqlite:///{tmp_path / 'ledger.db'}")
    assert "invariant 1" in done.stdout
    assert "SES " not in done.stdout


def test_at_80_columns_words_begin_below_one_another_and_only_our_own_looks_are_written() -> None:
    attack = "a\\x1b[2Jb \\u202e" + "a word and another " * 8
    code = (
        "from newsletter.show import Examination; from newsletter.finding import *\n"
        f"with Examination() as shown:\n    shown.asking('events'); shown.found(broken('name', '{attack}', '{attack}'))"
    )
    ours, theirs = pty.openpty()
    try:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "plugins"),
            "TERM": "xterm-256color",
            "COLUMNS": "80",
        }
        subprocess.run(
            [sys.executable, "-c", code], env=environment, stdout=theirs, stderr=theirs, check=True
        )
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
    plain = [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shown).split("\n") if line.strip()]
    assert plain[0].startswith("✗ name              a")
    assert len(plain) > 4
    assert all(line.startswith(" " * 20) for line in plain[1:])
    assert max(map(len, plain)) <= 80


def test_a_place_for_links_on_this_machine_may_be_http_and_no_other() -> None:
    def read(url: str) -> str:
        return Settings.from_env({"STORE_URL": "sqlite:///x.db", "SITE_URL": url}).site_url

    assert read("http://127.0.0.1:8000/") == "http://127.0.0.1:8000"
    assert read("http://localhost:8000") == "http://localhost:8000"
    assert read("https://staging.example.org") == "https://staging.example.org"
    assert read("") == ""
    for wrong in ("http://example.org", "ftp://127.0.0.1", "127.0.0.1:8000", "https://", "http://127.0.0.1.example.org", "http://["):  # fmt: skip
        with pytest.raises(SettingsError, match="SITE_URL"):
            read(wrong)
