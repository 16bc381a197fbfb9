"""What one mailing of 1,000 asks of the DynamoDB store, kept in tests/data/store-counts.json and measured by a test."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from newsletter.store import open_store
from newsletter.store.dynamodb.table import Table
from tests.dynamo_world import CREDENTIALS, fresh
from tests.ministack_world import running
from tests.store_meter import HANDED, mailing, metered, size_of

PATH = Path(__file__).resolve().parents[1] / "data/store-counts.json"
RECIPIENTS = 5_000

Counts = dict[str, dict[str, float]]


def measure(endpoint: str) -> Counts:
    """For each part of a mailing, calls, writes and units per 1,000 recipients. The environment has credentials."""
    url = fresh(endpoint)
    with metered(url) as meter:
        store = open_store(url)
        parts = mailing(store, meter, RECIPIENTS)
        store.close()
    counts = {
        name: {what: round(1000 * count / RECIPIENTS, 1) for what, count in asdict(part).items()}
        for name, part in parts.items()
    }
    return counts | {"bytes of each": _stored(Table(url))}


def _stored(table: Table) -> dict[str, float]:
    """The bytes that a subscriber takes, and its place in one ledger; DynamoDB adds a hundred to each item."""
    stored = dict.fromkeys(("subscriber", "recipient"), 0)
    for page in table.client.get_paginator("scan").paginate(TableName=table.name):
        for item in page["Items"]:
            of = "recipient" if item["pk"]["S"].startswith("SEND") else "subscriber"
            stored[of] += size_of(item) + 100
    return {name: round(count / RECIPIENTS, 1) for name, count in stored.items()}


def kept() -> Counts:
    """As they were measured last, on purpose."""
    document: Counts = json.loads(PATH.read_text())
    return document


def main() -> None:
    """Measure, and keep it."""
    os.environ.update(CREDENTIALS)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as aws:
        counts = measure(aws.url)
    PATH.write_text(json.dumps(counts, indent=1) + "\n")
    print(f"counts      {PATH.name}, by a mailing of {RECIPIENTS:,}, events {HANDED:,} at a time")


if __name__ == "__main__":
    main()
