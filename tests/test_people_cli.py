"""`newsletter subscribers`: what an operator types about the list, what it says, and what it does."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from newsletter import tokens
from newsletter.address import parse
from newsletter.cli import main
from newsletter.store import Store, Subscriber, Subscription, open_store
from newsletter.store.door import Letter, LetterKind, LetterState, form_version
from tests.conftest import ROOT

LISTS = ROOT / "tests/lists"
KEY = "k" * 32
digests = partial(tokens.digests, keys=(KEY.encode(),))


class House:
    """A folder with a store, and the command line in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *words: str, answer: str = "") -> Result:
        result = CliRunner().invoke(main, ["subscribers", *words], input=answer)
        assert not isinstance(result.exception, Exception), result.exception
        return result

    def done(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def write(self, name: str, text: str | bytes) -> str:
        (self.path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return name

    @property
    def store(self) -> Store:
        return open_store("sqlite:///var/newsletter.db")

    def status(self, address: str) -> str:
        store = self.store
        found = store.known([parse(address).key])
        store.close()
        return str(next(iter(found.values())).subscription) if found else ""

    def data(self, address: str) -> dict[str, list[dict[str, str]]]:
        result = self.run("show", address, "--json")
        return dict(json.loads(result.stdout))

    def holding(self, text: str) -> list[Path]:
        """The files below var/ that have a text in them, in small or capital letters."""
        wanted = text.lower().encode()
        return [
            one
            for one in (self.path / "var").rglob("*")
            if one.is_file() and wanted in one.read_bytes().lower()
        ]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORE_URL", "sqlite:///var/newsletter.db")
    monkeypatch.setenv("SECRET_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "200")
    return House(tmp_path)


def signed_up(store: Store, address: str, at: datetime, confirmed: bool = True) -> bytes:
    """Somebody who came through the door; the letter's id."""
    text = "Yes, mail me\nonce a month."
    letter = Letter(
        os.urandom(16), LetterKind.CONFIRM, parse(address), at, "203.0.113.9", form_version(text),
        words={"page": "/subscribe/"},
    )  # fmt: skip
    assert store.ask(letter, (), text)
    taken = store.next_letter(at)
    assert taken
    store.letter_done(taken[0].id, LetterState.SUBMITTED, "", at, "message-1")
    if confirmed:
        store.confirm(letter.id, at + timedelta(minutes=1), "203.0.113.10")
    return letter.id


# -- import


def test_an_import_says_whose_file_it_is_why_and_what_becomes_of_everybody(house: House) -> None:
    said = house.done("import", str(LISTS / "mailchimp-cleaned.csv"))
    assert "Mailchimp, by its columns Email Address, CLEAN_TIME, LEID, EUID" in said
    assert "everybody in it is unsubscribed, and suppressed (hard_bounce)" in said
    assert "1 added, 0 known already, 1 suppressed" in said
    said = house.run("import", str(LISTS / "buttondown.csv")).stdout
    assert "added: 2 confirmed, 1 pending, 3 unsubscribed" in said
    assert "6 added, 1 known already, 3 suppressed, 1 refused" in said
    assert "Write" not in said


def test_where_an_imported_subscriber_comes_from_is_on_record(house: House) -> None:
    house.write("sheet.csv", "email,source,confirmed_at\na@example.org,,\nb@example.org,fair,2020-01-02\n")
    house.done("import", "sheet.csv", "--confirmed", "--source", "Energy conference, May 2020")
    sources = {name: house.data(f"{name}@example.org")["subscriber"][0]["source"] for name in "ab"}
    at = f"{datetime.now(UTC):%Y-%m-%dT%H}"
    vouched, told = sources["a"], sources["b"]
    assert vouched.startswith(f"Energy conference, May 2020; imported from sheet.csv at {at}")
    assert vouched.endswith(", by the operator's word")
    assert told.startswith("fair; Energy conference, May 2020; imported from sheet.csv")
    assert "word" not in told
    assert house.data("b@example.org")["subscriber"][0]["confirmed_at"] == "2020-01-02"


def test_refused_lines_are_named_and_thousands_of_them_go_into_a_file_to_mend(house: House) -> None:
    lines = "".join(f'=bad{number},maybe,"N, {number}"\n' for number in range(500))
    house.write("list.csv", f"Email,Status,Name,More\n{lines}good@example.org,confirmed,=1+1,x\n")
    result = house.run("import", "list.csv")
    assert result.exit_code == 1
    assert "1 added, 0 known already, 500 refused" in result.stdout
    assert result.stderr.count("list.csv:") == 20
    assert 'list.csv:2: email: "=bad0": ' in result.stderr
    assert "and 480 more. All 500 are in var/refused/list-" in result.stderr
    (file,) = (house.path / "var/refused").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open(encoding="utf-8", newline="") as opened:
        head, first, *others = csv.reader(opened)
    assert head == ["Email", "Status", "Name", "More", "reason"]
    assert first[:4] == ["'=bad0", "maybe", "N, 0", ""]  # no formula in a spreadsheet
    assert first[4].startswith("line 2: email: ")
    assert len(others) == 499
    with (house.path / "mended.csv").open("w", encoding="utf-8", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(head)
        rows.writerows([f"{line[0]}@example.org", "confirmed", *line[2:]] for line in (first, *others))
    assert "500 added" in house.done("import", "mended.csv")
    assert house.status("=bad499@example.org") == "confirmed"


def test_a_refused_line_of_a_file_that_is_not_utf_8_keeps_its_bytes(house: House) -> None:
    rows = b"".join(b"p%d@example.org,K\xf6ln\n" % number for number in range(25))
    house.write("list.csv", b"email,name\n" + rows)
    assert house.run("import", "list.csv").exit_code == 1
    (file,) = (house.path / "var/refused").iterdir()
    assert file.read_bytes().count(b"K\xf6ln") == 25


def test_a_dry_run_changes_nothing_and_tells_what_would(house: House) -> None:
    said = house.done("import", "--dry-run", str(LISTS / "ghost.csv"))
    assert "3 added, 0 known already" in said
    assert "added: 1 confirmed, 2 unsubscribed" in said
    assert "nothing was changed" in said
    assert "nobody yet" in said
    assert not (house.path / "var/newsletter.db").exists()
    house.done("import", str(LISTS / "ghost.csv"))
    before = (house.path / "var/newsletter.db").read_bytes()
    house.write("left.csv", "email,status\ndesk@example.com,unsubscribed\nleft@example.com,confirmed\n")
    assert "0 added, 1 known already, 1 unsubscribed by the file" in house.done(
        "import", "left.csv", "--dry-run"
    )
    assert (house.path / "var/newsletter.db").read_bytes() == before
    assert "0 added, 1 known already, 1 unsubscribed by the file" in house.done("import", "left.csv")
    assert house.status("desk@example.com") == house.status("left@example.com") == "unsubscribed"


def test_the_erased_are_refused_and_their_address_written_nowhere(house: House) -> None:
    house.write(
        "list.csv", "email,status\n" + "".join(f"reader{n}@example.org,confirmed\n" for n in range(30))
    )
    house.done("import", "list.csv")
    for number in range(30):
        house.done("erase", f"reader{number}@example.org", "--yes")
    result = house.run("import", "list.csv", "--confirmed")
    assert result.exit_code == 1
    assert "0 added, 0 known already, 30 refused" in result.stdout
    assert "list.csv:2: email: was erased at its owner's wish" in result.stderr
    assert "reader" not in result.output
    assert (house.path / "var/refused").exists()
    assert house.holding("reader") == []


def test_the_format_can_be_named(house: House) -> None:
    house.write("list.csv", "email,subscribed_to_emails,status\na@example.org,false,confirmed\n")
    assert "Ghost, by its columns" in house.done("import", "list.csv", "--dry-run")
    said = house.done("import", "list.csv", "--format", "plain")
    assert "plain, as you say; read from it: email, status" in said
    assert house.status("a@example.org") == "confirmed"
    assert house.run("import", "list.csv", "--format", "tinyletter").exit_code == 2


# -- export


def test_an_export_is_private_and_whole_or_of_some_statuses(house: House) -> None:
    house.run("import", str(LISTS / "buttondown.csv"))
    house.done("suppress", "nobody@example.org", "--reason", "asked by phone")
    assert "8 lines → out.csv" in house.done("export", "out.csv")
    assert (house.path / "out.csv").stat().st_mode & 0o777 == 0o600
    assert "4 lines" in house.done("export", "left.csv", "--status", "unsubscribed")
    assert "3 lines" in house.done("export", "rest.csv", "--status", "confirmed", "--status", "pending")
    with (house.path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = {line["email"]: line for line in csv.DictReader(file)}
    assert (lines["gone@example.com"]["status"], lines["gone@example.com"]["suppressed"]) == (
        "unsubscribed",
        "hard_bounce",
    )
    assert lines["nobody@example.org"]["evidence"] == "asked by phone"
    assert house.run("export", "no/such/folder/out.csv").exit_code == 1


# -- one subscriber


def test_an_added_subscriber_is_asked_as_after_a_sign_up_and_the_proof_says_who_entered_it(
    house: House,
) -> None:
    assert "is asked to confirm" in house.done(
        "add", "Ada@Example.org", "--name", "Ada L.", "--source", "by phone"
    )
    assert house.status("ada@example.org") == "pending"
    store = house.store
    taken = store.next_letter(datetime.now(UTC))
    assert taken
    letter = taken[0]
    assert (letter.kind, letter.to.text) == (LetterKind.CONFIRM, "Ada@example.org")
    store.confirm(letter.id, datetime.now(UTC), "203.0.113.10")
    data = house.data("ada@example.org")
    (person,), (consent,), (form,) = data["subscriber"], data["consent"], data["form"]
    assert (person["subscription"], person["name"]) == ("confirmed", "Ada L.")
    assert consent["page"].startswith("by phone; entered by the operator at ")
    assert "operator of the list entered the address" in form["text"]
    assert "on the list already" in house.done("add", "ada@example.org")
    assert store.next_letter(datetime.now(UTC)) is None


def test_the_operator_s_word_adds_a_confirmed_one_and_says_where_it_comes_from(house: House) -> None:
    assert (
        house.run("add", "a@example.org", "--confirmed").exit_code == 2
    )  # without a source there is no proof
    house.done("add", "a@example.org", "--confirmed", "--source", "signed form of 3 May")
    (person,) = house.data("a@example.org")["subscriber"]
    assert person["subscription"] == "confirmed"
    assert person["source"].startswith("signed form of 3 May; entered by the operator at ")
    assert person["source"].endswith(", by the operator's word")
    assert house.data("a@example.org")["letter"] == []
    house.write("list.csv", "email\nb@example.org\n")
    house.done("import", "list.csv")
    house.done("add", "b@example.org", "--confirmed", "--source", "signed form")
    assert house.status("b@example.org") == "confirmed"


@pytest.mark.parametrize("vouched", [(), ("--confirmed", "--source", "x")])
def test_nobody_who_left_is_suppressed_or_erased_is_added_by_the_operator(
    house: House, vouched: tuple[str, ...]
) -> None:
    people = "".join(f"{name}@example.org,confirmed\n" for name in ("left", "bad", "erased"))
    house.write("list.csv", f"email,status\n{people}")
    house.done("import", "list.csv")
    house.done("unsubscribe", "left@example.org")
    house.done("suppress", "bad@example.org", "--reason", "asked by phone")
    house.done("erase", "erased@example.org", "--yes")
    for name, says in (("bad", "unsuppress bad@example.org"), ("erased", "only its owner can sign up again")):
        result = house.run("add", f"{name}@example.org", *vouched)
        assert (result.exit_code, says in result.stderr) == (1, True), result.output
    result = house.run("add", "left@example.org", *vouched)
    assert house.status("left@example.org") == "unsubscribed"
    assert (result.exit_code, "asked to confirm" in result.stdout) == ((1, False) if vouched else (0, True))


def test_an_address_is_refused_in_a_sentence(house: House) -> None:
    for words in (("add",), ("show",), ("erase", "--yes"), ("suppress", "--reason", "x")):
        result = house.run(words[0], "räuber@example.org", *words[1:])
        assert result.exit_code == 2
        assert "Amazon SES" in result.stderr


def test_show_tells_all_that_is_known(house: House) -> None:
    now = datetime.now(UTC)
    store = house.store
    signed_up(store, "reader@example.org", now)
    public_id = store.known(["reader@example.org"])["reader@example.org"].public_id
    store.pause(public_id, now + timedelta(days=60), now)
    store.suppress("reader@example.org", "complaint", now, "message-7 abuse")
    said = house.done("show", "Reader@example.org")
    for words in (
        "reader@example.org", f"confirmed, paused until {now + timedelta(days=60):%Y-%m-%d}", "from 203.0.113.9",
        "/subscribe/", "from 203.0.113.10", "Yes, mail me once a month. (version ", "complaint, since ",
        "message-7 abuse", "confirm, answered", "confirmed (sign-up)", "paused (until",
    ):  # fmt: skip
        assert words in said, words
    assert house.data("reader@example.org")["consent"][0]["message_id"] == "message-1"


def test_show_knows_the_briefings_of_a_subscriber(house: House) -> None:
    from tests.store_contract import PACKAGE

    house.write("list.csv", "email,status\na@example.org,confirmed\nb@example.org,pending\n")
    house.done("import", "list.csv")
    assert house.store.freeze(PACKAGE, datetime.now(UTC))
    assert "2020-10  pending, " in house.done("show", "a@example.org")
    assert "2020-10  left out: pending" in house.done("show", "b@example.org")


def test_show_of_somebody_who_is_not_on_the_list_says_what_there_is(house: House) -> None:
    assert house.run("show", "nobody@example.org").exit_code == 1
    signed_up(house.store, "waits@example.org", datetime.now(UTC), confirmed=False)
    result = house.run("show", "waits@example.org")
    assert result.exit_code == 1
    assert "not on the list" in result.stdout
    assert "confirm, submitted" in result.stdout


def test_erase_asks_first_and_then_leaves_no_byte_of_the_address(house: House) -> None:
    store = house.store
    signed_up(store, "reader@example.org", datetime.now(UTC))
    store.close()
    house.done("suppress", "reader@example.org", "--reason", "asked by phone")
    (house.path / "var/quarantine").mkdir()
    house.write("var/quarantine/odd.json", "to READER@example.org")
    rows = "".join(f"reader@example.org,maybe{number}\n" for number in range(30))
    house.write("list.csv", f"email,status\n{rows}")
    house.run("import", "list.csv")
    assert len(house.holding("reader@example.org")) == 3
    no = house.run("erase", "reader@example.org", answer="n\n")
    assert no.exit_code == 1
    assert "proofs of consent" in no.stdout
    assert house.status("reader@example.org") == "confirmed"
    said = house.done("erase", "reader@example.org", "--yes")
    assert "keyed hash" in said
    assert house.holding("reader@example.org") == []
    assert house.store.suppression("reader@example.org", digests)  # goes on
    assert "erased at its owner's wish" in house.run("show", "reader@example.org").stdout
    again = house.run("erase", "stranger@example.org", "--yes")
    assert (again.exit_code, "Nothing is kept" in again.stderr) == (1, True)


def test_unsubscribe_is_final_and_of_nobody_else(house: House) -> None:
    house.write("list.csv", "email,status\na@example.org,confirmed\nb@example.org,confirmed\n")
    house.done("import", "list.csv")
    house.done("unsubscribe", "A@example.org")
    house.done("unsubscribe", "a@example.org")
    assert (house.status("a@example.org"), house.status("b@example.org")) == ("unsubscribed", "confirmed")
    assert "unsubscribed (operator)" in house.done("show", "a@example.org")
    assert house.run("unsubscribe", "c@example.org").exit_code == 1


# -- suppression


def test_a_suppression_ends_by_the_operator_s_word_alone_and_both_are_on_record(house: House) -> None:
    house.write("list.csv", "email,status\nreader@example.org,confirmed\n")
    house.done("import", "list.csv")
    house.done("suppress", "Reader@example.org", "--reason", "asked by phone")
    assert "suppressed already" in house.done("suppress", "reader@example.org", "--reason", "again")
    assert house.store.audience(datetime.now(UTC)).exclusions == {"suppressed: operator": 1}
    house.done("import", "list.csv", "--confirmed")
    assert house.store.suppression("reader@example.org", digests)
    assert house.run("unsuppress", "reader@example.org").exit_code == 2
    house.done("unsuppress", "reader@example.org", "--evidence", "called back on 3 May")
    assert house.store.suppression("reader@example.org", digests) is None
    said = house.done("show", "reader@example.org")
    assert "suppressed: asked by phone" in said
    assert "unsuppressed: called back on 3 May" in said
    journal = (house.path / "var/newsletter.journal.jsonl").read_text()
    assert "called back on 3 May" in journal
    assert "reader" not in journal
    assert house.run("unsuppress", "reader@example.org", "--evidence", "x").exit_code == 1


def test_a_suppression_that_ends_confirms_nobody(house: House) -> None:
    house.done("import", str(LISTS / "mailchimp-cleaned.csv"))
    said = house.done("unsuppress", "gone@example.com", "--evidence", "new mailbox")
    assert "newsletter subscribers add gone@example.com" in said
    assert house.status("gone@example.com") == "unsubscribed"


def test_a_decision_about_a_suppression_does_not_hide_from_the_journal_that_somebody_left(
    house: House,
) -> None:
    """After it an older database that is put back must still know who has left."""
    house.write("list.csv", "email,status\nreader@example.org,confirmed\n")
    house.done("import", "list.csv")
    backup = (house.path / "var/newsletter.db").read_bytes()
    house.done("unsubscribe", "reader@example.org")
    house.done("suppress", "reader@example.org", "--reason", "x")
    house.done("unsuppress", "reader@example.org", "--evidence", "x")
    house.write("var/newsletter.db", backup)
    assert house.store.lagging() == 1


def test_the_words_of_a_decision_hold_no_address(house: House) -> None:
    result = house.run("suppress", "a@example.org", "--reason", "asked by a@example.org")
    assert (result.exit_code, "Leave addresses out" in result.stderr) == (2, True)
    assert not (house.path / "var/newsletter.journal.jsonl").exists()


def test_suppressing_an_erased_address_does_not_write_it_down_again(house: House) -> None:
    house.write("list.csv", "email,status\nreader@example.org,confirmed\n")
    house.done("import", "list.csv")
    house.done("erase", "reader@example.org", "--yes")
    house.done("suppress", "reader@example.org", "--reason", "asked by phone")
    assert house.holding("reader@example.org") == []
    assert house.store.suppression("reader@example.org", digests)
    house.done("unsuppress", "reader@example.org", "--evidence", "x")
    assert house.store.suppression("reader@example.org", digests) is None


# -- the list in numbers


def test_stats_count_every_kind_and_show_how_the_list_grows(house: House) -> None:
    house.write(
        "list.csv",
        "email,status,confirmed_at\n"
        + "".join(f"a{n}@example.org,confirmed,2020-10-0{n + 1}\n" for n in range(4))
        + "b@example.org,confirmed,2020-08-01\nc@example.org,unsubscribed,2020-08-01\nd@example.org,pending,\n"
        + "e@example.org,confirmed,\nf@example.org,bounced,\n",
    )
    house.done("import", "list.csv")
    store = house.store
    signed_up(store, "waits@example.org", datetime.now(UTC), confirmed=False)
    known = store.known(["b@example.org"])["b@example.org"]
    store.pause(known.public_id, datetime.now(UTC) + timedelta(days=1), datetime.now(UTC))
    told = json.loads(house.done("stats", "--json"))
    assert {name: told[name] for name in ("confirmed", "pending", "unsubscribed", "paused", "unconfirmed_sign_ups")} == {
        "confirmed": 6, "pending": 1, "unsubscribed": 2, "paused": 1, "unconfirmed_sign_ups": 1,
    }  # fmt: skip
    assert told["suppressed"] == {"hard_bounce": 1}
    assert told["joined"] == {"": 1, "2020-08": 2, "2020-10": 4}
    said = house.done("stats")
    rows = [line.split() for line in said.splitlines() if line.startswith("2020-")]
    assert [row[:3] for row in rows] == [["2020-08", "2", "0"], ["2020-09", "0", "0"], ["2020-10", "4", "0"]]
    bars = [len(row[3]) if len(row) > 3 else 0 for row in rows]
    assert bars == [15, 0, 30]


def test_the_stats_of_nobody_are_zeros(house: House) -> None:
    assert "confirmed" in house.done("stats")
    assert json.loads(house.done("stats", "--json"))["confirmed"] == 0
    assert not (house.path / "var/newsletter.db").exists()


def test_prune_deletes_what_is_old_and_says_beforehand_what(house: House) -> None:
    now = datetime.now(UTC)
    store = house.store
    old = now - timedelta(days=31)
    signed_up(store, "old@example.org", old, confirmed=False)
    signed_up(store, "new@example.org", now - timedelta(days=29), confirmed=False)
    store.import_subscribers(
        Subscriber(parse(f"{name}@example.org"), kind, subscribed_at=f"{old:%Y-%m-%d}")
        for name, kind in (("p", Subscription.PENDING), ("c", Subscription.CONFIRMED))
    )
    rows = "".join(f"bad{number}\n" for number in range(30))
    house.write("list.csv", f"email\n{rows}")
    house.run("import", "list.csv")
    (report,) = (house.path / "var/refused").iterdir()
    os.utime(report, (old.timestamp(), old.timestamp()))
    said = house.done("prune", "--dry-run")
    assert "Would be deleted" in said
    numbers = {line.rsplit(None, 1)[0]: line.rsplit(None, 1)[1] for line in said.splitlines()[1:]}
    assert numbers == {
        "letters": "1",
        "limit counts": "0",
        "unconfirmed": "1",
        "reports of refused lines": "1",
    }
    assert house.status("p@example.org") == "pending"
    assert "Deleted" in house.done("prune")
    assert (house.status("p@example.org"), house.status("c@example.org")) == ("", "confirmed")
    assert sum(house.store.letter_counts().values()) == 1
    assert not report.exists()
    assert "nothing is from before" in house.done("prune")


# -- at a terminal


def at_terminal(house: House, *words: str) -> list[str]:
    """The lines on a terminal of 80 columns, without what a bar has drawn meanwhile."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "PYTHONPATH": str(ROOT / "plugins")}
    with subprocess.Popen(
        [sys.executable, "-m", "newsletter", "subscribers", *words],
        stdout=follower, stderr=follower, stdin=follower, env=environment, cwd=house.path,
    ):  # fmt: skip
        os.close(follower)
        said = b""
        with suppress(OSError):
            while chunk := os.read(leader, 4096):
                said += chunk
    os.close(leader)
    return said.decode().replace("\r", "").splitlines()


def test_on_a_narrow_terminal_no_line_is_broken_by_the_terminal(house: House) -> None:
    signed_up(house.store, "a-rather-long-local-part-for-an-address@subdomain.example.org", datetime.now(UTC))
    commands = (
        ("import", str(LISTS / "listmonk.csv")),
        ("import", str(ROOT / "samples/subscribers.csv")),
        ("show", "a-rather-long-local-part-for-an-address@subdomain.example.org"),
        ("stats",),
        ("export", "out.csv"),
        ("import", "out.csv", "--dry-run"),
    )
    for words in commands:
        lines = at_terminal(house, *words)
        assert lines
        assert max(map(len, lines)) <= 80, [line for line in lines if len(line) > 80]
