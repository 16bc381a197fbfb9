"""The invariants hold of a month as the sender leaves it, and each is seen to break when the ledger is made to lie."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from newsletter import invariants, package
from newsletter.aftermath import Aftermath
from newsletter.delivery import Delivery, Links
from newsletter.invariants import Accept, Broken
from newsletter.ses.queue import EventQueue
from newsletter.states import State
from newsletter.store import Subscription, open_store
from tests.accepts import AcceptLog
from tests.conftest import Clock
from tests.kill_child import FiveAtATime
from tests.local_ses_world import SENDER, world
from tests.store_contract import PACKAGE, fill, person

MONTH = PACKAGE.month
FROZEN = replace(PACKAGE, sender=SENDER, html="<p>Dear reader, {{unsubscribe_url}}</p>", text="Leave: {{unsubscribe_url}}\n")  # fmt: skip
FROZEN = replace(FROZEN, content_hash=package.content_hash(FROZEN))


@dataclass(frozen=True)
class Month:
    """A month as it was mailed: its ledger and what SES accepted."""

    ledger: Path
    accepts: list[Accept]

    def check(self, *statements: str, accepts: list[Accept] | None = None) -> list[Broken]:
        """Make the ledger lie by hand, and look at it."""
        with sqlite3.connect(self.ledger) as database:
            for statement in statements:
                database.execute(statement)
        database.close()
        store = open_store(f"sqlite:///{self.ledger}")
        found = invariants.check(store, MONTH, accepts)
        store.close()
        return found

    def accept(self, number: int) -> Accept:
        return next(each for each in self.accepts if each.tags.get("recipient") == str(number))

    def with_mail(self, number: int, *changes: tuple[bytes, bytes], **fields: Any) -> list[Accept]:
        """All accepts, with one recipient's mail (or another fact of it) changed."""
        old = self.accept(number)
        raw = old.raw
        for before, after in changes:
            assert before in raw, raw
            raw = raw.replace(before, after)
        return [replace(old, **{"raw": raw, **fields}) if each == old else each for each in self.accepts]


@pytest.fixture(scope="module")
def mailed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    """Twenty readers in calls of five.

    Number 1 had left before the freeze; 2 to 9 have it, but 3 bounced, 4 complained and 6 was refused; of 10 SES has
    told nothing; 11 left in time; of 12 to 16 nobody knows; 17 to 21 are pending.
    """
    folder = tmp_path_factory.mktemp("month")
    clock = Clock()
    patch = pytest.MonkeyPatch()
    log = folder / "accepts.jsonl"
    with world(folder, accept_log=log, max_send_rate=1e6) as served:
        for name, value in served.server.environment.items():
            patch.setenv(name, value)
        served.plan(
            calls=[
                {"operation": "SendBulkEmail", "call": 1, "action": "entry_status", "entries": [4], "status": "MESSAGE_REJECTED"},
                {"operation": "SendBulkEmail", "call": 3, "action": "drop", "when": "after"},
                {"operation": "SendBulkEmail", "call": 4, "action": "error", "status": 403, "code": "ExpiredTokenException"},
            ],
            outcomes=[{"to": "reader0001@*", "outcome": "bounced"}, {"to": "reader0002@*", "outcome": "complained"}],
            events=[{"to": ["reader0008@*", "reader001*"], "action": "lose"}],
        )  # fmt: skip
        store = open_store(f"sqlite:///{folder / 'newsletter.db'}")
        store.import_subscribers([person("left", Subscription.UNSUBSCRIBED)])
        fill(store, 20)
        store.freeze(FROZEN, clock())
        store.import_subscribers([person("reader0009", Subscription.UNSUBSCRIBED)])
        ses = FiveAtATime()
        links = Links("https://briefing.example.org", (b"k" * 32,))
        Delivery(store, ses, links, clock, clock.pause).run(FROZEN)
        queue = EventQueue(served.server.queue_url, served.server.topic_arn)
        Aftermath(store, queue, folder / "quarantine", clock).read(wait=2)
        states = store.counts(MONTH).states
        store.close()
        assert set(states) == set(State) - {State.CLAIMED}
        yield Month(folder / "newsletter.db", list(AcceptLog(log, served.config.mailbox).accepts()))
    patch.undo()


@pytest.fixture
def month(mailed: Month, tmp_path: Path) -> Month:
    return replace(mailed, ledger=shutil.copy(mailed.ledger, tmp_path / "copy.db"))


def test_a_month_as_the_sender_leaves_it_is_sound(month: Month) -> None:
    assert month.check() == []
    assert month.check(accepts=month.accepts) == []


LIES: dict[str, tuple[int, str, list[str]]] = {
    "a second mail": (1, "more than one mail", [
        "INSERT INTO evidence SELECT briefing, number, kind, 'another', attempt, at, '' FROM evidence WHERE number = 2"]),
    "an address twice": (1, "stands in the briefing twice", [
        "CREATE TABLE loose AS SELECT * FROM recipient",
        "UPDATE loose SET address_key = 'reader0019@example.org' WHERE number = 20",
        "DROP TABLE recipient", "ALTER TABLE loose RENAME TO recipient"]),
    "a recipient lost": (2, "neither a recipient nor an exclusion", ["DELETE FROM recipient WHERE number = 17"]),
    "an exclusion lost": (2, "neither a recipient nor an exclusion", ["DELETE FROM exclusion"]),
    "submitted by no call": (3, "no call was made for it", [
        "UPDATE recipient SET state = 'submitted', message_id = 'x', attempt = NULL WHERE number = 17"]),
    "submitted by nobody's word": (3, "nobody has said so", [
        "UPDATE recipient SET state = 'submitted' WHERE number = 12"]),
    "claimed by no call": (3, "no call was made for it", ["UPDATE recipient SET state = 'claimed', attempt = NULL WHERE number = 17"]),
    "failed by no call": (3, "no call was made for it", ["UPDATE recipient SET state = 'failed', attempt = NULL WHERE number = 17"]),
    "a call not written down": (3, "was not written down", [
        "UPDATE recipient SET attempt = 'forged' WHERE number = 12"]),
    "a call of another briefing": (3, "was not written down", ["UPDATE attempt SET briefing = '2020-11'"]),
    "a mail of no call": (3, "SES has told of a mail, and no call", [
        "INSERT INTO evidence VALUES ('2020-10', 17, 'send', 'x', 'x', '2020-11-02T12:00:00.000Z', '')",
        "UPDATE recipient SET state = 'submitted', message_id = 'x', attempt = NULL WHERE number = 17"]),
    "delivered unseen": (3, "SES has told nothing of it", [
        "UPDATE recipient SET state = 'delivered' WHERE number = 10"]),
    "bounced unseen": (3, "SES has told nothing of it", ["UPDATE recipient SET state = 'bounced' WHERE number = 10"]),
    "an exclusion mailed": (4, "was left out of this briefing", [
        "INSERT INTO exclusion VALUES ('2020-10', 2, 'unsubscribed')"]),
    "a suppressed one mailed": (4, "after its address had been suppressed", [
        "UPDATE suppression SET at = '2020-11-01T00:00:00.000Z'"]),
    "one who had left mailed": (4, "after it had unsubscribed", [
        "INSERT INTO history SELECT public_id, '2020-11-02T11:00:00.000Z', 'confirmed', '' FROM recipient WHERE number = 2",
        "INSERT INTO history SELECT public_id, '2020-11-02T11:30:00.000Z', 'unsubscribed', '' FROM recipient WHERE number = 2"]),
    "a correction to others": (4, "a correction of what it was never mailed", [
        "UPDATE send SET corrects = '2020-09'", "DELETE FROM exclusion"]),
    "a weaker state than seen": (7, "what SES has told shows bounced", [
        "UPDATE recipient SET state = 'delivered' WHERE number = 3"]),
    "evidence lost": (7, "what SES has told shows submitted", ["DELETE FROM evidence WHERE number = 2 AND kind = 'delivery'"]),
    "a released one that was told of": (7, "what SES has told shows delivered", [
        "UPDATE recipient SET state = 'pending' WHERE number = 2"]),
    "a suppression lost": (7, "is not suppressed", ["DELETE FROM suppression WHERE reason = 'complaint'"]),
    "other content": (8, "makes the hash", [
        "UPDATE send SET package = json_set(package, '$.subject', 'Another')"]),
    "another hash": (8, "makes the hash", ["UPDATE send SET content_hash = 'b'"]),
    "another month's content": (8, "was packaged as 2020-09", [
        "UPDATE send SET package = json_set(package, '$.month', '2020-09')"]),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_ledger_that_lies_is_found(month: Month, lie: str) -> None:
    number, words, statements = LIES[lie]
    found = month.check(*statements)
    assert {each.number for each in found} == {number}, found
    assert any(words in each.words for each in found), found
    assert all(each.name and "2020-10" in each.where for each in found)


def test_a_database_that_would_lose_a_commit_is_found(month: Month) -> None:
    store = open_store(f"sqlite:///{month.ledger}")
    for pragma in (
        "synchronous = NORMAL",
        "foreign_keys = OFF",
        "secure_delete = OFF",
        "journal_mode = MEMORY",
    ):
        store.db.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]
    found = invariants.check(store, MONTH)
    store.close()
    assert [each.number for each in found] == [10, 10, 10]
    assert "journal_mode memory, synchronous 1" in found[0].words


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE recipient SET address_key = 'reader0000@example.org' WHERE number = 17",
        "UPDATE recipient SET number = 2, subscriber = 2 WHERE number = 17",
        "INSERT INTO recipient SELECT * FROM recipient WHERE number = 2",
    ],
)
def test_the_database_itself_refuses_anybody_twice(month: Month, change: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        month.check(change)


def test_the_numbers_of_those_concerned_are_named(month: Month) -> None:
    (found,) = month.check("UPDATE recipient SET state = 'submitted' WHERE state = 'in_doubt'")
    assert found.where == "2020-10, recipient 12 and 4 more"


def test_looking_at_a_ledger_changes_no_byte_of_it(month: Month) -> None:
    before = month.ledger.read_bytes()
    assert month.check(accepts=month.accepts) == []
    assert month.ledger.read_bytes() == before


# -- beside what SES accepted


def _found(month: Month, accepts: list[Accept], *statements: str) -> list[tuple[int, str]]:
    return [(each.number, each.words) for each in month.check(*statements, accepts=accepts)]


def test_a_mail_more_than_the_ledger_knows_of_is_found(month: Month) -> None:
    assert _found(month, [*month.accepts, month.accept(2)]) == [(1, "SES has accepted more than one mail")]
    stranger = replace(month.accept(2), tags={**month.accept(2).tags, "recipient": "99"})
    assert _found(month, [*month.accepts, stranger]) == [
        (3, "SES has accepted a mail for it, and it is no recipient")
    ]
    unnamed = replace(stranger, tags={"briefing": MONTH})
    assert _found(month, [*month.accepts, unnamed]) == [(3, "SES has accepted it for recipient ''")]
    assert _found(month, [*month.accepts, replace(stranger, tags={"briefing": "canary"})]) == []


@pytest.mark.parametrize("number", [2, 3, 4, 10])
def test_a_mail_that_ses_does_not_know_of_is_found(month: Month, number: int) -> None:
    ((wrong, words),) = _found(month, [each for each in month.accepts if each != month.accept(number)])
    assert (wrong, "SES has accepted no mail for it" in words) == (3, True)


@pytest.mark.parametrize("number", [6, 11, 17])
def test_a_mail_for_somebody_refused_skipped_or_pending_is_found(month: Month, number: int) -> None:
    tags = {**month.accept(12).tags, "recipient": str(number)}
    extra = Accept(f"reader{number - 2:04d}@example.org", tags, "x")
    assert any(
        "and SES has accepted its mail" in words for _, words in _found(month, [*month.accepts, extra])
    )


@pytest.mark.parametrize(
    ("fields", "number", "words"),
    [
        ({"address": "other@example.org"}, 4, "for another address"),
        ({"message_id": "x"}, 3, "by another mail"),
        ({"tags": {"briefing": MONTH, "recipient": "2", "attempt": "x"}}, 3, "for another call"),
        ({"template": "briefing-2020-10-0000000000000000"}, 8, "has not the frozen hash"),
    ],
)
def test_a_mail_that_is_not_the_ledger_s_is_found(
    month: Month, fields: dict[str, Any], number: int, words: str
) -> None:
    found = _found(month, month.with_mail(2, **{"raw": b"", **fields}))
    assert [wrong for wrong, _ in found] == [number]
    assert words in found[0][1]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"To: reader0000@example.org", b"To: reader0000@example.org, b@example.org", "recipient alone"),
        (b"To: reader0000@example.org", b"Cc: reader0000@example.org", "recipient alone"),
        (b"List-Unsubscribe-Post", b"X-Post", "has not one header List-Unsubscribe-Post"),
        (b"List-Unsubscribe: ", b"List-Unsubscribe: <https://a.example/>\r\nList-Unsubscribe: ", "has not one header"),
        (b"Subject: S", b"Subject: T", "another subject"),
        (b"Dear reader", b"Dear {{name}}", "unfilled place in its html"),
        (b"Dear reader", b"Dear member", "something else than was frozen, in its html"),
        (b"Leave:", b"Stay:", "something else than was frozen, in its plain"),
        (b"text/plain", b"text/calendar", "has no plain part"),
    ],
)  # fmt: skip
def test_a_mail_that_is_not_what_was_frozen_is_found(
    month: Month, before: bytes, after: bytes, words: str
) -> None:
    found = _found(month, month.with_mail(2, (before, after)))
    assert {number for number, _ in found} == {8}
    assert any(words in each for _, each in found), found
