"""The SQLite store keeps the contract, and keeps it through a crash, a rival and a newer version."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from newsletter.errors import SettingsError, StoreError
from newsletter.states import Evidence, State
from newsletter.store import Claim, Outcome, Sighting, Store, open_store
from newsletter.store.sqlite import queries
from tests.fanout_contract import FanOutContract
from tests.store_contract import NOW, PACKAGE, StoreContract, claim, fill, person, sighting


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "newsletter.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()


class TestSqliteStore(StoreContract):
    pass


class TestSqliteFanOut(FanOutContract):
    pass


def test_every_write_is_on_the_disk_before_it_is_answered(path: Path, store: Store) -> None:
    """FULL in WAL, EXTRA in the rollback journal; WAL only where its reset bug is mended."""
    fill(store, 1)
    database = store.db  # type: ignore[attr-defined]
    (journal,) = database.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = database.execute("PRAGMA synchronous").fetchone()
    if sqlite3.sqlite_version_info < (3, 51, 3):
        assert (journal, synchronous) == ("truncate", 3)
    else:
        assert (journal, synchronous) == ("wal", 2)


def test_every_transaction_that_writes_begins_as_a_writer(path: Path, store: Store) -> None:
    """One that begins as a reader fails at once, timeout or not, when another has written meanwhile."""
    begun: list[str] = []
    store.db.set_trace_callback(begun.append)  # type: ignore[attr-defined]
    fill(store, 2)
    store.freeze(PACKAGE, NOW)
    claim(store)
    store.hold_orphans("2020-10", NOW)
    begins = [statement for statement in begun if statement.upper().startswith("BEGIN")]
    assert begins
    assert set(begins) == {"BEGIN IMMEDIATE"}
    depth = 0
    for statement in begun:
        word = statement.split(None, 1)[0].upper()
        depth += {"BEGIN": 1, "COMMIT": -1, "ROLLBACK": -1}.get(word, 0)
        assert depth or word not in {"INSERT", "UPDATE", "DELETE"}, statement


def test_a_claim_outlives_a_process_killed_right_after_it(path: Path, store: Store) -> None:
    fill(store, 3)
    store.freeze(PACKAGE, NOW)
    script = (
        "import os, sys, signal; from datetime import datetime, UTC; from newsletter.store import open_store\n"
        "open_store(sys.argv[1]).claim('2020-10', 2, 'dead', datetime.now(UTC)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, f"sqlite:///{path}"], check=False).returncode == -9
    assert store.hold_orphans("2020-10", NOW) == 2


def test_an_import_cut_off_in_the_middle_goes_on_from_there(path: Path, store: Store) -> None:
    def broken() -> Iterator[object]:
        yield person("a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.import_subscribers(broken())  # type: ignore[arg-type]
    assert store.import_subscribers([person("a"), person("b")]).added == 2


def test_a_database_of_a_newer_program_is_left_alone(path: Path, store: Store) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreError, match="newer version"):
        open_store(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_text("this is no database, but it is long enough to be taken for one " * 20)
    with pytest.raises(StoreError, match=r"newsletter\.db: cannot be opened"):
        open_store(f"sqlite:///{path}")


@pytest.mark.parametrize(
    "url", ["", "sqlite:", "sqlite://", "sqlite:///", "postgres://x/y", "var/newsletter.db"]
)
def test_a_store_url_that_names_no_store_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(SettingsError, match="sqlite:///var/newsletter.db"):
        open_store(url)


def test_a_full_disk_keeps_nothing_of_the_step_and_is_told_in_words(path: Path, store: Store) -> None:
    """A claim that is not on the disk must not be mailed: it raises before there is a claim to mail."""
    fill(store, 3)
    store.freeze(PACKAGE, NOW)
    (pages,) = store.db.execute("PRAGMA page_count").fetchone()  # type: ignore[attr-defined]
    store.db.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="full"):
        fill(store, 5_000)
    store.db.execute("PRAGMA max_page_count = 1000000")  # type: ignore[attr-defined]
    assert len(claim(store).recipients) == 3


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'newsletter.db'}")


def test_a_database_of_the_first_version_is_moved_forward_and_loses_nothing(path: Path) -> None:
    old = sqlite3.connect(path)
    old.executescript((Path(__file__).parent / "data/schema-1.sql").read_text())
    old.executescript(
        """
        PRAGMA user_version = 1;
        INSERT INTO subscriber (id, public_id, address, address_key, subscription)
            VALUES (1, x'00000000000000000000000000000001', 'a@example.org', 'a@example.org', 'confirmed');
        INSERT INTO suppression VALUES ('b@example.org', 'complaint', '2020-11-01T00:00:00Z', 'event');
        INSERT INTO send VALUES ('2020-10', 'hash', '{}', '2020-11-01T00:00:00Z');
        INSERT INTO recipient VALUES ('2020-10', 1, 1, x'00000000000000000000000000000001', 'a@example.org',
            'a@example.org', 'submitted', 'a1', 'id-1', '2020-11-01T00:00:01Z');
        """
    )
    old.close()
    store = open_store(f"sqlite:///{path}")
    assert store.counts("2020-10").states == {State.SUBMITTED: 1}
    assert store.apply([Sighting(Evidence.DELIVERY, "id-1", NOW)], NOW) == 1
    assert store.counts("2020-10").states == {State.DELIVERED: 1}
    assert store.import_subscribers([person("b")]).added == 1
    store.freeze(replace(PACKAGE, month="2020-11"), NOW)
    assert store.counts("2020-11").exclusions == {"suppressed: complaint": 1}
    store.close()
    fresh = open_store(f"sqlite:///{path.with_name('fresh.db')}")
    fresh.close()
    shapes = []
    for each in (path, path.with_name("fresh.db")):
        with sqlite3.connect(each) as database:
            tables = [
                name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            ]
            shapes.append(
                {
                    name: sorted(row[1] for row in database.execute(f"PRAGMA table_info({name})"))
                    for name in tables
                }
            )
    assert shapes[0] == shapes[1]


def version_2(path: Path) -> sqlite3.Connection:
    """A store as version 2 of the schema left it: two of three were confirmed, and counted anew for the sending."""
    old = sqlite3.connect(path)
    old.executescript((Path(__file__).parent / "data/schema-1.sql").read_text())
    old.executescript(files("newsletter.store.sqlite").joinpath("from-1.sql").read_text())
    old.executescript(
        "PRAGMA user_version = 2; INSERT INTO send VALUES ('2020-10', 'hash', '{}', 'then', '')"
    )
    for number, name, kind in ((1, "left", "unsubscribed"), (2, "b", "confirmed"), (3, "c", "confirmed")):
        old.execute(
            "INSERT INTO subscriber (id, public_id, address, address_key, subscription) VALUES (?, ?, ?, ?, ?)",
            (number, bytes([number]) * 16, f"{name}@example.org", f"{name}@example.org", kind),
        )
    old.executescript(
        """
        INSERT INTO recipient (briefing, number, subscriber, public_id, address, address_key, changed_at)
            SELECT '2020-10', id - 1, id, public_id, address, address_key, 'then' FROM subscriber WHERE id > 1;
        INSERT INTO attempt VALUES ('a1', '2020-10', '2020-11-02T09:00:00.000Z', '');
        UPDATE recipient SET state = 'submitted', attempt = 'a1', message_id = 'id-1' WHERE number = 1;
        INSERT INTO evidence VALUES ('2020-10', 1, 'send', 'id-1', 'a1', '2020-11-02T09:00:00.000Z', '');
        """
    )
    return old


def test_a_sending_that_version_2_began_goes_on_and_its_events_find_their_recipients(path: Path) -> None:
    """Its mails are out with its own count in their tags: 1 is subscriber 2, and 2 subscriber 3."""
    version_2(path).close()
    store = open_store(f"sqlite:///{path}")
    assert store.counts("2020-10").states == {State.SUBMITTED: 1, State.PENDING: 1}
    (rest,) = claim(store, attempt="a2").recipients
    assert rest.address == "c@example.org"
    store.record(
        Claim("2020-10", "a2", (rest,)), [Outcome(rest.number, State.SUBMITTED, "accepted", "id-2")], NOW
    )
    for tag, attempt in ((1, "a1"), (abs(rest.number), "a2")):
        assert store.apply([replace(sighting(tag, Evidence.HARD_BOUNCE), attempt=attempt)], NOW) == 1
    traces = {trace.address: trace for trace in store.trace("2020-10")}
    assert {address: trace.state for address, trace in traces.items()} == {
        "b@example.org": "bounced",
        "c@example.org": "bounced",
    }
    assert [what for _, what, _ in traces["b@example.org"].history] == [
        "frozen",
        "called",
        "send",
        "hard_bounce",
        "bounced",
    ]
    store.freeze(replace(PACKAGE, month="2020-11"), NOW)
    assert store.counts("2020-11").exclusions == {"suppressed: hard_bounce": 2, "unsubscribed": 1}
    store.close()


def test_soft_bounces_of_version_2_count_for_the_same_subscriber(path: Path) -> None:
    old = version_2(path)
    old.executescript(
        """
        UPDATE recipient SET state = 'bounced' WHERE number = 1;
        INSERT INTO evidence VALUES ('2020-10', 1, 'soft_bounce', 'id-1', 'a1', '2020-11-02T09:00:00.000Z', '');
        """
    )
    old.close()
    store = open_store(f"sqlite:///{path}")
    for month in ("2020-11", "2020-12"):
        store.freeze(replace(PACKAGE, month=month), NOW)
        taken = store.claim(month, 1, month, NOW)
        assert taken
        assert taken.recipients[0].address == "b@example.org"
        store.record(taken, [Outcome(2, State.SUBMITTED, "", month)], NOW)
        bounce = replace(sighting(2, Evidence.SOFT_BOUNCE), briefing=month, attempt=month, message_id=month)
        store.apply([bounce], NOW)
    store.freeze(replace(PACKAGE, month="2021-01"), NOW)
    assert store.counts("2021-01").exclusions == {"suppressed: soft_bounces": 1, "unsubscribed": 1}
    store.close()


def test_nobody_moves_to_an_address_that_stands_in_the_briefing_already(store: Store) -> None:
    fill(store, 2)
    store.freeze(PACKAGE, NOW)
    move = "UPDATE recipient SET address_key = ? WHERE number = 2"
    with pytest.raises(StoreError, match="stand twice in one briefing"):
        store.db.execute(move, ("reader0000@example.org",))  # type: ignore[attr-defined]
    store.db.execute(move, ("elsewhere@example.org",))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["CLAIMED", "HOLD", "NEXT", "NEXT_OF_THESE", "RELEASE", "SOFT", "TAGGED"])
def test_what_is_asked_for_each_call_or_event_looks_no_list_through(store: Store, name: str) -> None:
    """Else the cost of a mail would grow with the list."""
    query = getattr(queries, name)
    values: Any = defaultdict(str) if ":" in query else [""] * query.count("?")
    plan = [row[3] for row in store.db.execute(f"EXPLAIN QUERY PLAN {query}", values)]  # type: ignore[attr-defined]
    asked = [step for step in plan if re.search(r"\b(recipient|subscriber|suppression)\b", step)]
    assert asked
    for step in asked:
        assert re.search(r"USING .*(recipient_\w+ \(briefing=\?|number=\?|rowid=\?|address_key=\?)", step), (
            step
        )


def test_looking_at_a_store_that_is_not_there_makes_none(path: Path) -> None:
    store = open_store(f"sqlite:///{path}", make=False)
    assert store.counts("2020-10").recipients == 0
    store.close()
    assert not path.exists()
