"""`make scale`: docs/scale.md from the counts, the prices and the template."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from textwrap import fill
from typing import Any

from cfnlint.decode import decode

from newsletter.pace import SHARE
from newsletter.shared_pace import slots
from tests.pace_simulation import simulate
from tests.scale import counts
from tests.scale.paper import RATES, SIZES, bill, by_subscriber, hours, month, total, worked, workers

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/scale.md"
_SIMULATED = ((14, 4), (75, 16), (500, 32), (500, 256), (2000, 128))
_RATE = 500  # SES's, of which the seconds of a batch are


def page(recipients: int) -> str:
    """The page; `recipients` are simulated."""
    kept, prices = counts.kept(), _prices()
    seconds = worked(_RATE)
    template, _ = decode(str(ROOT / "infra/template.yaml"))
    alarms, secrets = (
        sum(one["Type"] == kind for one in template["Resources"].values())
        for kind in ("AWS::CloudWatch::Alarm", "AWS::SecretsManager::Secret")
    )
    months = [month(size, kept, seconds, kept["bytes of each"], _RATE) for size in SIZES]
    bills = [bill(one, prices, alarms, secrets) for one in months]
    other = prices["by_subscriber"]
    counted = [
        ("batches of 50, each a message on the queue", [f"{one.batches:,}" for one in months]),
        ("calls of DynamoDB", [f"{one.calls:,.0f}" for one in months]),
        ("write units", [f"{one.write_units:,.0f}" for one in months]),
        ("read units", [f"{one.read_units:,.0f}" for one in months]),
        ("looks through the whole ledger", [f"{one.looks:,}" for one in months]),
        ("read units of those looks", [f"{one.look_units:,.0f}" for one in months]),
        ("events of SES, through SNS and SQS", [f"{one.published:,.0f}" for one in months]),
        ("requests of SQS", [f"{one.queue_requests:,.0f}" for one in months]),
        ("calls of Lambda", [f"{one.function_calls:,.0f}" for one in months]),
        ("seconds of Lambda", [f"{one.function_seconds:,.0f}" for one in months]),
        ("GB kept, with twelve ledgers", [f"{one.stored:,.2f}" for one in months]),
    ]
    took = [(f"hours at {rate:,} a second", [_hours(size, rate) for size in SIZES]) for rate in RATES]
    asked = [(name, [_dollars(lines[name]) for lines in bills]) for name in bills[0]]
    sums = [
        ("**a month, with Essentials**", [f"**{_dollars(total(lines))}**" for lines in bills]),
        (f"{other['name']}", [_asked(by_subscriber(size, other["tiers"])) for size in SIZES]),
    ]
    return _PAGE.format(
        counted=_table(counted),
        took=_table(took),
        asked=_table(asked + sums),
        measured=_measured(kept),
        simulated=_simulated(recipients),
        recipients=recipients,
        prices=_sources(prices),
        seconds=f"{seconds:.2f}",
        workers=workers(_RATE),
        rate=_RATE,
        share=round(100 * SHARE),
        other=fill(
            f"{other['name']} asks "
            + ", ".join(f"${dollars} for {size:,}" for size, dollars in other["tiers"])
            + f" ({other['seen']}; {other['where']}). It also mails more than once a month for that price.",
            120,
            break_long_words=False,
            break_on_hyphens=False,
        ),
    )


def _prices() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "prices.toml").read_text())


def _table(rows: list[tuple[str, list[str]]]) -> str:
    heads = "| subscribers | " + " | ".join(f"{size:,}" for size in SIZES) + " |"
    lines = [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows]
    return "\n".join([heads, "|---|" + "---:|" * len(SIZES), *lines])


def _measured(kept: counts.Counts) -> str:
    heads = "| part of a mailing | calls | items written | write units | read units |"
    lines = [
        f"| {name} | {each['calls']:,} | {each['writes']:,} | {each['write_units']:,} | {each['read_units']:,} |"
        for name, each in kept.items()
        if "calls" in each
    ]
    stored = kept["bytes of each"]
    return "\n".join([heads, "|---|---:|---:|---:|---:|", *lines]) + (
        f"\n\nA subscriber takes {stored['subscriber']:,.0f} bytes, and {stored['recipient']:,.0f} more in each ledger."
    )


def _simulated(recipients: int) -> str:
    heads = (
        "| SES's rate | workers | recipients a call | took | recipients ÷ paced rate | longer by | most in a second | "
        "writes for the pace, a call |"
    )
    lines = []
    for rate, crew in _SIMULATED:
        evening = simulate(recipients, rate, crew)
        least = recipients / (SHARE * rate)
        lines.append(
            f"| {rate:,} | {crew} | {slots(rate).size} | {evening.seconds / 3600:,.2f} h | {least / 3600:,.2f} h | "
            f"{100 * (evening.seconds / least - 1):.1f} % | {evening.peak:,} | {evening.pace_writes / evening.calls:.2f} |"
        )
    return "\n".join([heads, "|---:|" * 1 + "---:|" * 7, *lines])


def _sources(prices: dict[str, Any]) -> str:
    lines = []
    for name, one in prices.items():
        if name == "by_subscriber":
            continue
        how = "quoted by others" if one["second_hand"] else "read there"
        lines.append(f"| {name.replace('_', ' ')} | {_price(one)} | {one['where']} | {one['seen']} | {how} |")
    return "\n".join(
        ["| price | US dollars | where it stands | seen | how |", "|---|---|---|---|---|", *lines]
    )


def _price(one: dict[str, Any]) -> str:
    if "per_unit" in one:
        free = f", {one['free']:,} free" if one["free"] else ""
        return f"{one['per_unit']:.10f}".rstrip("0") + f" each{free}"
    steps = [f"{price:g}" for _, price in one["per_million"]]
    widths = [
        f"the first {width:g} million" if width < 1e9 else "all others" for width, _ in one["per_million"]
    ]
    if len(steps) == 1:
        return f"{steps[0]} a million"
    return "; ".join(f"{step} a million of {width}" for step, width in zip(steps, widths, strict=True))


def _hours(size: int, rate: float) -> str:
    took = hours(size, rate)
    if took < 0.01:
        return "under 0.01"
    return f"{took:,.2f}" if took < 10 else f"{took:,.0f}"


def _dollars(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars < 1000 else f"${dollars:,.0f}"


def _asked(dollars: int | None) -> str:
    return "not known" if dollars is None else f"${dollars:,}"


_PAGE = """\
# What it takes, and what it costs

Written by `make scale`, from counts that tests measure (`tests/data/store-counts.json`, held by
`tests/test_store_counts.py`) and from AWS's public prices (`tests/scale/prices.toml`). Do not edit it by hand.

A month is one briefing to everybody, through the stack of `infra/template.yaml`. What the site's readers cost is left
out: it goes by readers, and not by subscribers.

## What a month asks for

{counted}

A worker is {seconds} s at a batch at {rate:,} mails a second with {workers} workers, its wait for a slot included (simulated, below).
Said of AWS and not measured here: 8 ms for a call of DynamoDB and 25 for a page of a megabyte, two events for each mail.
The looks are those of the run that watches the workers at that rate, for its progress and for the brakes; there are at
most about a hundred of the first kind, and of the second one each ten minutes at the least.

## How long it takes

At {share} % of the account's rate (MaxSendRate), which all workers share, whatever their number:

{took}

14 a second is what SES first grants; it grants more to whoever asks and whose mail is welcome.

## What it costs

{asked}

The total has the plan that SES gives new accounts since July 2026 (Essentials). An account may choose to pay by feature
(`aws sesv2 put-account-pricing-attributes --plan NONE`): take the second line in place of the first. The rest of the bill
is small beside either.

{other}

## What was measured

A mailing of 5,000 by a worker, on the DynamoDB store (ministack over HTTP) and through the local SES, counted at boto3's
client, for each 1,000 recipients. The events come mixed, as SES tells them: accepted within two seconds, delivered within
thirty, 1,000 handed to the function at a time. Handed 100 at a time they take five times the writes.

Units are AWS's rules (`tests/capacity.py`): a consistent read of four kilobytes, also of an item that is not there; a write
of one, two in a transaction. Of what a worker reads, two units a mail are those rules' price for asking of each recipient,
just before its call, whether it is still subscribed and not suppressed. AWS's own DynamoDB Local tells the same of single
reads and writes, and nothing of absent items in a batch (`tests/test_store_counts.py`, in `make test-long`).

{measured}

## What was simulated

{recipients:,} recipients each time:

{simulated}

Many workers on a clock that only the simulation moves (`tests/pace_simulation.py`), sharing the rate by
`plugins/newsletter/shared_pace.py`: stores that take 6 to 8 ms and SES that takes 100, one answer in a hundred up to two
seconds late, clocks 2 ms apart. No second sees more than the account's rate. The paced rate is {share} % of it, and so the
whole takes 11 % longer than recipients ÷ MaxSendRate, and about 1 % longer than recipients ÷ the paced rate.

## Where the prices are from

{prices}

Prices are those of us-east-1. "Quoted by others": read in a public repository or page that quotes AWS's page or price list
with that date, and not on the page itself; compare before you rely on them.
"""


def main() -> None:
    """Write the page. `--quick` simulates fewer recipients."""
    PAGE.write_text(page(1_000_000 if "--quick" in sys.argv else 10_000_000))
    print(f"scale       {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
