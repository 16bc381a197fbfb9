"""The desk of the door: many at once by one transaction, each answered when it is kept, and each failing alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from newsletter.door.desk import Desk
from newsletter.errors import StoreBusy, StoreError
from newsletter.store import Store, open_store
from newsletter.store.door import Letter, Limit
from tests.door_contract import HOUR, NOW, digests, joined, letter, status

ALL = Limit("all", 1000, HOUR)


class Watched:
    """A desk whose store's statements are noted, and what a test asks of it."""

    def __init__(self, path: Path) -> None:
        self.path, self.statements = path, list[str]()
        self.desk = Desk(self._open)

    def _open(self) -> Store:
        store = open_store(f"sqlite:///{self.path}")
        store.db.set_trace_callback(self.statements.append)  # type: ignore[attr-defined]
        return store

    def commits(self) -> int:
        return self.statements.count("COMMIT")

    def at_once(self, *jobs: Callable[[Store], Any], alone: Sequence[int] = ()) -> list[Any]:
        """The answers to jobs that all wait at one moment, or what went wrong with them."""
        held, begun = threading.Event(), threading.Event()

        def hold(store: Store) -> None:
            begun.set()
            held.wait(10)

        async def ask() -> list[Any]:
            first = asyncio.ensure_future(self.desk.write(hold))
            await asyncio.to_thread(begun.wait, 10)
            self.statements.clear()
            rest = [
                asyncio.ensure_future(self.desk.write(job, alone=number in alone))
                for number, job in enumerate(jobs)
            ]
            await asyncio.sleep(0)  # so that all of them stand in the queue
            held.set()
            await first
            return await asyncio.gather(*rest, return_exceptions=True)

        return run(ask())

    def kept(self, letters: Sequence[Letter]) -> list[bool]:
        """Which of them are in the file, as another process sees it."""
        with closing(open_store(f"sqlite:///{self.path}")) as other:
            return [other.letter(one.id) is not None for one in letters]


def run(what: Awaitable[list[Any]]) -> list[Any]:
    """In a thread of its own: the browser that other tests open has a loop in this one."""
    found: list[Any] = []

    async def wait() -> None:
        found.extend(await what)

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    thread.join()
    return found


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path / "door.db")
    open_store(f"sqlite:///{watched.path}").close()
    yield watched
    watched.desk.close()


def asking(*letters: Letter, limits: Sequence[Limit] = (ALL,)) -> list[Callable[[Store], bool]]:
    return [lambda store, one=one: store.ask(one, limits) for one in letters]  # type: ignore[misc]


def test_what_waits_at_one_moment_is_kept_by_one_transaction(at: Watched) -> None:
    letters = [letter(f"reader{number}@example.org") for number in range(50)]
    assert at.at_once(*asking(*letters)) == [True] * 50
    assert at.commits() == 1
    assert all(at.kept(letters))


def test_nobody_is_answered_before_it_is_on_the_disk(at: Watched) -> None:
    letters = [letter(f"reader{number}@example.org") for number in range(20)]

    async def ask() -> list[Any]:
        async def one(which: Letter) -> bool:
            await at.desk.write(lambda store: store.ask(which, [ALL]))
            return at.kept([which])[0]

        return await asyncio.gather(*map(one, letters))

    assert run(ask()) == [True] * 20


def test_they_are_served_in_the_order_in_which_they_came(at: Watched) -> None:
    letters = [letter(f"reader{number}@example.org") for number in range(8)]
    few = [Limit("all", 5, HOUR)]
    assert at.at_once(*asking(*letters, limits=few)) == [True] * 5 + [False] * 3


def test_one_that_fails_spoils_no_other(at: Watched) -> None:
    good, again, late = letter("a@example.org"), letter("b@example.org"), letter("c@example.org")

    def mistaken(store: Store) -> None:
        store.ask(late, [ALL])
        raise ValueError("reader@example.org")

    answers = at.at_once(
        *asking(good, again, again), mistaken, *asking(letter("d@example.org"), limits=[Limit("no", 0, HOUR)])
    )
    assert answers[:2] == [True, True]
    assert isinstance(answers[2], StoreError)
    assert str(answers[3]) == "ValueError in the middle of a job for the door."
    assert answers[4] is False
    assert at.kept([good, again]) == [True, True]


@pytest.mark.parametrize("breaks", [2, 30], ids=["in the first of them", "on the way"])
def test_a_full_disk_tells_everybody_that_nothing_was_kept(at: Watched, breaks: int) -> None:
    """Whoever wrote before the disk was full, and whoever comes after it in the same transaction."""
    letters = [
        letter(f"reader{number}@example.org", words={"message": "x" * 5000 if number > 1 else ""})
        for number in range(40)
    ]

    def limited(store: Store) -> None:
        (pages,) = store.db.execute("PRAGMA page_count").fetchone()  # type: ignore[attr-defined]
        store.db.execute(f"PRAGMA max_page_count = {pages + breaks}")  # type: ignore[attr-defined]

    answers = at.at_once(limited, *asking(*letters))
    assert all(isinstance(answer, StoreError) for answer in answers[1:])
    assert not any(at.kept(letters))
    assert at.at_once(*asking(*letters[:2])) == [True, True], "the next ones open the file anew"


def test_everybody_is_erased_alone_and_the_others_are_answered(at: Watched) -> None:
    with closing(open_store(f"sqlite:///{at.path}")) as store:
        people = [joined(store, f"gone{number}@example.org") for number in range(2)]
    letters = [letter(f"reader{number}@example.org") for number in range(4)]
    ask = asking(*letters)
    erase = [lambda store, who=who: store.erase(who, digests, NOW) for who in people]
    answers = at.at_once(*ask[:2], *erase, *ask[2:], alone=[2, 3])
    assert answers == [True] * 6
    assert at.commits() == 4
    assert b"gone" not in at.path.read_bytes()


def test_leaving_is_in_the_journal_of_all_who_are_told_so(at: Watched) -> None:
    with closing(open_store(f"sqlite:///{at.path}")) as store:
        people = [joined(store, f"reader{number}@example.org") for number in range(5)]
        journal = at.path.with_suffix(".journal.jsonl")
        before = journal.read_bytes()
        leave = [lambda store, who=who: store.unsubscribe(who, NOW, "one-click") for who in people]
        journal.chmod(0o400)
        journal.rename(journal.with_suffix(".aside"))
        journal.mkdir()  # no file can be written there
        refused = at.at_once(*leave)
        assert all("cannot be written" in str(answer) for answer in refused)
        assert {str(status(store, who)) for who in people} == {"confirmed"}
        journal.rmdir()
        journal.write_bytes(before)
        assert at.at_once(*leave) == [True] * 5
        assert at.commits() == 1
        noted = journal.read_text().split(before.decode())[1]
        assert all(f'"who": "{who.hex()}", "what": "unsubscribed"' in noted for who in people)


def test_who_comes_when_too_many_wait_is_asked_to_come_again(at: Watched) -> None:
    letters = [letter(f"reader{number}@example.org") for number in range(520)]
    answers = at.at_once(*asking(*letters))
    busy = [isinstance(answer, StoreBusy) for answer in answers]
    assert 0 < sum(busy) < 30
    assert at.kept(letters) == [not one for one in busy]
