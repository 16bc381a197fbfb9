"""`newsletter send` and `status`: a briefing to its recipients."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from newsletter import publication
from newsletter.cli.words import MONTH
from newsletter.errors import SettingsError
from newsletter.settings import STATE, Settings
from newsletter.show import say, say_error, table

if TYPE_CHECKING:
    from newsletter.aftermath import Aftermath
    from newsletter.models import Package
    from newsletter.store import Counts, Store

PACKAGES = Path("build/briefings")


_QUIET = click.option(
    "--quiet",
    type=click.FloatRange(min=0),
    default=15.0,
    show_default=True,
    help="Minutes without an event after which a call that SES did not answer may be judged.",
)


@click.command()
@click.argument("month", type=MONTH)
@_QUIET
def send(month: str, quiet: float) -> None:
    """Submit a month's briefing to SES for every confirmed subscriber, each of them once.

    Run it again after any interruption: it goes on with those who are still pending, and mails nobody twice.
    """
    from newsletter import package as packages
    from newsletter.delivery import Delivery, Links
    from newsletter.ses.submit import Ses
    from newsletter.show import Progress
    from newsletter.states import OPEN, State
    from newsletter.store import open_store

    start = time.monotonic()
    facts = publication.load(Path(publication.FILE))
    settings = Settings.from_env()
    keys = settings.secret_keys()
    store = open_store(settings.store_url)
    with store.sending(month):
        frozen = store.frozen(month)
        package = frozen or packages.read(PACKAGES / month)
        counts = store.counts(month)
        if frozen is None:
            waiting = _tell_audience(package.subject, store.subscription_counts())
        else:
            _tell_changed(month, frozen)
            if counts.of(*OPEN) == 0:
                _tell_done(month, counts, store.through(month), settings)
                return
            store.hold_orphans(month, datetime.now(UTC))
            _settle(store, settings, month, quiet)
            waiting = store.counts(month).of(State.PENDING)
        ses = Ses(settings.configuration_set, settings.region)
        if (before := store.through(month)) and before != ses.place:
            raise SettingsError(_elsewhere(month, before, ses.place))
        say("mail", f"through {ses.endpoint}")
        with Progress(waiting) as progress:
            delivery = Delivery(
                store,
                ses,
                Links(facts.site_url, keys),
                clock=lambda: datetime.now(UTC),
                pause=time.sleep,
                progress=progress.advance,
                through=ses.place,
            )
            report = delivery.run(package)
        in_doubt = report.counts.of(State.IN_DOUBT)
        if in_doubt and (aftermath := _aftermath(store, settings)):
            aftermath.mail_canary(ses, package.sender)
    _tell_states(month, report.counts, time.monotonic() - start)
    if in_doubt:
        how = (
            f"Send again in {quiet:.0f} minutes: SES's events will tell."
            if settings.events_queue_url
            else f"Without EVENTS_QUEUE_URL only you can tell: newsletter resolve {month}"
        )
        say_error(
            f"{in_doubt:,} in doubt: the call ended without an answer, so SES may or may not have their mail. "
            f"They are held and not mailed blindly. {how}"
        )
    if report.stopped:
        say_error(
            f"Stopped: {report.stopped.rstrip('.')}. {report.counts.of(State.PENDING):,} are pending, and nobody of "
            f"them was mailed. When the cause is mended, the same command goes on: newsletter send {month}"
        )
    if report.stopped or report.counts.of(*OPEN, State.FAILED):
        sys.exit(1)


def _elsewhere(month: str, before: str, now: str) -> str:
    from newsletter.ses.submit import PRACTICE

    what = f"{month} was begun through {before}, and this is {now}: nobody is mailed by both."
    if before == PRACTICE:
        return f"{what} If that was practice: newsletter discard {month}, and send again."
    return f"{what} To practise, use a ledger of its own: STORE_URL=sqlite:///var/practice.db"


@click.command()
@click.argument("month", type=MONTH)
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
        say("discard", f"{store.discard(month):,} recipients of the practice run of {month} forgotten")


def _aftermath(store: Store, settings: Settings) -> Aftermath | None:
    """The reader of SES's events, where there is a queue to read."""
    from newsletter.aftermath import Aftermath
    from newsletter.ses.queue import EventQueue

    if not settings.events_queue_url:
        return None
    queue = EventQueue(settings.events_queue_url, settings.events_topic_arn, settings.region)
    return Aftermath(store, queue, STATE / "quarantine", lambda: datetime.now(UTC))


def _settle(store: Store, settings: Settings, month: str, quiet: float) -> None:
    """Before mailing on: what have SES's events told of the calls that were not answered?"""
    if not store.doubts(month) or not (aftermath := _aftermath(store, settings)):
        return
    aftermath.read()
    for held, verdict, why in aftermath.settle(month, timedelta(minutes=quiet)):
        say(str(verdict), f"{held:,} in doubt: {why}")


@click.command()
@click.option(
    "--wait", type=click.IntRange(0, 20), default=20, show_default=True, help="Seconds to wait for an event."
)
@click.option("--once", is_flag=True, help="End when the queue is empty, instead of waiting for more.")
def events(wait: int, once: bool) -> None:
    """Read what SES tells of the mails (delivered, bounced, complained …) into the ledger."""
    from newsletter.store import open_store

    settings = Settings.from_env()
    aftermath = _aftermath(open_store(settings.store_url), settings)
    if aftermath is None:
        raise SettingsError(
            "EVENTS_QUEUE_URL: not set. It is the address of the SQS queue that SES's events go to."
        )
    while True:
        read = aftermath.read(0 if once else wait)
        if read.messages or once:
            say("events", f"{read.messages:,} read, {read.fresh:,} new to the ledger")
        if read.poison:
            say_error(f"{read.poison} messages were no events of SES; they are in {STATE / 'quarantine'}/.")
        if once:
            return


def _tell_audience(subject: str, totals: Any) -> int:
    from newsletter.store import Subscription

    confirmed = totals.get(Subscription.CONFIRMED, 0)
    left_out = ", ".join(
        f"{count:,} {kind}" for kind, count in sorted(totals.items()) if kind != Subscription.CONFIRMED
    )
    say("briefing", f"“{subject}”")
    say("audience", f"{confirmed:,} confirmed" + (f" (left out: {left_out})" if left_out else ""))
    if not confirmed:
        raise SettingsError(
            "Nobody to mail: import subscribers first (newsletter subscribers import FILE.csv)."
        )
    return int(confirmed)


def _tell_changed(month: str, frozen: Package) -> None:
    """Say so when the package was edited since it was frozen: what is mailed is what was frozen."""
    from newsletter import package as packages
    from newsletter.errors import PackageError

    try:
        now = packages.read(PACKAGES / month).content_hash
    except PackageError:
        return  # it need not be there any more
    if now != frozen.content_hash:
        say(
            "note",
            f"{PACKAGES / month}/ has changed since its mailing began; what was frozen then is what is mailed",
        )


def _tell_done(month: str, counts: Counts, before: str, settings: Settings) -> None:
    from newsletter.ses.submit import PRACTICE, Ses
    from newsletter.states import ACCEPTED, State

    try:
        now = Ses(settings.configuration_set, settings.region).place
    except SettingsError:
        now = before  # no SES is set up, so none is meant
    if before and before != now:
        raise SettingsError(_elsewhere(month, before, now))
    accepted, failed = counts.of(*ACCEPTED), counts.of(State.FAILED)
    if failed:
        say(
            "mail",
            f"{month} is done: submitted for {accepted:,} of {counts.recipients:,}, refused for {failed:,}",
        )
        sys.exit(1)
    say("mail", f"everybody has {month} already: submitted for {accepted:,}; nothing was posted")
    if before == PRACTICE:
        say(
            "",
            f"That was practice, through the local SES. To mail it through AWS: newsletter discard {month}, then send.",
        )


def _tell_states(month: str, counts: Counts, seconds: float) -> None:
    from newsletter.states import State

    parts = [f"{counts.of(state):,} {state.replace('_', ' ')}" for state in State if counts.of(state)]
    say("mail", f"{month}: {', '.join(parts) or 'no recipients'}", seconds)


@click.command()
@click.argument("month", type=MONTH)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def status(month: str, as_json: bool) -> None:
    """How far a briefing's sending is: its recipients by state."""
    from newsletter.states import ACCEPTED, State
    from newsletter.store import open_store

    counts = open_store(Settings.from_env().store_url, make=False).counts(month)
    numbers = {
        "recipients": counts.recipients,
        "submitted": counts.of(*ACCEPTED),
        "failed": counts.of(State.FAILED),
        "skipped": counts.of(State.SKIPPED),
        # Of a claim that is not answered yet nobody knows either.
        "in_doubt": counts.of(State.IN_DOUBT, State.CLAIMED),
        "pending": counts.of(State.PENDING),
    }
    if as_json:
        click.echo(json.dumps({"briefing": month, **numbers}))
        return
    if not counts.recipients:
        say("status", f"{month} has not been submitted for anybody yet")
        return
    table(f"Briefing {month}", [(name.replace("_", " "), count) for name, count in numbers.items()])
    if counts.exclusions:
        table("Left out when the recipients were frozen", list(counts.exclusions.items()))
