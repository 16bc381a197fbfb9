"""`make bench-cold`: what a Lambda function imports when it starts cold, beside starlette and boto3 alone.

Compared: CPU time (user and system) of a fresh Python from its start until the handler's module is imported and boto3
with it, less that of a Python that imports nothing; the ways take turns. The least of each counts, since what disturbs
only adds; the medians' ratio stands beside it. Compiled files are there, or every start would measure the compiler.

The second table is the door's start with its first request, of each kind, from an SQLite store, which is not what
Lambda has, and so it has no target. It keeps the first table honest: what is only put off is found here.

Exit status: 0, or 1 when a function took more than 1.3 times what starlette and boto3 took.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from newsletter.tokens import Purpose, mint

ROOT = Path(__file__).resolve().parents[2]
TARGET, TURNS = 1.3, 15
NOTHING, ALONE = "nothing", "starlette and boto3 alone"
IMPORTS = {
    NOTHING: "pass",
    ALONE: "import starlette.applications, boto3",
    "door": "import newsletter.aws.door, boto3",
    "events": "import newsletter.aws.events, boto3",
    "schedule": "import newsletter.aws.schedule, boto3",
    "worker": "import newsletter.aws.worker, boto3",
}
_KEY = b"k" * 32


def _first(method: str, path: str, body: str = "") -> str:
    """The program that starts the door and has it answer this one request with 200."""
    request: dict[str, Any] = {
        "version": "2.0", "rawPath": path, "rawQueryString": "", "body": body,
        "headers": {
            "x-origin-key": "k", "sec-fetch-site": "same-origin", "content-length": str(len(body)),
            "content-type": "application/x-www-form-urlencoded",
        },
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "127.0.0.1"}},
    }  # fmt: skip
    return (
        "import newsletter.aws.door as door; answer = door.handler("
        f"{request!r}, None); assert answer['statusCode'] == 200, answer"
    )


_LEAVE = f"/u/{mint(Purpose.UNSUBSCRIBE, bytes(16), (_KEY,))}"
REQUESTS = {
    "/health": _first("GET", "/health"),
    "one-click unsubscribe, POST /u/…": _first("POST", _LEAVE, "List-Unsubscribe=One-Click"),
    "the page to leave, GET /u/…": _first("GET", _LEAVE),
    "sign-up, POST /subscribe": _first("POST", "/subscribe", "email=reader%40example.org"),
}


def cpu(code: str, environment: dict[str, str]) -> float:
    """CPU seconds of a Python that runs this and ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured() -> dict[str, list[float]]:
    """CPU seconds of every way, one a turn."""
    with tempfile.TemporaryDirectory() as folder:
        # Nothing else from the environment: PYTHONDONTWRITEBYTECODE would have each start compile our modules anew.
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "plugins"),
            "STORE_URL": f"sqlite:///{folder}/store.db",
            "SECRET_KEY": _KEY.decode(),
            "ORIGIN_KEY": "k",
        }
        ways = IMPORTS | REQUESTS
        took: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(TURNS + 1):
            # The first turn compiles. Sign-ups are at most three a day for one address: a store of its own each.
            environment["STORE_URL"] = f"sqlite:///{folder}/{turn}.db"
            for name, code in ways.items():
                seconds = cpu(code, environment)
                if turn:
                    took[name].append(seconds)
    return took


def main() -> int:
    """Measure and print."""
    took = measured()
    least = {name: min(times) - min(took[NOTHING]) for name, times in took.items()}
    usual = {name: median(times) - median(took[NOTHING]) for name, times in took.items()}
    imports = Table(title="Imported at a cold start", box=None, title_justify="left")
    for head in ("", "CPU, ms", "ratio", "of medians"):
        imports.add_column(head, justify="right" if head else "left")
    for name in list(IMPORTS)[1:]:
        ratios = least[name] / least[ALONE], usual[name] / usual[ALONE]
        imports.add_row(name, f"{least[name] * 1000:.0f}", *(f"{ratio:.2f}" for ratio in ratios))
    requests = Table(title="The door with its first request", box=None, title_justify="left")
    for head in ("", "CPU, ms", "median"):
        requests.add_column(head, justify="right" if head else "left")
    for name in REQUESTS:
        requests.add_row(name, f"{least[name] * 1000:.0f}", f"{usual[name] * 1000:.0f}")
    console = Console()
    console.print(imports)
    console.print(requests)
    return int(max(least[name] / least[ALONE] for name in IMPORTS) > TARGET)


if __name__ == "__main__":
    sys.exit(main())
