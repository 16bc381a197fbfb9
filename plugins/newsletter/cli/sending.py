"""`newsletter send`: a briefing to its recipients, approved, at its time, or as a test to a few."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from newsletter import issue, publication
from newsletter.cli import approving, begun, outcome, waiting
from newsletter.cli import doctor as examining
from newsletter.cli.events import reader
from newsletter.cli.keys import keys_of
from newsletter.cli.words import MONTH
from newsletter.errors import SesError, SettingsError
from newsletter.interrupt import heeding
from newsletter.issue import Issue
from newsletter.publication import Publication
from newsletter.settings import Settings, is_loopback
from newsletter.show import Progress, at_terminal, say, say_error

if TYPE_CHECKING:
    from newsletter.aftermath import Aftermath
    from newsletter.delivery import Links, Report
    from newsletter.models import Package
    from newsletter.ses.submit import Ses
    from newsletter.ses.work_queue import WorkQueue
    from newsletter.store import Store

PACKAGES = Path("build/briefings")
# How many are mailed first, beside the testers.
_SLICE = 50

_STOPPING = "Stopping: SES's answer to the call in flight is waited for and written down."
_STILL = "Still waiting for it, a minute at most: else those recipients are in doubt."

_OPTIONS = (
    click.argument("addresses", nargs=-1),
    click.option("--test", is_flag=True, help="Mail it to the testers named after it, and to nobody else."),
    click.option(
        "--approve",
        metavar="HASH",
        default="",
        help="Approve the package of this content hash, without asking.",
    ),
    click.option(
        "--expect",
        metavar="N",
        type=click.IntRange(0),
        help="The number of recipients, where it is a surprising one.",
    ),
    click.option("--at", metavar="TIME", default="", help='"2020-11-02 09:00", "09:00" or "day 31 09:00".'),
    click.option(
        "--late",
        metavar="MINUTES",
        type=click.IntRange(1),
        help="How late after TIME it may still begin (publication.toml: lateness).",
    ),
    click.option(
        "--canary",
        metavar="N",
        type=click.IntRange(0),
        default=None,
        help="Mail N first, the testers among them, and the rest when SES has told that those are sound; 0: all "
        "at once. Without it: the testers and 50 more, where SES's events can be read.",
    ),
    click.option(
        "--fan-out",
        is_flag=True,
        help="Hand the batches out to workers (newsletter worker), by the queue WORK_QUEUE_URL.",
    ),
    click.option(
        "--no-brakes", is_flag=True, help="Go on although many bounce or complain: you have looked at why."
    ),
    click.option(
        "--takeover", is_flag=True, help="Go on with this ledger although another has mailed this briefing."
    ),
    click.option(
        "--quiet",
        metavar="MINUTES",
        type=click.FloatRange(min=0),
        default=15.0,
        show_default=True,
        help="How long without an event, until a call that SES did not answer may be judged.",
    ),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was typed after the month; see the options' help. `late` and `quiet` are in minutes."""

    addresses: tuple[str, ...] = ()
    test: bool = False
    approve: str = ""
    expect: int | None = None
    at: str = ""
    late: int | None = None
    canary: int | None = None
    fan_out: bool = False
    no_brakes: bool = False
    takeover: bool = False
    quiet: float = 15.0


def mailing_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that every command that mails has."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("month", type=MONTH)
@mailing_options
def send(month: str, **options: Any) -> None:
    """Submit a month's briefing to SES for every confirmed subscriber, each of them once.

    Shows what would be mailed and to how many, and has it approved first. Run it again after any interruption: it
    goes on with those who are still pending, and mails nobody twice.

        newsletter send 2020-10 --at "2020-11-02 09:00"

        newsletter send 2020-10 --test editor@example.org
    """
    mail_out(month, PACKAGES / month, "", Options(**options))


def mail_out(briefing: str, folder: Path, corrects: str, options: Options) -> None:
    """Mail the package in `folder` as `briefing`, or test it: whatever a command that mails has to do.

    `corrects` is the briefing whose recipients it goes to, "" for everybody. Raises NewsletterError; ends the
    program with 1 where somebody is left to be mailed or was refused for good.
    """
    from newsletter import package as packages
    from newsletter.delivery import Links
    from newsletter.ses.submit import Ses
    from newsletter.ses.work_queue import work_queue
    from newsletter.states import OPEN, State
    from newsletter.store import open_store

    facts = publication.load(Path(publication.FILE))
    settings = Settings.from_env()
    site_url = settings.site_url or facts.site_url
    command = _as_typed((issue.of_id(briefing) or Issue(briefing)).command, options)
    timed = _at_its_time(command, options)
    _check(options, facts)
    if options.test:
        nobodys = Links(
            site_url, (secrets.token_bytes(32),)
        )  # a test's links are nobody's, so any key will do
        _rehearse(packages.read(folder), facts, settings, nobodys, options.addresses)
        return
    due, lateness = waiting.due_at(options.at, options.late, facts, command)
    store = open_store(settings.store_url)
    links = Links(site_url, keys_of(settings, store))
    watch = reader(store, settings)
    queue = work_queue(settings.work_queue_url, settings.region) if options.fan_out else None
    if options.canary and not watch:
        raise SettingsError(
            "--canary: without EVENTS_QUEUE_URL nobody can tell what became of the first mails. Set it, or leave "
            "--canary out."
        )
    package = store.frozen(briefing)
    if package:
        begun.same(store, package, command, options.approve, options.expect)
        begun.tell_changed(package, folder)
        if begun.done(store, briefing, settings):
            return
        ses = begun.same_ses(store, briefing, settings)
        _refuse_local_links(settings, ses)
        begun.tell(package, store.counts(briefing), ses)
        _examine(store, ses, briefing, options)
    else:
        package = packages.read(folder)
        ses = Ses(settings.configuration_set, settings.region)
        _refuse_local_links(settings, ses)
        approving.tell_package(package)
        proposal = approving.propose(store, package, timed, corrects)
        approving.tell_audience(proposal)
        approving.tell_way(proposal.audience, ses.quota(), ses)
        approving.refuse(proposal, options.approve, options.expect, at_terminal())
        _examine(store, ses, briefing, options)
        approving.settle(proposal, options.approve, options.expect, at_terminal())
    if due:
        waiting.wait(due, lateness, facts, command)
        _examine(store, ses, briefing, options)
    with store.sending(briefing):
        # Meanwhile it may have been begun elsewhere; the package may be another one, and so may the audience.
        if frozen := store.frozen(briefing):
            begun.same(store, frozen, command, package.content_hash)
            if begun.done(store, briefing, settings):
                return
            ses = begun.same_ses(store, briefing, settings)
        else:
            again = approving.propose(store, packages.read(folder) if due else package, timed, corrects)
            approving.settle(again, package.content_hash, options.expect, can_ask=False)
        report, seconds = _submit(store, ses, package, links, watch, queue, facts.testers, corrects, options)
    outcome.tell_report(command, briefing, report, seconds, options.quiet, bool(settings.events_queue_url))
    if watch and report.counts.of(State.IN_DOUBT):
        from newsletter.pace import patiently

        try:  # one that comes back later shows that events of today would have come too
            patiently(lambda: watch.mail_canary(ses, package.sender), time.sleep)
        except SesError as error:
            say_error(f"The canary that would help to settle those in doubt could not be mailed: {error}")
    if report.stopped or report.counts.of(*OPEN, State.FAILED):
        sys.exit(1)


def _as_typed(command: str, options: Options) -> str:
    """The command with what was typed of how to mail, so that one offered to be pasted does nothing else."""
    words = [command]
    words += [f"--canary {options.canary}"] if options.canary is not None else []
    words += ["--fan-out"] if options.fan_out else []
    words += ["--no-brakes"] if options.no_brakes else []
    return " ".join(words)


def _at_its_time(command: str, options: Options) -> str:
    words = [command]
    words += [f'--at "{options.at}"'] if options.at else []
    words += [f"--late {options.late}"] if options.late is not None else []
    return " ".join(words)


def _check(options: Options, facts: Publication) -> None:
    """Refuse words that contradict each other. Raises click.UsageError."""
    if options.test and not options.addresses:
        raise click.UsageError(
            f"--test: to whom? The testers are: {' '.join(facts.testers) or 'nobody yet'}."
        )
    if options.addresses and not options.test:
        raise click.UsageError(
            f"{options.addresses[0]}: an address is for a test only: --test {' '.join(options.addresses)}"
        )
    if options.test and (options.approve or options.expect is not None or options.at):
        raise click.UsageError(
            "--test mails its testers at once and needs no approval: leave the others out."
        )


def _examine(store: Store, ses: Ses, briefing: str, options: Options) -> None:
    """Look at all that the mailing needs. The examination reads events, which an old copy of the ledger must not: so
    first whether this is one. Raises StoreError, SettingsError, SesError.
    """
    from newsletter.turn import overtaken

    if not options.takeover and (error := overtaken(store, ses, briefing, ses.place)):
        raise error
    examining.require_sound(briefing, options.takeover, options.fan_out)


def _refuse_local_links(settings: Settings, ses: Ses) -> None:
    """Raises SettingsError where real mails would have practice's links."""
    from newsletter.ses.submit import PRACTICE

    if settings.site_url and is_loopback(settings.site_url) and ses.place != PRACTICE:
        raise SettingsError(
            f"SITE_URL: the links in the mails would lead to this machine ({settings.site_url}), and {ses.place} is "
            "no practice. Take SITE_URL out of the environment. Nobody was mailed."
        )


def _rehearse(
    package: Package, facts: Publication, settings: Settings, links: Links, addresses: tuple[str, ...]
) -> None:
    """A test mail. No store is opened for it."""
    from newsletter import rehearsal
    from newsletter.ses.submit import Ses

    testers = rehearsal.allowed(addresses, facts.testers)
    ses = Ses(settings.configuration_set, settings.region)
    _refuse_local_links(settings, ses)
    refused = 0
    for tester, result in rehearsal.rehearse(package, testers, links.unsubscribe, ses, time.sleep):
        if result.status == "SUCCESS":
            say("test", f"submitted to {tester.text} through {ses.endpoint}")
        else:
            refused += 1
            say_error(f"{tester.text}: SES refuses it: {result.status} {result.error}".rstrip())
    say("", "a test is not in the ledger, and its unsubscribe link is nobody's")
    if refused:
        sys.exit(1)


def _submit(
    store: Store,
    ses: Ses,
    package: Package,
    links: Links,
    watch: Aftermath | None,
    queue: WorkQueue | None,
    testers: Sequence[str],
    corrects: str,
    options: Options,
) -> tuple[Report, float]:
    """Run the sender, with a bar; the report, and how many seconds it took."""
    from newsletter import address
    from newsletter.delivery import Delivery
    from newsletter.fanout import FanOut
    from newsletter.vigil import Vigil

    def now() -> datetime:
        return datetime.now(UTC)

    vigil = None
    if watch:
        quiet = timedelta(minutes=options.quiet)
        vigil = Vigil(store, watch, now, lambda words: say("watch", words), not options.no_brakes, quiet)
    start = time.monotonic()
    with Progress(lambda: outcome.tally(store, package.month, corrects)) as progress:
        way = partial(FanOut, queue=queue, tell=lambda words: say("fan-out", words)) if queue else Delivery
        delivery = way(
            store,
            ses,
            links,
            clock=now,
            pause=time.sleep,
            progress=progress.advance,
            through=ses.place,
            vigil=vigil,
            slice_size=_SLICE + len(testers) if options.canary is None else options.canary,
            testers=[address.parse(tester).key for tester in testers],
        )
        notes = chain([_STOPPING], repeat(_STILL))

        def stop() -> None:
            progress.note(next(notes))
            delivery.stop()

        with heeding(stop):
            report = delivery.run(package, takeover=options.takeover, corrects=corrects)
    return report, time.monotonic() - start
