"""`make bench-cold`: what a Lambda function imports when it starts cold, beside starlette and boto3 alone.

Compared: CPU time (user and system) of a fresh Python from its start until the handler's module is imported and boto3
with it, less that of a Python that imports nothing; the ways take turns, and the least of each counts, since what
disturbs only adds. Compiled files are there, as in Lambda after the first start. The last column is the first request:
the door answers /health from an SQLite store, which is not what Lambda has, and so it has no target.

Exit status: 0, or 1 when a function took more than 1.3 times what starlette and boto3 took.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
TARGET, TURNS = 1.3, 15
ALONE = "starlette and boto3 alone"
WAYS = {
    "nothing": "pass",
    ALONE: "import starlette.applications, boto3",
    "door": "import newsletter.aws.door, boto3",
    "events": "import newsletter.aws.events, boto3",
    "schedule": "import newsletter.aws.schedule, boto3",
    "worker": "import newsletter.aws.worker, boto3",
}
_REQUEST = {
    "version": "2.0", "headers": {"x-origin-key": "k"}, "rawPath": "/health", "rawQueryString": "",
    "requestContext": {"http": {"method": "GET", "path": "/health", "sourceIp": "127.0.0.1"}}, "body": "",
}  # fmt: skip
FIRST = f"import newsletter.aws.door as door; assert door.handler({_REQUEST!r}, None)['statusCode'] == 200"


def cpu(code: str, environment: dict[str, str]) -> float:
    """CPU seconds of a Python that runs this and ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "plugins"),
            "STORE_URL": f"sqlite:///{folder}/store.db",
            "SECRET_KEY": "k" * 32,
            "ORIGIN_KEY": "k",
        }
        least = dict.fromkeys(WAYS, float("inf"))
        for turn in range(TURNS + 1):
            for name, code in WAYS.items():
                took = cpu(code, environment)
                if turn:  # the first compiles
                    least[name] = min(least[name], took)
        first = min(cpu(FIRST, environment) for _ in range(5)) - least["nothing"]
    table = Table(title="Imported at a cold start", box=None, title_justify="left")
    for head in ("", "CPU, ms", "ratio", "with the first request, ms"):
        table.add_column(head, justify="right" if head else "left")
    alone, ratios = least[ALONE] - least["nothing"], {}
    for name in list(WAYS)[1:]:
        took = least[name] - least["nothing"]
        ratios[name] = took / alone
        answered = f"{first * 1000:.0f}" if name == "door" else ""
        table.add_row(name, f"{took * 1000:.0f}", f"{ratios[name]:.2f}", answered)
    Console().print(table)
    return int(max(ratios.values()) > TARGET)


if __name__ == "__main__":
    sys.exit(main())
