"""`newsletter latecomers`: whoever signs up after a briefing was mailed gets it too, once, by the same ledger."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from newsletter import address, invariants
from newsletter.store import open_store
from newsletter.store.door import Letter, LetterKind, LetterState, Used
from tests.conftest import Project
from tests.local_ses_world import World, world


@pytest.fixture(scope="module")
def ses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ses"), identities=("example.org",)) as one:
        yield one


@dataclass(frozen=True)
class House:
    """A project whose October briefing has been mailed to two subscribers."""

    project: Project
    ses: World

    @property
    def url(self) -> str:
        return f"sqlite:///{self.project.path / 'var/newsletter.db'}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.project.newsletter(*words, **self.ses.server.environment)

    def done(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sign_up(self, to: str) -> None:
        """What a visitor and the postman do."""
        store, now = open_store(self.url), datetime.now(UTC)
        letter = Letter(secrets.token_bytes(16), LetterKind.CONFIRM, address.parse(to), now)
        assert store.ask(letter, [])
        assert store.next_letter(now, lambda key: ())
        store.letter_done(letter.id, LetterState.SUBMITTED, "", now, "m")
        assert store.confirm(letter.id, now, "192.0.2.1") is Used.DONE
        store.close()


@pytest.fixture
def house(project: Project, ses: World) -> House:
    project.analysis("a")
    project.briefing()
    made = House(project, ses.fresh())
    made.done("build")
    project.write("list.csv", "email,status\na@example.org,confirmed\nb@example.org,confirmed\n")
    made.done("subscribers", "import", "list.csv")
    made.done("send", "2020-10", "--approve", project.hash())
    return made


def test_each_latecomer_is_mailed_once_what_everybody_has(house: House) -> None:
    assert "nobody new" in house.done("latecomers")
    house.sign_up("late@example.org")
    said = house.done("latecomers")
    assert "1 have signed up since it was mailed" in said
    assert "3 submitted" in said
    assert "nobody new" in house.done("latecomers")
    house.sign_up("later@example.org")
    house.done("latecomers", "2020-10")
    assert house.ses.mailed() == [f"{name}@example.org" for name in ("a", "b", "late", "later")]
    mails = [mail for mail in house.ses.mails() if mail["List-Unsubscribe"]]
    assert [mail["Subject"] for mail in mails] == ["What to expect"] * 4
    assert house.done("audit", "2020-10", "late@example.org").split()[0] in ("submitted", "delivered")
    store = open_store(house.url)
    assert invariants.check(store, "2020-10") == []
    store.close()


def test_a_timer_does_not_mail_on_what_a_person_has_to_decide(house: House) -> None:
    """A mailing that has stopped in its middle goes on by `send` alone."""
    store = open_store(house.url)
    store.db.execute("UPDATE recipient SET state = 'pending', attempt = NULL WHERE address LIKE 'b@%'")  # type: ignore[attr-defined]
    store.close()
    house.sign_up("late@example.org")
    before = house.ses.mailed()
    refused = house.run("latecomers")
    assert refused.returncode == 1
    assert "2020-10 is still open: 1 are pending" in refused.stderr
    assert house.ses.mailed() == before


def test_before_anything_was_mailed_there_is_nothing_to_give(project: Project, ses: World) -> None:
    said = project.newsletter("latecomers", **ses.fresh().server.environment)
    assert (said.returncode, "has been mailed so far" in said.stdout) == (0, True)
    assert not Path(project.path / "var/newsletter.db").exists()
