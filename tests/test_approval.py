"""What was approved is what is mailed: this content, to about as many as last month."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from newsletter import approval
from newsletter.approval import Proposal, Verdict, former, judge, judge_begun, names
from newsletter.store import Send

HASH, OTHER = "a1b2c3d4" * 8, "ffff0000" * 8
MARCH = Send("2020-03", datetime(2020, 4, 1, tzinfo=UTC), "email.eu-west-1.amazonaws.com", "", OTHER, 100)


def propose(audience: int = 100, before: Send | None = MARCH) -> Proposal:
    return Proposal("newsletter send 2020-04", HASH, audience, {}, before)


@pytest.mark.parametrize("given", [HASH, HASH[:12], HASH.upper(), f" {HASH} "])
def test_the_package_that_was_approved_is_mailed(given: str) -> None:
    assert judge(propose(), given, None, can_ask=False) == (Verdict.GO, "")


@pytest.mark.parametrize("can_ask", [True, False])
def test_another_package_than_the_approved_one_is_refused_and_both_are_named(can_ask: bool) -> None:
    verdict, why = judge(propose(), OTHER, None, can_ask)
    assert verdict is Verdict.REFUSE
    assert HASH in why
    assert OTHER in why
    assert "has changed since it was approved" in why
    assert why.endswith(f"newsletter send 2020-04 --approve {HASH}")


@pytest.mark.parametrize("given", [HASH[:11], "yes", "a", HASH + "0", "a1b2c3d4 1b2c", "%" * 12])
def test_what_may_be_no_hash_approves_nothing(given: str) -> None:
    verdict, why = judge(propose(), given, None, can_ask=True)
    assert verdict is Verdict.REFUSE
    assert "at least the first 12" in why


def test_without_a_terminal_and_without_an_approval_the_command_to_type_is_said() -> None:
    verdict, why = judge(propose(), "", None, can_ask=False)
    assert verdict is Verdict.REFUSE
    assert why.endswith(f"newsletter send 2020-04 --approve {HASH}")


def test_whoever_sits_at_a_terminal_is_asked() -> None:
    assert judge(propose(), "", None, can_ask=True) == (Verdict.ASK, "")


@pytest.mark.parametrize(
    ("typed", "is_approval"),
    [
        (HASH[:8], True),
        (HASH, True),
        (HASH[:8].upper(), True),
        (HASH[:7], False),
        (OTHER[:8], False),
        ("", False),
        ("no", False),
    ],
)
def test_eight_characters_typed_by_who_has_just_read_them_are_enough(typed: str, is_approval: bool) -> None:
    assert names(typed, HASH, approval.TYPED) is is_approval


@pytest.mark.parametrize(
    ("audience", "surprising"),
    [(0, True), (1, True), (49, True), (50, False), (100, False), (150, False), (151, True), (10_000, True)],
)
def test_a_surprising_number_must_be_typed(audience: int, surprising: bool) -> None:
    for approve, can_ask in ((HASH, False), ("", True)):
        verdict, why = judge(propose(audience), approve, None, can_ask)
        assert (verdict is Verdict.REFUSE) is surprising, why
        if surprising:
            assert "2020-03 had 100" in why
            assert f"newsletter send 2020-04 --expect {audience}" in why
        assert judge(propose(audience), HASH, audience, can_ask)[0] is Verdict.GO


@pytest.mark.parametrize("can_ask", [True, False])
def test_another_number_than_the_one_typed_is_refused_even_where_none_was_needed(can_ask: bool) -> None:
    for audience in (99, 7, 0):
        verdict, why = judge(propose(audience), HASH, 100, can_ask)
        assert verdict is Verdict.REFUSE
        assert f"the audience is {audience}" in why


def test_nobody_is_a_surprise_even_the_first_time_and_anybody_else_is_not() -> None:
    assert judge(propose(0, None), HASH, None, can_ask=False)[0] is Verdict.REFUSE
    assert judge(propose(1, None), HASH, None, can_ask=False)[0] is Verdict.GO
    assert judge(propose(1_000_000, None), HASH, None, can_ask=False)[0] is Verdict.GO


def test_after_a_month_that_went_to_nobody_any_number_must_be_typed() -> None:
    nobody = Send("2020-03", MARCH.frozen_at, MARCH.through, "", OTHER, 0)
    assert judge(propose(1, nobody), HASH, None, can_ask=False)[0] is Verdict.REFUSE


def test_the_number_is_compared_with_the_latest_earlier_month_that_reached_anybody() -> None:
    def send(briefing: str, through: str = MARCH.through, corrects: str = "") -> Send:
        return Send(briefing, MARCH.frozen_at, through, corrects, OTHER, 1)

    sends = [
        send("2020-01"), send("2020-05"), send("2020-02"), send("2020-02-erratum", corrects="2020-02"),
        send("2020-03", "this machine"), send("2020-04"),
    ]  # fmt: skip
    assert former(sends, "2020-04", "", "this machine") == send("2020-02")
    assert former(sends, "2020-01", "", "this machine") is None
    assert former([], "2020-04", "", "this machine") is None
    assert former(sends, "2020-03-erratum", "2020-03", "this machine") == send("2020-03", "this machine")


def test_a_mailing_that_has_begun_needs_no_new_approval_but_none_of_another_package() -> None:
    command = "newsletter send 2020-04"
    assert judge_begun(command, HASH, 100, "", None) == ""
    assert judge_begun(command, HASH, 100, HASH[:12], 100) == ""
    refusal = judge_begun(command, HASH, 100, OTHER, None)
    assert HASH in refusal
    assert OTHER in refusal
    assert "100 recipients" in judge_begun(command, HASH, 100, "", 99)
    assert "at least the first 12" in judge_begun(command, HASH, 100, "yes", None)
