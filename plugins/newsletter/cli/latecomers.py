"""`newsletter latecomers`: the latest briefing to those who have signed up since it was mailed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from newsletter import issue
from newsletter.cli.sending import PACKAGES, Options, mail_out
from newsletter.cli.words import MONTH
from newsletter.errors import SettingsError
from newsletter.settings import Settings
from newsletter.show import say

if TYPE_CHECKING:
    from newsletter.store import Store


@click.command()
@click.argument("month", type=MONTH, required=False)
def latecomers(month: str | None) -> None:
    """Mail the latest briefing (or that of MONTH) to those who have signed up since it was mailed.

    Each of them becomes a recipient in the same ledger and so is mailed once, by the same way and with the same care
    as everybody. Whoever was added by a list gets the next one. Nobody new is mailed a briefing that was corrected or
    withdrawn. Run it each day by a timer, if new subscribers should not have to wait for a month.
    """
    from newsletter.states import State
    from newsletter.store import open_store

    store = open_store(Settings.from_env().store_url, make=False)
    month = month or _latest(store)
    if not month or store.frozen(month) is None:
        say("latecomers", f"{month or 'nothing'} has been mailed so far; newsletter send mails a briefing")
        return
    with store.sending(month):
        if left := store.counts(month).of(State.PENDING):
            # Brakes may have stopped it, or a person: a timer must not mail on.
            raise SettingsError(
                f"{month} is still open: {left:,} are pending. Nobody was mailed now. To finish it: newsletter send {month}"
            )
        joined = store.join(month, datetime.now(UTC))
    store.close()
    if not joined:
        say("latecomers", f"{month}: nobody new is to be mailed it")
        return
    say("latecomers", f"{month}: {joined:,} have signed up since it was mailed")
    mail_out(month, PACKAGES / month, "", Options())


def _latest(store: Store) -> str:
    """The newest briefing that has been frozen, "" where there is none."""
    briefings = (known for send in store.sends() if (known := issue.of_id(send.briefing)))
    return max((known.month for known in briefings if not known.corrects), default="")
