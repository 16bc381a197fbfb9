"""Four workers, each killed at random, their messages doubled, lost and out of order: nobody twice, nobody lost, nobody
unnamed, on both stores.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from newsletter.ses.submit import Ses
from newsletter.states import State
from newsletter.store import open_store
from tests.fanout_world import BRIEFING, MAILED, Careless, Prompt, Row, World, hold, judged, tell, world
from tests.ministack_world import Ministack
from tests.worker_child import LINKS, Hands, Orders


def evening(made: World, orders: Orders) -> Row:
    """Send with a crew that is killed all the time, again and again until nobody is pending; what became of it."""
    hands = Hands(orders, made.environment, made.folder / "crew.log")
    store, runs = open_store(made.url), 0
    try:
        while not runs or store.counts(BRIEFING).of(State.PENDING):
            assert runs < 40, f"it comes to no end: {store.counts(BRIEFING).states}"
            runs += 1
            ses = Ses("newsletter")
            with store.sending(BRIEFING):
                Prompt(
                    store, ses, LINKS, lambda: datetime.now(UTC), time.sleep, through=ses.place,
                    queue=Careless(made.queue, runs),
                ).run(MAILED)  # fmt: skip
    finally:
        crew = hands.home()
    if made.proxy:
        made.proxy.throttled = made.proxy.lost = 0
    row = judged(made, store, crew, runs)
    store.close()
    return row


@pytest.mark.parametrize("kind", ["sqlite", "dynamodb"])
def test_four_workers_killed_at_random(
    kind: str, tmp_path: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(kind, 400, tmp_path, ministack, monkeypatch) as made:
        began = time.monotonic()
        row = evening(made, Orders(made.url, made.queue, steps=60, kills=0.3, seed=7))
        tell(kind, made, row, time.monotonic() - began)
        hold(row)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "dynamodb"])
def test_a_hundred_thousand_by_four_workers_killed_at_random(
    kind: str, tmp_path: Path, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(kind, 100_000, tmp_path, ministack, monkeypatch) as made:
        began = time.monotonic()
        row = evening(made, Orders(made.url, made.queue, steps=400, kills=0.2, seed=11))
        tell(kind, made, row, time.monotonic() - began)
        hold(row)
        assert row.crew.killed >= 50
