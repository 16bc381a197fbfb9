"""The SQLite store keeps the door's contract, forgets to the last byte, and remembers through a restored backup."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from newsletter import erasure
from newsletter.address import parse
from newsletter.errors import StoreBusy, StoreError
from newsletter.states import Evidence, State
from newsletter.store import Outcome, Sighting, Store, Subscription, open_store
from newsletter.store.door import LetterKind, Limit, Used
from newsletter.store.sqlite import letters
from tests.door_contract import (
    DAY,
    HOUR,
    KEYS,
    NOW,
    DoorContract,
    digests,
    frozen,
    imported,
    joined,
    letter,
    mailed,
    status,
)
from tests.store_contract import PACKAGE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "newsletter.db"


@pytest.fixture
def another(path: Path) -> Callable[[], Store]:
    return lambda: open_store(f"sqlite:///{path}")


@pytest.fixture
def store(another: Callable[[], Store]) -> Iterator[Store]:
    opened = another()
    yield opened
    opened.close()


def database(store: Store) -> sqlite3.Connection:
    found = store.db  # type: ignore[attr-defined]
    assert isinstance(found, sqlite3.Connection)
    return found


class TestSqliteDoor(DoorContract):
    pass


def test_limits_are_not_forgotten_by_a_restart(store: Store, another: Callable[[], Store]) -> None:
    limit = Limit("all", 1, HOUR)
    assert store.ask(letter(), [limit])
    store.close()
    second = another()
    assert not second.ask(letter(), [limit])
    second.close()


def test_a_request_over_a_limit_costs_no_write(path: Path, store: Store) -> None:
    """Whoever floods the door makes the disk work no more than the limits allow."""
    limit = Limit("all", 1, HOUR)
    store.ask(letter(), [limit])
    before, changed = path.read_bytes(), path.stat().st_mtime_ns
    for _ in range(3):
        assert not store.ask(letter(), [limit])
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, changed)


# -- nothing of an address is left


def lived(store: Store, address: str) -> bytes:
    """A subscriber with something in every table: mailed, bounced, complained, changed, wrote to the house."""
    first, new = (f"{name}@{address.rpartition('@')[2]}" for name in ("first", "new"))
    public_id = joined(store, first)
    frozen(store, "2020-09")
    assert store.claim("2020-09", 1000, "a0", NOW)
    store.hold_orphans("2020-09", NOW)
    store.release("2020-09", "a0", State.PENDING, "no event came", NOW)
    taken = store.claim("2020-09", 1000, "a1", NOW)
    assert taken
    mine = next(one for one in taken.recipients if one.public_id == public_id)
    store.record(
        taken,
        [
            Outcome(one.number, State.SUBMITTED, f"to {one.address}", f"id-{one.number}")
            for one in taken.recipients
        ],
        NOW,
    )
    change = mailed(store, address, LetterKind.CHANGE, subscriber=public_id)
    assert store.change_address(change.id, NOW) is Used.DONE
    frozen(store, "2020-10")
    store.pause(public_id, NOW + 90 * DAY, NOW)
    frozen(store, "2020-11")
    told = Sighting(Evidence.HARD_BOUNCE, f"id-{mine.number}", NOW, "2020-09", "a1", mine.number,
                    f"550 <{first.upper()}> unknown")  # fmt: skip
    store.apply([told], NOW)
    store.suppress(address.lower(), "complaint", NOW, f"of {address}")
    mailed(store, new, LetterKind.CHANGE, subscriber=public_id)
    store.ask(letter(address, LetterKind.MY_PAGE), [])
    store.ask(
        letter(
            "desk@example.org", LetterKind.CONTACT, words={"email": address, "message": f"I am {address}"}
        ),
        [],
    )
    store.ask(
        letter("desk@example.org", LetterKind.CONTACT, words={"email": "x@example.org", "message": address}),
        [],
    )
    return public_id


def held(folder: Path, text: str) -> list[Path]:
    """The files that have a text in them, in small or capital letters."""
    wanted = text.lower().encode()
    return [one for one in folder.rglob("*") if one.is_file() and wanted in one.read_bytes().lower()]


SHAPES = [
    "bob@example.org",
    "Bob.O'Hara+news@Example.ORG",
    "b@b.co",
    "a=b?c{d}|e~f/g@example.org",
    "x" * 64 + "@" + "y" * 60 + ".example.org",
    "bob@xn--bcher-kva.example",
    "bob@bücher.example",
    "-_-@example.org",
    "100%@example.org",
]


@pytest.mark.parametrize("address", SHAPES)
def test_no_byte_of_an_erased_address_is_in_any_file(store: Store, path: Path, address: str) -> None:
    text = parse(address).text
    imported(store, "someone.else@example.org", Subscription.CONFIRMED)
    public_id = lived(store, text)
    quarantine = path.parent / "quarantine"
    quarantine.mkdir()
    (quarantine / "1.json").write_text(json.dumps({"body": f"garbled {text.upper()}"}))
    (quarantine / "2.json").write_text("{}")
    assert held(path.parent, text)
    assert erasure.erase(store, public_id, KEYS, [quarantine], NOW)
    late = Sighting(
        Evidence.COMPLAINT,
        "id-late",
        NOW,
        "2020-09",
        "a1",
        2,
        f"from {text} <first@{text.rpartition('@')[2]}>",
    )
    assert store.apply([late], NOW) == 1  # what SES tells afterwards does not bring it back
    for each in (text, f"first@{text.rpartition('@')[2]}", f"new@{text.rpartition('@')[2]}"):
        assert held(path.parent, each) == []
    assert (quarantine / "2.json").exists()
    assert held(path.parent, "someone.else@example.org")
    (found,) = database(store).execute("PRAGMA integrity_check").fetchone()
    assert found == "ok"


def test_a_copy_that_the_database_left_in_free_space_is_overwritten_too(store: Store, path: Path) -> None:
    """SQLite leaves one now and then where it has split a page; here it is made to leave them always."""
    for number in range(300):
        mailed(store, f"reader{number}@example.org")
    public_id = joined(store, "bob@example.org")
    joined(store, "jbob@example.org")
    database(store).execute("PRAGMA secure_delete = OFF")
    assert store.erase(public_id, digests, NOW)
    data = path.read_bytes().lower()
    assert data.count(b"bob@example.org") == data.count(b"jbob@example.org") > 0


def test_a_file_without_a_copy_is_not_made_anew(store: Store) -> None:
    """That takes long where it is large, and an address that is within another's is no copy."""
    joined(store, "jbob@example.org")
    public_id = joined(store, "bob@example.org")
    done: list[str] = []
    database(store).set_trace_callback(done.append)
    assert store.erase(public_id, digests, NOW)
    assert not [statement for statement in done if "VACUUM" in statement]


def test_erasing_takes_no_lock_from_another_connection_of_the_process(
    store: Store, another: Callable[[], Store]
) -> None:
    """Closing a file takes away all of the process's locks on it (POSIX), and two writers would meet."""
    public_id = joined(store)
    other = another()
    database(other).execute("BEGIN")
    database(other).execute("SELECT count(*) FROM letter").fetchone()  # holds a shared lock
    database(store).execute("PRAGMA busy_timeout = 200")
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0.2).execute('BEGIN EXCLUSIVE')"
    path = str(store.path)  # type: ignore[attr-defined]
    store._holds([b"no such text"])  # type: ignore[attr-defined]
    blocked = subprocess.run(
        [sys.executable, "-c", script, path], check=False, capture_output=True, text=True
    )
    assert "locked" in blocked.stderr
    database(other).execute("ROLLBACK")
    other.close()
    assert store.erase(public_id, digests, NOW)


def test_all_that_is_kept_of_a_subscriber_is_in_their_data(store: Store) -> None:
    """Every table that can name a subscriber is asked, also one that somebody adds later."""
    public_id = lived(store, "bob@example.org")
    data = store.data_of(public_id)
    json.dumps(data)
    naming = {"subscriber", "public_id", "address_key"}
    tables = [
        name for (name,) in database(store).execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    for table in tables:
        columns = {row[1] for row in database(store).execute(f"PRAGMA table_info({table})")}
        refers = {row[2] for row in database(store).execute(f"PRAGMA foreign_key_list({table})")}
        if columns & naming or "recipient" in refers:
            assert data.get(table), table
    assert {"form", "evidence", "history", "consent"} <= set(data)
    for other in ("someone.else@example.org", "desk@example.org"):
        assert other not in json.dumps({**data, "letter": []})


# -- restored backups


def test_who_left_or_was_erased_stays_so_when_an_older_database_is_put_back(path: Path, store: Store) -> None:
    stays, leaves, back, erased = (
        joined(store, f"{name}@example.org") for name in ("stays", "leaves", "back", "gone")
    )
    store.close()
    shutil.copy(path, path.with_suffix(".backup"))
    store = open_store(f"sqlite:///{path}")
    later = joined(store, "later@example.org")
    store.unsubscribe(leaves, NOW, "one-click")
    store.unsubscribe(back, NOW, "page")
    assert joined(store, "back@example.org", NOW + 2 * DAY) == back
    store.erase(erased, digests, NOW)
    store.unsubscribe(later, NOW)
    assert store.lagging() == 0
    store.close()

    shutil.copy(path.with_suffix(".backup"), path)
    store = open_store(f"sqlite:///{path}")
    assert status(store, leaves) is Subscription.CONFIRMED
    assert store.lagging() == 2
    assert store.replay(NOW) == 2
    assert store.lagging() == 0
    assert status(store, leaves) is Subscription.UNSUBSCRIBED
    assert status(store, back) is Subscription.CONFIRMED
    assert status(store, stays) is Subscription.CONFIRMED
    assert store.person(erased) is None
    assert store.erased(digests("gone@example.org"))
    assert [one for one in held(path.parent, "gone@example.org") if one.suffix != ".backup"] == []
    store.close()


def test_whoever_is_leaving_at_this_moment_is_not_forgotten(path: Path, store: Store) -> None:
    """The journal has the line and the database not yet the change: a sending begun just then is not refused."""
    public_id = joined(store)
    seen: list[int] = []

    def look() -> None:
        other = open_store(f"sqlite:///{path}")
        seen.append(other.lagging(digests))
        other.close()

    looking = threading.Thread(target=look)
    with store.writing():  # type: ignore[attr-defined]
        store.unsubscribe(public_id, NOW, "one-click")
        assert public_id.hex() in path.with_suffix(".journal.jsonl").read_text()
        looking.start()
        looking.join(1)
    looking.join()
    assert seen == [0]


def test_who_was_erased_and_uses_an_old_link_after_a_backup_was_put_back_is_erased_again(
    path: Path, store: Store
) -> None:
    public_id = joined(store)
    store.close()
    shutil.copy(path, path.with_suffix(".backup"))
    store = open_store(f"sqlite:///{path}")
    store.erase(public_id, digests, NOW)
    store.close()
    shutil.copy(path.with_suffix(".backup"), path)
    store = open_store(f"sqlite:///{path}")
    assert store.unsubscribe(public_id, NOW, "one-click")
    assert store.lagging() == 1
    assert store.replay(NOW) == 1
    assert store.person(public_id) is None
    store.close()


def test_leaving_counts_while_the_wrong_backup_stands_in(path: Path, store: Store) -> None:
    """The database that stood in knew nobody; the true one comes back later."""
    public_id = joined(store)
    store.close()
    path.rename(path.with_suffix(".true"))
    empty = open_store(f"sqlite:///{path}")
    assert not empty.unsubscribe(public_id, NOW, "one-click")
    assert not empty.unsubscribe(public_id, NOW, "one-click")
    empty.close()
    lines = path.with_suffix(".journal.jsonl").read_text().split()
    path.with_suffix(".true").replace(path)
    store = open_store(f"sqlite:///{path}")
    assert store.replay(NOW) == 1
    assert status(store, public_id) is Subscription.UNSUBSCRIBED
    store.close()
    assert sum("unsubscribed" in line for line in lines) == 1  # a mail program that tries again adds nothing


def test_the_journal_has_no_address_and_survives_a_line_cut_off(path: Path, store: Store) -> None:
    one, two = joined(store, "one@example.org"), joined(store, "two@example.org")
    journal = path.with_suffix(".journal.jsonl")
    assert "@" not in journal.read_text()
    assert journal.stat().st_mode & 0o777 == 0o600
    with journal.open("a") as file:
        file.write('{"at": "2020-11-02", "who": "' + two.hex()[:7])
    store.unsubscribe(one, NOW)
    database(store).execute("UPDATE subscriber SET subscription = 'confirmed'")
    assert store.lagging() == 1
    journal.write_text('\n[]\n7\n{"who": 3, "what": "unsubscribed"}\n{"who": "zz", "what": "x"}\n')
    assert store.lagging() == 0
    journal.unlink()
    assert store.lagging() == 0


def test_leaving_fails_as_a_whole_where_the_journal_cannot_be_written(path: Path, store: Store) -> None:
    public_id = joined(store)
    journal = path.with_suffix(".journal.jsonl")
    journal.unlink()
    journal.mkdir()
    with pytest.raises(StoreError, match=r"journal\.jsonl: cannot be written"):
        store.unsubscribe(public_id, NOW)
    assert status(store, public_id) is Subscription.CONFIRMED


def test_a_database_of_the_first_version_gets_the_door(path: Path) -> None:
    path.parent.mkdir()
    old = sqlite3.connect(path)
    old.executescript((Path(__file__).parent / "data/schema-1.sql").read_text())
    old.execute("PRAGMA user_version = 1")
    old.close()
    store = open_store(f"sqlite:///{path}")
    assert status(store, joined(store)) is Subscription.CONFIRMED
    new = open_store(f"sqlite:///{path.with_name('new.db')}")
    tables = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    assert database(store).execute(tables).fetchall() == database(new).execute(tables).fetchall()
    for one in (store, new):
        one.close()


READS: dict[str, Callable[[Store], object]] = {
    "letter": lambda store: store.letter(b"1" * 16),
    "letter_counts": lambda store: store.letter_counts(),
    "counted": lambda store: store.counted(Limit("all", 1, HOUR), NOW),
    "next_letter": lambda store: store.next_letter(NOW, digests),
    "person": lambda store: store.person(b"1" * 16),
    "data_of": lambda store: store.data_of(b"1" * 16),
    "erased": lambda store: store.erased([b"1" * 16]),
    "mailed_through": lambda store: store.mailed_through(),
    "listed": lambda store: list(store.listed()),
    "counts": lambda store: store.counts("2020-10"),
    "frozen": lambda store: store.frozen("2020-10"),
    "trace": lambda store: list(store.trace("2020-10")),
    "outdated": lambda store: store.outdated(NOW),
}


def error_of(read: Callable[[Store], object], store: Store) -> Exception | None:
    try:
        read(store)
    except Exception as error:
        return error
    return None


def test_what_cannot_be_read_is_told_as_the_store_s_own_error(path: Path, store: Store) -> None:
    database(store).execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    said = {name: error_of(read, store) for name, read in READS.items()}
    assert {name: type(error) for name, error in said.items()} == dict.fromkeys(READS, StoreBusy)
    for table in ("letter", "subscriber", "recipient", "send", "tally", "erased", "exclusion"):
        other.execute(f"ALTER TABLE {table} RENAME TO gone_{table}")
    other.execute("COMMIT")
    other.close()
    said = {name: error_of(read, store) for name, read in READS.items()}
    assert {name: type(error) for name, error in said.items()} == dict.fromkeys(READS, StoreError)
    assert all("no such table" in str(error) for error in said.values())


def test_a_page_that_cannot_be_read_is_told_when_its_rows_come(path: Path, store: Store) -> None:
    for number in range(300):
        store.ask(letter(f"reader{number}@example.org", words={"message": "x" * 500}), [])
    store.close()
    pages = bytearray(path.read_bytes())
    for start in range(40 * 4096, len(pages) - 4096, 4096):
        pages[start : start + 100] = b"?" * 100
    path.write_bytes(pages)
    damaged = open_store(f"sqlite:///{path}")
    with pytest.raises(StoreError, match="malformed"):
        list(database(damaged).execute("SELECT words FROM letter ORDER BY number"))
    damaged.close()


@pytest.mark.parametrize(("version", "new"), [(4, ("mailbox", "through")), (5, ("mailbox",))])
def test_letters_of_the_forms_before_say_nothing_of_their_way(
    path: Path, store: Store, version: int, new: tuple[str, ...]
) -> None:
    one = mailed(store)
    store.close()
    old = sqlite3.connect(path)
    for index in ("letter_mailbox", "letter_confirmation"):
        old.execute(f"DROP INDEX {index}")
    for table in ("pace", "stray", "earlier"):  # came later than any of them
        old.execute(f"DROP TABLE {table}")
    old.execute("ALTER TABLE send DROP COLUMN withdrawn")
    for column in ("open_until", "stopped"):
        old.execute(f"ALTER TABLE turn DROP COLUMN {column}")
    for column in new:
        old.execute(f"ALTER TABLE letter DROP COLUMN {column}")
    old.execute(f"PRAGMA user_version = {version}")
    old.close()
    store = open_store(f"sqlite:///{path}")
    assert store.letter(one.id) == one
    assert store.mailed_through() == set()
    store.close()


def test_what_was_withdrawn_in_the_form_before_stays_withdrawn(path: Path, store: Store) -> None:
    joined(store)
    for month in ("2020-09", "2020-10"):
        store.freeze(replace(PACKAGE, month=month), NOW)
    store.withdraw("2020-09", NOW)
    store.close()
    old = sqlite3.connect(path)
    old.execute("ALTER TABLE send DROP COLUMN withdrawn")
    old.execute("PRAGMA user_version = 8")
    old.close()
    store = open_store(f"sqlite:///{path}")
    joined(store, "late@example.org")
    assert (store.join("2020-09", NOW), store.join("2020-10", NOW)) == (0, 1)
    store.close()


def test_every_index_that_the_door_needs_is_used(store: Store) -> None:
    """Under attack there are many letters; none of these looks at all of them."""
    plans = {
        "SELECT 1 FROM letter WHERE state = 'asked' LIMIT 1": "letter_open",
        "SELECT count(*) FROM letter WHERE address_key = 'x' AND mailed_at != ''": "letter_address",
        letters._HAD.replace("?", "'x'"): "letter_mailbox",
        letters._CONFIRMATIONS.replace("?", "'x'"): "letter_confirmation",
        "SELECT 1 FROM letter WHERE id = x'00'": "sqlite_autoindex_letter_1",
        "SELECT 1 FROM letter WHERE message_id = 'x' AND message_id != ''": "letter_message",
    }
    for query, index in plans.items():
        plan = database(store).execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
        assert index in str(plan), plan


def test_a_sign_up_costs_the_same_whoever_is_behind_the_address(store: Store) -> None:
    """What the answer's words do not tell, its time must not tell either: the store is asked the same, step by step."""
    imported(store, "listed@example.org", Subscription.PENDING)
    joined(store, "confirmed@example.org")
    store.unsubscribe(joined(store, "left@example.org"), NOW)
    mailed(store, "asked@example.org")
    joined(store, "suppressed@example.org")
    store.suppress("suppressed@example.org", "complaint", NOW, "")
    asked = {}
    for name in ("new", "listed", "confirmed", "left", "asked", "suppressed", "over its limit"):
        steps: list[str] = []
        one = letter(f"{name.replace(' ', '.')}@example.org")
        limit = Limit(name, 1, DAY, quiet=True)
        if name == "over its limit":
            assert store.ask(letter(one.to.text), [limit])
        database(store).set_trace_callback(steps.append)
        assert store.ask(one, [limit], "Yes, send it.")
        database(store).set_trace_callback(None)
        asked[name] = [re.sub(r"(?i)x?'[^']*'|[0-9.]+", "?", step) for step in steps]
    assert len(asked["new"]) > 3
    assert asked == dict.fromkeys(asked, asked["new"])
