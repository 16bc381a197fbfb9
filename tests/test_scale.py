"""docs/scale.md says what the counts, the prices and the template say now."""

from __future__ import annotations

import re

from tests.scale.paper import LOOK, PARTS, by_subscriber, month
from tests.scale.write import PAGE, page


def _but_the_simulated(text: str) -> str:
    """Without the table that takes ten million recipients and a minute; tests/test_shared_pace.py holds what it says."""
    return re.sub(r"(## What was simulated\n).*?(\nMany workers)", r"\1\2", text, flags=re.DOTALL)


def test_the_page_is_what_the_script_writes() -> None:
    assert _but_the_simulated(PAGE.read_text()) == _but_the_simulated(page(10_000)), "run: make scale"


def test_a_month_costs_in_proportion_to_its_subscribers() -> None:
    counts = {name: {"calls": 2.0, "write_units": 3.0, "read_units": 5.0} for name in (*PARTS, LOOK)}
    size = {"subscriber": 700.0, "recipient": 90.0}
    small, large = (month(subscribers, counts, 0.3, size, 500) for subscribers in (1_000_000, 10_000_000))
    for name in ("batches", "calls", "write_units", "read_units", "published", "queue_requests", "stored"):
        assert abs(getattr(large, name) / getattr(small, name) - 10) < 1e-6, name


def test_of_another_service_only_what_is_known_is_told() -> None:
    assert by_subscriber(10_000, [[500, 20], [10_000, 110]]) == 110
    assert by_subscriber(1_000, [[500, 20], [10_000, 110]]) is None
