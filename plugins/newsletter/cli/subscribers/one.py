"""`newsletter subscribers add`, `show`, `unsubscribe` and `erase`: one subscriber."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from newsletter.address import Address
from newsletter.cli.subscribers.spoken import ADDRESS, WORDS, digests_of, when
from newsletter.errors import SettingsError
from newsletter.settings import STATE, Settings
from newsletter.show import fact, say, table

if TYPE_CHECKING:
    from newsletter.store import Store
    from newsletter.store.lists import Known

# What somebody agrees to whom the operator has entered: the confirmation letter says the rest.
_ENTERED = (
    "The operator of the list entered the address. Its owner agreed by the link in the confirmation letter."
)
_NEWEST = 12
# How a table of the store is called when somebody is erased, and what of it is shown to be there.
_PARTS = {
    "subscriber": "on the list",
    "consent": "proofs of consent",
    "letter": "letters",
    "recipient": "briefings that went to the address, or will",
    "evidence": "reports of what became of them",
    "suppression": "suppressions",
    "history": "steps of the subscription",
}


@click.command()
@click.argument("address", type=ADDRESS)
@click.option("--name", type=WORDS, default="", help="What the subscriber is called.")
@click.option("--confirmed", is_flag=True, help="Vouch that its owner has agreed; --source says where.")
@click.option(
    "--source", type=WORDS, default="", help="Where its owner agreed, or how you came by the address."
)
def add(address: Address, name: str, confirmed: bool, source: str) -> None:
    """Add one subscriber. A confirmation letter asks the address's owner, as it does after a sign-up.

    With --confirmed you vouch for the consent, and no letter asks. Nobody who has unsubscribed, is suppressed or was
    erased is added by that.
    """
    from newsletter.store import Subscriber, Subscription, open_store
    from newsletter.store.door import Letter, LetterKind, form_version

    if confirmed and not source:
        raise click.UsageError("--confirmed needs --source: where did its owner agree to be mailed?")
    settings, now = Settings.from_env(), datetime.now(UTC)
    store = open_store(settings.store_url)
    known = _addable(store, settings, address)
    if known and known.subscription is Subscription.CONFIRMED:
        say("add", f"{address.text} is on the list already")
        return
    moment = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    entered = (
        f"{source}; entered by the operator at {moment}" if source else f"entered by the operator at {moment}"
    )
    if confirmed:
        vouched = f"{entered}, by the operator's word"
        if known is None:
            person = Subscriber(address, Subscription.CONFIRMED, name, moment, source=vouched)
            store.import_subscribers([person])
        elif not store.vouch(address.key, vouched, now):
            raise SettingsError(
                f"{address.text} has unsubscribed, and only its owner can take that back. Without --confirmed a letter "
                "asks for it."
            )
        say("add", f"{address.text} is confirmed by your word")
        return
    store.import_subscribers([Subscriber(address, Subscription.PENDING, name, moment, source=entered)])
    letter = Letter(
        id=secrets.token_bytes(16),
        kind=LetterKind.CONFIRM,
        to=address,
        at=now,
        form=form_version(_ENTERED),
        words={"page": entered},
    )
    store.ask(letter, (), _ENTERED)
    say("add", f"{address.text} is asked to confirm")
    fact(
        "", "newsletter web mails the letter, or newsletter post. An address gets one a day and three in all."
    )


def _addable(store: Store, settings: Settings, address: Address) -> Known | None:
    """Whoever has the address now. Raises SettingsError for one that must not be mailed."""
    digests = digests_of(settings)
    if store.erased(digests(address.key)):
        raise SettingsError(
            "This address was erased at its owner's wish, and only its owner can sign up again."
        )
    if found := store.suppression(address.key, digests):
        raise SettingsError(
            f"{address.text} is suppressed ({found.reason}, since {when(found.at)}). If its owner wants mail again: "
            f"newsletter subscribers unsuppress {address.text} --evidence WORDS"
        )
    return store.known([address.key]).get(address.key)


@click.command()
@click.argument("address", type=ADDRESS)
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object, for programs.")
def show(address: Address, as_json: bool) -> None:
    """Show all that is known of an address: status, proof of consent, suppression, the last briefings."""
    from newsletter.store import open_store

    settings = Settings.from_env()
    store, digests = open_store(settings.store_url, make=False), digests_of(settings)
    known = store.known([address.key]).get(address.key)
    data = store.data_of(known.public_id) if known else {}
    suppression = store.suppression(address.key, digests)
    decisions = store.decisions(address.key, digests)
    if as_json:
        kept = dict(data) or ({"suppression": [suppression._asdict()]} if suppression else {})
        click.echo(json.dumps({**kept, "decisions": decisions}, ensure_ascii=False))
        sys.exit(0 if data else 1)
    fact("address", data["subscriber"][0]["address"] if data else address.text)
    if data:
        _tell_person(data, datetime.now(UTC))
    elif store.erased(digests(address.key)):
        fact("status", "erased at its owner's wish; nothing else is known of it")
    else:
        fact("status", "not on the list")
    if suppression:
        fact("suppressed", f"{suppression.reason}, since {when(suppression.at)}: {suppression.evidence}")
    for at, what, why in decisions:
        fact("operator", f"{when(at)}  {what}: {why}")
    _tell_dealings(data, store.letters_to(address.key))
    sys.exit(0 if data else 1)


def _tell_person(data: Mapping[str, Any], now: datetime) -> None:
    person = data["subscriber"][0]
    consents = data["consent"]
    given: Mapping[str, str] = max(consents, key=lambda each: str(each["confirmed_at"]), default={})
    texts = {form["version"]: " ".join(form["text"].split()) for form in data["form"]}
    paused = person["paused_until"] and datetime.fromisoformat(person["paused_until"]) > now
    status = person["subscription"] + (f", paused until {when(person['paused_until'])}" if paused else "")
    form = given.get("form", "")
    rows = (
        ("status", status),
        ("name", person["name"]),
        ("source", person["source"]),
        ("asked for", _when_and_where(person["subscribed_at"], given.get("asked_ip", ""))),
        ("on the page", given.get("page", "")),
        ("confirmed", _when_and_where(person["confirmed_at"], given.get("confirmed_ip", ""))),
        ("agreed to", f"{texts.get(form, '')} (version {form})" if form else ""),
    )
    for label, words in rows:
        if words:
            fact(label, words)


def _tell_dealings(data: Mapping[str, Any], letters: Sequence[tuple[str, str, str]]) -> None:
    """What was done with them: briefings, letters, steps of the subscription; the newest of each first."""
    briefings = {
        one["briefing"]: f"{one['briefing']}  {one['state']}, {when(one['changed_at'])}"
        for one in data.get("recipient", ())
    }
    briefings |= {
        one["briefing"]: f"{one['briefing']}  left out: {one['reason']}" for one in data.get("exclusion", ())
    }
    parts = {
        "briefings": [briefings[name] for name in sorted(briefings, reverse=True)],
        "letters": [f"{when(at)}  {kind}, {state}" for at, kind, state in letters],
        "history": [
            f"{when(one['at'])}  {one['what']}" + (f" ({one['how']})" if one["how"] else "")
            for one in reversed(data.get("history", ()))
        ],
    }
    for label, lines in parts.items():
        for number, line in enumerate(lines[:_NEWEST]):
            fact("" if number else label, line.replace("_", " "))


def _when_and_where(moment: str, ip: str) -> str:
    return f"{when(moment)}, from {ip}" if moment and ip else when(moment)


@click.command()
@click.argument("address", type=ADDRESS)
def unsubscribe(address: Address) -> None:
    """Unsubscribe one subscriber, as the link in a mail does."""
    from newsletter.store import open_store

    store = open_store(Settings.from_env().store_url)
    known = store.known([address.key]).get(address.key)
    if known is None or not store.unsubscribe(known.public_id, datetime.now(UTC), "operator"):
        raise SettingsError(f"{address.text} is not on the list.")
    say("unsubscribe", f"{address.text} is unsubscribed; only its owner can take that back")


@click.command()
@click.argument("address", type=ADDRESS)
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(address: Address, yes: bool) -> None:
    """Erase somebody at their wish: every trace of the address, in every file of this project's own.

    What stays is a keyed hash of it, so that no list can bring it back and a suppression goes on.
    """
    from newsletter import erasure
    from newsletter.cli.subscribers import refusals
    from newsletter.store import open_store

    settings = Settings.from_env()
    store = open_store(settings.store_url)
    known = store.known([address.key]).get(address.key)
    data = store.data_of(known.public_id) if known else {}
    counts = [(words, len(data.get(part, ()))) for part, words in _PARTS.items()]
    table(f"Kept of {address.text}", [(words, count) for words, count in counts if count])
    if not yes and not click.confirm("All of that is to be erased for good. Go on?"):
        sys.exit(1)
    aside = (STATE / "quarantine", refusals.FOLDER)
    if not erasure.erase_address(store, address.text, settings.secret_keys(), aside, datetime.now(UTC)):
        raise SettingsError(f"Nothing is kept of {address.text}.")
    say("erase", "erased")
    fact("", "What stays is a keyed hash, by which no list brings the address back, and counts without it.")
    fact("", "Your backups, and lists that you exported or imported, may still hold it: delete it there too.")
