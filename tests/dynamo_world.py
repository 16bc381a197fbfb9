"""DynamoDB for a test, over HTTP: tables of its own on a server that several share."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from newsletter.store.dynamodb.making import make_tables
from tests.conftest import ROOT

REGION = "eu-west-1"
# What moto.server does, one request after another: a transaction that fails puts back a copy of the whole table, and so
# takes back what others have written meanwhile (moto/dynamodb/models/__init__.py, transact_write_items).
_MOTO = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
"""
# No server that runs on this machine looks at them.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


def fresh(endpoint: str) -> str:
    """The URL of a store in tables that nobody else has."""
    url = f"dynamodb://newsletter-{secrets.token_hex(6)}?region={REGION}&endpoint={endpoint}"
    assert make_tables(url)
    return url


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """AWS's own DynamoDB Local on a free port of this machine, its tables in memory; its address."""
    library = ROOT / "build/dynamodb-local/lib"
    if not library.is_dir():
        pytest.fail(
            f"{library} is not there: make build/dynamodb-local/stamp fetches it (needs Java and Maven)"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "java", f"-Djava.library.path={library}", "-cp", f"{library}/*",
        "com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", str(port),
    ]  # fmt: skip
    with _served(command, port) as url:
        yield url


@contextmanager
def moto() -> Iterator[str]:
    """moto's DynamoDB on a free port of this machine; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with _served([sys.executable, "-c", _MOTO, str(port)], port) as url:
        yield url


@contextmanager
def _served(command: list[str], port: int) -> Iterator[str]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 120
            while True:
                assert process.poll() is None, f"{command[0]} has ended with {process.returncode}"
                assert time.monotonic() < deadline, f"{command[0]} does not listen"
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                threading.Event().wait(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
