"""What is approved before a briefing is mailed: this content, to about as many as last month.

    Proposal (what would be mailed, to how many) + what the operator typed ─► go | ask | refuse, and why

An approval is bound to the content hash: whoever approves has seen one package, and another one is not mailed in
its place. The number is looked at too, because a filter that went wrong or an import too many shows there first:
nobody at all, or another number than half of last month's to one and a half times it, must be typed as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from newsletter.store import Send

# Whoever types has just read it, and eight characters are enough to tell two packages apart. A program's approval
# may be an hour old and come from elsewhere, so it has to name more.
TYPED = 8
GIVEN = 12


class Verdict(StrEnum):
    """What to do about a proposal."""

    GO = "go"
    ASK = "ask"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be mailed, and to how many.

    `command` is what the operator types for it ("newsletter send 2020-10"), `left_out` counts by reason those who
    are not among the `audience`, `former` is what to compare it with, None where there is nothing.
    """

    command: str
    content_hash: str
    audience: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    former: Send | None = None

    @property
    def surprising(self) -> bool:
        """Whether the number has to be typed: nobody, or off by more than half from the former one."""
        if self.former is None:
            return self.audience == 0
        return self.audience == 0 or not 0.5 <= self.audience / max(self.former.recipients, 0.5) <= 1.5


def former(sends: Sequence[Send], briefing: str, corrects: str, practice: str) -> Send | None:
    """What the audience of `briefing` is compared with: the one it corrects, or else the latest earlier month that
    was mailed. What went through `practice` reached nobody and does not count, nor does an erratum.
    """
    if corrects:
        return next((send for send in sends if send.briefing == corrects), None)
    earlier = [
        send for send in sends if send.briefing < briefing and not send.corrects and send.through != practice
    ]
    return max(earlier, key=lambda send: send.briefing, default=None)


def judge(proposal: Proposal, approve: str, expect: int | None, can_ask: bool) -> tuple[Verdict, str]:
    """Whether `proposal` may be mailed, and why not in words that end in what to type. Pure.

    `approve` is the hash the operator gave, or at least its first GIVEN characters ("" if none), `expect` the number
    (None if none), `can_ask` whether somebody sits at a terminal.
    """
    found = proposal.content_hash
    if approve and (unfit := _unfit(approve)):
        return Verdict.REFUSE, unfit
    if approve and not names(approve, found):
        return Verdict.REFUSE, (
            f"The package has changed since it was approved: {approve} was approved, and this is {found}. Nobody "
            f"was mailed. Look at it, then: {proposal.command} --approve {found}"
        )
    if expect is not None and expect != proposal.audience:
        return Verdict.REFUSE, (
            f"--expect {expect}: the audience is {proposal.audience:,}{_beside(proposal)}. Nobody was mailed. If "
            f"{proposal.audience:,} is right: {_command(proposal, approve, can_ask)}"
        )
    if expect is None and proposal.surprising:
        return Verdict.REFUSE, _surprise(proposal) + _command(proposal, approve, can_ask)
    if approve:
        return Verdict.GO, ""
    if can_ask:
        return Verdict.ASK, ""
    return Verdict.REFUSE, (
        "Nobody has approved this package, and here is no terminal to ask in. Nobody was mailed. To approve it: "
        + _command(proposal, approve, can_ask)
    )


def judge_begun(command: str, frozen: str, recipients: int, approve: str, expect: int | None) -> str:
    """Why a mailing that has begun must not go on with these words, or "". It needs no new approval; but whoever
    approves another package than the one that was `frozen` (its hash) is told that that one is not mailed.
    """
    if approve and (unfit := _unfit(approve)):
        return unfit
    if approve and not names(approve, frozen):
        return (
            f"{approve} was approved, but {frozen} was frozen when its mailing began, and whoever was mailed has "
            f"that. Nobody was mailed now. To go on with what was frozen: {command}"
        )
    if expect is not None and expect != recipients:
        return (
            f"--expect {expect}: {recipients:,} recipients were frozen when its mailing began. Nobody was mailed now. "
            f"To go on: {command}"
        )
    return ""


def names(words: str, content_hash: str, least: int = GIVEN) -> bool:
    """Whether `words` are that hash, or at least its first `least` characters."""
    words = words.strip().lower()
    return len(words) >= least and content_hash.startswith(words)


def _unfit(approve: str) -> str:
    given = approve.strip().lower()
    if GIVEN <= len(given) <= 64 and all(character in "0123456789abcdef" for character in given):
        return ""
    return (
        f"--approve {approve}: is no content hash. Give all 64 characters of it, or at least the first {GIVEN}; "
        "`newsletter show YYYY-MM --hash` prints it."
    )


def _beside(proposal: Proposal) -> str:
    former = proposal.former
    return f" ({former.briefing} had {former.recipients:,})" if former else ""


def _surprise(proposal: Proposal) -> str:
    if proposal.audience == 0:
        return (
            f"Nobody would be mailed{_beside(proposal)}. Subscribers come from newsletter subscribers import FILE.csv; an "
            "erratum goes to those who had its briefing and are subscribed still. If that is meant: "
        )
    return (
        f"The audience is {proposal.audience:,}{_beside(proposal)}: off by more than half. Nobody was mailed. If it "
        "is right: "
    )


def _command(proposal: Proposal, approve: str, can_ask: bool) -> str:
    """What to type to have this proposal mailed."""
    words = [proposal.command]
    if proposal.surprising:
        words.append(f"--expect {proposal.audience}")
    if approve or not can_ask:
        words.append(f"--approve {proposal.content_hash}")
    return " ".join(words)
