"""DynamoDB for a test, over HTTP: tables of its own on a server that several share."""

from __future__ import annotations

import secrets

from newsletter.store.dynamodb.making import make_tables

REGION = "eu-west-1"
# No server that runs on this machine looks at them.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


def fresh(endpoint: str) -> str:
    """The URL of a store in tables that nobody else has."""
    url = f"dynamodb://newsletter-{secrets.token_hex(6)}?region={REGION}&endpoint={endpoint}"
    assert make_tables(url)
    return url
