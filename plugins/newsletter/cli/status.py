"""`newsletter show`, `status` and `discard`: what would be mailed, how far it is, and practice forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from newsletter import issue
from newsletter.cli import approving
from newsletter.cli.sending import PACKAGES
from newsletter.cli.words import MAILING
from newsletter.errors import SettingsError
from newsletter.issue import Issue
from newsletter.settings import Settings
from newsletter.show import columns, fact, say, table

if TYPE_CHECKING:
    from newsletter.store import Counts, Send, Store

# What SES has told of the submitted since.
_AMONG = ("delivered", "bounced", "complained")


@click.command()
@click.argument("month", type=MAILING)
@click.option("--hash", "only_hash", is_flag=True, help="The content hash alone, for --approve.")
def show(month: str, only_hash: bool) -> None:
    """Show what `send` would mail: what was frozen if its mailing has begun, otherwise the package as it is now."""
    from newsletter import package as packages
    from newsletter.store import open_store

    store = open_store(Settings.from_env().store_url, make=False)
    frozen = store.frozen(month)
    package = frozen or packages.read(PACKAGES / month)
    if only_hash:
        click.echo(package.content_hash)
        return
    approving.tell_package(package)
    if frozen:
        say("", f"its mailing has begun: newsletter status {month}")
    else:
        mailing = _mailing(month)
        approving.tell_audience(approving.propose(store, package, mailing.command, mailing.corrects))


@click.command()
@click.argument("month", type=MAILING, required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def status(month: str | None, as_json: bool) -> None:
    """How far a briefing's mailing is, and what to do next; without a month all that have begun."""
    from newsletter.store import open_store

    settings = Settings.from_env()
    store = open_store(settings.store_url, make=False)
    sends = {send.briefing: send for send in store.sends()}
    if month is None:
        documents = [_document(store, send.briefing, send, settings) for send in sends.values()]
        if as_json:
            click.echo(json.dumps({"briefings": documents}))
        elif documents:
            _tell_all(documents)
        else:
            say("status", "nothing has been mailed yet")
        return
    document = _document(store, month, sends.get(month), settings)
    if as_json:
        click.echo(json.dumps(document))
    elif month not in sends:
        say("status", f"{month} has not been submitted for anybody yet")
        fact("next", document["next"])
    else:
        _tell_one(document)


def _document(store: Store, briefing: str, send: Send | None, settings: Settings) -> dict[str, Any]:
    """All that status tells, under names that stay. Moments are ISO 8601 in UTC, None where there is none."""
    from newsletter.states import ACCEPTED, OPEN, State

    counts = store.counts(briefing)
    last = store.last_event(briefing)
    return {
        "briefing": briefing,
        "recipients": counts.recipients,
        "submitted": counts.of(*ACCEPTED),
        "failed": counts.of(State.FAILED),
        "skipped": counts.of(State.SKIPPED),
        # Of a claim that is not answered yet nobody knows either.
        "in_doubt": counts.of(State.IN_DOUBT, State.CLAIMED),
        "pending": counts.of(State.PENDING),
        # These three are among the submitted.
        "delivered": counts.of(State.DELIVERED),
        "bounced": counts.of(State.BOUNCED),
        "complained": counts.of(State.COMPLAINED),
        "exclusions": dict(counts.exclusions),
        "state": "not begun" if send is None else "open" if counts.of(*OPEN) else "done",
        "begun_at": _written(send.frozen_at) if send else None,
        "through": send.through if send else None,
        "corrects": send.corrects or None if send else None,
        "content_hash": send.content_hash if send else None,
        "last_event_at": _written(last) if last else None,
        "next": _next(briefing, counts, send, settings),
    }


def _next(briefing: str, counts: Counts, send: Send | None, settings: Settings) -> str:
    """What the operator types next, and why, in a sentence; "" where there is nothing to do."""
    from newsletter.ses.submit import PRACTICE
    from newsletter.states import State

    command = _mailing(briefing).command
    if send is None:
        return f"To mail it: {command}"
    if counts.of(State.PENDING, State.CLAIMED):
        return f"A sender is at work, or was stopped. To go on: {command}"
    if counts.of(State.IN_DOUBT):
        if settings.events_queue_url:
            return f"SES's events will tell of those in doubt: {command}"
        return f"Without EVENTS_QUEUE_URL only you can tell of those in doubt: newsletter resolve {briefing}"
    if send.through == PRACTICE:
        return f"That was practice. To mail it through AWS: newsletter discard {briefing}, then {command}"
    if counts.of(State.FAILED):
        return f"To see whom SES refused, and why: newsletter audit {briefing} --csv FILE"
    if counts.of(State.SUBMITTED) and settings.events_queue_url:
        return "To see what became of those only submitted: newsletter events --once"
    return ""


def _mailing(briefing: str) -> Issue:
    return issue.of_id(briefing) or Issue(briefing)


def _tell_all(documents: list[dict[str, Any]]) -> None:
    heads = ("briefing", "begun (UTC)", "through", "recipients", "submitted", "left", "state")
    columns(
        "Mailings",
        heads,
        [
            (
                one["briefing"],
                _read(one["begun_at"]),
                one["through"] or "?",
                one["recipients"],
                one["submitted"],
                one["pending"] + one["in_doubt"],
                one["state"],
            )
            for one in documents
        ],
    )
    for one in documents:
        if one["state"] == "open":
            fact(one["briefing"], one["next"])


def _tell_one(document: Mapping[str, Any]) -> None:
    corrects = f", corrects {document['corrects']}" if document["corrects"] else ""
    say("briefing", f"{document['briefing']}: {document['state']}{corrects}")
    say(
        "begun",
        f"{_read(document['begun_at'])} UTC through {document['through'] or 'an SES that is not noted'}",
    )
    say("hash", document["content_hash"])
    say("last event", f"{_read(document['last_event_at'])} UTC" if document["last_event_at"] else "none yet")
    names = ("recipients", "submitted", *_AMONG, "failed", "skipped", "in_doubt", "pending")
    table("Recipients", [(("  " if n in _AMONG else "") + n.replace("_", " "), document[n]) for n in names])
    if document["exclusions"]:
        table("Left out when the recipients were frozen", list(document["exclusions"].items()))
    if document["next"]:
        fact("next", document["next"])


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _read(moment: str) -> str:
    return moment[:16].replace("T", " ")


@click.command()
@click.argument("month", type=MAILING)
def discard(month: str) -> None:
    """Forget a practice run: a briefing that was submitted to the local SES alone."""
    from newsletter.ses.submit import PRACTICE
    from newsletter.store import open_store

    store = open_store(Settings.from_env().store_url, make=False)
    with store.sending(month):
        if store.frozen(month) is None:
            say("discard", f"{month} has not been submitted for anybody")
            return
        if store.through(month) != PRACTICE:
            raise SettingsError(
                f"{month} went through {store.through(month) or 'an SES that is not noted'}: that was no practice, "
                "and whoever was mailed must stay in the ledger."
            )
        fact(
            "discard",
            f"{store.discard(month):,} recipients of the practice run of {month} forgotten, with whom its bounces suppressed",
        )
