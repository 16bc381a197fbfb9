"""Everything that must hold before a briefing is mailed, asked and judged line by line.

    store (in its own words), key, content    the database, the key of the links, the package
    account, identity                         SES answers, out of the sandbox, quota for the audience; sender signed
    events                                    configuration set, event types, queue, a canary that comes back
    work queue                                where workers mail: that batches can be handed out, and none has died
    turn                                      no other ledger has mailed the briefing
    rendering, unsubscribe                    SES fills the package in; a real POST to the link in it

Facts are asked for in one place and judged by pure functions of them. Nothing that lasts is changed, but for a
canary in the ledger and a template in SES, which is deleted again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

from newsletter import issue, tokens
from newsletter.aftermath import Aftermath
from newsletter.delivery import Links
from newsletter.doctor import account, content, events, identity, key, ledger, queues, rendering, unsubscribe
from newsletter.errors import PackageError, SesError, SettingsError, StoreError
from newsletter.finding import Finding, Verdict, broken_by, skipped
from newsletter.models import Package
from newsletter.publication import Publication
from newsletter.ses.account import Account, AccountFacts, Hindrance, SetFacts, Unread
from newsletter.ses.queue import EventQueue, QueueFacts
from newsletter.ses.submit import PRACTICE
from newsletter.ses.work_queue import WorkQueue
from newsletter.settings import Settings
from newsletter.states import State
from newsletter.store import Counts, Store
from newsletter.turn import overtaken

__all__ = ["Finding", "Part", "Patient", "Verdict", "examine"]


class Part(StrEnum):
    """The parts of an examination, in their order; each can be left out."""

    STORE = "store"
    PACKAGE = "package"
    ACCOUNT = "account"
    IDENTITY = "identity"
    EVENTS = "configuration set"
    WORK = "work queue"
    TURN = "turn"
    CANARY = "events"
    RENDERING = "rendering"
    UNSUBSCRIBE = "unsubscribe"


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined. What could not even be opened stands here as its error, and becomes a finding.

    `package` is what lies in the folder of `month`; both are none ("" and None) where nothing is packaged. `queue` is
    None where none is set, `work` the one for workers, None where none mail. `site_url` is where the links of mails lead. A canary is waited for with `patience`.
    """

    settings: Settings
    publication: Publication
    site_url: str
    month: str
    package: Package | PackageError | None
    store: Store | StoreError
    ses: Account | SettingsError
    queue: EventQueue | SettingsError | None
    quarantine: Path
    clock: Callable[[], datetime]
    patience: timedelta = timedelta(seconds=60)
    work: WorkQueue | SettingsError | None = None


def examine(
    patient: Patient,
    leave_out: Mapping[Part, str] | None = None,
    asking: Callable[[Part], None] = lambda part: None,
    found: Callable[[Finding], None] = lambda finding: None,
) -> list[Finding]:
    """Ask and judge everything but the parts in `leave_out`, which gives the reason for each.

    `asking` is told which part comes next (the canary's can take a minute), `found` each finding as it is made.
    """
    visit = _Visit(patient)
    findings: list[Finding] = []
    for part, look in _ROUND.items():
        asking(part)
        why = (leave_out or {}).get(part, "")
        for finding in [skipped(str(part), why)] if why else look(visit):
            findings.append(finding)
            found(finding)
    return findings


# What cannot be read for these reasons leaves the rest of SES to be asked.
_GO_ON = {Hindrance.DENIED, Hindrance.UNSUPPORTED}
_NO_SES = "SES cannot be asked, see above"
_NO_STORE = "the database must be mended first"
_NO_PACKAGE = "nothing is packaged: newsletter build, or newsletter briefing YYYY-MM"
_REGION = "Set AWS_REGION, or try everything without AWS: newsletter local-ses -- newsletter doctor"
_DATABASE = "Restore it from a backup, or name another with STORE_URL."
_QUEUE = "Set EVENTS_QUEUE_URL and EVENTS_TOPIC_ARN."
_DEAD_EVENTS = "Bounces and complaints can be among them, which the ledger does not know. See what they are"


class _Visit:
    """One examination: what its parts have in common, and what they found out for those after them."""

    def __init__(self, patient: Patient) -> None:
        self.patient, self.settings, self.now = patient, patient.settings, patient.clock()
        self.store = None if isinstance(patient.store, StoreError) else patient.store
        ses = patient.ses
        self.practice = isinstance(ses, Account) and ses.place == PRACTICE
        self.account: Account | None = None  # once it has answered
        self.facts: AccountFacts | Unread | None = None
        self.way_back = True  # nothing broken was found on it
        self.overtaken = False  # by another ledger

    @property
    def frozen(self) -> Package | None:
        return self.store.frozen(self.patient.month) if self.store and self.patient.month else None

    @property
    def package(self) -> Package | None:
        """What would be mailed: what was frozen when its mailing began, else what is in the folder."""
        packaged = self.patient.package
        return self.frozen or (packaged if isinstance(packaged, Package) else None)

    @property
    def sender(self) -> str:
        return self.package.sender if self.package else self.patient.publication.sender

    def audience(self, store: Store) -> Counts:
        if self.frozen:
            return store.counts(self.patient.month)
        mailing = issue.of_id(self.patient.month)
        return store.audience(self.now, mailing.corrects if mailing else "")


def _store(visit: _Visit) -> Iterator[Finding]:
    store, begun = visit.patient.store, False
    if isinstance(store, StoreError):
        yield broken_by("database", store, _DATABASE)
    else:
        health = store.health()
        yield from health
        if any(finding.verdict is Verdict.BROKEN for finding in health):
            visit.store = None
        else:
            begun = bool(store.sends())
            keys = key.usable(visit.settings)
            yield ledger.forgotten(store.lagging(partial(tokens.digests, keys=keys) if keys else None))
    yield key.judge(key.look(visit.settings), begun)


def _package(visit: _Visit) -> Iterator[Finding]:
    package = visit.package
    if package is None:
        found = visit.patient.package
        yield content.missing(found) if isinstance(found, PackageError) else skipped("package", _NO_PACKAGE)
        return
    yield content.whole(package, begun=visit.frozen is not None)
    yield content.mail(package, visit.patient.publication.postal_address)
    yield content.dates(package, visit.now, visit.patient.publication.zone)


def _account(visit: _Visit) -> Iterator[Finding]:
    ses = visit.patient.ses
    if isinstance(ses, SettingsError):
        yield broken_by("SES", ses, _REGION)
        return
    facts = visit.facts = ses.facts()
    yield account.reach(ses.endpoint, facts)
    if isinstance(facts, AccountFacts):
        yield account.production(facts.quota)
        yield account.sending(facts.quota)
        yield account.reputation(facts)
    elif facts.why not in _GO_ON:
        return
    visit.account = ses
    if visit.store is None:
        yield skipped("audience", _NO_STORE)
        return
    counts = visit.audience(visit.store)
    waiting = counts.of(State.PENDING)
    yield account.audience(counts, begun=visit.frozen is not None)
    if isinstance(facts, AccountFacts):
        yield account.today(facts.quota, waiting)
        yield account.rate(facts.quota, waiting)


def _identity(visit: _Visit) -> Iterator[Finding]:
    if visit.account is None:
        yield skipped(Part.IDENTITY, _NO_SES)
        return
    yield from identity.findings(visit.account.identity(visit.sender))


def _events(visit: _Visit) -> Iterator[Finding]:
    for finding in _way_back(visit):
        visit.way_back = visit.way_back and finding.verdict is not Verdict.BROKEN
        yield finding


def _way_back(visit: _Visit) -> Iterator[Finding]:
    if visit.account is None:
        yield skipped(Part.EVENTS, _NO_SES)
        return
    name = visit.settings.configuration_set
    own = visit.account.configuration_set(name) if name else None
    yield events.configuration_set(name, own, visit.practice)
    if own is not None and not (isinstance(own, Unread) and own.why is Hindrance.ABSENT):
        published = visit.account.destinations(name)
        yield events.event_types(name, published, visit.settings.events_topic_arn)
        yield events.tracking(visit.facts, own, published)
    if isinstance(visit.facts, AccountFacts):
        yield account.suppression(visit.facts, own.suppressed if isinstance(own, SetFacts) else None)
    queue = visit.patient.queue
    if isinstance(queue, SettingsError):
        yield broken_by("queue", queue, _QUEUE)
        return
    try:
        found = queue.facts() if queue else None
    except (SesError, SettingsError) as error:
        yield events.queue(error, visit.practice)
        return
    yield events.queue(found, visit.practice)
    if queue and found and not visit.practice:
        yield queues.dead_letters("dead events", queue.queue_url, found, _DEAD_EVENTS)


def _work(visit: _Visit) -> Iterator[Finding]:
    work = visit.patient.work
    if work is None:
        return
    found: QueueFacts | SesError | SettingsError
    try:
        found = work if isinstance(work, SettingsError) else work.facts()
    except (SesError, SettingsError) as error:
        found = error
    url = "" if isinstance(work, SettingsError) else work.queue_url
    yield from queues.work(url, found, visit.practice)


def _turn(visit: _Visit) -> Iterator[Finding]:
    month, store = visit.patient.month, visit.store
    if visit.account is None or store is None:
        yield skipped(Part.TURN, _NO_SES if visit.account is None else _NO_STORE)
        return
    if not month:
        yield skipped(Part.TURN, _NO_PACKAGE)
        return
    try:
        old = overtaken(store, visit.account, month, visit.account.place)
    except SesError as error:
        visit.overtaken = True  # for all that is known
        yield broken_by(Part.TURN, error, "Allow these credentials ses:GetEmailTemplate, or ask again.")
        return
    visit.overtaken = old is not None
    yield ledger.turn(month, old)


def _canary(visit: _Visit) -> Iterator[Finding]:
    patient = visit.patient
    if visit.account is None:
        yield skipped(Part.CANARY, _NO_SES)
    elif visit.store is None:
        yield skipped(Part.CANARY, _NO_STORE)
    elif visit.overtaken:
        yield skipped(Part.CANARY, "it would read events, which only the newest ledger may: see turn above")
    elif not visit.way_back:
        yield skipped(Part.CANARY, "a canary would not come back before the red line above is mended")
    elif not visit.settings.configuration_set or not isinstance(patient.queue, EventQueue):
        yield skipped(Part.CANARY, "there is no configuration set, or no queue, to come back through")
    else:
        keys = key.usable(visit.settings)
        aftermath = Aftermath(visit.store, patient.queue, patient.quarantine, patient.clock, keys)
        yield events.canary(
            aftermath, visit.store, visit.account, visit.sender, patient.clock, patient.patience
        )


def _rendering(visit: _Visit) -> Iterator[Finding]:
    package = visit.package
    if visit.account is None:
        yield skipped(Part.RENDERING, _NO_SES)
    elif package is None:
        yield skipped(Part.RENDERING, _NO_PACKAGE)
    else:
        # Where there is no key yet, any will do: what matters is that SES carries the link over.
        keys = key.usable(visit.settings) or (secrets.token_bytes(32),)
        yield rendering.examine(visit.account, package, Links(visit.patient.site_url, keys), visit.practice)


def _unsubscribe(visit: _Visit) -> Iterator[Finding]:
    if visit.account is None:
        yield skipped(Part.UNSUBSCRIBE, _NO_SES)
        return
    yield unsubscribe.examine(visit.patient.site_url, key.usable(visit.settings), visit.practice)


_ROUND: Mapping[Part, Callable[[_Visit], Iterator[Finding]]] = {
    Part.STORE: _store,
    Part.PACKAGE: _package,
    Part.ACCOUNT: _account,
    Part.IDENTITY: _identity,
    Part.EVENTS: _events,
    Part.WORK: _work,
    Part.TURN: _turn,
    Part.CANARY: _canary,
    Part.RENDERING: _rendering,
    Part.UNSUBSCRIBE: _unsubscribe,
}
