"""kill -9 at every step of a sender, under every kind of fault: nobody twice, nobody lost, nobody unnamed.

The local SES keeps its own log of what it accepted, and the mails; the invariants compare the ledger with those. Both
clocks are moved ahead from one run to the next, so that the quiet period is the real one and nobody waits for it.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from newsletter import invariants
from newsletter.local_ses.config import LocalSesConfig, RunningSes
from newsletter.local_ses.server import running
from newsletter.states import ACCEPTED, State
from newsletter.store import open_store
from tests.accepts import AcceptLog
from tests.kill_child import Evening, Sender
from tests.store_contract import fill

RECIPIENTS = 13
HOUR = 3600.0
# A process that is killed loses nothing of what it has written, on whatever disk; a quick one will do.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


@dataclass(frozen=True)
class Plan:
    """What goes wrong besides the sender's death, and how the sender is run."""

    faults: Sequence[dict[str, Any]] = ()
    evening: Evening = field(default_factory=Evening)
    wait: float = 0.0  # seconds until SES has done what it does after its client has given up


SHORT = Evening(read_seconds=0.25)
TOLD = Evening(events=True)
PLANS = {
    "no fault": Plan(),
    "reset before": Plan([{"call": 2, "action": "reset", "when": "before"}]),
    "reset after": Plan([{"call": 2, "action": "reset", "when": "after"}]),
    "500 before": Plan([{"call": 1, "action": "error", "when": "before"}]),
    "500 after": Plan([{"call": 3, "action": "error", "when": "after"}]),
    "503": Plan([{"call": 2, "action": "unavailable", "when": "after"}]),
    "html 200": Plan([{"call": 2, "action": "html"}]),
    "truncated": Plan([{"call": 2, "action": "truncated"}]),
    "too few results": Plan([{"call": 1, "action": "results", "change": -1}]),
    "hang": Plan([{"call": 2, "action": "hang", "when": "after", "seconds": 0.4}], SHORT),
    "late accept": Plan([{"call": 2, "action": "late", "seconds": 0.4}], SHORT, wait=0.3),
    "partial": Plan([{"call": 2, "action": "entry_status", "entries": [1, 3], "status": "TRANSIENT_FAILURE"}]),
    "throttled": Plan([{"call": [1, 3], "action": "throttle"}]),
    "turn and template": Plan(
        [{"operation": "CreateEmailTemplate", "call": [1, 3, 4], "action": "reset", "when": "after"}]
    ),
    "mix": Plan([
        {"call": 1, "action": "entry_status", "entries": [0], "status": "SOMETHING_NEW"},
        {"call": 2, "action": "throttle"},
        {"call": 3, "action": "drop", "when": "after"},
    ]),
    "first slice": Plan([], replace(TOLD, slice_size=4)),
    "settled from events": Plan([
        {"call": 1, "action": "reset", "when": "after"}, {"call": 3, "action": "reset", "when": "before"},
    ], TOLD),
    "late accept, settled": Plan(
        [{"call": 2, "action": "late", "seconds": 0.4}], replace(SHORT, events=True), wait=0.3
    ),
}  # fmt: skip
# Every how many steps a world is made: `make test` takes a sample, `make test-long` all of them.
SAMPLE, ALL = 24, 1


@dataclass
class Tally:
    worlds: int = 0
    killed: int = 0
    twice: int = 0
    lost: int = 0
    in_doubt: int = 0
    bad: list[str] = field(default_factory=list)


@dataclass
class Post:
    """A local SES for all worlds, and the folder of their ledgers."""

    folder: Path
    log: AcceptLog
    ahead: float = 0.0
    ses: RunningSes | None = None
    plans: int = 0

    def calls(self) -> int:
        assert self.ses
        return self.ses.calls("SendBulkEmail")

    def rest(self, seconds: float) -> None:
        """Let at least so many seconds pass, and all that SES does after its client has given up."""
        time.sleep(seconds)
        until = time.monotonic() + 60
        assert self.ses
        while self.ses.busy():
            assert time.monotonic() < until, "SES does not come to rest"
            time.sleep(0.01)

    def plan(self, faults: Sequence[dict[str, Any]]) -> None:
        plan = {"calls": [{"operation": "SendBulkEmail", **fault} for fault in faults]}
        fresh = self.folder / "fresh.json"
        # A length of its own for each world: the local SES reads a changed plan anew, and counts calls from there.
        self.plans += 1
        fresh.write_text(json.dumps(plan) + " " * self.plans)
        fresh.replace(self.folder / "faults.json")


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        folder = Path(name)
        (folder / "faults.json").write_text("{}")
        made = Post(folder, AcceptLog(folder / "accepts.jsonl", folder / "mailbox"))
        config = LocalSesConfig(
            made.log.mailbox, folder / "ses.sqlite", made.log.log, faults=folder / "faults.json",
            identities=("example.org",), max_send_rate=1e6, daily_quota=-1, now=lambda: time.time() + made.ahead,
        )  # fmt: skip
        with running(config) as made.ses:
            yield made


@pytest.fixture(scope="module")
def sender(post: Post) -> Iterator[Sender]:
    assert post.ses
    made = Sender(post.ses.environment)
    yield made
    made.close()


def one_world(
    post: Post,
    first: Sender,
    sender: Sender,
    name: str,
    briefing: str,
    kill_at: int,
    tally: Tally,
    kill_after: str = "",
) -> int:
    """Kill the `first` sender, and run `sender` until there is nothing left to do; how the first one ended."""
    plan = PLANS[name]
    database, copy = post.folder / "newsletter.db", post.folder / "copy.db"
    store = open_store(f"sqlite:///{database}")
    fill(store, RECIPIENTS)
    store.close()
    post.log.forget()
    post.plan(plan.faults)

    def run(by: Sender, kill_at: int = 0, path: Path = database) -> int:
        post.ahead += HOUR
        calls = post.calls()
        (ended,) = by.run(
            [f"sqlite:///{path}"],
            briefing,
            replace(plan.evening, kill_at=kill_at, kill_after=kill_after, ahead=post.ahead),
        )
        if post.calls() > calls:
            post.rest(plan.wait)
        return ended

    ended = run(first, kill_at)
    shutil.copy(database, copy)
    if plan.evening.events:
        run(sender, kill_at)  # killed while it settles what the first one left
    run(sender)
    for _ in range(8):  # started again, as an operator would, until there is nothing left to do
        run(sender)
        if not open_recipients(database, plan):
            break
    check(post, database, plan, f"{name}, killed at {kill_at}", briefing, tally)
    run(
        sender, path=copy
    )  # the ledger as the dead sender left it, put back later: it mails nobody again either
    check(post, database, plan, f"{name}, killed at {kill_at}, put back", briefing, Tally(bad=tally.bad))
    tally.worlds += 1
    tally.killed += ended == -9
    for path in (database, copy):
        path.unlink()
    return ended


def open_recipients(database: Path, plan: Plan) -> int:
    """How many are still to be mailed; with SES's events, how many are still in doubt too."""
    states = "'pending', 'claimed', 'in_doubt'" if plan.evening.events else "'pending', 'claimed'"
    with sqlite3.connect(database) as ledger:
        (count,) = ledger.execute(f"SELECT count(*) FROM recipient WHERE state IN ({states})").fetchone()
    return int(count)


def check(post: Post, database: Path, plan: Plan, where: str, briefing: str, tally: Tally) -> None:
    """Count what is wrong with a world."""
    accepts = list(post.log.accepts())
    store = open_store(f"sqlite:///{database}")
    broken = invariants.check(store, briefing, accepts)
    kept = list(store.kept(briefing))
    store.close()
    with sqlite3.connect(database) as ledger:
        (integrity,) = ledger.execute("PRAGMA integrity_check").fetchone()
    mails = Counter(accept.address for accept in accepts if accept.tags.get("briefing") == briefing)
    twice = [address for address, count in mails.items() if count > 1]
    # Not mailed, and nothing says so: a recipient in doubt is named, and one that is pending would be mailed.
    lost = [one for one in kept if one.address not in mails and one.state is not State.IN_DOUBT]
    doubts = [one for one in kept if one.state is State.IN_DOUBT]
    tally.twice += len(twice)
    tally.lost += len(lost) + RECIPIENTS - len(kept)
    tally.in_doubt += len(doubts)
    bad = [str(each) for each in broken] + [f"{address} has it twice" for address in twice]
    bad += [f"{one.address} is lost: {one.state}" for one in lost]
    bad += [
        f"{one.address} ended {one.state}" for one in kept if one.state not in {*ACCEPTED, State.IN_DOUBT}
    ]
    if plan.evening.events:
        bad += [f"{one.address} is still in doubt, though SES has told of everything" for one in doubts]
    if len(kept) != RECIPIENTS or integrity != "ok":
        bad.append(f"{len(kept)} recipients in a database that is {integrity}")
    tally.bad += [f"{where}: {what}" for what in bad]


def worlds(post: Post, sender: Sender, name: str, every: int, start: int, kill_after: str = "") -> Tally:
    tally = Tally()
    kill_at = start
    while True:
        briefing = f"{name.replace(' ', '-').replace(',', '')}-{kill_after}-{every}-{kill_at}"
        ended = one_world(post, sender, sender, name, briefing, kill_at, tally, kill_after)
        if ended != -9:
            assert ended == 0, f"the sender itself failed under {name}"
            return tally
        kill_at += every


@pytest.mark.parametrize("name", PLANS)
def test_killed_at_a_sample_of_its_steps(post: Post, sender: Sender, name: str) -> None:
    offset = 1 + list(PLANS).index(name) * 7 % SAMPLE  # so that the plans together touch every step
    tally = worlds(post, sender, name, SAMPLE, offset)
    assert tally.bad == []
    assert tally.killed


@pytest.mark.parametrize(
    ("name", "kill_after"),
    [
        ("no fault", "submit"),
        ("partial", "submit"),
        ("first slice", "submit"),
        ("settled from events", "receive"),
        ("settled from events", "delete"),
        ("no fault", "create_turn"),
        ("no fault", "claim"),
    ],
)
def test_killed_where_it_would_do_most_harm(post: Post, sender: Sender, name: str, kill_after: str) -> None:
    """Between SES's answer and the record of it, between a turn and the record of it, between an event and its deletion."""
    tally = worlds(post, sender, name, ALL, 1, kill_after)
    _tell(f"{name}, after each {kill_after}", tally)
    assert tally.bad == []
    assert tally.killed > 1


@pytest.mark.long
@pytest.mark.parametrize("name", PLANS)
def test_killed_at_every_step(post: Post, sender: Sender, name: str) -> None:
    tally = worlds(post, sender, name, ALL, 1)
    _tell(name, tally)
    assert tally.bad == []


@pytest.mark.long
def test_killed_on_a_machine_that_has_too_much_to_do(post: Post, sender: Sender) -> None:
    """Only under load did an earlier sender double anybody: SES took its calls after it had been started again."""
    busy = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as stack:
        for _ in range(2):
            process = stack.enter_context(subprocess.Popen(busy))
            stack.callback(process.kill)
        for name in PLANS:
            tally = worlds(post, sender, name, 5, 2)
            _tell(f"{name}, under load", tally)
            assert tally.bad == []


# Which of them, every how manieth of its calls; a mailing of thirteen makes two hundred of the first.
SYSCALLS = {"pwrite64": 5, "fdatasync": 2, "unlink": 1, "sendto": 1, "recvfrom": 1}


@pytest.mark.long
@pytest.mark.parametrize("call", SYSCALLS)
def test_killed_at_a_system_call(post: Post, sender: Sender, call: str) -> None:
    """Between the steps of the program too: in the middle of a transaction, of a request, of an answer."""
    if shutil.which("strace") is None:
        pytest.fail("This test kills at system calls with strace, and there is none: apt-get install strace")
    assert post.ses
    tally = Tally()
    for number in range(1, 300, SYSCALLS[call]):
        inject = f"inject={call}:signal=SIGKILL:when={number}"
        tracer = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject]
        traced = Sender({**post.ses.environment, "PYTHONDONTWRITEBYTECODE": "1"}, tracer)
        try:
            ended = one_world(post, traced, sender, "no fault", f"{call}-{number}", 0, tally)
        finally:
            traced.close()
        if ended != -9:
            break
    else:
        pytest.fail(f"the sender was still killed at its 300th {call}")
    _tell(call, tally)
    assert tally.bad == []
    assert tally.killed > 3


def test_an_old_copy_takes_no_event_from_the_newest_ledger(post: Post, sender: Sender) -> None:
    """Two calls go unanswered, and SES has taken them: only the ledger that goes on may read what it tells of them."""
    database, copy = post.folder / "newest.db", post.folder / "old.db"
    plan = Plan([{"call": [1, 2], "action": "reset", "when": "after"}], TOLD)
    store = open_store(f"sqlite:///{database}")
    fill(store, RECIPIENTS)
    store.close()
    post.log.forget()
    post.plan(plan.faults)

    def run(path: Path) -> int:
        post.ahead += HOUR
        return sender.run([f"sqlite:///{path}"], "copied", replace(TOLD, ahead=post.ahead))[0]

    assert run(database) == 0
    shutil.copy(database, copy)
    with sqlite3.connect(copy) as ledger:  # as it was just before that run took its last turn
        ledger.execute("DELETE FROM turn WHERE number = (SELECT max(number) FROM turn)")
    ledger.close()
    assert run(copy) == 75
    for _ in range(3):
        run(database)
    tally = Tally()
    check(post, database, plan, "copied", "copied", tally)
    assert tally.bad == []


@pytest.mark.parametrize(("quiet", "most"), [(0.0, 2), (900.0, 1)])
def test_only_the_quiet_period_keeps_a_late_accept_from_being_a_second_mail(
    post: Post, sender: Sender, quiet: float, most: int
) -> None:
    """SES takes a call long after its client has given up; whoever judges at once, mails again."""
    database = post.folder / "late.db"
    store = open_store(f"sqlite:///{database}")
    fill(store, 5)
    store.close()
    post.log.forget()
    post.plan([{"call": 1, "action": "late", "seconds": 8}])
    evening = Evening(read_seconds=0.2, events=True, quiet=quiet)

    def run(ahead: float) -> None:
        post.ahead += ahead
        sender.run([f"sqlite:///{database}"], f"late-{most}", replace(evening, ahead=post.ahead))

    for _ in range(3):  # at once: a call, its canary, and the canary come back
        run(0.0)
    post.rest(0.1)
    for _ in range(2):
        run(HOUR)
    mails = Counter(a.address for a in post.log.accepts() if a.tags.get("briefing") == f"late-{most}")
    database.unlink()
    assert set(mails.values()) == {most}
    assert len(mails) == 5


def _tell(name: str, tally: Tally) -> None:
    print(  # noqa: T201
        f"{name}: {tally.worlds} worlds, {tally.killed} killed, {tally.twice} twice, {tally.lost} lost, "
        f"{tally.in_doubt} in doubt"
    )
