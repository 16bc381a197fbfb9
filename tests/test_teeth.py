"""Promises that a change could break without another test's noticing: each was broken once, and none noticed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from newsletter import mail_lint, message, package
from newsletter.call import judge
from newsletter.delivery import Delivery, Links, Report, template_name
from newsletter.errors import ContentError, SesError
from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.server import running
from newsletter.mail_template import MailTemplate
from newsletter.models import Package
from newsletter.publication import Publication
from newsletter.ses.submit import EntryResult, Ses
from newsletter.states import State
from newsletter.store import Store, open_store
from newsletter.subscriber_list import SubscriberList
from tests.briefing_sample import BRIEFING, PUBLICATION, TEMPLATES
from tests.conftest import Clock
from tests.local_ses_world import World, world
from tests.store_contract import NOW, PACKAGE, fill

OTHER = replace(
    PACKAGE,
    subject="Another",
    html="<p>Another</p>",
    text="Another",
    sender="B <b@example.org>",
    content_hash="b" * 64,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "newsletter.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def ses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path, identities=("example.org",), max_send_rate=10_000) as served:
        for name, value in served.server.environment.items():
            monkeypatch.setenv(name, value)
        yield served


def deliver(store: Store, clock: Clock, what: Package = PACKAGE) -> Report:
    links = Links("https://briefing.example.org", (b"k" * 32,))
    return Delivery(store, Ses("newsletter"), links, clock, clock.pause).run(what)


# -- delivery


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (EntryResult("SUCCESS", "0102-1"), State.SUBMITTED),
        (EntryResult("SUCCESS", ""), State.IN_DOUBT),
        (EntryResult("SUCCESS", "", "odd"), State.IN_DOUBT),
        (EntryResult("success", "0102-1"), State.IN_DOUBT),
        (EntryResult("TRANSIENT_FAILURE", ""), State.PENDING),
        (EntryResult("TRANSIENT_FAILURE", "0102-1"), State.IN_DOUBT),
        (EntryResult("ACCOUNT_THROTTLED", "0102-1"), State.IN_DOUBT),
        (EntryResult("ACCOUNT_SENDING_PAUSED", "0102-1"), State.IN_DOUBT),
        (EntryResult("MESSAGE_REJECTED", "0102-1"), State.IN_DOUBT),
        (EntryResult("MESSAGE_REJECTED", ""), State.FAILED),
        (EntryResult("", ""), State.IN_DOUBT),
        (EntryResult("", "0102-1"), State.IN_DOUBT),
    ],
    ids=str,
)
def test_a_word_that_contradicts_itself_is_neither_a_mail_nor_none(result: EntryResult, state: State) -> None:
    outcome = judge(7, result)
    assert (outcome.number, outcome.state) == (7, state)
    assert outcome.message_id == (result.message_id if state is State.SUBMITTED else "")
    assert result.status in outcome.evidence or state is State.SUBMITTED


def test_an_account_that_is_switched_off_freezes_nobody(
    tmp_path: Path, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever joins before it is switched on again is still to get this briefing."""
    config = LocalSesConfig(
        tmp_path / "m",
        tmp_path / "s.sqlite",
        tmp_path / "a.jsonl",
        identities=("example.org",),
        sending_enabled=False,
    )
    fill(store, 2)
    with running(config) as served:
        for name, value in served.environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SesError, match="switched off"):
            deliver(store, clock)
        assert served.calls("SendBulkEmail") == 0
        assert served.calls("CreateEmailTemplate") == 0
    assert store.frozen("2020-10") is None
    assert store.counts("2020-10").recipients == 0


@pytest.mark.parametrize("part", ["Subject", "Text", "Html"])
def test_a_template_of_our_name_with_other_words_is_never_mailed(
    ses: World, store: Store, clock: Clock, part: str
) -> None:
    fill(store, 2)
    content = {"Subject": PACKAGE.subject, "Html": PACKAGE.html, "Text": PACKAGE.text}
    ses.template(template_name(PACKAGE), **{**content, part: "Somebody else's"})
    with pytest.raises(SesError, match=template_name(PACKAGE)):
        deliver(store, clock)
    assert ses.bulk_calls() == 0
    assert store.frozen("2020-10") is None


def test_a_template_of_our_name_with_our_words_is_used(ses: World, store: Store, clock: Clock) -> None:
    fill(store, 2)
    ses.template(template_name(PACKAGE), Subject=PACKAGE.subject, Html=PACKAGE.html, Text=PACKAGE.text)
    assert deliver(store, clock).counts.states == {State.SUBMITTED: 2}


def test_those_who_come_later_get_what_the_first_got_whatever_was_edited_meanwhile(
    ses: World, store: Store, clock: Clock
) -> None:
    fill(store, 120)
    ses.plan(
        calls=[
            {
                "operation": "SendBulkEmail",
                "from": 2,
                "action": "error",
                "status": 403,
                "code": "ExpiredTokenException",
            }
        ]
    )
    assert deliver(store, clock).counts.states == {State.SUBMITTED: 50, State.PENDING: 70}
    ses.plan()
    assert deliver(store, clock, OTHER).counts.states == {State.SUBMITTED: 120}
    mails = ses.mails()
    assert len(mails) == 120
    assert {(str(mail["Subject"]), str(mail["From"])) for mail in mails} == {("S", "A <a@example.org>")}
    for mail in mails:
        assert "Another" not in mail.as_string()
    assert store.frozen("2020-10") == PACKAGE


def test_everybody_of_a_month_has_the_same_template(ses: World, store: Store, clock: Clock) -> None:
    fill(store, 3)
    deliver(store, clock)
    deliver(store, clock, OTHER)
    names = [each["TemplateName"] for each in ses.ses.list_email_templates()["TemplatesMetadata"]]
    assert [name for name in names if "-turn-" not in name] == [template_name(PACKAGE)]


# -- store


def _copy(database: sqlite3.Connection, **changes: Any) -> None:
    """Write the first recipient again, as a program with a fault would, except for what `changes` say."""
    database.row_factory = sqlite3.Row
    row = dict(database.execute("SELECT * FROM recipient WHERE number = 1").fetchone())
    row |= {
        "number": 99,
        "subscriber": 99,
        "address_key": "else@example.org",
        "public_id": b"9" * 16,
    } | changes
    names = ", ".join(row)
    database.execute(
        f"INSERT INTO recipient ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subscriber": 1}, "subscriber = number"),
        ({"number": 1, "subscriber": 1}, "recipient.briefing, recipient.number"),
        ({"briefing": "2031-01"}, "FOREIGN KEY"),
        ({"state": "mailed"}, "CHECK"),
    ],
    ids=["another number", "number", "a briefing that is not frozen", "a state that is none"],
)
def test_the_database_itself_refuses_to_list_anybody_twice(
    path: Path, store: Store, changes: dict[str, Any], words: str
) -> None:
    """Whatever the program does wrong: the file cannot hold what would mail somebody twice."""
    fill(store, 2)
    store.freeze(PACKAGE, NOW)
    database = sqlite3.connect(path)
    try:
        database.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError, match=words):
            _copy(database, **changes)
        _copy(database)  # and takes somebody else
        assert database.execute("SELECT max(number) FROM recipient").fetchone()[0] == 99
    finally:
        database.close()


def test_two_months_may_have_the_same_reader_and_one_has_one_address(path: Path, store: Store) -> None:
    fill(store, 2)
    store.freeze(PACKAGE, NOW)
    store.freeze(replace(PACKAGE, month="2020-11"), NOW)
    assert store.counts("2020-11").recipients == 2
    database = sqlite3.connect(path)
    try:
        with pytest.raises(sqlite3.IntegrityError, match=r"subscriber\.address_key"):
            database.execute(
                "INSERT INTO subscriber (public_id, address, address_key, subscription) VALUES (?, ?, ?, ?)",
                (b"9" * 16, "Reader0000@example.org", "reader0000@example.org", "confirmed"),
            )
    finally:
        database.close()


def test_a_dead_sender_of_one_month_puts_nobody_of_another_in_doubt(store: Store) -> None:
    """Two months can be sent at once; a mail under way must not be taken for a lost one."""
    fill(store, 4)
    november = replace(PACKAGE, month="2020-11")
    for each in (PACKAGE, november):
        store.freeze(each, NOW)
        assert store.claim(each.month, 3, f"a-{each.month}", NOW)
    assert store.hold_orphans("2020-10", NOW) == 3
    assert store.counts("2020-10").states == {State.IN_DOUBT: 3, State.PENDING: 1}
    assert store.counts("2020-11").states == {State.CLAIMED: 3, State.PENDING: 1}
    assert store.doubts("2020-11") == []


class _Leaving(sqlite3.Connection):
    """SQLite as most builds of it are: what is deleted stays in the file. (Debian's is built otherwise.)"""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.execute("PRAGMA secure_delete = OFF")


@pytest.mark.parametrize("overwritten", [True, False], ids=["our store", "plain SQLite"])
def test_an_address_that_is_erased_is_no_longer_in_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, overwritten: bool
) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_Leaving))
    store = open_store(f"sqlite:///{path}")
    fill(store, 200)
    assert b"reader0123" in path.read_bytes()
    database = store.db if overwritten else sqlite3.connect(path)  # type: ignore[attr-defined]
    with database:
        database.execute("DELETE FROM subscriber WHERE address_key = 'reader0123@example.org'")
        database.execute("DELETE FROM subscriber WHERE id > 150")
    database.close()
    store.close()
    assert (b"reader0123" in path.read_bytes()) is not overwritten


# -- a list of subscribers


@pytest.mark.parametrize(
    "control", ["\x00", "\x01", "\x08", "\x1b", "\x1f", "\n", "\r", "\x7f", "\x85", "\x9b"], ids=repr
)
@pytest.mark.parametrize("column", ["email", "status", "name", "subscribed_at", "confirmed_at", "source"])
def test_a_line_with_a_control_character_is_refused_and_the_others_are_taken(
    tmp_path: Path, column: str, control: str
) -> None:
    """They would go into terminals, headers and other programs' files."""
    fields = {"email": "bad@example.org", "status": "confirmed", "name": "N", "source": "S"}
    fields |= {"subscribed_at": "2020-01-01", "confirmed_at": "2020-01-02"}
    fields[column] = fields[column][:1] + control + fields[column][1:] + "x"
    path = tmp_path / "list.csv"
    head, row = ",".join(fields), ",".join(f'"{value}"' for value in fields.values())
    path.write_text(f"{head}\ngood@example.org,confirmed\n{row}\nlast@example.org,confirmed\n", newline="")
    people = SubscriberList(path)
    assert [person.address.text for person in people] == ["good@example.org", "last@example.org"]
    (refused,) = people.refused
    assert refused.field == column


# -- the mail and its hash


@pytest.fixture(scope="module")
def october() -> Package:
    return message.compose(BRIEFING, PUBLICATION, TEMPLATES, None)


@pytest.mark.parametrize("field", ["subject", "preheader", "sender", "reply_to", "html", "text"])
def test_whatever_a_reader_can_see_is_in_the_hash(october: Package, field: str) -> None:
    changed = replace(october, **{field: getattr(october, field) + "x"})
    assert package.content_hash(changed) != october.content_hash
    assert package.content_hash(october) == october.content_hash


def test_each_header_is_in_the_hash_by_name_and_value_and_so_is_each_placeholder(october: Package) -> None:
    changed = [dict(october.headers)]
    for name, value in october.headers.items():
        others = {key: each for key, each in october.headers.items() if key != name}
        changed += [others, {**others, name: value + "x"}, {**others, name + "x": value}]
    changed.append({**october.headers, "X-More": "1"})
    hashes = [package.content_hash(replace(october, headers=headers)) for headers in changed]
    assert hashes[0] == october.content_hash
    assert len(set(hashes)) == len(hashes) == 14
    more = package.content_hash(replace(october, placeholders=(*october.placeholders, "name")))
    assert more not in hashes


@pytest.mark.parametrize(
    "publication",
    [
        replace(PUBLICATION, reply_to="other@example.org"),
        replace(PUBLICATION, sender="Other <briefing@example.org>"),
        replace(PUBLICATION, list_id="<other.example.org>"),
    ],
    ids=["reply_to", "sender", "list_id"],
)
def test_another_sender_reply_address_or_list_makes_another_briefing(
    october: Package, publication: Publication
) -> None:
    """None of them stands in the text of the mail, and each is seen by whoever answers it."""
    other = message.compose(BRIEFING, publication, TEMPLATES, None)
    assert (other.html, other.text) == (october.html, october.text)
    assert other.content_hash != october.content_hash


def test_an_edited_reply_address_is_not_mailed(tmp_path: Path, october: Package) -> None:
    package.write(october, tmp_path / "2020-10")
    facts = tmp_path / "2020-10/briefing.json"
    for key in ("reply_to", "sender"):
        before = facts.read_text(encoding="utf-8")
        facts.write_text(json.dumps({**json.loads(before), key: "thief@example.com"}), encoding="utf-8")
        with pytest.raises(package.PackageError, match="not what was composed"):
            package.read(tmp_path / "2020-10")
        facts.write_text(before, encoding="utf-8")


# -- templates of a theme


@pytest.mark.parametrize(
    "code",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ ''['__class__'].__mro__ }}",
        "{{ (''|attr('__class__')).__mro__ }}",
        "{{ items.append.__self__.__class__ }}",
    ],
)
@pytest.mark.parametrize("name", ["body.txt", "body.mjml"])
def test_a_theme_s_template_reaches_nothing_but_its_facts(tmp_path: Path, name: str, code: str) -> None:
    """A theme is other people's code: it must lay out a mail, and not run on the sender's machine."""
    folder = tmp_path / "briefing"
    shutil.copytree(TEMPLATES, folder)
    (folder / name).write_text(code, encoding="utf-8")
    template = MailTemplate(folder, ("unsubscribe_url",))
    facts = {"items": [1]}
    with pytest.raises(ContentError) as caught:
        template.text(facts) if name == "body.txt" else template.html(facts)
    (finding,) = caught.value.findings
    assert (finding.path, finding.line) == (str(folder / name), 1)
    assert any(word in finding.reason for word in ("unsafe", "no attribute '__class__'")), finding.reason


def test_a_theme_s_template_has_neither_clock_nor_chance(tmp_path: Path) -> None:
    folder = tmp_path / "briefing"
    shutil.copytree(TEMPLATES, folder)
    for code in (
        "{{ lipsum() }}",
        "{{ [1, 2]|random }}",
        "{{ cycler(1) }}",
        "{{ joiner() }}",
        "{{ range(9) }}",
    ):
        (folder / "body.txt").write_text(code, encoding="utf-8")
        with pytest.raises(ContentError):
            MailTemplate(folder, ()).text({})


# -- the last look at a mail


def _faults(html: str) -> list[str]:
    return [
        each.reason
        for each in mail_lint.lint(f"<html><body>{html}1 Road</body></html>", "1 Road", "m", (), "1 Road")
    ]


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ('<p onclick="steal()">x</p>', "<p onclick=…>"),
        ("<p ONCLICK='steal()'>x</p>", "<p onclick=…>"),
        ('<img src="https://x.example/a.png" alt="" onerror="steal()">', "<img onerror=…>"),
        ('<td onmouseover="x">x</td>', "onmouseover=…"),
        ('<a href="https://x.example/" onfocus=x autofocus>x</a>', "<a onfocus=…>"),
        ('<div style="color:red"><span><b onload>x</b></span></div>', "<b onload=…>"),
    ],
)
def test_a_script_in_an_attribute_never_goes_out(html: str, words: str) -> None:
    (reason,) = _faults(html)
    assert words in reason
    assert "scripts do not run in a mail" in reason


def test_words_and_names_that_only_begin_like_a_script_s_are_no_fault() -> None:
    assert (
        _faults('<p title="onclick" data-on="1">onclick="x" <a href="https://x.example/?onload=1">on</a></p>')
        == []
    )
