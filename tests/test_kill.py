"""kill -9 at every step of a sender, under every kind of fault: nobody twice, nobody lost, nobody unnamed.

The local SES keeps its own log of what it accepted; that is compared with the ledger, not the ledger with itself.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from newsletter.local_ses.config import LocalSesConfig, RunningSes
from newsletter.local_ses.server import running
from newsletter.store import open_store
from tests.kill_child import Sender
from tests.store_contract import fill

RECIPIENTS = 13
PLANS: dict[str, list[dict[str, Any]]] = {
    "no fault": [],
    "reset before": [{"call": 2, "action": "reset", "when": "before"}],
    "reset after": [{"call": 2, "action": "reset", "when": "after"}],
    "500 before": [{"call": 1, "action": "error", "when": "before"}],
    "500 after": [{"call": 3, "action": "error", "when": "after"}],
    "truncated": [{"call": 2, "action": "truncated"}],
    "too few results": [{"call": 1, "action": "results", "change": -1}],
    "partial": [{"call": 2, "action": "entry_status", "entries": [1, 3], "status": "TRANSIENT_FAILURE"}],
    "throttled": [{"call": [1, 3], "action": "throttle"}],
    "mix": [
        {"call": 1, "action": "entry_status", "entries": [0], "status": "SOMETHING_NEW"},
        {"call": 2, "action": "throttle"},
        {"call": 3, "action": "drop", "when": "after"},
    ],
}
# Every how many steps a world is made: `make test` takes a sample, `make test-long` all of them.
SAMPLE, ALL = 10, 1


@dataclass
class Tally:
    worlds: int = 0
    killed: int = 0
    in_doubt: int = 0
    bad: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, RunningSes]]:
    folder = tmp_path_factory.mktemp("kill")
    (folder / "faults.json").write_text("{}")
    config = LocalSesConfig(
        folder / "mailbox", folder / "ses.sqlite", folder / "accepts.jsonl", faults=folder / "faults.json",
        identities=("example.org",), max_send_rate=1e6, daily_quota=-1,
    )  # fmt: skip
    with running(config) as ses:
        yield folder, ses


@pytest.fixture(scope="module")
def sender(post: tuple[Path, RunningSes]) -> Iterator[Sender]:
    made = Sender(post[1].environment)
    yield made
    made.close()


def _check(folder: Path, database: Path, briefing: str) -> tuple[int, list[str]]:
    """How many are in doubt, and what is wrong with this world."""
    lines = (folder / "accepts.jsonl").read_text().splitlines() if (folder / "accepts.jsonl").exists() else []
    accepts = [entry for line in lines if (entry := json.loads(line))["tags"].get("briefing") == briefing]
    accepted = Counter(entry["to"] for entry in accepts)
    ids = {entry["to"]: entry["message_id"] for entry in accepts}
    with sqlite3.connect(database) as ledger:
        rows = ledger.execute("SELECT address, state, message_id FROM recipient").fetchall()
        (integrity,) = ledger.execute("PRAGMA integrity_check").fetchone()
    bad = [f"{address} was mailed {count} times" for address, count in accepted.items() if count > 1]
    bad += [] if integrity == "ok" else [f"the database is broken: {integrity}"]
    bad += [] if len(rows) == RECIPIENTS else [f"{len(rows)} recipients instead of {RECIPIENTS}"]
    for address, state, message_id in rows:
        if state == "submitted" and ids.get(address) != message_id:
            bad.append(
                f"{address} is claimed to be submitted as {message_id!r}, SES knows {ids.get(address)!r}"
            )
        if state not in ("submitted", "in_doubt"):
            bad.append(f"{address} ended {state}")
        if state != "submitted" and state != "in_doubt" and address in accepted:
            bad.append(f"{address} was mailed and is {state}")
    strangers = set(accepted) - {address for address, _, _ in rows}
    bad += [f"{address} was mailed and is no recipient" for address in strangers]
    return sum(state == "in_doubt" for _, state, _ in rows), bad


def _worlds(
    post: tuple[Path, RunningSes],
    sender: Sender,
    tmp_path: Path,
    name: str,
    every: int,
    start: int,
) -> Tally:
    folder, _ = post
    tally = Tally()
    kill_at = start
    while True:
        briefing = f"{name.replace(' ', '-')}-{every}-{kill_at}"
        database = tmp_path / f"{kill_at}.db"
        store = open_store(f"sqlite:///{database}")
        fill(store, RECIPIENTS)
        store.close()
        plan = {"calls": [{"operation": "SendBulkEmail", **fault} for fault in PLANS[name]]}
        fresh = folder / "fresh.json"
        # A length of its own for each world: the local SES reads a changed plan anew, and counts calls from there.
        fresh.write_text(json.dumps(plan) + " " * kill_at)
        fresh.replace(folder / "faults.json")
        url = f"sqlite:///{database}"
        (first,) = sender.run([url], briefing, kill_at)
        copy = shutil.copy(database, tmp_path / f"{kill_at}-copy.db")
        for _ in range(3):  # started again as an operator would, until there is nothing left to do
            sender.run([url], briefing)
        in_doubt, bad = _check(folder, database, briefing)
        # The ledger as the dead sender left it, brought back later: it mails nobody again either.
        sender.run([f"sqlite:///{copy}"], briefing)
        bad += [what for what in _check(folder, database, briefing)[1] if what not in bad]
        tally.worlds += 1
        tally.killed += first == -9
        tally.in_doubt += in_doubt
        tally.bad += [f"killed at step {kill_at} under {name}: {what}" for what in bad]
        if first != -9:
            assert first == 0, f"the sender itself failed under {name}"
            return tally
        kill_at += every


@pytest.mark.parametrize("name", PLANS)
def test_killed_at_a_sample_of_its_steps(
    post: tuple[Path, RunningSes], sender: Sender, tmp_path: Path, name: str
) -> None:
    offset = 1 + list(PLANS).index(name) % SAMPLE  # so that the plans together touch every step
    tally = _worlds(post, sender, tmp_path, name, SAMPLE, offset)
    assert tally.killed > 3
    assert tally.bad == []


@pytest.mark.long
@pytest.mark.parametrize("name", PLANS)
def test_killed_at_every_step(
    post: tuple[Path, RunningSes], sender: Sender, tmp_path: Path, name: str
) -> None:
    tally = _worlds(post, sender, tmp_path, name, ALL, 1)
    print(f"{name}: {tally.worlds} worlds, {tally.killed} killed, {tally.in_doubt} held in doubt")  # noqa: T201
    assert tally.bad == []
