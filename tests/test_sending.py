"""`newsletter send` as an operator types it: approved, expected, at its time, as a test, and stopped."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from newsletter import package as packages
from newsletter import timing
from newsletter.cli import main
from newsletter.timing import Due
from tests.conftest import ROOT, Project
from tests.local_ses_world import World, world

MONTH = "2020-10"
LONDON = ZoneInfo("Europe/London")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ses"), identities=("example.org",), max_send_rate=1000) as one:
        yield one


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Desk:
    """The mail half of a project with its packages, beside a local SES that lasts."""

    project: Project
    ses: World
    monkeypatch: pytest.MonkeyPatch

    def run(self, *words: str, **environment: str) -> Said:
        """Run a command, in this process: starting one takes longer than all it does."""
        with self.monkeypatch.context() as here:
            here.chdir(self.project.path)
            here.delenv("STORE_URL", raising=False)
            for name, value in {**self.ses.server.environment, **environment}.items():
                here.setenv(name, value)
            result = CliRunner().invoke(main, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def send(self, *words: str, month: str = MONTH) -> str:
        done = self.run("send", month, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *words: str, month: str = MONTH) -> str:
        """Send what must be refused; nobody may be mailed by it."""
        before = self.ses.mailed()
        done = self.run("send", month, *words)
        assert done.returncode == 1, done.stdout
        assert self.ses.mailed() == before
        return done.stderr

    def people(self, count: int, status: str = "confirmed") -> None:
        rows = "".join(f"reader{number:03d}@example.org,{status}\n" for number in range(count))
        self.project.write("list.csv", f"email,status\n{rows}")
        assert self.run("subscribers", "import", "list.csv").returncode == 0

    def edit(self, month: str = MONTH) -> str:
        """Change what the package says, as a build after an edit does; its hash now."""
        folder = self.project.path / "build/briefings" / month
        package = packages.read(folder)
        changed = replace(package, text=package.text.replace("Dear reader", "Dear readers"))
        assert changed.text != package.text
        changed = replace(changed, content_hash=packages.content_hash(changed))
        packages.write(changed, folder)
        return changed.content_hash

    def ledger(self, statement: str) -> None:
        with sqlite3.connect(self.project.path / "var/newsletter.db") as ledger:
            ledger.execute(statement)

    def calls(self) -> int:
        """How many calls of SES the ledger has written down."""
        with closing(sqlite3.connect(self.project.path / "var/newsletter.db", timeout=30)) as ledger:
            return int(ledger.execute("SELECT count(*) FROM attempt").fetchone()[0])

    def status(self, month: str = MONTH) -> dict[str, object]:
        told: dict[str, object] = json.loads(self.run("status", month, "--json").stdout)
        return told

    def mailed(self) -> Counter[str]:
        return Counter(self.ses.mailed())


@pytest.fixture
def desk(
    built: Project, server: World, make_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    project = make_project("publication.toml", "plugins")
    shutil.copytree(built.path / "build/briefings", project.path / "build/briefings")
    made = Desk(project, server.fresh(), monkeypatch)
    made.people(20)
    return made


@pytest.fixture
def hash_of(desk: Desk) -> str:
    return desk.project.hash()


# -- approval


def test_what_nobody_approved_is_not_mailed_and_the_command_is_said(desk: Desk, hash_of: str) -> None:
    done = desk.run("send", MONTH)
    assert done.returncode == 1
    assert f"newsletter send {MONTH} --approve {hash_of}" in done.stderr
    for fact in ("“Truces", "briefing@example.org", hash_of, "20 recipients", "the local SES", "KB"):
        assert fact in done.stdout, fact
    assert not desk.mailed()
    assert desk.status()["state"] == "not begun"


def test_what_changed_since_its_approval_is_not_mailed(desk: Desk, hash_of: str) -> None:
    now = desk.edit()
    done = desk.run("send", MONTH, "--approve", hash_of)
    assert done.returncode == 1
    assert "has changed since it was approved" in done.stderr
    assert hash_of in done.stderr
    assert f"--approve {now}" in done.stderr
    assert "doctor" not in done.stdout  # nobody waits for the examination to be told so
    assert not desk.mailed()
    assert desk.status()["state"] == "not begun"


def test_approved_by_its_hash_it_is_mailed_and_that_is_what_the_ledger_holds(
    desk: Desk, hash_of: str
) -> None:
    desk.send("--approve", hash_of[:12])
    assert desk.status()["content_hash"] == hash_of
    assert sorted(desk.mailed().values()) == [1] * 20


def at_a_terminal(desk: Desk, *typed: str) -> tuple[int, str]:
    """Send with somebody at the terminal, who types these lines; how it ended, and the screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "newsletter", "send", MONTH],
        cwd=desk.project.path,
        env={**os.environ, **desk.ses.server.environment, "PYTHONPATH": "plugins", "TERM": "xterm", "COLUMNS": "100"},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    screen, lines = b"", list(typed)
    with suppress(OSError):  # it has gone
        while chunk := os.read(ours, 65536):
            screen += chunk
            if lines and screen.count(b"or no:") > len(typed) - len(lines):
                os.write(ours, f"{lines.pop(0)}\n".encode())
    os.close(ours)
    return process.wait(20), screen.decode()


def test_whoever_sits_there_approves_by_typing_how_the_hash_begins(desk: Desk, hash_of: str) -> None:
    status, screen = at_a_terminal(desk, "12345678", hash_of[:8])
    assert "that is not how the hash begins" in screen
    assert status == 0, screen
    assert len(desk.mailed()) == 20


@pytest.mark.parametrize("typed", [("no",), ("",), ("\x04",), ("yes", "y", "12345678")])
def test_any_other_answer_mails_nobody(desk: Desk, typed: tuple[str, ...]) -> None:
    status, screen = at_a_terminal(desk, *typed)
    assert status == 1
    assert "nobody was mailed" in screen
    assert desk.status()["state"] == "not begun"
    assert not desk.mailed()


def test_a_surprising_number_of_recipients_must_be_typed(desk: Desk, hash_of: str) -> None:
    desk.send("--approve", desk.project.hash("2020-08"), month="2020-08")
    desk.people(60)
    desk.send("--approve", desk.project.hash("2020-09"), month="2020-09")  # practice is compared with nothing
    desk.ledger("UPDATE send SET through = 'email.eu-west-1.amazonaws.com' WHERE briefing = '2020-08'")
    said = desk.refused("--approve", hash_of)
    assert "60 (2020-08 had 20)" in said
    assert f"newsletter send {MONTH} --expect 60 --approve {hash_of}" in said
    assert "the audience is 60" in desk.refused("--approve", hash_of, "--expect", "59")
    desk.send("--approve", hash_of, "--expect", "60")
    assert desk.status()["submitted"] == 60


def test_nobody_is_never_mailed_by_accident(desk: Desk, hash_of: str) -> None:
    desk.people(20, "unsubscribed")
    said = desk.refused("--approve", hash_of)
    assert "Nobody would be mailed" in said
    assert "newsletter subscribers import" in said


def test_what_has_begun_goes_on_without_a_new_approval_and_not_with_another(desk: Desk, hash_of: str) -> None:
    desk.ses.plan(calls=[{"action": "entry_status", "to": ["reader01*"], "status": "ACCOUNT_SENDING_PAUSED"}])
    assert desk.run("send", MONTH, "--approve", hash_of).returncode == 1
    assert len(desk.mailed()) == 10
    desk.ses.plan()
    now = desk.edit()
    said = desk.refused("--approve", now)
    assert now in said
    assert hash_of in said
    assert "20 recipients were frozen" in desk.refused("--expect", "21")
    said = desk.send()
    assert "goes on with the 10 who are left" in said
    assert "has changed since its mailing began" in said
    assert Counter(desk.mailed().values()) == {1: 20}
    assert len({mail["List-Id"] + str(mail["Subject"]) for mail in desk.ses.mails()}) == 1
    assert now in desk.refused("--approve", now)  # done, but not with this
    assert "nothing was posted" in desk.send("--approve", hash_of)


def test_in_practice_links_may_lead_to_this_machine_and_for_real_they_must_not(
    desk: Desk, hash_of: str
) -> None:
    here = {"SITE_URL": "http://127.0.0.1:8000"}
    real = {"AWS_ENDPOINT_URL_SESV2": "https://email.eu-west-1.amazonaws.com"}
    for words in (("--approve", hash_of), ("--test", "editor@example.org")):
        done = desk.run("send", MONTH, *words, **here, **real)
        assert done.returncode == 1
        assert "is no practice. Take SITE_URL out" in done.stderr
    assert desk.run("send", MONTH, "--approve", hash_of, **here).returncode == 0
    assert {str(mail["List-Unsubscribe"])[:24] for mail in desk.ses.mails()} == {"<http://127.0.0.1:8000/u"}


# -- at its time


def at(shift: timedelta) -> str:
    return (datetime.now(LONDON) + shift).strftime("%Y-%m-%d %H:%M")


def test_a_time_long_past_is_held_and_the_way_on_is_said(desk: Desk, hash_of: str) -> None:
    said = desk.refused("--approve", hash_of, "--at", at(timedelta(hours=-3)))
    assert "3 h" in said
    assert "60 min" in said
    assert f"newsletter send {MONTH}" in said
    assert "too late" in desk.refused(
        "--approve", hash_of, "--at", at(timedelta(minutes=-21, seconds=30)), "--late", "10"
    )
    assert "is no time" in desk.refused("--approve", hash_of, "--at", "tomorrow")
    facts = desk.project.read("publication.toml").replace("lateness = 60", "lateness = 10")
    desk.project.write("publication.toml", facts)
    assert "10 min" in desk.refused("--approve", hash_of, "--at", at(timedelta(minutes=-21)))


def test_a_time_just_past_is_now(desk: Desk, hash_of: str) -> None:
    desk.send("--approve", hash_of, "--at", at(timedelta(minutes=-20)))
    assert len(desk.mailed()) == 20


def in_an_hour(desk: Desk, hash_of: str, meanwhile: Callable[[], Due | None]) -> str:
    """Send in an hour, with `meanwhile` in place of that hour; what was said."""
    with desk.monkeypatch.context() as here:
        here.setattr(timing, "wait", lambda *_, **__: meanwhile() or Due.NOW)
        done = desk.run("send", MONTH, "--approve", hash_of, "--at", at(timedelta(hours=1)))
    return done.stdout + done.stderr


def test_what_was_edited_while_it_waited_is_not_mailed(desk: Desk, hash_of: str) -> None:
    said = in_an_hour(desk, hash_of, lambda: desk.edit() and None)
    assert "has changed since it was approved" in said
    assert not desk.mailed()
    assert desk.status()["state"] == "not begun"


def test_a_machine_that_slept_through_the_time_mails_nobody(desk: Desk, hash_of: str) -> None:
    said = in_an_hour(desk, hash_of, lambda: Due.MISSED)
    assert "too late to go without asking" in said
    assert not desk.mailed()
    assert desk.status()["state"] == "not begun"


def test_whoever_stops_the_wait_is_told_that_nobody_was_mailed(desk: Desk, hash_of: str) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    said = in_an_hour(desk, hash_of, stopped)
    assert "nobody was mailed" in said
    assert f'newsletter send {MONTH} --at "20' in said


def test_a_list_that_changed_beyond_measure_while_it_waited_is_not_mailed(desk: Desk, hash_of: str) -> None:
    said = in_an_hour(desk, hash_of, lambda: desk.people(20, "unsubscribed"))
    assert "Nobody would be mailed" in said
    assert not desk.mailed()


def test_what_was_sent_elsewhere_while_it_waited_is_not_sent_again(desk: Desk, hash_of: str) -> None:
    def sent() -> None:
        desk.send("--approve", hash_of)

    said = in_an_hour(desk, hash_of, sent)
    assert "everybody has 2020-10 already" in said
    assert Counter(desk.mailed().values()) == {1: 20}


def test_what_was_sent_in_another_version_while_it_waited_is_not_taken_for_ours(
    desk: Desk, hash_of: str
) -> None:
    def sent() -> None:
        desk.send("--approve", desk.edit())

    said = in_an_hour(desk, hash_of, sent)
    assert f"{hash_of} was approved, but {desk.project.hash()} was frozen" in said
    assert Counter(desk.mailed().values()) == {1: 20}


@pytest.mark.long
def test_it_really_waits_and_then_goes(desk: Desk, hash_of: str) -> None:
    due = datetime.now(LONDON) + timedelta(minutes=1)
    begun = time.time()
    desk.send("--approve", hash_of, "--at", due.strftime("%H:%M"))
    assert time.time() >= due.replace(second=0, microsecond=0).timestamp() > begun - 60
    first = min(path.stat().st_mtime for path in desk.ses.files())
    assert first >= due.replace(second=0, microsecond=0).timestamp()


# -- as a test


def test_a_test_goes_to_testers_alone_and_leaves_no_trace(desk: Desk) -> None:
    shutil.rmtree(desk.project.path / "var")
    assert "submitted to editor@example.org" in desk.send("--test", "editor@example.org")
    (mail,) = desk.ses.mails()
    assert mail["To"] == "editor@example.org"
    assert str(mail["Subject"]).startswith("[Test] Truces")
    assert not (desk.project.path / "var/newsletter.db").exists()
    said = desk.refused("--test", "editor@example.org", "reader001@example.org")
    assert "reader001@example.org: not among the testers" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--test",), "editor@example.org"),
        (("editor@example.org",), "--test editor@example.org"),
        (("--test", "editor@example.org", "--at", "09:00"), "leave the others out"),
    ],
)
def test_words_that_do_not_go_together_are_answered(desk: Desk, words: tuple[str, ...], says: str) -> None:
    done = desk.run("send", MONTH, *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert not desk.mailed()


# -- the first slice, and being stopped


def test_a_canary_goes_first_and_the_rest_follows_when_it_is_sound(desk: Desk, hash_of: str) -> None:
    desk.send("--approve", hash_of, "--canary", "5")
    assert Counter(desk.mailed().values()) == {1: 20}
    done = desk.run("send", "2020-09", "--canary", "5", EVENTS_QUEUE_URL="")
    assert done.returncode == 1
    assert "without EVENTS_QUEUE_URL" in done.stderr


def test_the_testers_and_fifty_more_go_first_unless_told_otherwise(desk: Desk, hash_of: str) -> None:
    """Whoever types nothing has the slice: its mails bounce, and the others have not been mailed."""
    desk.people(130)
    desk.ses.plan(outcomes=[{"to": "reader*", "outcome": "bounced"}])
    done = desk.run("send", MONTH, "--approve", hash_of)
    assert done.returncode == 1
    assert "of the first 52 mails bounced for good" in done.stderr  # two testers, whether subscribed or not
    assert Counter(desk.mailed().values()) == {1: 52}
    desk.ses.plan()
    desk.send("--canary", "0", "--no-brakes")
    assert Counter(desk.mailed().values()) == {1: 130}


def test_ctrl_c_leaves_nobody_in_doubt_and_the_same_command_goes_on(desk: Desk, hash_of: str) -> None:
    """Under a local SES of its own, to which the terminal's Ctrl-C goes as well."""
    desk.people(200)
    # From the second call on, SES takes its time to answer: longer than it takes to end a program.
    desk.project.write(
        "slow.json",
        '{"calls": [{"operation": "SendBulkEmail", "from": 2, "action": "latency", "seconds": 2}]}',
    )
    own = ["local-ses", "--rate", "40", "--faults", "slow.json", "--", "newsletter"]
    process = subprocess.Popen(
        [sys.executable, "-m", "newsletter", *own, "send", MONTH, "--approve", hash_of, "--canary", "0"],
        cwd=desk.project.path,
        env={**os.environ, "PYTHONPATH": "plugins"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while desk.calls() < 2 and time.monotonic() < until:
            time.sleep(0.02)  # until the second call is written down, and so about to be made
        os.killpg(process.pid, signal.SIGINT)
        said, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1, said + errors
    assert errors.count("✗") == 1, errors  # its SES is there until it has ended: nothing else went wrong
    assert "Stopping: SES's answer to the call in flight is waited for" in errors
    assert f"the same command goes on: newsletter send {MONTH}" in errors.lower()
    told = desk.status()
    assert told["in_doubt"] == 0
    assert (told["submitted"], told["pending"]) == (80, 120)
    assert desk.project.mail(month=MONTH).returncode == 0
    accepted = (
        json.loads(line)["to"] for line in (desk.project.path / "var/accepts.jsonl").read_text().splitlines()
    )
    everyone = Counter(to for to in accepted if not to.endswith("@simulator.amazonses.com"))
    assert Counter(everyone.values()) == {1: 200}


# -- what is told


def test_status_lists_all_mailings_and_says_what_to_do_next(desk: Desk, hash_of: str) -> None:
    assert json.loads(desk.run("status", "--json").stdout) == {"briefings": []}
    assert "nothing has been mailed yet" in desk.run("status").stdout
    assert f"newsletter send {MONTH}" in desk.run("status", MONTH).stdout
    desk.send("--approve", desk.project.hash("2020-09"), month="2020-09")
    desk.ses.plan(calls=[{"action": "entry_status", "to": ["*"], "status": "ACCOUNT_SENDING_PAUSED"}])
    assert desk.run("send", MONTH, "--approve", hash_of).returncode == 1
    told = json.loads(desk.run("status", "--json").stdout)["briefings"]
    assert [(one["briefing"], one["state"], one["pending"]) for one in told] == [
        ("2020-09", "done", 0),
        (MONTH, "open", 20),
    ]
    assert told[1] == desk.status()
    words = desk.run("status").stdout
    assert "2020-09" in words
    assert f"To go on: newsletter send {MONTH}" in words
    words = desk.run("status", MONTH).stdout
    assert hash_of in words
    assert "this machine" in words


def test_show_prints_the_hash_of_what_send_would_mail(desk: Desk, hash_of: str) -> None:
    assert desk.run("show", MONTH, "--hash").stdout == f"{hash_of}\n"
    words = desk.run("show", MONTH).stdout
    assert "20 recipients" in words
    desk.send("--approve", hash_of)
    assert desk.edit() != hash_of
    assert desk.run("show", MONTH, "--hash").stdout == f"{hash_of}\n"
    assert "has begun" in desk.run("show", MONTH).stdout


def test_make_approves_what_it_has_just_built_and_a_second_time_mails_nobody(desk: Desk) -> None:
    shutil.copy(ROOT / "Makefile", desk.project.path)
    shutil.copytree(ROOT / "samples", desk.project.path / "samples")

    def make_send() -> str:
        done = subprocess.run(
            ["make", "-o", ".venv/run.stamp", "send", f"NEWSLETTER={sys.executable} -m newsletter"],
            cwd=desk.project.path,
            env={**os.environ, **desk.ses.server.environment, "PYTHONPATH": "plugins"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "20 submitted" in make_send()
    desk.edit()
    assert "nothing was posted" in make_send()
    assert Counter(desk.mailed().values()) == {1: 20}


def test_a_key_that_is_lost_is_not_made_anew_where_mails_are_out(desk: Desk, hash_of: str) -> None:
    desk.people(2)
    desk.send("--approve", hash_of)
    (desk.project.path / "var/secret.key").unlink()
    done = desk.run("send", "2020-09", "--approve", desk.project.hash("2020-09"))
    assert done.returncode == 1
    assert "secret.key is gone" in done.stderr
    assert not (desk.project.path / "var/secret.key").exists()


def test_what_is_offered_to_be_pasted_does_what_was_typed(desk: Desk, hash_of: str) -> None:
    desk.people(3)
    said = desk.refused("--at", "2030-01-01 10:00", "--canary", "2")
    assert f'newsletter send {MONTH} --canary 2 --at "2030-01-01 10:00" --approve {hash_of}' in said
