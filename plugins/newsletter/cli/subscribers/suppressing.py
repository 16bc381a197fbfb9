"""`newsletter subscribers suppress` and `unsuppress`: addresses never to be mailed, and the only way back."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from newsletter.address import Address
from newsletter.cli.subscribers.spoken import ADDRESS, JOURNAL_WORDS, digests_of, when
from newsletter.errors import SettingsError
from newsletter.settings import Settings
from newsletter.show import fact, say


@click.command()
@click.argument("address", type=ADDRESS)
@click.option("--reason", type=JOURNAL_WORDS, required=True, help="Why, for the journal.")
def suppress(address: Address, reason: str) -> None:
    """Never mail an address again, whether or not it is on the list: neither briefing nor letter."""
    from newsletter.store import open_store

    settings = Settings.from_env()
    store, digests = open_store(settings.store_url), digests_of(settings)
    if not store.block(address.key, digests, datetime.now(UTC), reason):
        found = store.suppression(address.key, digests)
        words = f" ({found.reason}, since {when(found.at)})" if found else ""
        say("suppress", f"{address.text} is suppressed already{words}")
        return
    say("suppress", f"{address.text} is never mailed again")


@click.command()
@click.argument("address", type=ADDRESS)
@click.option(
    "--evidence",
    type=JOURNAL_WORDS,
    required=True,
    help="How you know that the address works and its owner wants mail, for the journal.",
)
def unsuppress(address: Address, evidence: str) -> None:
    """Let an address be mailed again that had bounced, complained or been suppressed.

    That is your decision, and noted as such. It confirms nobody: whoever has unsubscribed stays so.
    """
    from newsletter.store import Subscription, open_store

    settings = Settings.from_env()
    store = open_store(settings.store_url)
    if not store.unblock(address.key, digests_of(settings), datetime.now(UTC), evidence):
        raise SettingsError(f"{address.text} is not suppressed.")
    say("unsuppress", f"{address.text} may be mailed again")
    known = store.known([address.key]).get(address.key)
    if known is None or known.subscription is not Subscription.CONFIRMED:
        fact("", f"It is not confirmed. To ask its owner: newsletter subscribers add {address.text}")
    fact("", "SES keeps a list of its own: aws sesv2 delete-suppressed-destination --email-address …")
