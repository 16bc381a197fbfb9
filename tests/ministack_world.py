"""ministack (PyPI): S3, DynamoDB, SQS, SNS, Lambda and CloudFormation over HTTP, in a process of its own.

It is nobody's copy of AWS. What it answers otherwise than AWS is said in the tests that met it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REGION, ACCOUNT = "eu-west-1", "000000000000"
KEYS = {"AWS_ACCESS_KEY_ID": "ministack", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_REGION": REGION}
_READY = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


@cache
def _session() -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )


@dataclass
class Ministack:
    """A running ministack. `environment` points boto3 in a child process to it."""

    url: str
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**KEYS, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.url}

    def client(self, service: str) -> Any:
        """A boto3 client for a service, made once."""
        if service not in self._clients:
            once = Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=60)
            self._clients[service] = _session().client(service, endpoint_url=self.url, config=once)
        return self._clients[service]


@contextmanager
def running(folder: Path) -> Iterator[Ministack]:
    """Serve on a free port of this machine; its log is in `folder`."""
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("AWS_")},
        # Without BIND_HOST it would listen on every address; its MQTT broker would want a port of its own.
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": "0",
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(folder),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield Ministack(_address(process.stdout, folder / "ministack.log"))
        finally:
            process.terminate()
            process.wait(30)


def _address(output: Any, log: Path) -> str:
    """Where it says that it listens; all that it says afterwards goes into the log."""
    said = []
    for line in output:
        said.append(line)
        if found := _READY.search(line):
            threading.Thread(
                target=lambda: log.write_text("".join([*said, *output])), name="ministack-log", daemon=True
            ).start()
            return found[1]
    raise AssertionError("ministack did not start:\n" + "".join(said[-20:]))
