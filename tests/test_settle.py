"""An unanswered call is released only when every sign says that SES never took it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from newsletter.settle import QUIET, Signs, Stream, Verdict, judge, judge_slice
from newsletter.states import Evidence
from newsletter.store import Doubt

CALL = datetime(2020, 11, 2, 9, 0, tzinfo=UTC)
DOUBT = Doubt("a1", CALL, held=50, seen=0)
SOUND = Stream(canary_mailed_at=CALL + timedelta(minutes=1), unread=0, blind=0)


def test_all_signs_together_release_it() -> None:
    assert judge(DOUBT, SOUND, CALL + QUIET)[0] is Verdict.RELEASE


@pytest.mark.parametrize(
    ("doubt", "stream", "after", "verdict"),
    [
        (DOUBT, SOUND, QUIET - timedelta(seconds=1), Verdict.WAIT),
        (DOUBT, replace(SOUND, unread=1), QUIET, Verdict.WAIT),
        (DOUBT, replace(SOUND, canary_mailed_at=None), QUIET, Verdict.HOLD),
        (DOUBT, replace(SOUND, canary_mailed_at=CALL - timedelta(seconds=1)), QUIET, Verdict.HOLD),
        (DOUBT, replace(SOUND, blind=1), QUIET, Verdict.HOLD),
        (replace(DOUBT, seen=1), SOUND, QUIET, Verdict.HOLD),
        (DOUBT, SOUND, timedelta(days=-1), Verdict.WAIT),
    ],
    ids=[
        "too early",
        "unread events",
        "no canary",
        "canary before the call",
        "lost events",
        "call was taken",
        "clock back",
    ],
)
def test_any_one_sign_missing_keeps_it(
    doubt: Doubt, stream: Stream, after: timedelta, verdict: Verdict
) -> None:
    assert judge(doubt, stream, CALL + after)[0] is verdict


@pytest.mark.parametrize(
    ("bounced", "verdict"), [(0, Verdict.RELEASE), (2, Verdict.RELEASE), (3, Verdict.HOLD), (4, Verdict.HOLD)]
)
def test_a_slice_of_fifty_with_more_than_two_hard_bounces_lets_nobody_follow(
    bounced: int, verdict: Verdict
) -> None:
    seen = {Evidence.SEND: 50, Evidence.DELIVERY: 50 - bounced, Evidence.HARD_BOUNCE: bounced}
    assert judge_slice(Signs(50, 0, seen))[0] is verdict
    assert judge_slice(Signs(50, 0, seen), heed_brakes=False)[0] is Verdict.RELEASE
