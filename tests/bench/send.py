"""`make bench-send`: a briefing to 1,000,000 subscribers, from the list to the last line of the ledger.

The sender is the real one: `Delivery` over boto3 and the SQLite store, on this disk and as durable as in earnest.
SES is a sink in a process of its own that only answers (sink.py); what that takes does not count. Everything measured
is a child process (sender.py), and what is compared is CPU time, user and system, which waiting does not change.

    import   the list as CSV, checked, without duplicates, as `newsletter subscribers import` takes it in
                 beside `.import` of the sqlite3 shell: the same file, unchecked, into a table without indexes
    freeze   every confirmed subscriber a recipient, the others exclusions
                 beside INSERT … SELECT of the same columns for everybody, into a table without a key or an index
    send     start, freeze, half of the calls, then killed between an answer and its record; started again, to the end
                 beside the same mail by one SendEmail a recipient, and by SMTP, each for a sample of recipients
    start    until the first call of SES, of a briefing just frozen beside the one that was killed

Beside us only the loop counts: neither start-up nor any ledger. Nobody has TLS. The same is done for a list of a tenth
of the size: neither memory nor the CPU a message may grow with the list.

Bytes posted: of all SendBulkEmail calls the request line, the headers and the body. A recipient's own: of its entry the
JSON of its address, of its data for the template and of the values of its headers.

Exit status: 0, or 1 when a figure is not what it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
BATCH = 50
SAMPLE = 2_000  # recipients of the ways with a call each
# A list as they are: most addresses at few domains, the others at many; some who left, some of no status to be mailed.
LARGE, SMALL = 30, 30  # domains; one small one to so many subscribers
SOURCES = ("website sign-up", '"website sign-up, analysis page"', "conference 2019", "")
NAMES = ("", "Jane Example", "Équipe risque pays", "R. Reader", "Desk of the day")


def main() -> int:
    options = _options()
    console = Console(stderr=options.json, width=110, highlight=False)
    load = os.getloadavg()
    if not shutil.which("sqlite3"):
        console.print("The sqlite3 shell is missing. On Debian or Ubuntu: sudo apt-get install sqlite3")
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-send-", dir=options.dir) as folder, sink() as bench:
        small, large = (
            measure(bench, Path(folder) / str(count), count, options.rounds, console)
            for count in (options.subscribers // 10, options.subscribers)
        )
        console.print(f"beside      {options.sample:,} recipients by each of the other ways", style="dim")
        others = beside(bench, options.sample)
    verdicts = judge(small, large, others)
    if options.json:
        loads = [load, os.getloadavg()]
        figures = {"load": loads, "small": small, "large": large, "others": others, "verdicts": verdicts}
        print(json.dumps(figures, indent=2))
    else:
        console.print(_figures(small, large))
        console.print(_others(large, others))
        console.print(_verdicts(verdicts))
        after = os.getloadavg()
        console.print(
            f"Load of this machine ({os.cpu_count()} CPUs): {load[0]:.1f} before, {after[0]:.1f} after",
            style="dim",
        )
    return int(not all(kept for *_, kept in verdicts))


class Bench:
    """Runs roles of sender.py in an environment where SES is the sink."""

    def __init__(self, http: int, smtp: int) -> None:
        self.smtp = smtp
        self._sink = f"http://127.0.0.1:{http}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._environment = clean | {
            "AWS_ENDPOINT_URL_SESV2": self._sink, "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "sink",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def run(self, role: str, **order: Any) -> dict[str, Any]:
        """Its answer. Raises SystemExit with what it said when it fails."""
        done = subprocess.run(
            [sys.executable, HERE / "sender.py", role], input=json.dumps(order), env=self._environment,
            stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if done.returncode not in (0, -9) or not done.stdout:
            raise SystemExit(f"{role}: exit status {done.returncode}\n{done.stdout}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def tally(self) -> dict[str, int]:
        """What was posted since it was asked last; then it begins anew."""
        with urllib.request.urlopen(f"{self._sink}/tally") as answer:
            found: dict[str, int] = json.load(answer)
        return found


@contextmanager
def sink() -> Iterator[Bench]:
    """The sink, for as long as it is needed."""
    process = subprocess.Popen([sys.executable, HERE / "sink.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield Bench(*map(int, process.stdout.readline().split()))
    finally:
        process.kill()
        process.wait()


def measure(bench: Bench, work: Path, count: int, rounds: int, console: Console) -> dict[str, Any]:
    """All figures of a list of `count`. Times are seconds of CPU, memory MB, bytes for each recipient."""

    def say(what: str) -> None:
        console.print(f"{what:<12}{count:,} subscribers", style="dim")

    work.mkdir()
    listed, imported, frozen, killed, db = (
        work / name for name in ("list.csv", "imported", "frozen", "killed", "db")
    )
    say("import")
    write_list(listed, count)
    shell = _cpu(["sqlite3", work / "shell", ".mode csv", f".import {listed} subscriber"])
    taken = bench.run("import", file=str(listed), url=_url(imported))
    if taken["added"] != count:
        raise SystemExit(f"{taken['added']:,} of {count:,} were imported")
    with sqlite3.connect(imported) as database:  # one of a hundred must not be mailed any more
        database.execute(
            "INSERT INTO suppression SELECT address_key, 'hard_bounce', '2020-01-01T00:00:00.000Z', '' "
            "FROM subscriber WHERE id % 100 = 3"
        )
    database.close()
    say("freeze")
    freezes = each(rounds, lambda: bench.run("freeze", url=_url(_copy(imported, frozen))))
    plain = each(rounds, lambda: bench.run("plain", url=_url(_copy(imported, db))))
    recipients = freezes[0]["recipients"]
    say("send")
    starts = each(rounds, lambda: bench.run("send", url=_url(_copy(frozen, db)), kill_after=1))
    bench.tally()
    half = recipients // BATCH // 2
    first = bench.run("send", url=_url(_copy(imported, db)), kill_after=half)
    _copy(db, killed)
    second = bench.run("send", url=_url(db))
    posted = bench.tally()
    expected = {"submitted": recipients - BATCH, "in_doubt": BATCH}
    if second["states"] != expected or posted["mails"] != recipients or posted["twice"]:
        raise SystemExit(
            f"Not everybody was mailed once: {second['states']}, {posted}; {recipients:,} recipients"
        )
    say("resume")
    resumes = each(rounds, lambda: bench.run("send", url=_url(_copy(killed, db)), kill_after=1))
    bench.tally()
    shutil.rmtree(work)
    cpu = first["cpu"] + second["cpu"]
    return {
        "subscribers": count,
        "recipients": recipients,
        "import": taken["cpu"],
        "shell": shell,
        "import_memory": taken["memory"],
        "freeze": statistics.median(run["freeze"] for run in freezes),
        "plain": statistics.median(run["freeze"] for run in plain),
        "start": statistics.median(run["start"] for run in starts),
        "resume": statistics.median(run["start"] for run in resumes),
        "send": cpu,
        "rate": recipients / cpu,
        "each": (second["cpu"] - second["start"]) / (recipients - half * BATCH),
        "memory": max(first["memory"], second["memory"]),
        "posted": posted["bytes"] / recipients,
        "own": posted["own"] / recipients,
    }


def each(rounds: int, work: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
    return [work() for _ in range(rounds)]


def beside(bench: Bench, sample: int) -> dict[str, float]:
    """CPU seconds a recipient, of the ways that take a call for each."""
    order = {"count": sample, "smtp": bench.smtp}
    return {
        "SendEmail": bench.run("single", **order)["each"],
        "SMTP": bench.run("smtp", keep=True, **order)["each"],
        "SMTP, a connection each": bench.run("smtp", keep=False, **order)["each"],
        "SMTP, the mail made once": bench.run("smtp_ready", **order)["each"],
    }


def judge(small: dict[str, Any], large: dict[str, Any], others: dict[str, float]) -> list[tuple[Any, ...]]:
    """What should be kept: (words, figure, "at least" or "at most", limit, whether it is)."""
    beyond = large["posted"] - large["own"]
    found = [
        ("messages per CPU-second", large["rate"], "at least", 6_000),
        ("times SendEmail", large["rate"] * others["SendEmail"], "at least", 10),
        ("times SMTP", large["rate"] * others["SMTP"], "at least", 10),
        ("bytes a recipient beyond its own", beyond, "at most", 400),
        ("MB of memory, sending", large["memory"], "at most", 200),
        ("times the memory for a tenth of the list", large["memory"] / small["memory"], "at most", 1.1),
        ("times the CPU a message of a tenth of the list", large["each"] / small["each"], "at most", 1.1),
        ("times the shell's .import", large["import"] / large["shell"], "at most", 5),
        ("times a plain INSERT … SELECT, freezing", large["freeze"] / large["plain"], "at most", 3),
        ("times a normal start, resuming", large["resume"] / large["start"], "at most", 1.1),
    ]
    return [(*line, line[1] >= line[3] if line[2] == "at least" else line[1] <= line[3]) for line in found]


def write_list(path: Path, count: int) -> None:
    """A list of so many subscribers, nobody twice, in no order; the same each time."""
    chance = random.Random(count)  # noqa: S311 - not a secret
    with path.open("w", encoding="utf-8") as file:
        file.write("email,status,name,subscribed_at,confirmed_at,source\n")
        for number in range(count):
            domain = f"mail{chance.randrange(LARGE)}.example"
            if chance.random() < 0.3:
                domain = f"house{chance.randrange(1 + count // SMALL)}.example"
            person = chance.choice(("reader", "jane.doe", "Desk", "a_b", "newsletter+briefing"))
            status = "unsubscribed" if number % 50 == 7 else "confirmed"
            day = f"20{chance.randrange(10, 21)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
            file.write(
                f"{person}{chance.randrange(16**6):06x}.{number:x}@{domain},{status},{chance.choice(NAMES)},"
                f"{day}T11:59:03Z,{day}T12:06:28Z,{chance.choice(SOURCES)}\n"
            )


def _cpu(command: list[Any]) -> float:
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]}: exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _copy(source: Path, target: Path) -> Path:
    shutil.copy(source, target)
    os.sync()  # so that nobody waits for what another has left to write
    return target


def _url(path: Path) -> str:
    return f"sqlite:///{path.resolve()}"


def _figures(small: dict[str, Any], large: dict[str, Any]) -> Table:
    table = Table(title="The whole sender, CPU seconds", title_justify="left")
    table.add_column("")
    rows = {
        "subscribers": ("subscribers", ",.0f"), "recipients": ("recipients", ",.0f"),
        "import": ("import", ".2f"), "  the sqlite3 shell's .import": ("shell", ".2f"),
        "freeze": ("freeze", ".2f"), "  a plain INSERT … SELECT": ("plain", ".2f"),
        "start, to the first call": ("start", ".2f"), "  after being killed": ("resume", ".2f"),
        "send, with two starts and the freeze": ("send", ".2f"), "messages per CPU-second": ("rate", ",.0f"),
        "peak memory sending, MB": ("memory", ".0f"), "  importing": ("import_memory", ".0f"),
        "bytes posted a recipient": ("posted", ".0f"), "  of them its own": ("own", ".0f"),
    }  # fmt: skip
    for each_ in (small, large):
        table.add_column(f"{each_['subscribers']:,}", justify="right")
    for words, (figure, form) in rows.items():
        if figure != "subscribers":
            table.add_row(words, *(format(each_[figure], form) for each_ in (small, large)))
    return table


def _others(large: dict[str, Any], others: dict[str, float]) -> Table:
    table = Table(title="The same mail, messages per CPU-second", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("of ours", justify="right")
    table.add_row("the whole sender, by SendBulkEmail", f"{large['rate']:,.0f}", "")
    for way, seconds in others.items():
        table.add_row(way, f"{1 / seconds:,.0f}", f"1 / {large['rate'] * seconds:.1f}")
    return table


def _verdicts(verdicts: list[tuple[Any, ...]]) -> Table:
    table = Table(title="What should be kept", title_justify="left", show_header=False)
    for justify in ("right", "left", "left"):
        table.add_column(justify=justify)
    for words, figure, bound, limit, kept in verdicts:
        style = "" if kept else "red"
        table.add_row(
            f"{figure:,.0f}" if figure >= 50 else f"{figure:.2f}", words,
            f"{bound} {limit:,}" + ("" if kept else ": missed"), style=style,
        )  # fmt: skip
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mail a briefing to many into a sink, and measure.")
    parser.add_argument("--subscribers", type=int, default=1_000_000, help="a tenth of them is done as well")
    parser.add_argument("--quick", action="store_true", help="100,000 subscribers, each thing once")
    parser.add_argument("--rounds", type=int, default=3, help="of what is short; medians are taken")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="recipients of the ways beside ours")
    parser.add_argument("--dir", help="a folder on the disk to measure (some 2 GB)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if options.quick:
        options.subscribers, options.rounds, options.sample = 100_000, 1, 500
    return options


if __name__ == "__main__":
    sys.exit(main())
