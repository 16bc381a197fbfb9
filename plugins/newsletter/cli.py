"""The command `newsletter`. Each command is read, done and told in a few lines; the work is in the modules.

Exit status: 0 done, 1 something is wrong and the message says what to mend, 2 the command was mistyped.
Modules are imported by the commands that need them: `newsletter send` runs without Pelican installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from newsletter import publication
from newsletter.errors import ContentError, NewsletterError, SettingsError
from newsletter.settings import STATE, Settings, child_environment
from newsletter.show import say, say_error, table

if TYPE_CHECKING:
    from newsletter.local_ses.config import LocalSesConfig, RunningSes
    from newsletter.models import Package
    from newsletter.store import Counts

PACKAGES = Path("build/briefings")
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])\Z")


class _Month(click.ParamType[str]):
    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a month, or say how one is written."""
        if not isinstance(value, str) or not _MONTH.match(value):
            self.fail(f"{value!r} is no month. Write it as 2020-10.", param, ctx)
        return value


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what a person can mend is told without a traceback."""
        try:
            return super().invoke(ctx)
        except ContentError as error:
            for finding in error.findings:
                say_error(str(finding))
            count = len(error.findings)
            say_error(f"{count} thing{'s' if count > 1 else ''} to mend; nothing was changed.")
            ctx.exit(1)
        except NewsletterError as error:
            say_error(str(error))
            ctx.exit(1)
        except KeyboardInterrupt:
            say_error("Stopped. The same command goes on from here.")
            ctx.exit(1)


MONTH = _Month()


def _shown(path: Path) -> Path:
    """A path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="monthly-briefing")
def main() -> None:
    """From Markdown to the inbox: build the site, package a month's briefing, mail it through Amazon SES."""


@main.command()
@click.option(
    "--content", type=click.Path(exists=True, file_okay=False), help="The content folder  [content]"
)
@click.option("--output", type=click.Path(file_okay=False), help="Where the site goes  [output]")
def build(content: str | None, output: str | None) -> None:
    """Build the site, its feed, and the package of every briefing."""
    from newsletter import site

    built = site.build(content, output)
    drafts = f", {built.drafts} held back (drafts, or dated in the future)" if built.drafts else ""
    say(
        "site",
        f"{built.analyses} analyses, {built.pages} pages{drafts} → {_shown(built.output)}/",
        built.seconds,
    )
    if built.briefings:
        say("package", f"{', '.join(sorted(built.briefings))} → {built.packages[0].parent}/")


@main.command()
@click.option(
    "--content", type=click.Path(exists=True, file_okay=False), help="The content folder  [content]"
)
def check(content: str | None) -> None:
    """Read everything as a build does, say what is wrong and where, and write nothing."""
    from newsletter import site

    built = site.check(content)
    say(
        "check",
        f"{built.analyses} analyses, {built.pages} pages, {len(built.briefings)} briefings: nothing to mend",
        built.seconds,
    )


@main.command()
@click.argument("month", type=MONTH)
def briefing(month: str) -> None:
    """Package one month's briefing as an email: build/briefings/YYYY-MM/."""
    from newsletter import site

    start = time.monotonic()
    folder, package = site.briefing(month)
    size = len(package.html.encode()) / 1024
    shortened = sum(bool(item.get("shortened")) for item in package.items)
    note = f", {shortened} shortened to their link" if shortened else ""
    say(
        "package",
        f"{folder}/: {len(package.items)} analyses, {size:.0f} KB of 90{note}",
        time.monotonic() - start,
    )
    say("subject", package.subject)
    say("hash", package.content_hash)


@main.group()
def subscribers() -> None:
    """The list of those who want the briefing."""


@subscribers.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--if-empty", is_flag=True, help="Do nothing if there are subscribers already.")
@click.option(
    "--confirmed",
    is_flag=True,
    help="Vouch that everyone without a status in the file has agreed to be mailed.",
)
def import_(file: Path, if_empty: bool, confirmed: bool) -> None:
    """Add the subscribers of a CSV file (email, status, name, …) to the store.

    A status is never raised: whoever has unsubscribed or is suppressed here stays so, whatever the file says.
    """
    from newsletter.store import open_store
    from newsletter.subscriber_list import SubscriberList

    start = time.monotonic()
    rows = SubscriberList(file, vouched=confirmed)
    store = open_store(Settings.from_env().store_url)
    if if_empty and store.subscription_counts():
        return
    counts = store.import_subscribers(rows)
    for finding in rows.refused:
        say_error(str(finding))
    parts = [f"{counts.added:,} added", f"{counts.known:,} known already"]
    parts += [f"{counts.withdrawn:,} unsubscribed by the file"] if counts.withdrawn else []
    parts += [f"{len(rows.refused):,} refused"] if rows.refused else []
    say("subscribers", ", ".join(parts), time.monotonic() - start)
    if rows.without_status:
        say(
            "",
            f"{rows.without_status:,} without a status are pending and not mailed; --confirmed vouches for them",
        )
    totals = store.subscription_counts()
    say("", ", ".join(f"{count:,} {kind}" for kind, count in sorted(totals.items())) or "nobody yet")


@main.command()
@click.argument("month", type=MONTH)
def send(month: str) -> None:
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
    store = open_store(settings.store_url)
    with store.sending(month):
        frozen = store.frozen(month)
        package = frozen or packages.read(PACKAGES / month)
        counts = store.counts(month)
        if frozen is None:
            _tell_audience(package.subject, store.subscription_counts())
        else:
            _tell_changed(month, frozen)
            if counts.of(*OPEN) == 0:
                _tell_done(month, counts)
                return
        ses = Ses(settings.configuration_set)
        say("mail", f"through {ses.endpoint}")
        with Progress(counts.of(*OPEN) if frozen else None) as progress:
            delivery = Delivery(
                store,
                ses,
                Links(facts.site_url, settings.secret_keys),
                clock=lambda: datetime.now(UTC),
                pause=time.sleep,
                progress=progress.advance,
            )
            report = delivery.run(package)
    _tell_states(month, report.counts, time.monotonic() - start)
    in_doubt = report.counts.of(State.IN_DOUBT)
    if in_doubt:
        say_error(
            f"{in_doubt:,} in doubt: the call ended without an answer, so SES may or may not have their mail. "
            "They are held and will not be mailed again by themselves."
        )
    if report.stopped:
        say_error(
            f"Stopped: {report.stopped}. {report.counts.of(State.PENDING):,} are pending; send again to go on."
        )
    if report.stopped or report.counts.of(*OPEN, State.FAILED):
        sys.exit(1)


def _tell_audience(subject: str, totals: Any) -> None:
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


def _tell_done(month: str, counts: Counts) -> None:
    from newsletter.states import ACCEPTED, State

    accepted, failed = counts.of(*ACCEPTED), counts.of(State.FAILED)
    if failed:
        say(
            "mail",
            f"{month} is done: submitted for {accepted:,} of {counts.recipients:,}, refused for {failed:,}",
        )
    else:
        say("mail", f"everybody has {month} already: submitted for {accepted:,}; nothing was posted")


def _tell_states(month: str, counts: Counts, seconds: float) -> None:
    from newsletter.states import State

    parts = [f"{counts.of(state):,} {state.replace('_', ' ')}" for state in State if counts.of(state)]
    say("mail", f"{month}: {', '.join(parts) or 'no recipients'}", seconds)


@main.command()
@click.argument("month", type=MONTH)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def status(month: str, as_json: bool) -> None:
    """How far a briefing's sending is: its recipients by state."""
    from newsletter.states import ACCEPTED, State
    from newsletter.store import open_store

    counts = open_store(Settings.from_env().store_url).counts(month)
    numbers = {
        "recipients": counts.recipients,
        "submitted": counts.of(*ACCEPTED),
        "failed": counts.of(State.FAILED),
        "skipped": counts.of(State.SKIPPED),
        "in_doubt": counts.of(State.IN_DOUBT),
        "pending": counts.of(State.PENDING, State.CLAIMED),
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


@main.command("local-ses", context_settings={"ignore_unknown_options": True})
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8025, show_default=True, help="The port; 0 takes a free one.")
@click.option("--mailbox", type=click.Path(path_type=Path), default=STATE / "mailbox", show_default=True)
@click.option("--faults", type=click.Path(path_type=Path), help="A plan of faults to inject (JSON).")
@click.option("--rate", default=200.0, show_default=True, help="MaxSendRate: recipients per second.")
@click.option("--quota", default=50_000.0, show_default=True, help="Max24HourSend: recipients per 24 hours.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def local_ses(
    host: str,
    port: int,
    mailbox: Path,
    faults: Path | None,
    rate: float,
    quota: float,
    command: Sequence[str],
) -> None:
    """Amazon SES on this machine: accepts what SES accepts, and puts it in a mailbox you can open.

    With a COMMAND after --, runs it against a local SES of its own and ends with it:

        newsletter local-ses -- newsletter send 2020-10
    """
    from newsletter.local_ses import server

    config = _local_config(mailbox, faults, rate, quota)
    if not command:
        server.serve(config, host, port, ready=_tell_local_ses)
        return
    with server.running(config, host="127.0.0.1", port=0) as running:
        try:
            done = subprocess.run(command, env=child_environment(running.environment), check=False)
        except FileNotFoundError:
            raise SettingsError(f"{command[0]}: there is no such command.") from None
    sys.exit(done.returncode if done.returncode >= 0 else 1)


def _local_config(mailbox: Path, faults: Path | None, rate: float, quota: float) -> LocalSesConfig:
    from newsletter.local_ses.config import LocalSesConfig

    domain = publication.load(Path(publication.FILE)).sender_domain
    return LocalSesConfig(
        mailbox=mailbox, faults=faults, identities=(domain,), max_send_rate=rate, daily_quota=quota
    )


def _tell_local_ses(running: RunningSes) -> None:
    say("local SES", running.url)
    say("mailbox", f"{running.url}/mailbox/")
    say("to use it", " ".join(f"{name}={value}" for name, value in running.environment.items()))
    say("", "Ctrl-C ends it.")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, help="The port; 0 takes a free one.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("output"), show_default=True)
def serve(host: str, port: int, output: Path) -> None:
    """Site, mailbox and local SES at one address, to look at."""
    from newsletter import front
    from newsletter.local_ses import server

    def ready(running: RunningSes) -> None:
        say("site", f"{running.url}/")
        say("mailbox", f"{running.url}/mailbox/")
        say("local SES", f"{running.url}  (AWS_ENDPOINT_URL_SESV2)")
        say("", "Ctrl-C ends it.")

    server.serve(
        _local_config(STATE / "mailbox", None, 200.0, 50_000.0), host, port, front.site(output), ready
    )
