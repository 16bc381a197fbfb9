"""Years of months in seconds: one seed decides about time, network, SES, its events, deaths, backups and operators.

The sender, the ledger and the settling are the real ones; SES is a model (model_ses.py). After each step the
invariants hold, and at the end of each month everybody has it once or is named. A seed that fails fails again:

    .venv/bin/python -c 'from tests.test_simulation import live; live(17)'
"""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from newsletter import invariants, package
from newsletter.aftermath import Aftermath
from newsletter.delivery import Delivery, Links
from newsletter.errors import NewsletterError, StoreError
from newsletter.invariants import Accept
from newsletter.ses.submit import Entry
from newsletter.settle import QUIET
from newsletter.states import ACCEPTED, State
from newsletter.store import Store, Subscription, open_store
from newsletter.store.sqlite import people
from newsletter.vigil import Vigil
from tests.conftest import NOON
from tests.model_ses import Died, ModelSes, Time
from tests.store_contract import PACKAGE, person

MONTHS = ("2020-10", "2020-11", "2020-12")
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


@dataclass
class Backup:
    """A copy of the ledger, and how many turns SES had given by then."""

    path: Path
    turns: dict[str, int]


class World:
    """One seed's world: a list of people, a ledger, a model of SES, and whoever runs the sender."""

    def __init__(self, seed: int, folder: Path, quiet: timedelta = QUIET, lose: float = 0.0) -> None:
        self.random, self.folder, self.quiet = Random(seed), folder, quiet  # noqa: S311
        self.time = Time(NOON)
        slow = self.random.choice([2, 30, 600])
        self.ses = ModelSes(Random(seed + 1), self.time, self.watch, lose=lose, slow=slow)  # noqa: S311
        self.path = folder / "newsletter.db"
        self.store = open_store(f"sqlite:///{self.path}")
        self.people = 0
        self.left: set[str] = set()
        self.backups: list[Backup] = []
        self.refused = self.deaths = 0
        self.steps_to_live, self.only = 0, ""
        self.dead = False
        self.begun: list[str] = []
        self.rows: list[tuple[Any, ...]] = []

    # -- the steps

    def month(self, month: str) -> None:
        """One month: new readers, its briefing, and now and then a correction of it."""
        self.join(self.random.randrange(4, 14))
        self.mailing(month)
        if self.random.random() < 0.3:
            self.mailing(f"{month}-erratum", corrects=month)

    def mailing(self, briefing: str, corrects: str = "") -> None:
        """Evening after evening, until the last word about each recipient; in between, whatever happens happens."""
        self.begun.append(briefing)
        for _ in range(self.random.randrange(4, 12)):
            self.evening(briefing, corrects)
            self.check()
            self.time.pass_(self.random.choice([10, 60, 300, 1200, 86400]))
            self.random.choice([self.leave, self.join, self.read, self.back_up, self.put_back, self.look])()
            self.check()
        self.ses.faults = False  # what was wrong is mended, and somebody goes on until nothing is left to do
        for _ in range(12):
            self.evening(briefing, corrects, calm=True)
            self.time.pass_(3600)
        self.read()
        self.check()
        self.ses.faults = True
        self.nobody_is_lost(briefing)

    def evening(self, briefing: str, corrects: str = "", calm: bool = False) -> None:
        """Somebody types `newsletter send`, and it may be killed at any step; nobody kills it when all is `calm`."""
        if not calm and self.random.random() < 0.5:
            # Anywhere, or where it does most harm: when SES has answered, and nobody has written it down.
            self.only = self.random.choice(["", "submit"])
            self.steps_to_live = self.random.randrange(1, 4 if self.only else 250)
        try:
            self.send(
                self.mortal(self.store),
                briefing,
                corrects,
                brakes=not calm and self.random.random() < 0.5,
                slice_size=0 if calm else self.random.choice([0, 3, 10]),
            )
        except Died:
            self.deaths += 1
            self.store.close()
            self.store = open_store(f"sqlite:///{self.path}")
        except NewsletterError as error:
            assert "another ledger" not in str(error), "the newest ledger was refused its turn"
        self.dead, self.steps_to_live, self.only = False, 0, ""

    def send(
        self, store: Store, briefing: str, corrects: str = "", brakes: bool = False, slice_size: int = 0
    ) -> None:
        """What that command does, as cli/sending.py has it."""
        mailed = replace(PACKAGE, month=briefing, subject=f"Briefing {briefing}")
        mailed = replace(mailed, content_hash=package.content_hash(mailed))
        aftermath = Aftermath(store, self.ses, self.folder / "quarantine", self.time)  # type: ignore[arg-type]
        ses: Any = self.mortal(self.ses)
        links = Links("https://briefing.example.org", (b"k" * 32,))
        with self.store.sending(briefing):
            delivery = Delivery(
                store, ses, links, self.time, self.time.pass_, through="model",
                vigil=Vigil(store, aftermath, self.time, brakes=brakes, quiet=self.quiet), slice_size=slice_size,
            )  # fmt: skip
            report = delivery.run(mailed, corrects=corrects)
            if report.counts.of(State.IN_DOUBT):
                self.time.pass_(1)
                aftermath.mail_canary(ses, mailed.sender)

    def join(self, count: int = 2) -> None:
        self.store.import_subscribers(person(f"reader{self.people + n:03d}") for n in range(count))
        self.people += count

    def leave(self) -> None:
        name = f"reader{self.random.randrange(self.people):03d}"
        self.store.import_subscribers([person(name, Subscription.UNSUBSCRIBED)])
        self.left.add(f"{name}@example.org")

    def read(self) -> None:
        Aftermath(self.store, self.ses, self.folder / "quarantine", self.time).read()  # type: ignore[arg-type]

    def look(self) -> None:
        """A day on which nobody does anything."""

    def back_up(self) -> None:
        path = self.folder / f"backup-{len(self.backups)}.db"
        copy = open_store(f"sqlite:///{path}")
        self.store.db.backup(copy.db)  # type: ignore[attr-defined]
        copy.close()
        self.backups.append(Backup(path, {one: self.ses.turns(one) for one in self.begun}))

    def put_back(self) -> None:
        """Somebody goes on with an old copy of the ledger, is refused, and goes back to the newest one."""
        briefing = self.begun[-1]
        old = [one for one in self.backups if one.turns.get(briefing, 0) < self.ses.turns(briefing)]
        if not old:
            return
        newest, self.store = self.store, open_store(f"sqlite:///{self.random.choice(old).path}")
        calls, self.ses.faults = self.ses.calls, False
        try:
            self.send(self.store, briefing)
        except StoreError as error:
            assert "another ledger has mailed it" in str(error)
            self.refused += 1
        finally:
            self.ses.faults = True
            self.store.close()
            self.store = newest
        assert self.ses.calls == calls, "an old ledger has mailed somebody"

    # -- death

    def mortal(self, thing: Any) -> Any:
        """The thing, for somebody who can be killed before and after each use of it."""
        world = self

        class Mortal:
            def __getattr__(self, name: str) -> Callable[..., Any]:
                method = getattr(thing, name)

                def use(*words: Any, **more: Any) -> Any:
                    world.step(f"before {name}")
                    answer = method(*words, **more)
                    world.step(name)
                    return answer

                return use

        return Mortal()

    def step(self, name: str) -> None:
        self.steps_to_live -= not self.only or self.only == name
        self.dead = self.dead or self.steps_to_live == 0
        if self.dead:
            raise Died

    # -- what must be true

    def watch(self, entries: Sequence[Entry], tags: dict[str, str]) -> None:
        """At each call: it was written down, and everybody in it was still to be mailed when it was."""
        kept = {each.number: each for each in self.store.kept(tags["briefing"])}
        self.check()
        for entry in entries:
            one = kept[int(entry.tags["recipient"])]
            assert (one.state, one.attempt) == (State.CLAIMED, tags["attempt"]), (
                "called before it was claimed"
            )
            assert entry.to not in self.left, "mailed after leaving"

    def check(self) -> None:
        self.ses.work()
        for briefing in self.begun:
            found = invariants.check(self.store, briefing, self.known())
            assert not found, "; ".join(map(str, found))

    def known(self) -> list[Accept]:
        """What SES has accepted, as far as anybody could learn of it."""
        rows = self.store.db.execute("SELECT id FROM attempt WHERE answered_at != ''")  # type: ignore[attr-defined]
        return self.ses.known({attempt for (attempt,) in rows})

    def nobody_is_lost(self, briefing: str) -> None:
        """Everybody is mailed, refused, gone, or in doubt with a name; and SES's word is in the ledger."""
        mails = Counter(each.address for each in self.known() if each.tags["briefing"] == briefing)
        assert max(mails.values(), default=0) <= 1
        for kept in self.store.kept(briefing):
            assert kept.state in {*ACCEPTED, State.FAILED, State.SKIPPED, State.IN_DOUBT}, (
                f"left {kept.state}"
            )
            if kept.state is State.IN_DOUBT and not self.ses.lose:
                assert not mails[kept.address], "in doubt, though SES has told of the mail"
        assert self.ses.lose or not self.store.blind(briefing, NOON), (
            "SES's word on a mail was read and forgotten"
        )


@contextmanager
def chance(seed: int) -> Iterator[None]:
    """What is random by design, from a seed: else a world could not be told twice."""
    source = Random(seed)  # noqa: S311
    with (
        patch.object(secrets, "token_hex", lambda size: source.randbytes(size).hex()),
        patch.object(secrets, "token_bytes", source.randbytes),
        patch.object(secrets, "SystemRandom", lambda: source),
        patch.object(people, "time_ns", lambda: seed),
    ):
        yield


def live(seed: int, **changes: Any) -> World:
    """Let a seed's world go through its months. The AssertionError names the seed and what is broken."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder, chance(seed):
        world = World(seed, Path(folder), **changes)
        try:
            for month in MONTHS:
                world.month(month)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        finally:
            world.rows = [tuple(row) for row in world.store.db.execute("SELECT * FROM recipient")]  # type: ignore[attr-defined]
            world.store.close()
        return world


@pytest.mark.parametrize("start", range(0, 30, 10))
def test_everybody_has_each_month_once_or_is_named(start: int) -> None:
    worlds = [live(seed) for seed in range(start, start + 10)]
    assert sum(world.deaths for world in worlds) > 5
    assert sum(world.refused for world in worlds) > 5


@pytest.mark.long
@pytest.mark.parametrize("start", range(0, 1000, 50))
def test_everybody_has_each_month_once_or_is_named_in_a_thousand_worlds(start: int) -> None:
    for seed in range(start, start + 50):
        live(seed)


def test_events_that_get_lost_double_nobody_whose_call_was_ever_heard_of() -> None:
    for seed in range(10):
        live(seed, lose=0.3)


@pytest.mark.long
@pytest.mark.parametrize("lose", [0.1, 0.3, 0.7, 1.0])
def test_events_that_get_lost_double_nobody_in_hundreds_of_worlds(lose: float) -> None:
    for seed in range(100):
        live(seed, lose=lose)


def test_without_a_quiet_period_somebody_would_have_it_twice() -> None:
    """The quiet period is part of the promise: SES may take a call after its client has given up."""
    with pytest.raises(AssertionError, match=r"at most once|SES has accepted its mail"):
        [live(seed, quiet=timedelta(0)) for seed in range(30)]


def test_a_seed_tells_the_same_world_twice() -> None:
    one, two = live(3), live(3)
    assert one.rows == two.rows
    assert one.ses.accepts == two.ses.accepts
    assert (one.deaths, one.refused, one.time()) == (two.deaths, two.refused, two.time())
