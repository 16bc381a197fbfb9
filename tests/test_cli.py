"""The command line: what a person types, what it says, and how it ends."""

from __future__ import annotations

import email
import email.policy
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from newsletter.cli import main
from tests.conftest import ROOT, Project


@pytest.fixture(scope="module")
def mailed(own: Project) -> Project:
    """The sample month, mailed to the sample subscribers through a local SES."""
    done = own.newsletter("subscribers", "import", "samples/subscribers.csv")
    assert done.returncode == 0, done.stderr
    done = own.mail()
    assert done.returncode == 0, done.stdout + done.stderr
    return own


def test_the_sample_month_reaches_all_117_confirmed_subscribers_once_and_whole(mailed: Project) -> None:
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in (mailed.path / "var/mailbox").glob("*.eml")
    ]
    assert len(mails) == 117
    assert set(Counter(str(mail["To"]) for mail in mails).values()) == {1}
    for mail in mails:
        assert mail["List-Unsubscribe"].startswith("<https://briefing.example.org/u/")
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail["List-Id"]
        assert len(mail.get_all("To")) == 1
        parts = [part.get_content_type() for part in mail.walk() if not part.is_multipart()]
        assert parts == ["text/plain", "text/html"]
        for part in mail.walk():
            if not part.is_multipart():
                assert "{{" not in part.get_content()


def test_status_counts_them_for_people_and_for_programs(mailed: Project) -> None:
    done = mailed.newsletter("status", "2020-10", "--json")
    told = json.loads(done.stdout)
    counts = {name: count for name, count in told.items() if isinstance(count, int)}
    assert counts.pop("delivered") <= 117
    assert counts == {
        "recipients": 117, "submitted": 117, "failed": 0, "skipped": 0, "in_doubt": 0, "pending": 0,
        "bounced": 0, "complained": 0,
    }  # fmt: skip
    assert told["exclusions"] == {"unsubscribed": 3}
    assert (told["briefing"], told["state"], told["through"]) == ("2020-10", "done", "this machine")
    assert told["content_hash"] == mailed.hash()
    assert told["corrects"] is None
    assert told["begun_at"] <= told["last_event_at"] <= f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    assert told["next"].startswith("That was practice")
    words = mailed.newsletter("status", "2020-10").stdout
    assert "117" in words
    assert "unsubscribed" in words


def test_sending_again_says_so_posts_nothing_and_needs_no_ses(mailed: Project) -> None:
    before = sorted((mailed.path / "var/mailbox").iterdir())
    done = mailed.newsletter("send", "2020-10")
    assert done.returncode == 0, done.stderr
    assert "everybody has 2020-10 already" in done.stdout
    assert sorted((mailed.path / "var/mailbox").iterdir()) == before


def test_an_edit_after_the_mailing_mails_nobody_and_is_said(mailed: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "edited")
    shutil.copytree(mailed.path, other.path)
    letter = other.read("content/briefings/2020-10.md").replace("Dear reader,", "Dear readers,")
    other.write("content/briefings/2020-10.md", letter)
    assert other.newsletter("build").returncode == 0
    done = other.newsletter("send", "2020-10")
    assert done.returncode == 0, done.stderr
    assert "has changed since its mailing began" in done.stdout
    assert "nothing was posted" in done.stdout


def test_a_practice_run_is_not_taken_for_the_real_one(mailed: Project, tmp_path: Path) -> None:
    """The local SES has "submitted" it to everybody; nobody has it. And a real one must not end in the local SES."""
    other = Project(tmp_path / "real")
    shutil.copytree(mailed.path, other.path)
    real = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    done = other.newsletter("send", "2020-10", **real)
    assert done.returncode == 1
    assert "newsletter discard 2020-10" in done.stderr
    with sqlite3.connect(other.path / "var/newsletter.db") as ledger:  # as if one were left
        ledger.execute("UPDATE recipient SET state = 'pending' WHERE number = 1")
    done = other.newsletter("send", "2020-10", **real)
    assert done.returncode == 1
    assert "newsletter discard 2020-10" in done.stderr
    with sqlite3.connect(other.path / "var/newsletter.db") as ledger:
        ledger.execute("UPDATE send SET through = 'email.eu-west-1.amazonaws.com'")
    done = other.newsletter("local-ses", "--", "newsletter", "send", "2020-10")
    assert done.returncode == 1
    assert "STORE_URL=" in done.stderr
    assert other.newsletter("discard", "2020-10").returncode == 1


def test_a_practice_run_can_be_forgotten(mailed: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "practice")
    shutil.copytree(mailed.path, other.path)
    done = other.newsletter("discard", "2020-10")
    assert done.returncode == 0, done.stderr
    assert "117 recipients" in done.stdout
    assert json.loads(other.newsletter("status", "2020-10", "--json").stdout)["recipients"] == 0


def test_a_local_ses_passes_on_how_its_command_ended(project: Project) -> None:
    assert project.newsletter("local-ses", "--", "sh", "-c", "exit 7").returncode == 7
    assert project.newsletter("local-ses", "--", "no-such-command").returncode == 1


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("send", "2020-13"), 2, "Write it as 2020-10"),
        (("send", "October"), 2, "Write it as 2020-10"),
        (("sned",), 2, "No such command"),
        (("send", "2019-01"), 1, "newsletter briefing 2019-01"),
        (("briefing", "2019-01"), 1, "content/briefings/2019-01.md"),
        (("subscribers", "import", "none.csv"), 1, "none.csv: there is no such file"),
        (("local-ses", "--faults", "none.json", "--", "true"), 1, "none.json"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do_and_never_a_traceback(
    project: Project, words: tuple[str, ...], status: int, says: str
) -> None:
    done = project.newsletter(*words)
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (status, False), done.stderr
    assert says in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("STORE_URL", "mysql://x", "STORE_URL"),
        ("SECRET_KEY", "short", "SECRET_KEY"),
    ],
)
def test_a_wrong_setting_is_named(project: Project, name: str, value: str, says: str) -> None:
    done = project.newsletter("status", "2020-10", **{name: value})
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_sending_without_a_region_says_how_to_go_on(
    mailed: Project, make_project: Callable[..., Project]
) -> None:
    other = make_project("publication.toml", "plugins", "samples")
    shutil.copytree(mailed.path / "build/briefings", other.path / "build/briefings")
    assert other.newsletter("subscribers", "import", "samples/subscribers.csv").returncode == 0
    done = other.newsletter("send", "2020-10", AWS_CONFIG_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true")
    assert done.returncode == 1
    assert "newsletter local-ses -- newsletter send" in done.stderr


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_SESV2": "http://127.0.0.1:9"},
            "is something answering there",
        ),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL_SESV2": "notaurl"}, "Invalid endpoint"),
        ({"AWS_REGION": "bad region"}, "settings for SES cannot be used"),
        ({"AWS_REGION": "eu-west-1", "AWS_PROFILE": "nope"}, "nope"),
        ({"AWS_REGION": "eu-west-1"}, "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID"),
    ],
    ids=["nobody there", "no url", "no region", "no profile", "no credentials"],
)
def test_a_wrong_setting_of_aws_is_told_in_words(
    mailed: Project, make_project: Callable[..., Project], variables: dict[str, str], says: str
) -> None:
    other = make_project("publication.toml", "plugins", "samples")
    shutil.copytree(mailed.path / "build/briefings", other.path / "build/briefings")
    assert other.newsletter("subscribers", "import", "samples/subscribers.csv").returncode == 0
    keys = (
        {} if says.startswith(("Set", "nope")) else {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    )
    nothing = {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = other.newsletter("send", "2020-10", **nothing, **keys, **variables)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_away_from_the_project_leave_nothing_behind(make_project: Callable[..., Project]) -> None:
    elsewhere = make_project("plugins")
    before = {path for path in elsewhere.path.rglob("*") if "__pycache__" not in path.parts}
    done = elsewhere.newsletter("status", "2020-10")
    assert done.returncode == 1
    assert "this is not the project's folder" in done.stderr
    assert {path for path in elsewhere.path.rglob("*") if "__pycache__" not in path.parts} == before


def test_ctrl_c_is_the_way_to_end_serving(mailed: Project) -> None:
    command = [sys.executable, "-m", "newsletter", "serve", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=mailed.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        address = process.stdout.readline().split()[1]
        with urllib.request.urlopen(
            address, timeout=10
        ) as answer:  # once it answers, it listens to signals too
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")


def test_another_terminal_can_practise_by_the_line_that_serve_prints(mailed: Project) -> None:
    command = [sys.executable, "-m", "newsletter", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=mailed.path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = next(line for line in process.stdout if line.startswith("to use it"))
            typed = line.removeprefix("to use it").strip() + f"; {sys.executable} -m newsletter doctor --json"
            done = subprocess.run(
                ["/bin/sh", "-c", typed], cwd=mailed.path, capture_output=True, text=True, check=False
            )
        finally:
            process.terminate()
    verdicts = {each["name"]: each["verdict"] for each in json.loads(done.stdout)["findings"]}
    assert (done.returncode, verdicts["events"], verdicts["unsubscribe"]) == (0, "sound", "sound"), (
        done.stdout
    )


def test_the_mail_half_runs_where_neither_pelican_nor_content_is(
    mailed: Project, make_project: Callable[..., Project]
) -> None:
    """A server that only mails needs no site; so no command of the mail half may import Pelican."""
    other = make_project("publication.toml", "plugins")
    other.write("plugins/pelican.py", "raise ImportError('the mail half imported pelican')\n")
    assert other.newsletter("status", "2020-10", "--json").returncode == 0
    assert other.newsletter("subscribers", "import", str(ROOT / "samples/subscribers.csv")).returncode == 0


def test_an_import_names_each_refused_line_and_takes_the_others(project: Project) -> None:
    project.write(
        "list.csv",
        "Email,Status,Name\nfine@example.org,confirmed,\nnot-an-address,confirmed,\nümlaut@example.org,confirmed,\n"
        "odd@example.org,maybe,\n\nFINE@example.org,confirmed,twice\n",
    )
    done = project.newsletter("subscribers", "import", "list.csv")
    assert done.returncode == 1
    assert "list.csv:3: email:" in done.stderr
    assert "list.csv:4: email:" in done.stderr
    assert 'list.csv:5: status: "maybe"' in done.stderr
    assert "1 added, 1 known already, 3 refused" in done.stdout


def test_a_list_without_status_mails_nobody_until_someone_vouches_for_it(project: Project) -> None:
    project.write("list.csv", "email\na@example.org\nb@example.org\n")
    done = project.newsletter("subscribers", "import", "list.csv")
    assert "2 without a status are pending" in done.stdout
    project.write("list2.csv", "email\nc@example.org\n")
    done = project.newsletter("subscribers", "import", "--confirmed", "list2.csv")
    assert "1 confirmed, 2 pending" in done.stdout


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += _commands(command, (*path, name))
    return found


@pytest.mark.parametrize("command", _commands(main), ids=" ".join)
def test_every_command_has_help_with_a_sentence_of_its_own(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert len(result.output.split("\n\n")[1].strip()) > 20


@pytest.mark.parametrize("group", [(), ("subscribers",)], ids=["newsletter", "subscribers"])
def test_the_list_of_commands_leaves_none_out_and_breaks_no_sentence_off(group: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*group, "--help"], env={"COLUMNS": "80"}).output
    listed = {line.split()[0] for line in shown.splitlines() if re.match(r"  [a-z][a-z-]*  ", line)}
    inside = len(group)
    assert {
        path[-1] for path in _commands(main) if path[:inside] == group and len(path) == inside + 1
    } == listed
    assert "..." not in shown.split("--help", 1)[1]


def test_the_makefile_offers_the_promised_targets_and_explains_each() -> None:
    text = (ROOT / "Makefile").read_text()
    for target in ("all", "help", "html", "serve", "check", "test", "lint", "clean", "bench", "briefing"):
        assert any(line.startswith(f"{target}:") and "## " in line for line in text.splitlines()), target
