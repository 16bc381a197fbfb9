"""A mailing that has begun: it goes on with what was frozen, through the same SES, or everybody has it already."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter import approval
from newsletter.cli.approving import place
from newsletter.errors import PackageError, SettingsError
from newsletter.settings import Settings
from newsletter.show import fact, say

if TYPE_CHECKING:
    from newsletter.models import Package
    from newsletter.ses.submit import Ses
    from newsletter.store import Counts, Store


def same(store: Store, frozen: Package, command: str, approve: str, expect: int | None = None) -> None:
    """Raises SettingsError where something else was approved than what was frozen."""
    recipients = store.counts(frozen.month).recipients
    if why := approval.judge_begun(command, frozen.content_hash, recipients, approve, expect):
        raise SettingsError(why)


def same_ses(store: Store, briefing: str, settings: Settings) -> Ses:
    """The SES it was begun through. Raises SettingsError where another one is set up now."""
    from newsletter.ses.submit import Ses

    ses = Ses(settings.configuration_set, settings.region)
    if (before := store.through(briefing)) and before != ses.place:
        raise SettingsError(_elsewhere(briefing, before, ses.place))
    return ses


def _elsewhere(briefing: str, before: str, now: str) -> str:
    from newsletter.ses.submit import PRACTICE

    what = f"{briefing} was begun through {before}, and this is {now}: nobody is mailed by both."
    if before == PRACTICE:
        return f"{what} If that was practice: newsletter discard {briefing}, and send again."
    return f"{what} To practise, use a ledger of its own: STORE_URL=sqlite:///var/practice.db"


def tell_changed(frozen: Package, folder: Path) -> None:
    """Say so when the package was edited since it was frozen: what is mailed is what was frozen."""
    from newsletter import package as packages

    try:
        now = packages.read(folder).content_hash
    except PackageError:
        return  # it need not be there any more
    if now != frozen.content_hash:
        say("note", f"{folder}/ has changed since its mailing began; what was frozen then is what is mailed")


def done(store: Store, briefing: str, settings: Settings) -> bool:
    """Whether nobody is left to be mailed; says so."""
    from newsletter.ses.submit import PRACTICE, Ses
    from newsletter.states import ACCEPTED, OPEN, State

    counts, before = store.counts(briefing), store.through(briefing)
    if counts.of(*OPEN):
        return False
    try:
        now = Ses(settings.configuration_set, settings.region).place
    except SettingsError:
        now = before  # no SES is set up, so none is meant
    if before and before != now:
        raise SettingsError(_elsewhere(briefing, before, now))
    accepted, failed = counts.of(*ACCEPTED), counts.of(State.FAILED)
    if failed:
        say(
            "mail",
            f"{briefing} is done: submitted for {accepted:,} of {counts.recipients:,}, refused for {failed:,}",
        )
        sys.exit(1)
    skipped = counts.of(State.SKIPPED)
    words = (
        f"{briefing} is done: submitted for {accepted:,}, skipped {skipped:,}"
        if skipped
        else (f"everybody has {briefing} already: submitted for {accepted:,}")
    )
    say("mail", f"{words}; nothing was posted")
    if before == PRACTICE:
        fact(
            "",
            f"That was practice, through the local SES. To mail it through AWS: newsletter discard {briefing}, then send.",
        )
    return True


def tell(package: Package, counts: Counts, ses: Ses) -> None:
    """That a mailing goes on, of what, for how many, and through which SES."""
    from newsletter.states import State

    left = counts.of(State.PENDING, State.CLAIMED, State.IN_DOUBT)
    say("briefing", f"“{package.subject}”")
    say("hash", package.content_hash)
    fact(
        "audience", f"{counts.recipients:,} recipients, as frozen; it goes on with the {left:,} who are left"
    )
    say("through", place(ses))
