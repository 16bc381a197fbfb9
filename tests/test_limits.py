"""How often a stranger may knock, and that what is counted says nothing of whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter import address
from newsletter.limits import MESSAGES, USUAL, Numbers, counted_as, everybody, limits, mailbox, network
from newsletter.store import Store, open_store
from newsletter.store.door import Letter, LetterKind, LetterState
from tests.door_contract import HOUR, NOW, letter

KEY = b"k" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'newsletter.db'}")
    opened.db.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]
    yield opened
    opened.close()


def ask(store: Store, one: Letter, proven: bool = False) -> bool:
    return store.ask(one, limits(one, KEY, proven))


def kept(store: Store) -> int:
    return sum(
        count for (_, state), count in store.letter_counts().items() if state is not LetterState.DROPPED
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("john.smith@gmail.com", "johnsmith@gmail.com", True),
        ("j.o.h.n.smith+news@gmail.com", "johnsmith@googlemail.com", True),
        ("john.smith@example.org", "johnsmith@example.org", False),
        ("john+news@example.org", "john@example.org", True),
        ("victim+1@outlook.com", "victim+50@outlook.com", True),
        ("+1@example.org", "+2@example.org", False),
        ("john@gmail.com", "jon@gmail.com", False),
    ],
)
def test_the_spellings_of_one_mailbox_count_as_one_and_dots_are_gmails_alone(
    one: str, other: str, same: bool
) -> None:
    assert (mailbox(one) == mailbox(other)) is same


def test_counting_by_mailbox_changes_nobodys_address() -> None:
    """Dots and +tags are the business of whoever runs the mailbox: the subscriber keeps them."""
    assert address.parse("john.smith+news@gmail.com").key == "john.smith+news@gmail.com"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("2001:DB8:1:2::1", "2001:db8:1:2:0:0:0:1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "not an address", True),
    ],
)
def test_an_ipv6_household_is_one_visitor_and_an_ipv4_address_too(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same


@given(st.sampled_from(LetterKind), st.emails(), st.ip_addresses().map(str))
def test_what_is_counted_by_names_neither_address_nor_network(kind: LetterKind, typed: str, ip: str) -> None:
    try:
        to = address.parse(typed).text
    except ValueError:
        return
    one = replace(letter(to, kind), ip=ip, words={"email": to, "message": "Hello"})
    for limit in limits(one, KEY):
        assert to.lower() not in limit.key
        assert "@" not in limit.key
        assert ip not in limit.key
    mine, others = ({limit.key for limit in limits(one, key)} for key in (KEY, b"o" * 32))
    shared = {everybody(kind).key}
    assert mine & others == shared  # without our key nobody can try addresses out


def test_letters_of_one_kind_do_not_count_against_another() -> None:
    keys = [{limit.key for limit in limits(letter(kind=kind), KEY)} for kind in LetterKind]
    assert sum(map(len, keys)) == len(set.union(*keys))


def test_an_address_is_written_down_so_often_a_day_and_whoever_types_it_again_is_not_told(
    store: Store,
) -> None:
    """By any visitor: each time from elsewhere, each time in another spelling."""
    for number in range(10):
        spelling = f"j{'.' * (number % 2)}smith+{number}@gmail.com"
        assert ask(store, letter(spelling, ip=f"192.0.2.{number}"))
    assert kept(store) == USUAL.address_day


def test_a_network_is_told_when_it_has_asked_too_often(store: Store) -> None:
    answers = [
        ask(store, letter(f"r{n}@example.org", ip=f"2001:db8::{n:x}")) for n in range(USUAL.network_hour + 2)
    ]
    assert answers == [True] * USUAL.network_hour + [False] * 2
    assert ask(store, letter("other@example.org", ip="2001:db8:0:1::1"))
    later = NOW + HOUR
    assert ask(store, letter("later@example.org", at=later, ip="2001:db8::1"))


@pytest.mark.parametrize(
    ("places", "times"),
    [
        ([f"2001:db8:0:{n:x}::1" for n in range(256)], 3),  # a /56
        ([f"2001:db8:0:{n << 8:x}::1" for n in range(256)], 6),  # a /48, no two of them in one /56
        ([f"192.0.2.{n}" for n in range(256)], 6),
    ],
)
def test_who_holds_many_networks_cannot_use_up_everybodys_hour(
    store: Store, places: list[str], times: int
) -> None:
    passed = sum(ask(store, letter(f"r{n}@example.org", ip=ip)) for n, ip in enumerate(places))
    assert passed == times * USUAL.network_hour < USUAL.hour
    assert ask(store, letter("honest@example.org", ip="2001:db8:1::1"))
    assert ask(store, letter("honest2@example.org", ip="198.51.100.1"))


@pytest.mark.parametrize("others", [0, 2])
def test_whether_others_have_typed_an_address_shows_in_no_later_answer(store: Store, others: int) -> None:
    """Whoever counts their own refusals learns what they have asked for, and nothing of anybody else."""
    for n in range(others):
        assert ask(store, letter("victim@example.org", ip=f"198.51.{n}.1"))
    mine = ["victim@example.org"] * 3 + [f"own{n}@example.org" for n in range(USUAL.network_hour)]
    answers = [ask(store, letter(typed, ip="192.0.2.1")) for typed in mine]
    assert answers == [True] * USUAL.network_hour + [False] * 3


def test_what_the_postman_counts_by_names_nobody_and_is_of_the_mailbox() -> None:
    one, other = letter("j.smith+1@gmail.com"), letter("jsmith@googlemail.com", LetterKind.MY_PAGE)
    assert counted_as(one, KEY) == counted_as(other, KEY) != counted_as(one, b"o" * 32)
    assert counted_as(letter("desk@example.org", LetterKind.CONTACT), KEY) == ""


def test_a_robot_that_waits_an_hour_is_stopped_by_the_day(store: Store) -> None:
    kept_of = [
        ask(store, letter(f"r{hour}.{n}@example.org", at=NOW + hour * HOUR))
        for hour in range(8)
        for n in range(USUAL.network_hour)
    ]
    assert sum(kept_of) == USUAL.network_day


def test_a_message_that_is_not_kept_its_writer_is_told_of(store: Store) -> None:
    words = {"email": "visitor@example.org", "message": "Hello"}
    answers = [
        ask(store, letter("desk@example.org", LetterKind.CONTACT, ip=f"192.0.2.{n}", words=words))
        for n in range(MESSAGES.address_day + 2)
    ]
    assert answers == [True] * MESSAGES.address_day + [False] * 2
    assert kept(store) == MESSAGES.address_day


def test_a_subscriber_asks_for_so_many_changes_a_day_wherever_from(store: Store) -> None:
    answers = [
        ask(store, letter(f"r{n}@example.org", LetterKind.CHANGE, ip=f"192.0.2.{n}", subscriber=b"s" * 16))
        for n in range(USUAL.subscriber_day + 1)
    ]
    assert answers == [True] * USUAL.subscriber_day + [False]


def test_who_has_solved_a_puzzle_is_served_while_everybody_else_is_too_many(store: Store) -> None:
    few = Numbers(hour=3, proven=5)
    crowd = [letter(f"r{n}@example.org", ip=f"192.0.2.{n}") for n in range(4)]
    assert [store.ask(one, limits(one, KEY, numbers=few)) for one in crowd] == [True] * 3 + [False]
    assert store.counted(everybody(LetterKind.CONFIRM, numbers=few), NOW) == few.hour
    honest = letter("honest@example.org", ip="198.51.100.1")
    assert store.ask(honest, limits(honest, KEY, proven=True, numbers=few))


def test_a_flood_of_ten_thousand_is_held_within_the_limits_and_a_visitor_still_gets_through(
    store: Store,
) -> None:
    """Ten sign-ups from each of a thousand addresses, at one moment, for two thousand mailboxes."""
    passed = sum(
        ask(store, letter(f"victim{n % 2000}@example.org", ip=f"10.{n % 1000 // 50}.0.{n % 50}"))
        for n in range(10_000)
    )
    assert passed == kept(store) == USUAL.hour
    assert ask(store, letter("honest@example.org", ip="198.51.100.1"), proven=True)
    later = letter("later@example.org", ip="198.51.100.2", at=NOW + timedelta(hours=1))
    assert ask(store, later)
