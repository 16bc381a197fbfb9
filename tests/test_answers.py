"""The operator can answer for each address, and decides about whom nobody can answer."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest

from tests.conftest import Project


@pytest.fixture
def doubtful(project: Project) -> Project:
    """A briefing of 60 whose second call SES took but did not answer, nor told of in an event."""
    project.analysis("a")
    project.briefing()
    assert project.newsletter("briefing", "2020-10").returncode == 0
    rows = "".join(f"reader{number:02d}@example.org,confirmed\n" for number in range(60))
    project.write("list.csv", f"email,status\n{rows}left@example.org,unsubscribed\n")
    assert project.newsletter("subscribers", "import", "list.csv").returncode == 0
    project.write(
        "plan.json",
        '{"calls": [{"operation": "SendBulkEmail", "call": 2, "action": "reset", "when": "after"}], '
        '"events": [{"to": "*@example.org", "action": "lose"}]}',
    )
    done = project.mail("--canary", "0", faults="plan.json")
    assert done.returncode == 1
    assert "10 in doubt" in done.stderr
    return project


def _accepted(project: Project) -> Counter[str]:
    everyone = (json.loads(line)["to"] for line in project.read("var/accepts.jsonl").splitlines())
    return Counter(to for to in everyone if not to.endswith("@simulator.amazonses.com"))  # but the canaries


def test_the_audit_names_each_with_its_evidence(doubtful: Project) -> None:
    one = doubtful.newsletter("audit", "2020-10", "READER00@example.org").stdout
    assert "submitted" in one
    assert "accepted by SES" in one
    assert "unsubscribed" in doubtful.newsletter("audit", "2020-10", "left@example.org").stdout
    assert "not on the list then" in doubtful.newsletter("audit", "2020-10", "who@example.org").stdout
    assert doubtful.newsletter("audit", "2020-10", "--csv", "audit.csv").returncode == 0
    rows = list(csv.DictReader(doubtful.read("audit.csv").splitlines()))
    states = Counter({row["address"]: row["state"] for row in rows}.values())
    assert states == {"submitted": 50, "in_doubt": 10, "excluded": 1}


def test_resolving_shows_the_counts_and_changes_nothing_by_itself(doubtful: Project) -> None:
    done = doubtful.newsletter("resolve", "2020-10")
    assert done.returncode == 1
    assert "10 in doubt" in done.stdout
    assert json.loads(doubtful.newsletter("status", "2020-10", "--json").stdout)["in_doubt"] == 10


def test_those_assumed_to_have_it_are_never_mailed_again(doubtful: Project) -> None:
    assert doubtful.newsletter("resolve", "2020-10", "--assume-submitted", "--yes").returncode == 0
    assert doubtful.newsletter("send", "2020-10").returncode == 0
    assert set(_accepted(doubtful).values()) == {1}
    assert len(_accepted(doubtful)) == 60


def test_those_to_be_mailed_again_are_and_nobody_else(doubtful: Project) -> None:
    assert doubtful.newsletter("resolve", "2020-10", "--resend", "--yes").returncode == 0
    assert doubtful.mail("--canary", "0").returncode == 0
    assert Counter(_accepted(doubtful).values()) == {1: 50, 2: 10}


def test_what_was_withdrawn_is_not_mailed_again_and_says_so(doubtful: Project) -> None:
    assert doubtful.newsletter("withdraw", "2020-10", "--yes").returncode == 0
    told = doubtful.newsletter("resolve", "2020-10", "--resend", "--yes").stdout
    assert "10 skipped, and not mailed again: 2020-10 was withdrawn" in told
    assert "newsletter send" not in told
    assert set(_accepted(doubtful).values()) == {1}


def test_opposite_decisions_are_refused(doubtful: Project) -> None:
    assert doubtful.newsletter("resolve", "2020-10", "--assume-submitted", "--resend").returncode == 2
