"""`newsletter erratum` and `withdraw`: what to do when a briefing that is out turns out to be wrong."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from newsletter.cli.sending import PACKAGES, Options, mail_out, mailing_options
from newsletter.cli.words import MAILING, MONTH
from newsletter.errors import SettingsError
from newsletter.issue import Issue
from newsletter.settings import Settings
from newsletter.show import say

if TYPE_CHECKING:
    from newsletter.store import Store


@click.command()
@click.argument("month", type=MONTH)
@click.option(
    "--number",
    type=click.IntRange(1, 99),
    metavar="N",
    default=1,
    show_default=True,
    help="Which one, if a month has several.",
)
@mailing_options
def erratum(month: str, number: int, **options: Any) -> None:
    """Mail a correction to exactly those to whom a month's briefing was submitted.

    It is written in content/briefings/YYYY-MM.erratum.md (a second one in YYYY-MM.erratum-2.md) and packaged by
    `newsletter build`. Otherwise it is mailed as a briefing is, and goes on after any interruption.
    """
    from newsletter.store import open_store

    name = Issue(month, number).id
    chosen = Options(**options)
    if chosen.test:
        mail_out(name, PACKAGES / name, month, chosen)
        return
    settings = Settings.from_env()
    store = open_store(settings.store_url)
    with store.sending(month):  # until the erratum is out, nobody else gets what it corrects
        if store.frozen(name) is None:
            _refuse_too_early(store, month)
            _refuse_elsewhere(store, month, settings)
        mail_out(name, PACKAGES / name, month, chosen)


def _refuse_too_early(store: Store, month: str) -> None:
    """Raise SettingsError while it is not settled who has the briefing."""
    from newsletter.states import State

    if store.frozen(month) is None:
        raise SettingsError(
            f"{month} has not been mailed to anybody, so nobody has the wrong version. Mend it, then: "
            f"newsletter send {month}"
        )
    _recall(store, month)
    counts = store.counts(month)
    pending, in_doubt = counts.of(State.PENDING), counts.of(State.IN_DOUBT)
    ways = []
    if pending:
        ways += [
            f"to finish it: newsletter send {month}",
            f"to mail it to nobody further: newsletter withdraw {month}",
        ]
    if in_doubt:
        ways.append(f"to decide about those in doubt: newsletter resolve {month}")
    if ways:
        still = " and ".join(
            f"{count:,} {what}" for count, what in ((pending, "pending"), (in_doubt, "in doubt")) if count
        )
        raise SettingsError(
            f"{month} is still open: {still}. An erratum goes to those who have the briefing, so that must be settled "
            f"first. Nobody was mailed. Choose: {'; '.join(ways)}"
        )


def _recall(store: Store, month: str) -> None:
    """See to it that no worker mails it any more; what a dead sender or worker had claimed is in doubt."""
    from newsletter.turn import recall

    recall(store, month, lambda: datetime.now(UTC), time.sleep)


def _refuse_elsewhere(store: Store, month: str, settings: Settings) -> None:
    """Raise SettingsError where the briefing went through another SES than the one set up: practice is not the real."""
    from newsletter.ses.submit import PRACTICE, Ses

    before, now = store.through(month), Ses(settings.configuration_set, settings.region).place
    if before and before != now:
        practice = " That was practice, so nobody has it." if before == PRACTICE else ""
        raise SettingsError(
            f"{month} was mailed through {before}, and this is {now}: an erratum goes the way its briefing "
            f"went.{practice} Nobody was mailed."
        )


@click.command()
@click.argument("month", type=MAILING)
@click.option("--yes", is_flag=True, help="Do not ask.")
def withdraw(month: str, yes: bool) -> None:
    """Mail a briefing to nobody further: those whose turn has not come are closed as skipped, and nobody who signs up later gets it."""
    from newsletter.states import ACCEPTED, State
    from newsletter.store import open_store

    store = open_store(Settings.from_env().store_url, make=False)
    if store.frozen(month) is None:
        say("withdraw", f"{month} has not been mailed to anybody; there is nothing to withdraw")
        return
    with store.sending(month):
        _recall(store, month)
        counts = store.counts(month)
        pending, in_doubt = counts.of(State.PENDING), counts.of(State.IN_DOUBT)
        say("withdraw", f"{month}: submitted for {counts.of(*ACCEPTED):,}, and {pending:,} are pending")
        who = f"{pending:,} recipients are" if pending else "Nobody who signs up later is"
        if not yes and not click.confirm(f"{who} {'never ' if pending else ''}to get it. Go on?"):
            sys.exit(1)
        done = store.withdraw(month, datetime.now(UTC))
        say(
            "",
            f"{done:,} closed as skipped: withdrawn by the operator; newsletter latecomers gives it to nobody new",
        )
    if in_doubt:
        say("", f"{in_doubt:,} are in doubt, and may have it: newsletter resolve {month}")
