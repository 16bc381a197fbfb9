"""What a DynamoDB store is asked in the course of a mailing by workers, and what AWS bills for it (tests/capacity.py).

Counted at boto3's own client, call by call. The mailing is a run of the sender that hands its batches out to one worker,
through the local SES. Their clock moves only when they wait, and so the same is asked each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from newsletter import address, package
from newsletter.fanout import FanOut
from newsletter.mailing import Links
from newsletter.ses.submit import Ses
from newsletter.ses.work_queue import Task
from newsletter.states import Evidence, State
from newsletter.store import Sighting, Subscriber, Subscription
from newsletter.store.dynamodb import DynamoStore
from newsletter.store.dynamodb.table import Table
from newsletter.worker import Worker
from tests.capacity import Capacity
from tests.store_contract import NOW, PACKAGE

_BATCH = 50
# Of each mail SES tells that it was accepted, within two seconds, and that it was delivered, within thirty: so the
# events of a batch come mixed with those of others. At 450 mails a second five seconds bring more than a function is
# handed (infra/template.yaml, BatchSize).
_PER_SECOND, _SOON, _LATER, HANDED = 450, 2.0, 30.0, 1000
MAILED = replace(PACKAGE, content_hash=package.content_hash(PACKAGE))
LINKS = Links("https://briefing.example.org", (b"k" * 32,))


@dataclass
class Meter:
    """What has been asked since it was made. `told` is what the server itself counts, by operation, if it is asked to."""

    calls: int = 0
    writes: int = 0  # items written, deleted or checked
    write_units: int = 0
    read_units: int = 0
    told: dict[str, list[float]] | None = field(default=None, repr=False)
    _capacity: Capacity = field(default_factory=Capacity, repr=False)

    def counted(self) -> dict[str, int]:
        """All counts."""
        return {name: getattr(self, name) for name in ("calls", "writes", "write_units", "read_units")}

    def _asked(self, params: dict[str, Any], context: dict[str, Any], model: Any, **_: Any) -> None:
        if self.told is not None and "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"
        context["asked"] = params

    def _answered(self, parsed: Mapping[str, Any], context: Mapping[str, Any], model: Any, **_: Any) -> None:
        self.calls += 1
        units = self._capacity.of(model.name, context["asked"], parsed)
        self.writes += units.items
        self.write_units += units.written
        self.read_units += units.read
        if self.told is not None and "Error" not in parsed:
            ours, theirs = self.told.setdefault(model.name, [0.0, 0.0])
            said = parsed.get("ConsumedCapacity") or []
            said = said if isinstance(said, list) else [said]
            self.told[model.name] = [
                ours + units.written + units.read,
                theirs + sum(one["CapacityUnits"] for one in said),
            ]


@contextmanager
def metered(url: str, told: bool = False) -> Iterator[Meter]:
    """Count what the stores of this URL are asked while the block lasts."""
    meter, events = Meter(told={} if told else None), Table(url).client.meta.events
    hooks = (("provide-client-params.dynamodb", meter._asked), ("after-call.dynamodb", meter._answered))
    for name, hook in hooks:
        events.register(name, hook)
    try:
        yield meter
    finally:
        for name, hook in hooks:
            events.unregister(name, hook)


class _Clock:
    """Moves when somebody waits, and only then."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class _AtOnce:
    """The queue between a run and its one worker: what is handed out is done before anybody looks again."""

    def __init__(self, worker: Worker, parts: _Parts) -> None:
        self._worker, self._parts = worker, parts

    def hand_out(self, tasks: list[Task]) -> None:
        self._parts.end("hand out")
        for task in tasks:
            assert self._worker.do(task)
        self._parts.end("pace, claim, submit, record")

    def backlog(self) -> tuple[int, int]:
        return 0, 0


class _Parts(dict[str, dict[str, int]]):
    """What was asked, by the part of the mailing that has asked it."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter, self._before = meter, meter.counted()

    def end(self, name: str) -> None:
        """All since the last end belongs to this part."""
        now = self._meter.counted()
        so_far = self.get(name, dict.fromkeys(now, 0))
        self[name] = {what: so_far[what] + count - self._before[what] for what, count in now.items()}
        self._before = now


def mailing(store: DynamoStore, meter: Meter, recipients: int) -> dict[str, dict[str, int]]:
    """One mailing from the import on: what each part of it asked of the store. boto3 finds the local SES."""
    parts, clock = _Parts(meter), _Clock()
    store.import_subscribers(_subscribers(random.Random(7), recipients))  # noqa: S311 - the same list each time
    parts.end("import")
    ses = Ses("newsletter")
    store.freeze(MAILED, NOW, ses.place)
    parts.end("freeze")
    queue = _AtOnce(Worker(store, ses, LINKS, clock, clock.wait), parts)
    run = FanOut(store, ses, LINKS, clock, clock.wait, through=ses.place, queue=queue)
    report = run.run(MAILED)
    assert report.counts.states == {State.SUBMITTED: recipients}, report
    parts.end("hand out")
    store.counts(MAILED.month)
    parts.end("a look at how far it is")
    mailed = _mailed(store)
    parts.end("")
    for some in _as_they_come(mailed):
        store.apply(some, NOW + timedelta(seconds=9))
    parts.end("events")
    del parts[""]  # what only this looked up
    return parts


def _mailed(store: DynamoStore) -> list[tuple[int, str, str]]:
    """Number, attempt and message id of everyone, in the order in which they were mailed."""
    sending = store.sending_named(MAILED.month)
    assert sending
    return [
        (one.number, one.attempt, one.message_id) for each in store.batches(sending) for one in each.entries
    ]


def _subscribers(rng: random.Random, count: int) -> Iterator[Subscriber]:
    """Addresses as unlike one another as people's are: alike ones would pack into nothing."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    domains = ["".join(rng.choices(letters, k=rng.randint(5, 12))) + ".example" for _ in range(60)]
    for number in range(count):
        name = "".join(rng.choices(letters, k=rng.randint(6, 14)))
        yield Subscriber(address.parse(f"{name}{number}@{rng.choice(domains)}"), Subscription.CONFIRMED)


def _as_they_come(mailed: list[tuple[int, str, str]]) -> Iterator[list[Sighting]]:
    """SES's events of these mails, in the order and the portions in which a function would have them."""
    rng = random.Random(7)  # noqa: S311 - the same order each time
    told = sorted(
        (place // _BATCH * _BATCH / _PER_SECOND + rng.uniform(0, within), place, kind)
        for place in range(len(mailed))
        for kind, within in ((Evidence.SEND, _SOON), (Evidence.DELIVERY, _LATER))
    )
    for first in range(0, len(told), HANDED):
        yield [
            Sighting(
                kind,
                mailed[place][2],
                NOW,
                MAILED.month,
                mailed[place][1],
                mailed[place][0],
            )
            for _, place, kind in told[first : first + HANDED]
        ]
