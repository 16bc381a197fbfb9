"""An erratum to its readers, over HTTP to the local SES: exactly those who have the wrong version."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from newsletter import package
from tests.conftest import Project
from tests.local_ses_world import World, world


def answered(status: str, *numbers: int, **more: object) -> dict[str, object]:
    """A fault: SES answers so for these subscribers' entries of a call."""
    return {"action": "entry_status", "to": [f"r{n:02}@*" for n in numbers], "status": status, **more}


PAUSED = "ACCOUNT_SENDING_PAUSED"
ERRATUM = """---
title: One figure was wrong
subject: "Correction: one figure of October"
preheader: Barrels a day, not a month.
date: 2020-11-03
---
We wrote 800,000 barrels a month. It is 800,000 barrels a day.
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ses"), identities=("example.org",)) as one:
        yield one


@dataclass(frozen=True)
class House:
    """A project with a briefing, its erratum and twelve subscribers, beside a local SES whose events nobody reads."""

    project: Project
    ses: World

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.ses.server.environment, "EVENTS_QUEUE_URL": ""}
        return self.project.newsletter(*words, **environment)

    def done(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *words: str) -> str:
        """Run a command that must refuse; nothing may be mailed by it."""
        before = self.ses.mailed()
        done = self.run(*words)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr
        assert self.ses.mailed() == before
        return done.stderr

    def subscribers(self, *rows: str) -> None:
        self.project.write("list.csv", "\n".join(["email,status", *rows]))
        self.done("subscribers", "import", "list.csv")

    def hash(self, name: str) -> str:
        return package.read(self.project.path / "build/briefings" / name).content_hash

    def mailed(self, subject: str) -> list[str]:
        return sorted(str(mail["To"]) for mail in self.ses.mails() if mail["Subject"] == subject)


@pytest.fixture
def house(project: Project, server: World) -> House:
    project.analysis("a")
    project.briefing()
    project.write("content/briefings/2020-10.erratum.md", ERRATUM)
    made = House(project, server.fresh())
    made.done("build")
    made.subscribers(*(f"r{number:02}@example.org,confirmed" for number in range(12)))
    return made


def readers(*numbers: int) -> list[str]:
    return [f"r{number:02}@example.org" for number in numbers]


def test_exactly_those_to_whom_the_briefing_was_submitted_get_its_erratum(house: House) -> None:
    """Of twelve, one is refused, four are in doubt, four never had their turn; one leaves later, one comes later."""
    house.ses.plan(
        calls=[
            answered("MESSAGE_REJECTED", 1),
            answered("SOMETHING_NEW", 4, 5, 6, 7, accept=True),
            answered(PAUSED, 8, 9, 10, 11),
        ]
    )
    assert house.run("send", "2020-10", "--approve", house.hash("2020-10")).returncode == 1
    said = house.refused("erratum", "2020-10", "--approve", house.hash("2020-10-erratum"))
    assert "2020-10 is still open: 4 pending and 4 in doubt." in said
    for way in ("newsletter send 2020-10", "newsletter withdraw 2020-10", "newsletter resolve 2020-10"):
        assert way in said

    assert "4 closed as skipped" in house.done("withdraw", "2020-10", "--yes")
    said = house.refused("erratum", "2020-10", "--approve", house.hash("2020-10-erratum"))
    assert "4 in doubt" in said
    assert "withdraw" not in said
    house.done("resolve", "2020-10", "--assume-submitted", "--yes")
    house.subscribers("r02@example.org,unsubscribed", "new@example.org,confirmed")

    house.ses.plan(calls=[answered(PAUSED, 6, 7)])
    words = ("erratum", "2020-10", "--approve", house.hash("2020-10-erratum"), "--expect", "6")
    stopped = house.run(*words)
    assert "2 are pending" in stopped.stderr
    assert "goes on: newsletter erratum 2020-10\n" in stopped.stderr
    house.ses.plan()
    house.done(*words)

    assert house.mailed("Correction: one figure of October") == readers(0, 3, 4, 5, 6, 7)
    assert house.mailed("What to expect") == readers(0, 2, 3, 4, 5, 6, 7)
    for mail in house.ses.mails():
        if str(mail["Subject"]).startswith("Correction"):
            assert mail["List-Unsubscribe"].startswith("<https://briefing.example.org/u/")
            for part in ("plain", "html"):
                words_of_it = mail.get_body((part,)).get_content()
                assert "Correction to the" in words_of_it
                assert "https://briefing.example.org/briefings/2020-10/" in words_of_it
                assert "{{" not in words_of_it
    assert "nothing was posted" in house.done("erratum", "2020-10")
    status = json.loads(house.done("status", "2020-10-erratum", "--json"))
    assert (status["corrects"], status["recipients"], status["submitted"]) == ("2020-10", 6, 6)
    assert status["exclusions"] == {"unsubscribed": 1}
    assert "withdrawn by the operator" in house.done("audit", "2020-10", "r08@example.org")


def test_a_briefing_that_nobody_has_needs_no_erratum(house: House) -> None:
    said = house.refused("erratum", "2020-10", "--approve", house.hash("2020-10-erratum"))
    assert "nobody has the wrong version" in said
    assert "nothing to withdraw" in house.done("withdraw", "2020-10", "--yes")


def test_an_erratum_goes_the_way_its_briefing_went(house: House) -> None:
    """Whoever was mailed through AWS is not told by this machine, nor the other way round."""
    house.done("send", "2020-10", "--approve", house.hash("2020-10"))
    with sqlite3.connect(house.project.path / "var/newsletter.db") as ledger:
        ledger.execute("UPDATE send SET through = 'email.eu-west-1.amazonaws.com'")
    said = house.refused("erratum", "2020-10", "--approve", house.hash("2020-10-erratum"))
    assert "2020-10 was mailed through email.eu-west-1.amazonaws.com, and this is this machine" in said


def test_a_second_erratum_and_one_that_is_not_written_are_told_apart(house: House) -> None:
    house.done("send", "2020-10", "--approve", house.hash("2020-10"))
    said = house.refused("erratum", "2020-10", "--number", "2")
    assert "2020-10-erratum-2: there is no package" in said
    house.project.write("content/briefings/2020-10.erratum-2.md", ERRATUM.replace("one figure", "another"))
    house.done("build")
    said = house.refused("erratum", "2020-10", "--number", "2")
    assert "newsletter erratum 2020-10 --number 2 --approve" in said
    house.done("erratum", "2020-10", "--number", "2", "--approve", house.hash("2020-10-erratum-2"))
    assert house.mailed("Correction: another of October") == readers(*range(12))
    assert house.mailed("Correction: one figure of October") == []


def test_a_test_of_an_erratum_reaches_its_testers_alone_and_needs_no_briefing(house: House) -> None:
    house.done("erratum", "2020-10", "--test", "editor@example.org")
    assert [str(mail["To"]) for mail in house.ses.mails()] == ["editor@example.org"]
    assert house.mailed("[Test] Correction: one figure of October") == ["editor@example.org"]


def test_a_withdrawal_asks_first_and_no_leaves_everything_as_it_was(house: House) -> None:
    house.ses.plan(calls=[answered(PAUSED, *range(4, 12))])
    assert house.run("send", "2020-10", "--approve", house.hash("2020-10")).returncode == 1
    assert "never to get it" in house.run("withdraw", "2020-10").stdout  # nobody is there to say yes
    assert json.loads(house.done("status", "2020-10", "--json"))["pending"] == 8
