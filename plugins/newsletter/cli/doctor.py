"""`newsletter doctor`: everything that must hold before a briefing is mailed, and how to mend what does not."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import click

from newsletter import issue, publication
from newsletter.cli.words import MAILING
from newsletter.errors import NewsletterError, PackageError, SesError, SettingsError, StoreError
from newsletter.finding import Finding, Verdict, worst
from newsletter.settings import STATE, Settings
from newsletter.show import Examination, say

if TYPE_CHECKING:
    from newsletter.doctor import Patient

_PACKAGES = Path("build/briefings")
# How long a mailing waits for the canary before it begins.
_PATIENCE = timedelta(seconds=60)
_T = TypeVar("_T")
_E = TypeVar("_E", bound=NewsletterError)


@click.command()
@click.argument("month", type=MAILING, required=False)
@click.option("--no-canary", is_flag=True, help="Mail no canary to SES's simulator, and wait for none.")
@click.option(
    "--wait",
    type=click.IntRange(1, 600),
    metavar="SECONDS",
    default=60,
    show_default=True,
    help="How long to wait for the canary.",
)
@click.option("--invariants", is_flag=True, help="Look only at what the ledger must never break.")
@click.option(
    "--dns", is_flag=True, help="Print the DNS records that the sender's domain needs, and nothing else."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def doctor(month: str | None, no_canary: bool, wait: int, invariants: bool, dns: bool, as_json: bool) -> None:
    """Look at everything a mailing needs: database, package, SES, identity, events, links.

    Without a month it takes the latest that is packaged. Ends with 1 if anything is broken.
    """
    from newsletter.doctor import Part, examine, ledger
    from newsletter.store import open_store

    if dns:
        _tell_dns(as_json)
        return
    if invariants:
        store = open_store(Settings.from_env().store_url, make=False)
        _tell(lambda shown: ledger.examine(store, month or "", found=shown.found), as_json, month or "")
        return
    patient = _patient(month or _latest(), timedelta(seconds=wait))
    leave_out = {Part.CANARY: "--no-canary"} if no_canary else {}
    _tell(lambda shown: examine(patient, leave_out, shown.asking, shown.found), as_json, patient.month)


def require_sound(mailing: str, takeover: bool = False, fan_out: bool = False) -> None:
    """Examine all that a mailing needs, before it begins or goes on, and tell what is not as it should be.

    Raises SettingsError, with nobody mailed, if anything is broken. With `takeover`, another ledger may
    have had a turn; with `fan_out`, workers mail, and so their queue is looked at.
    """
    from newsletter.doctor import Part, examine

    with Examination() as shown:
        findings = examine(
            _patient(mailing, _PATIENCE, fan_out),
            {Part.TURN: "--takeover"} if takeover else {},
            asking=shown.asking,
            found=lambda finding: shown.found(finding) if finding.mend else None,
        )
    say("doctor", _counted(findings))
    if worst(findings) is Verdict.BROKEN:
        raise SettingsError(
            f"Mend what is marked ✗ first. Nobody was mailed. To look again: newsletter doctor {mailing}"
        )


def _counted(findings: list[Finding]) -> str:
    counts = Counter(finding.verdict for finding in findings)
    many = {Verdict.WARNING: "warnings"}
    said = (f"{n} {many.get(kind, kind) if n > 1 else kind}" for kind in Verdict if (n := counts[kind]))
    return ", ".join(said) or "nothing to ask"


def _tell(examination: Callable[[Examination], list[Finding]], as_json: bool, month: str) -> None:
    """Tell what an examination finds while it finds it, or as JSON; end with 1 if something is broken."""
    with Examination(silent=as_json) as shown:
        findings = examination(shown)
    verdict = worst(findings)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"briefing": month or None, "verdict": verdict, "findings": rows}))
    else:
        say("doctor", _counted(findings))
    if verdict is Verdict.BROKEN:
        if not as_json:
            say("", "Mend what is marked ✗ first; until then nobody is mailed.")
        sys.exit(1)


def _tell_dns(as_json: bool) -> None:
    """The records as a table, and once more as a zone file has them. Raises SettingsError, SesError."""
    from newsletter.doctor.dns import records, zone_line
    from newsletter.doctor.identity import findings
    from newsletter.ses.account import Account, Unread

    facts, settings = publication.load(Path(publication.FILE)), Settings.from_env()
    ses = Account(settings.configuration_set, settings.region)
    identity = ses.identity(facts.sender)
    if isinstance(identity, Unread):
        [finding] = findings(identity)
        raise SesError(f"{finding.words}. {finding.mend}")
    host = urlsplit(settings.site_url or facts.site_url).hostname or ""
    found = records(identity, ses.region, facts.contact, host)
    if as_json:
        click.echo(json.dumps({"identity": identity.name, "records": [asdict(one) for one in found]}))
        return
    say("DNS", f"for the mail of {identity.name}, as SES in {ses.region} has it")
    for one in found:
        say("", "")
        say(one.type, one.name)
        say("", one.value)
        say("", f"({one.why})")
    if not identity.mail_from and "@" not in identity.name:
        say("", "")
        say(
            "MAIL FROM",
            f"is not set yet: aws sesv2 put-email-identity-mail-from-attributes --email-identity {identity.name} --mail-from-domain bounce.{identity.name}",
        )
    say("", "")
    say("zone file", "the same, to paste")
    for one in found:
        click.echo(zone_line(one))


def _patient(month: str, patience: timedelta, fan_out: bool = True) -> Patient:
    """What there is to examine; what cannot be opened is a finding too. Without `fan_out`, no queue for workers."""
    from newsletter import package as packages
    from newsletter.doctor import Patient
    from newsletter.ses.account import Account
    from newsletter.ses.queue import EventQueue
    from newsletter.ses.work_queue import WorkQueue
    from newsletter.store import open_store

    facts = publication.load(Path(publication.FILE))
    settings = Settings.from_env()
    url, topic = settings.events_queue_url, settings.events_topic_arn
    work = settings.work_queue_url if fan_out else ""
    return Patient(
        settings=settings,
        publication=facts,
        site_url=settings.site_url or facts.site_url,
        month=month,
        package=_tried(PackageError, lambda: packages.read(_PACKAGES / month)) if month else None,
        store=_tried(StoreError, lambda: open_store(settings.store_url, make=False)),
        ses=_tried(SettingsError, lambda: Account(settings.configuration_set, settings.region)),
        queue=_tried(SettingsError, lambda: EventQueue(url, topic, settings.region)) if url else None,
        work=_tried(SettingsError, lambda: WorkQueue(work, settings.region)) if work else None,
        quarantine=STATE / "quarantine",
        clock=lambda: datetime.now(UTC),
        patience=patience,
    )


def _tried(kind: type[_E], make: Callable[[], _T]) -> _T | _E:
    try:
        return make()
    except kind as error:
        return error


def _latest() -> str:
    """The newest month that is packaged, "" if none is."""
    folders = _PACKAGES.iterdir() if _PACKAGES.is_dir() else ()
    mailings = [issue.of_id(folder.name) for folder in folders]
    return max((mailing.id for mailing in mailings if mailing and not mailing.corrects), default="")
