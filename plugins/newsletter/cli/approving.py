"""Before a briefing is mailed: what would go to whom, shown and approved."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from newsletter import approval
from newsletter.approval import TYPED, Proposal, Verdict
from newsletter.errors import SettingsError
from newsletter.show import ask, duration, fact, say, say_error

if TYPE_CHECKING:
    from newsletter.models import Package
    from newsletter.ses.submit import Quota, Ses
    from newsletter.store import Store

# A mail beyond this is cut off by Gmail, so packages stay under it (message.py).
_MOST_KB = 90
_TRIES = 3


def propose(store: Store, package: Package, command: str, corrects: str) -> Proposal:
    """What mailing `package` now would mean."""
    from newsletter.ses.submit import PRACTICE
    from newsletter.states import State

    audience = store.audience(datetime.now(UTC), corrects)
    return Proposal(
        command,
        package.content_hash,
        audience.of(State.PENDING),
        audience.exclusions,
        approval.former(store.sends(), package.month, corrects, PRACTICE),
    )


def tell_package(package: Package) -> None:
    """What would be mailed, in three lines."""
    say("briefing", f"“{package.subject}”")
    say("", f"from {package.sender}, {len(package.html.encode()) / 1024:.0f} KB of {_MOST_KB}")
    say("hash", package.content_hash)


def tell_audience(proposal: Proposal) -> None:
    """To how many, beside the former ones, and who is left out for which reason."""
    former = proposal.former
    beside = f"{former.briefing}: {former.recipients:,}" if former else "nothing to compare with yet"
    say("audience", f"{proposal.audience:,} recipients ({beside})")
    if proposal.left_out:
        fact("", f"left out: {', '.join(f'{count:,} {why}' for why, count in proposal.left_out.items())}")


def tell_way(audience: int, quota: Quota, ses: Ses) -> None:
    """Through which SES, for how long, and how much of the day's quota that is."""
    from newsletter.pace import estimate

    cost = estimate(quota, audience)
    say("through", place(ses))
    share = f", {100 * cost.share:.1f} % of the account's {quota.per_day:,.0f} a day" if cost.share else ""
    say("", f"about {duration(cost.seconds)}{share}")
    if cost.days > 1:
        fact(
            "",
            f"only {quota.left_today:,.0f} are left of today's quota: it stops there, and the same command goes on "
            "when there are more",
        )


def refuse(proposal: Proposal, approve: str, expect: int | None, can_ask: bool) -> None:
    """Raises SettingsError where the words given cannot approve the proposal: nobody need wait for the examination to
    be told so.
    """
    verdict, why = approval.judge(proposal, approve, expect, can_ask)
    if verdict is Verdict.REFUSE:
        raise SettingsError(why)


def settle(proposal: Proposal, approve: str, expect: int | None, can_ask: bool) -> None:
    """Have the proposal approved by the words given, or by whoever sits at the terminal. Raises SettingsError, and
    ends the program where a person says no; then nobody is mailed.
    """
    refuse(proposal, approve, expect, can_ask)
    if approval.judge(proposal, approve, expect, can_ask)[0] is Verdict.GO:
        return
    question = f"Type the hash's first {TYPED} characters to mail it to {proposal.audience:,}, or no:"
    for _ in range(_TRIES):
        words = ask(question)
        if approval.names(words, proposal.content_hash, TYPED):
            return
        if words.lower() in ("", "n", "no"):
            break
        say_error(f"{words}: that is not how the hash begins.")
    say("mail", "not approved: nobody was mailed")
    sys.exit(1)


def place(ses: Ses) -> str:
    """Which SES that is, in words."""
    from newsletter.ses.submit import PRACTICE

    return f"the local SES ({ses.endpoint}): practice" if ses.place == PRACTICE else ses.place
