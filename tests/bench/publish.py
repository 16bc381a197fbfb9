"""`make bench-publish`: a site of 10,000 pieces into S3 (ministack's), first, again, and after one edit: how many files
are uploaded, and how long it takes.

The site is the build's own, of the pieces that `make bench` builds, without search index, PDF editions and cards,
which would be three more files a piece; one edit is a changed headline, built anew. ministack answers some hundreds of
requests a second on one processor, so that the seconds are its own; S3 takes thousands. What counts are the uploads.

Exit status: 0, or 1 when a publish of an unchanged site uploads anything, or one edit more than a hundredth of all.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import build
from rich.console import Console
from rich.table import Table

from tests.ministack_world import KEYS, REGION, running

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """One publish: what it did, and in how many seconds; `cpu` is the publisher's own."""

    what: str
    uploaded: int
    deleted: int
    unchanged: int
    seconds: float
    cpu: float


def publish(what: str, site: Path, environment: dict[str, str]) -> Run:
    """Publish as a person does."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "newsletter", "publish", "--site", str(site)],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    [plan] = re.findall(
        r"^plan +([\d,]+) to upload.*?, ([\d,]+) to delete, ([\d,]+) unchanged", done.stdout, re.M
    )
    counts = [int(number.replace(",", "")) for number in plan]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(what, *counts, seconds, cpu)


def make(work: Path) -> Path:
    """Build what is in `work`; the site."""
    subprocess.run(
        [sys.executable, "-m", "newsletter", "build"],
        cwd=work, env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")}, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return work / "output"


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=10_000)
    count = options.parse_args().count
    console = Console(width=100, highlight=False)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work = Path(folder)
        build.prepare(work, count)
        ours = work / "ours"
        shutil.rmtree(work / "hugo")
        console.print(f"building    {count:,} pieces", style="dim")
        site = make(ours)
        with running(work) as aws:
            aws.client("s3").create_bucket(
                Bucket="briefing-site", CreateBucketConfiguration={"LocationConstraint": REGION}
            )
            environment = {
                **os.environ, **KEYS, "AWS_ENDPOINT_URL": aws.url, "SITE_BUCKET": "briefing-site",
                "PYTHONPATH": str(ROOT / "plugins"),
            }  # fmt: skip
            runs.append(publish("first", site, environment))
            runs.append(publish("again", site, environment))
            piece = sorted((ours / "content/analyses").rglob("*.md"))[count // 2]
            text = piece.read_text()
            piece.write_text(re.sub(r'^title: "', 'title: "Edited ', text, count=1, flags=re.M))
            runs.append(publish("one headline edited", make(ours), environment))
    table = Table(title=f"make publish, {count:,} pieces", box=None, title_justify="left")
    for head in ("", "uploaded", "deleted", "unchanged", "seconds", "CPU, s"):
        table.add_column(head, justify="right" if head else "left")
    for run in runs:
        counts = (f"{run.uploaded:,}", f"{run.deleted:,}", f"{run.unchanged:,}")
        table.add_row(run.what, *counts, f"{run.seconds:.1f}", f"{run.cpu:.1f}")
    console.print(table)
    return int(bool(runs[1].uploaded) or 100 * runs[2].uploaded > runs[0].uploaded)


if __name__ == "__main__":
    sys.exit(main())
