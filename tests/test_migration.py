"""A store moves into another and back, and nothing of it is lost or added."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from newsletter import invariants
from newsletter.cli import main
from newsletter.errors import StoreError
from newsletter.migration import move
from newsletter.package import content_hash
from newsletter.states import Evidence, State
from newsletter.store import Outcome, Store, Subscription, open_store
from newsletter.store.door import LetterKind, Limit
from newsletter.store.moving import Kind, Summing
from tests.door_contract import digests, joined, letter, mailed
from tests.dynamo_world import CREDENTIALS, fresh
from tests.ministack_world import Ministack
from tests.store_contract import NOW, PACKAGE, person, rendering_failure, sighting

WHOLE = replace(PACKAGE, content_hash=content_hash(PACKAGE))


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'newsletter.db'}"


@pytest.fixture
def dynamo(ministack: Ministack, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return fresh(ministack.url)


@pytest.fixture
def filled(sqlite: str) -> Iterator[Store]:
    """A store in which everything that can be kept is kept."""
    store = open_store(sqlite)
    fill_with_everything(store)
    yield store
    store.close()


def fill_with_everything(store: Store) -> None:
    store.import_subscribers(person(f"reader{number:03d}") for number in range(60))
    store.import_subscribers(
        [person("left", Subscription.UNSUBSCRIBED), person("waits", Subscription.PENDING)]
    )
    store.suppress("nobody@example.org", "complaint", NOW, "elsewhere")
    store.pause(joined(store, "paused@example.org"), NOW + timedelta(days=90), NOW)
    gone = joined(store, "gone@example.org")
    leaves = joined(store, "leaves@example.org")
    store.block("blocked@example.org", digests, NOW, "by letter")
    store.take_turn("2020-10 there", 1, "owner", NOW)
    store.turn_taken("2020-10 there", 1, NOW)
    assert store.open_turn("2020-10 there", 1, NOW + timedelta(minutes=1))
    store.stop_turn("2020-10 there", 1, "a brake")
    store.freeze(WHOLE, NOW, "there")
    assert store.claim("2020-10", 1, "a0", NOW)
    store.hold_orphans("2020-10", NOW)
    store.release("2020-10", "a0", State.PENDING, "no event came", NOW)
    number = 0
    while taken := store.claim("2020-10", 50, f"a{(number := number + 1)}", NOW):
        store.record(
            taken, [Outcome(one.number, State.SUBMITTED, "accepted by SES", f"id-{one.number}") for one in taken.recipients], NOW
        )  # fmt: skip
    seen = [replace(sighting(n), attempt="a1" if n <= 50 else "a2") for n in range(1, 60)]
    told = [*seen, replace(seen[3], kind=Evidence.HARD_BOUNCE, detail="550 5.1.1"), rendering_failure(999)]
    store.apply(told, NOW, digests)
    store.canary_mailed("canary", NOW)
    store.canary_seen("canary", NOW)
    store.unsubscribe(leaves, NOW + timedelta(hours=1), "one-click")
    assert store.erase(gone, digests, NOW)
    store.withdraw("2020-10", NOW)
    mailed(store, "asks@example.org")
    store.ask(letter("desk@example.org", LetterKind.CONTACT, words={"email": "v@example.org"}), [Limit("all", 9, timedelta(hours=1))])  # fmt: skip


def sums(store: Store) -> dict[tuple[Kind, str], object]:
    found: dict[tuple[Kind, str], object] = {}
    for kind in Kind:
        for briefing in ("2020-10",) if kind in (Kind.RECIPIENT, Kind.EXCLUSION) else ("",):
            summing = Summing()
            assert list(summing.passing(store.rows(kind, briefing, NOW))), kind  # there is something of each
            found[kind, briefing] = summing.sum
    return found


def test_all_of_a_store_is_the_same_after_it_has_moved_there_and_back(
    filled: Store, dynamo: str, tmp_path: Path
) -> None:
    there, back = open_store(dynamo), open_store(f"sqlite:///{tmp_path / 'back' / 'newsletter.db'}")
    move(filled, there, at=NOW)
    move(there, back, at=NOW)
    assert sums(filled) == sums(there) == sums(back)
    for store in (there, back):
        assert store.counts("2020-10") == filled.counts("2020-10")
        assert list(store.trace("2020-10", "reader003@example.org")) == list(
            filled.trace("2020-10", "reader003@example.org")
        )
        assert store.frozen("2020-10") == WHOLE
        assert list(store.listed()) == list(filled.listed())
        assert store.numbers(NOW) == filled.numbers(NOW)
        assert store.letter_counts() == filled.letter_counts()
        assert store.turn("2020-10 there") == filled.turn("2020-10 there")
        assert store.erased(digests("gone@example.org")) == set(digests("gone@example.org"))
        assert store.lagging(digests) == 0
        assert invariants.check(store, "2020-10") == invariants.check(filled, "2020-10") == []
    back.close()


def test_a_limit_that_is_reached_lets_nobody_in_because_of_a_move(
    filled: Store, dynamo: str, tmp_path: Path
) -> None:
    """There and back; what is counted in an hour that is over is left behind."""
    hour, day = (Limit("network", 3, timedelta(hours=hours)) for hours in (1, 24))
    for number in range(3):
        assert filled.ask(letter(f"r{number}@example.org"), [hour, day])
    there, back = open_store(dynamo), open_store(f"sqlite:///{tmp_path / 'back' / 'newsletter.db'}")
    move(filled, there, at=NOW)
    move(there, back, at=NOW)
    for store in (there, back):
        assert not store.ask(letter("again@example.org"), [hour, day])
        assert store.counted(hour, NOW) == store.counted(day, NOW) == 3
        counts = [row["seconds"] for row in store.rows(Kind.LIMIT, at=NOW) if row["key"] == "network"]
        assert sorted(counts) == [3600, 86400]
        later = store.rows(Kind.LIMIT, at=NOW + timedelta(hours=1))
        assert [row["seconds"] for row in later if row["key"] == "network"] == [86400]
        assert not list(store.rows(Kind.LIMIT))  # by now all of it is over
    back.close()


def test_a_mailing_that_was_stopped_stays_stopped(filled: Store, dynamo: str) -> None:
    store = open_store(dynamo)
    move(filled, store, at=NOW)
    turn = store.turn("2020-10 there")
    assert turn
    assert (turn.open_until, turn.stopped) == (NOW + timedelta(minutes=1), "a brake")
    assert not store.open_turn("2020-10 there", 1, NOW + timedelta(hours=1))


def test_what_happens_afterwards_finds_what_was_moved(filled: Store, dynamo: str) -> None:
    """Events still come, links are still used, and nobody gets a number that another has had."""
    store = open_store(dynamo)
    move(filled, store, at=NOW)
    late = replace(sighting(59, Evidence.COMPLAINT), attempt="a2", recipient="reader058@example.org")
    assert store.apply([late], NOW, digests) == 1
    assert store.suppression("reader058@example.org", digests)
    waiting = store.next_letter(NOW, digests)
    assert waiting
    assert waiting[0].kind is LetterKind.CONTACT
    before = max(int(row["id"]) for row in store.rows(Kind.SUBSCRIBER))
    joined(store, "new@example.org")
    assert max(int(row["id"]) for row in store.rows(Kind.SUBSCRIBER)) > before
    store.freeze(replace(WHOLE, month="2020-11"), NOW)
    taken = store.claim("2020-11", 50, "b1", NOW)
    assert taken
    assert len(taken.recipients) == 50
    someone = store.known(["reader001@example.org"])["reader001@example.org"]
    assert store.erase(someone.public_id, digests, NOW)
    assert not any("reader001@" in str(row) for kind in Kind for row in store.rows(kind, "2020-10"))


def test_nothing_moves_while_a_briefing_is_being_sent(filled: Store, dynamo: str) -> None:
    filled.freeze(replace(WHOLE, month="2020-11"), NOW)
    target = open_store(dynamo)
    with pytest.raises(StoreError, match=r"2020-11: is being sent: .* Nothing was moved"):
        move(filled, target, at=NOW)
    assert target.subscription_counts() == {}


def test_a_store_in_use_is_not_moved_into(filled: Store, dynamo: str) -> None:
    target = open_store(dynamo)
    target.import_subscribers([person("somebody")])
    with pytest.raises(StoreError, match="it is in use, and nothing was moved"):
        move(filled, target, at=NOW)
    assert target.subscription_counts() == {Subscription.CONFIRMED: 1}


def test_a_move_that_was_cut_off_goes_on_where_it_was(filled: Store, dynamo: str) -> None:
    done = []

    def cut(moved: object) -> None:
        done.append(moved)
        if len(done) == 5:
            raise KeyboardInterrupt

    target = open_store(dynamo)
    with pytest.raises(KeyboardInterrupt):
        move(filled, target, cut, at=NOW)
    again = move(filled, target, at=NOW)
    assert [moved.already for moved in again][:6] == [True] * 5 + [False]
    assert sums(filled) == sums(target)
    assert all(moved.already for moved in move(filled, target, at=NOW))


def test_a_row_that_is_not_the_same_is_told(filled: Store, dynamo: str) -> None:
    target = open_store(dynamo)
    target.suppress("of.nobody@example.org", "operator", NOW, "only here")
    with pytest.raises(StoreError, match=r"The suppressions are not the same: 3 rows .* 4 in the target"):
        move(filled, target, at=NOW)


def test_the_command_says_how_much_there_is_and_that_it_is_the_same(
    filled: Store, sqlite: str, dynamo: str
) -> None:
    filled.close()
    ran = CliRunner().invoke(main, ["migrate", sqlite, dynamo])
    assert ran.exit_code == 0, ran.output
    assert re.search(r"64 +subscribers · taken over", ran.output), ran.output
    assert f"STORE_URL={dynamo}" in ran.output
    refused = CliRunner().invoke(main, ["migrate", sqlite, sqlite])
    assert refused.exit_code == 1
    assert "the same store" in refused.output
    mistyped = CliRunner().invoke(main, ["migrate", f"{sqlite}.old", dynamo])
    assert mistyped.exit_code == 1
    assert "there is no such store to move" in mistyped.output
