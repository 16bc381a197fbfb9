"""A model of SES for the simulation: one seed decides what it takes, what it answers and when it tells of it.

It takes calls, keeps its own account of what it accepted, and puts its events into a queue: late, in any order and
more than once. It is quick because nothing is real but the rules; the kill run talks to the local SES over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from newsletter.errors import Ambiguous, Refused, Throttled
from newsletter.invariants import Accept
from newsletter.models import Package
from newsletter.ses.events import Event, Kind
from newsletter.ses.queue import Message
from newsletter.ses.submit import Entry, EntryResult, Quota

_VISIBILITY = timedelta(seconds=30)
# What happens to a call, and how often of a hundred times.
FAULTS = {
    "": 66,
    "throttled": 5,
    "credentials": 2,
    "5xx before": 4,
    "5xx after": 5,
    "late": 6,
    "partial": 9,
    "few results": 3,
}
# What happens to a mail, and how often of a hundred times.
FATES: dict[tuple[Kind, ...], int] = {
    (Kind.SEND, Kind.DELIVERY): 84,
    (Kind.SEND, Kind.DELIVERY_DELAY, Kind.DELIVERY): 5,
    (Kind.SEND, Kind.BOUNCE): 5,
    (Kind.SEND, Kind.DELIVERY, Kind.BOUNCE): 2,  # an answer from somebody on holiday
    (Kind.SEND, Kind.DELIVERY, Kind.COMPLAINT): 2,
    (Kind.SEND, Kind.REJECT): 1,
    (Kind.SEND, Kind.RENDERING_FAILURE): 1,
}
_STATUSES = (
    "TRANSIENT_FAILURE",
    "ACCOUNT_THROTTLED",
    "FAILED",
    "FAILED",
    "MESSAGE_REJECTED",
    "SOMETHING_NEW",
)


class Died(BaseException):
    """The sender was killed: whatever it does after this, it does not do."""


@dataclass
class Time:
    """The time of a simulated world: it moves when somebody waits, and when a call takes its time."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        if seconds > 0.01:  # less is the pace of real time in between, which no seed decides
            self.now += timedelta(seconds=seconds)


class Small(Quota):
    """A quota whose calls are small, so that a few dozen people make a mailing of some length."""

    @property
    def batch(self) -> int:
        return 5


@dataclass
class Told:
    """One event under way: when it can be read, and who has it."""

    due: datetime
    event: Event
    id: str
    hidden_until: datetime
    given: int = 0


@dataclass
class ModelSes:
    """SES as one seed has it. `faults` can be switched off; `lose` is the part of the events that never comes.

    `slow` is the longest an event takes, in seconds; less than the quiet period, as the contract has it.
    """

    random: Random
    time: Time
    watch: Callable[[Sequence[Entry], dict[str, str]], None]
    faults: bool = True
    lose: float = 0.0
    slow: float = 0.0
    calls: int = 0
    accepts: list[Accept] = field(default_factory=list)
    templates: dict[str, str] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    late: list[tuple[datetime, Sequence[Entry], dict[str, str], str]] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)  # the calls of which it has told anything

    # -- what the sender asks of it

    def quota(self) -> Quota:
        return Small(per_second=1e9, per_day=-1, used=0, enabled=True, production=True)

    def store_template(self, name: str, package: Package) -> None:
        assert self.templates.setdefault(name, package.content_hash) == package.content_hash

    def create_turn(self, name: str, owner: str) -> str | None:
        fault = self._fault({"": 90, "throttled": 4, "lost before": 3, "lost after": 3})
        if fault == "throttled":
            raise Throttled("TooManyRequestsException", "")
        if fault != "lost before":
            self.templates.setdefault(name, owner)
        if fault.startswith("lost"):
            raise Ambiguous("no answer")
        return self.templates[name]

    def canary(self, sender: str, tags: dict[str, str]) -> None:
        self.heard.add(tags["attempt"])
        self._accept("success@simulator.amazonses.com", tags, "", (Kind.SEND, Kind.DELIVERY))

    def submit(
        self, template: str, package: Package, entries: Sequence[Entry], tags: dict[str, str]
    ) -> list[EntryResult]:
        assert self.templates[template] == package.content_hash
        self.calls += 1
        self.work()
        self.watch(entries, tags)
        self.time.pass_(self.random.uniform(0.1, 5))
        fault = self._fault(FAULTS)
        if fault == "throttled":
            raise Throttled("TooManyRequestsException", "Maximum sending rate exceeded.")
        if fault == "credentials":
            raise Refused("ExpiredTokenException", "The security token included in the request is expired")
        if fault == "late":  # the client gives up after its minute; SES takes the call some time after that
            self.time.pass_(60)
            due = self.time() + timedelta(seconds=self.random.uniform(0, 240))
            self.late.append((due, entries, dict(tags), template))
            raise Ambiguous("ReadTimeoutError")
        if fault == "5xx before":
            raise Ambiguous("HTTP 500")
        results = [self._entry(entry, tags, template, fault == "partial") for entry in entries]
        if fault == "5xx after":
            raise Ambiguous("HTTP 500")
        if fault == "few results":
            raise Ambiguous(f"SES answered with {len(results) - 1} results for {len(results)} mails.")
        return results

    # -- its queue, as newsletter.ses.queue.EventQueue

    def receive(self, wait: int) -> list[Message]:
        self.work()
        here = [one for one in self.told if one.due <= self.time() and one.hidden_until <= self.time()]
        self.random.shuffle(here)
        for one in here[:10]:
            one.hidden_until = self.time() + _VISIBILITY
            one.given += 1
        return [Message(one.id, one.id, "", one.given) for one in here[:10]]

    def parse(self, message: Message) -> list[Event]:
        return [one.event for one in self.told if one.id == message.id]

    def delete(self, messages: Sequence[Message]) -> None:
        gone = {message.id for message in messages}
        self.told = [one for one in self.told if one.id not in gone]

    def backlog(self) -> tuple[int, int]:
        self.work()
        here = [one for one in self.told if one.due <= self.time()]
        hidden = sum(one.hidden_until > self.time() for one in here)
        return len(here) - hidden, hidden

    # -- what it does by itself

    def work(self) -> None:
        """Take the calls that were under way longer than their client waited."""
        due = [one for one in self.late if one[0] <= self.time()]
        self.late = [one for one in self.late if one[0] > self.time()]
        for at, entries, tags, template in due:
            for entry in entries:
                self._entry(entry, tags, template, partial=False, at=at)

    def known(self, answered: set[str]) -> list[Accept]:
        """What it has accepted, but for calls of which nobody has heard: no answer that was kept, and not one event."""
        return [each for each in self.accepts if each.tags["attempt"] in self.heard | answered]

    def turns(self, briefing: str) -> int:
        return sum(name.startswith(f"briefing-{briefing}-turn-") for name in self.templates)

    def _entry(
        self, entry: Entry, tags: dict[str, str], template: str, partial: bool, at: datetime | None = None
    ) -> EntryResult:
        status = self.random.choice(_STATUSES) if partial and self.random.random() < 0.4 else "SUCCESS"
        odd = status == "SOMETHING_NEW" and self.random.random() < 0.5  # who knows what it means
        message_id = ""
        if status == "SUCCESS" or odd:
            (fate,) = self.random.choices(list(FATES), FATES.values()) if self.faults else [next(iter(FATES))]
            if odd:  # without its name it could not be told of without tags
                fate = next(iter(FATES))
            message_id = self._accept(entry.to, {**tags, **entry.tags}, template, fate, at)
        return EntryResult(status, "" if odd else message_id)

    def _accept(
        self,
        address: str,
        tags: dict[str, str],
        template: str,
        fate: tuple[Kind, ...],
        at: datetime | None = None,
    ) -> str:
        at = at or self.time()
        message_id = f"id-{len(self.accepts):06}"
        self.accepts.append(Accept(address, tags, message_id, template))
        for kind in fate:
            if self.random.random() < self.lose:
                continue
            if (
                kind is not Kind.RENDERING_FAILURE
            ):  # these have no tags, and the name of an unanswered mail is unknown
                self.heard.add(tags["attempt"])
            for _ in range(1 + (self.random.random() < 0.15)):
                due = at + timedelta(seconds=self.random.uniform(0, self.slow) if self.faults else 1)
                self.told.append(Told(due, self._event(kind, message_id, address, tags, at), f"m{len(self.told)}-{self.random.random()}", due))  # fmt: skip
        return message_id

    def _event(self, kind: Kind, message_id: str, address: str, tags: dict[str, str], at: datetime) -> Event:
        if kind is Kind.RENDERING_FAILURE:  # SES leaves the tags out of these
            tags = {}
        number = tags.get("recipient")
        return Event(
            kind, message_id, address, at, tags.get("briefing", ""), tags.get("attempt", ""),
            int(number) if number else None, kind is Kind.BOUNCE and self.random.random() < 0.6, "told",
        )  # fmt: skip

    def _fault(self, weights: dict[str, int]) -> str:
        if not self.faults:
            return ""
        (fault,) = self.random.choices(list(weights), list(weights.values()))
        return fault
