"""What one mailing of 1,000 asks of the DynamoDB store, kept in tests/data/store-counts.json and held by tests."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import cast
from unittest import mock

from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.server import running as local_ses
from newsletter.store import open_store
from newsletter.store.dynamodb import DynamoStore
from newsletter.store.dynamodb.table import Table
from tests.capacity import size_of
from tests.dynamo_world import CREDENTIALS, fresh
from tests.ministack_world import running
from tests.store_meter import HANDED, mailing, metered

PATH = Path(__file__).resolve().parents[1] / "data/store-counts.json"
# Of these the page is made; so few are mailed by `make test`, whose counts are kept beside the others.
RECIPIENTS, FEW = 5_000, 300

Counts = dict[str, dict[str, float]]


def measure(
    endpoint: str, folder: Path, recipients: int = RECIPIENTS, told: bool = False
) -> tuple[Counts, dict[str, list[float]]]:
    """For each part of a mailing, calls, writes and units per 1,000 recipients; and, if the server is asked for what
    it counts itself, for each operation our units and its own. The environment has credentials.
    """
    url = fresh(endpoint)
    config = LocalSesConfig(
        folder / "mailbox", folder / "ses.sqlite", folder / "accepts.jsonl", identities=("example.org",),
        max_send_rate=1_000_000.0, daily_quota=-1,
    )  # fmt: skip
    with local_ses(config) as ses, mock.patch.dict(os.environ, ses.environment), metered(url, told) as meter:
        store = cast(DynamoStore, open_store(url))
        parts = mailing(store, meter, recipients)
        store.close()
    counts = {
        name: {what: round(1000 * count / recipients, 1) for what, count in part.items()}
        for name, part in parts.items()
    }
    return counts | {"bytes of each": _stored(Table(url), recipients)}, meter.told or {}


def _stored(table: Table, recipients: int) -> dict[str, float]:
    """The bytes that a subscriber takes, and its place in one ledger; DynamoDB adds a hundred to each item."""
    stored = dict.fromkeys(("subscriber", "recipient"), 0)
    for page in table.client.get_paginator("scan").paginate(TableName=table.name):
        for item in page["Items"]:
            of = "recipient" if item["pk"]["S"].startswith("SEND") else "subscriber"
            stored[of] += size_of(item) + 100
    return {name: round(count / recipients, 1) for name, count in stored.items()}


def kept(recipients: int = RECIPIENTS) -> Counts:
    """As they were measured last, on purpose, by a mailing of so many."""
    document: dict[str, Counts] = json.loads(PATH.read_text())
    return document[f"a mailing of {recipients}"]


def main() -> None:
    """Measure, and keep it."""
    os.environ.update(CREDENTIALS)
    document = {}
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as aws:
        for recipients in (FEW, RECIPIENTS):
            folder = Path(name) / str(recipients)
            folder.mkdir()
            document[f"a mailing of {recipients}"], _ = measure(aws.url, folder, recipients)
    PATH.write_text(json.dumps(document, indent=1) + "\n")
    print(f"counts      {PATH.name}, by a mailing of {RECIPIENTS:,}, events {HANDED:,} at a time")


if __name__ == "__main__":
    main()
