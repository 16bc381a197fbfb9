"""A test mail is the very mail, to those who are named for it, and it leaves nothing behind."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from newsletter import tokens
from newsletter.aftermath import Aftermath
from newsletter.delivery import Delivery, Links
from newsletter.errors import SettingsError
from newsletter.rehearsal import allowed, rehearse
from newsletter.ses.queue import EventQueue
from newsletter.ses.submit import Ses
from newsletter.store import Store, open_store
from tests.local_ses_world import World, world
from tests.store_contract import PACKAGE, fill

KEYS = (b"k" * 32,)
LINKS = Links("https://briefing.example.org", KEYS)
TESTERS = ("Editor@example.org", "desk@example.org")
# The real subject, a real letter, with signs that an encoder could treat otherwise.
MAIL = replace(
    PACKAGE,
    subject="Iraq’s embassy: “unlikely”",
    html="<html><body><p>Grüße</p><p><a href='{{unsubscribe_url}}'>leave</a></p></body></html>",
    text="Grüße\n\nLeave: {{unsubscribe_url}}\n",
    headers={"List-Id": "<l.example.org>", "List-Help": "<https://briefing.example.org/help>"},
)


@pytest.fixture
def ses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path, identities=("example.org",), max_send_rate=1000) as made:
        for name, value in made.server.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path / 'newsletter.db'}")
    yield made
    made.close()


def try_on(*wanted: str) -> list[str]:
    results = rehearse(
        MAIL, allowed(wanted, TESTERS), LINKS.unsubscribe, Ses("newsletter"), lambda seconds: None
    )
    return [f"{to.text} {result.status}" for to, result in results]


def alike(mail: EmailMessage) -> list[str]:
    """A mail's headers and parts, without what differs from one recipient to the next."""
    unlike = {"Message-ID", "Date", "To", "Subject", "Content-Type"}
    heads = [f"{name}: {value}" for name, value in mail.items() if name not in unlike]
    parts = [f"{part.get_content_type()} {part.get_content()}" for part in mail.iter_parts()]
    return [re.sub(r"/u/[\w.-]+", "/u/TOKEN", text) for text in heads + parts]


def test_a_test_is_the_mail_that_subscribers_get_but_for_its_subject(ses: World, store: Store) -> None:
    assert try_on("editor@example.org") == ["Editor@example.org SUCCESS"]
    fill(store, 1)
    Delivery(store, Ses("newsletter"), LINKS, lambda: datetime.now(UTC), lambda seconds: None).run(MAIL)
    mails = {str(mail["To"]): mail for mail in ses.mails()}
    trial, real = mails["Editor@example.org"], mails["reader0000@example.org"]
    assert str(real["Subject"]) == "Iraq’s embassy: “unlikely”"
    assert str(trial["Subject"]) == "[Test] Iraq’s embassy: “unlikely”"
    assert list(trial.keys()) == list(real.keys())
    assert alike(trial) == alike(real)
    assert sum("/u/TOKEN" in text for text in alike(real)) == 3


def test_each_tester_gets_one_and_its_link_is_nobodys(ses: World, store: Store) -> None:
    fill(store, 3)
    assert len(try_on("editor@example.org", "desk@example.org", "DESK@example.org")) == 2
    mails = ses.mails()
    assert sorted(str(mail["To"]) for mail in mails) == ["Editor@example.org", "desk@example.org"]
    links = {str(mail["List-Unsubscribe"]).strip("<>") for mail in mails}
    assert len(links) == 2
    for link in links:
        public_id = tokens.verify(link.rpartition("/")[2], tokens.Purpose.UNSUBSCRIBE, KEYS)
        assert public_id is not None  # it opens as a subscriber's does
        assert store_ids(store).isdisjoint({public_id})


def store_ids(store: Store) -> set[bytes]:
    store.freeze(PACKAGE, datetime.now(UTC))
    claim = store.claim("2020-10", 50, "a", datetime.now(UTC))
    return {recipient.public_id for recipient in claim.recipients} if claim else set()


def test_its_events_change_nothing_in_the_ledger(ses: World, store: Store, tmp_path: Path) -> None:
    fill(store, 2)
    store.freeze(replace(MAIL, month="2020-10"), datetime.now(UTC))
    before = store.counts("2020-10")
    try_on("desk@example.org")
    queue = EventQueue(ses.server.queue_url, ses.server.topic_arn, "eu-west-1")
    read = Aftermath(store, queue, tmp_path / "quarantine", lambda: datetime.now(UTC)).read(wait=5)
    assert read.messages > 0
    assert (read.fresh, read.poison) == (0, 0)
    assert store.counts("2020-10") == before


@pytest.mark.parametrize("wanted", ["stranger@example.org", "editor@example.net", "reader0000@example.org"])
def test_whoever_is_no_tester_is_refused_and_nobody_is_mailed(ses: World, wanted: str) -> None:
    with pytest.raises(SettingsError, match="not among the testers, so nobody was mailed") as refusal:
        try_on("editor@example.org", wanted)
    assert wanted in str(refusal.value)
    assert "Editor@example.org, desk@example.org" in str(refusal.value)
    assert ses.files() == []


def test_without_testers_the_way_to_name_them_is_said() -> None:
    with pytest.raises(SettingsError, match=r'testers = \["you@example.org"\] under \[mail\]'):
        allowed(["editor@example.org"], ())
    with pytest.raises(SettingsError, match="no-address"):
        allowed(["no-address"], TESTERS)


def test_more_testers_than_a_call_may_hold_are_mailed_in_several(tmp_path: Path, ses: World) -> None:
    class Slow(Ses):
        """An account in the sandbox: one recipient a second."""

        def quota(self):  # type: ignore[no-untyped-def]
            return replace(super().quota(), per_second=1.0)

    pauses: list[float] = []
    rehearse(MAIL, allowed(TESTERS, TESTERS), LINKS.unsubscribe, Slow("newsletter"), pauses.append)
    assert ses.bulk_calls() == 2
    assert pauses == [1.0]
    assert len(ses.mails()) == 2


def test_a_test_cannot_come_near_the_list() -> None:
    """Its module does not even load the store."""
    code = "import sys, newsletter.rehearsal; print([name for name in sys.modules if 'newsletter.store' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
