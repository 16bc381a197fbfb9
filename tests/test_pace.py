"""How long a mailing takes, and what it takes of the day's quota, is known before it begins."""

from __future__ import annotations

from math import inf, isclose

import pytest

from newsletter.pace import Estimate, Pace, estimate
from newsletter.ses.submit import Quota


def account(per_second: float, per_day: float, used: float = 0.0) -> Quota:
    return Quota(per_second, per_day, used, enabled=True, production=True)


@pytest.mark.parametrize(
    ("quota", "recipients", "expected"),
    [
        (account(10, 1_000), 90, Estimate(10.0, 0.09, 1)),
        (account(10, 1_000, used=910), 90, Estimate(10.0, 0.09, 1)),
        (account(10, 1_000, used=911), 90, Estimate(10.0, 0.09, 2)),
        (account(10, 1_000), 2_700, Estimate(300.0, 2.7, 3)),
        (account(10, 1_000, used=1_000), 2_700, Estimate(300.0, 2.7, 4)),
        (account(10, -1), 90, Estimate(10.0, 0.0, 1)),
        (account(10, 0), 90, Estimate(10.0, inf, inf)),
        (account(10, 0), 0, Estimate(0.0, 0.0, 1)),
    ],
)
def test_an_estimate_is_what_the_account_allows(quota: Quota, recipients: int, expected: Estimate) -> None:
    found = estimate(quota, recipients)
    assert isclose(found.seconds, expected.seconds)
    assert (found.share, found.days) == (expected.share, expected.days)


def test_a_rate_that_changes_during_the_run_counts_from_the_next_call_on() -> None:
    now = 0.0
    pace = Pace(10, ticks=lambda: now)
    assert pace.wait(9) == 0
    pace.change(100)
    assert isclose(pace.wait(90), 1.0)  # what was asked for before still has to be waited for
    assert isclose(pace.wait(90), 2.0)
