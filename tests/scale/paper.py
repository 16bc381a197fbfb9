"""The figures of docs/scale.md, from counts that are measured: pure arithmetic, and nothing typed in but prices.

A month is one briefing to everybody. What readers of the site cost is left out: it goes by readers and not by
subscribers, and CloudFront's first terabyte a month is free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from newsletter.fanout import FanOut
from newsletter.pace import SHARE
from newsletter.shared_pace import slots
from newsletter.vigil import Vigil
from tests.pace_simulation import simulate
from tests.scale.counts import Counts

BATCH = 50
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
RATES = (14, 100, 500, 2000)
# infra/template.yaml: MemorySize of the functions in GB, and how many events one call is handed.
MEMORY, HANDED = 0.5, 1000
# SES tells of each mail that it was accepted and that it was delivered; few bounce.
TOLD = 2
# SQS is asked once to keep a message, and once for each ten to hand them out and to delete them.
ASKED = 1.2
PARTS = ("freeze", "hand out", "pace, claim, submit, record", "events")
LOOK = "a look at how far it is"
# Said of AWS, not measured here: how long DynamoDB takes for a call, for a page of a megabyte (256 units), and what a
# call of a function logs.
_LATENCY, _PAGE, _LOGGED = 0.008, 0.025, 400
# So many ledgers are kept.
_MONTHS_KEPT = 12
_MINUTES = 43_200  # in a month of thirty days
# How long a worker is at a batch if it need not wait: the calls that the simulation has (tests/pace_simulation.py).
_AT_A_BATCH, _SPARE = 0.15, 1.5
_POSTMAN = 0.2  # seconds that the postman's minute takes while there are no letters
_GB = 1024**3


@dataclass(frozen=True, slots=True)
class Month:
    """A month's mailing: what it asks for, and what of that each line of the bill counts."""

    subscribers: int
    batches: int
    calls: float
    write_units: float
    read_units: float  # but for the looks
    looks: int
    look_units: float
    published: float
    queue_requests: float
    function_calls: float
    function_seconds: float
    stored: float  # GB


def month(
    subscribers: int, counts: Counts, seconds_a_batch: float, size: Mapping[str, float], per_second: float
) -> Month:
    """`seconds_a_batch` is how long a worker is at one; `size` the bytes of a subscriber and of its place in a ledger;
    `per_second` SES's rate, by which the run that watches the workers looks more or less often.
    """
    thousands = subscribers / 1000
    parts = [counts[name] for name in PARTS]
    of_a_look = counts[LOOK]["read_units"] * thousands
    looks = _looks(subscribers, of_a_look / 256 * _PAGE, per_second)
    batches = math.ceil(subscribers / BATCH)
    told = TOLD * subscribers
    handings = math.ceil(told / HANDED)
    events = counts["events"]["calls"] * thousands * _LATENCY
    return Month(
        subscribers=subscribers,
        batches=batches,
        calls=sum(part["calls"] for part in parts) * thousands,
        write_units=sum(part["write_units"] for part in parts) * thousands,
        read_units=sum(part["read_units"] for part in parts) * thousands,
        looks=looks,
        look_units=looks * of_a_look,
        published=told,
        queue_requests=ASKED * (told + batches),
        function_calls=batches + handings + _MINUTES,
        function_seconds=batches * seconds_a_batch + events + _MINUTES * _POSTMAN,
        stored=subscribers * (size["subscriber"] + _MONTHS_KEPT * size["recipient"]) / _GB,
    )


def _looks(subscribers: int, took: float, per_second: float) -> int:
    """How often the ledger is read through while it is mailed: for the progress and the end, and for the brakes."""
    paced, pending, count = SHARE * per_second, float(subscribers), 0
    while pending > 0:
        count += 1
        pending -= paced * (took + FanOut.rest(took, subscribers, int(pending), per_second))
    every = took + min(max(Vigil.every, took / Vigil.share), Vigil.patience)
    return count + math.ceil(subscribers / paced / every)


def bill(one: Month, prices: Mapping[str, Any], alarms: int, secrets: int) -> dict[str, float]:
    """Each line in dollars; the first two are one or the other. `alarms` and `secrets` are how many the template has."""

    def tiered(name: str, count: float) -> float:
        left, dollars = count / 1e6, 0.0
        for width, price in prices[name]["per_million"]:
            some = min(left, width)
            dollars += some * price
            left -= some
        return dollars

    def beyond(name: str, count: float) -> float:
        return max(0.0, count - prices[name]["free"]) * float(prices[name]["per_unit"])

    return {
        "SES, Essentials": tiered("ses_essentials", one.subscribers),
        "SES, by feature": tiered("ses_by_feature", one.subscribers),
        "DynamoDB writes": tiered("dynamodb_write", one.write_units),
        "DynamoDB reads": tiered("dynamodb_read", one.read_units + one.look_units),
        "DynamoDB storage and recovery": beyond("dynamodb_storage", one.stored)
        + beyond("dynamodb_recovery", one.stored),
        "SNS": tiered("sns_publish", one.published),
        "SQS": tiered("sqs_request", one.queue_requests),
        "Lambda": tiered("lambda_request", one.function_calls)
        + beyond("lambda_gb_second", one.function_seconds * MEMORY),
        "Logs, secrets, alarms": beyond("logs_gb", one.function_calls * _LOGGED / _GB)
        + beyond("secret", secrets)
        + beyond("alarm", alarms),
    }


def total(lines: Mapping[str, float]) -> float:
    """The bill of an account on the plan that new accounts have."""
    return sum(dollars for name, dollars in lines.items() if name != "SES, by feature")


def by_subscriber(subscribers: int, tiers: Sequence[Sequence[int]]) -> int | None:
    """What the other service asks; None where no figure of it is known."""
    return next((dollars for size, dollars in tiers if subscribers == size), None)


def hours(subscribers: int, per_second: float) -> float:
    """How long it takes at that rate of SES's."""
    return subscribers / (SHARE * per_second) / 3600


def workers(per_second: float) -> int:
    """How many workers keep up with a rate with some to spare; the template has two at least."""
    return max(2, math.ceil(_SPARE * _AT_A_BATCH * SHARE * per_second / slots(per_second).size))


def worked(per_second: float) -> float:
    """How many seconds a worker is at a batch, waiting for its slot included, when there are as many as it takes."""
    evening = simulate(200_000, per_second, workers(per_second), stalls=0.001)
    return evening.worked / evening.calls
