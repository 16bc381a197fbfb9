"""Door, sender, events and import at once on one SQLite file, each a process of its own as an operator runs them: nobody
who uses them sees an error, and nothing is lost.
"""

from __future__ import annotations

import http.client
import itertools
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from newsletter.show import table
from newsletter.tokens import Purpose, mint
from tests.conftest import Project, _project
from tests.local_ses_world import World, world

MONTHS = ("2020-08", "2020-09", "2020-10")
KEY = "k" * 40
SITE, HOST = "http://127.0.0.1:8000", "127.0.0.1:8000"
READERS, A_FILE = 600, 200


@dataclass
class House:
    """A project whose processes share one database, and what they said."""

    project: Project
    ses: World
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
    imported: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def environment(self) -> dict[str, str]:
        ours = {
            "COLUMNS": "200", "TERM": "dumb", "PYTHONPATH": "plugins", "PYTHONUNBUFFERED": "1",
            "SECRET_KEY": KEY, "SITE_URL": SITE, "TRUSTED_PROXIES": "1",
        }  # fmt: skip
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        return inherited | dict(self.ses.server.environment) | ours

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.project.path / "var/newsletter.db", timeout=30) as db:
            found = db.execute(query, values).fetchall()
        db.close()
        return found

    def run(self, *words: str) -> str:
        """A command that is to succeed without a word of trouble; what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "newsletter", *words],
            cwd=self.project.path, env=self.environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if done.returncode or done.stderr:
            self.troubles.append(f"{' '.join(words)}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs as long as the block, and ends without a word of trouble."""
        said = self.project.path / f"{words[0]}.stderr"
        with said.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "newsletter", *words],
                cwd=self.project.path, env=self.environment, stdout=subprocess.PIPE, stderr=stderr, text=True,
            )  # fmt: skip
        try:
            yield process
            if process.poll() is not None:
                self.troubles.append(f"{words[0]}: has ended by itself: {process.returncode}")
        finally:
            process.terminate()
            process.communicate(timeout=60)
            self.troubles += [f"{words[0]}: {line}" for line in said.read_text().splitlines()]

    # -- what goes on at the same time, each in a thread of its own

    def visit(self, port: int, number: int) -> None:
        """One visitor after another signs up, asks for the own page, writes to the house, leaves by one click."""
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        browser = {
            "Host": HOST,
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/x-www-form-urlencoded",
        }

        def post(path: str, fields: dict[str, str], ip: str) -> None:
            line.request("POST", path, urlencode(fields), {**browser, "X-Forwarded-For": ip})
            answer = line.getresponse()
            answer.read()
            self.answers[path.split("/")[1], answer.status] += 1

        for turn in itertools.count():
            if self.over.is_set():
                break
            ip = f"10.{number}.{turn % 250}.{turn // 250 % 250}"  # from all over the world
            email = f"visitor{number}.{turn}@example.net"
            post("/subscribe", {"email": email}, ip)
            post("/me", {"email": f"reader{turn % READERS}@example.net"}, ip)
            if turn % 20 == 0:
                post("/contact", {"email": email, "name": "A. Visitor", "message": "Hello"}, ip)
            leaving = self.rows(
                "SELECT public_id FROM subscriber WHERE subscription = 'confirmed' AND address LIKE 'new%' LIMIT 1 OFFSET ?",
                number,
            )
            for (public_id,) in leaving:
                token = mint(Purpose.UNSUBSCRIBE, bytes(public_id), [KEY.encode()])  # type: ignore[arg-type]
                post(f"/u/{token}", {"List-Unsubscribe": "One-Click"}, ip)
        line.close()

    def send(self) -> None:
        """One briefing after another, and again from the first."""
        for month in itertools.cycle(MONTHS):
            if self.over.is_set():
                return
            self.run("send", month, "--approve", self.project.hash(month))
            self.run("discard", month)

    def fetch(self) -> None:
        """One file of new subscribers after another."""
        for turn in itertools.count():
            if self.over.is_set():
                return
            self.take(f"new{turn}", A_FILE)

    def take(self, name: str, count: int) -> None:
        """Import a file of so many who are on no list yet."""
        self.run("subscribers", "import", self.list(name, count), "--confirmed", "--source", "a test")
        self.imported += count

    def list(self, name: str, count: int) -> str:
        lines = [f"{name}.{number}@example.net,confirmed" for number in range(count)]
        self.project.write(f"{name}.csv", "\n".join(["email,status", *lines, ""]))
        return f"{name}.csv"


@pytest.fixture
def house(built: Project, tmp_path: Path) -> Iterator[House]:
    project = _project(tmp_path / "project", ("publication.toml", "theme", "plugins"))
    for name in ("output", "build"):
        shutil.copytree(built.path / name, project.path / name)
    with world(tmp_path, identities=("example.org",), max_send_rate=2000.0, daily_quota=-1) as ses:
        yield House(project, ses)


@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.long)])
def test_door_sender_events_and_import_share_one_file_and_nobody_sees_an_error(
    house: House, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    house.take("reader", READERS)
    assert house.troubles == []
    with house.running("web", "--port", "0") as web, house.running("events", "--wait", "1") as events:
        assert web.stdout
        assert events.stdout
        port = next(int(found[1]) for line in web.stdout if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
        drained = threading.Thread(target=events.stdout.read)
        work = [
            threading.Thread(target=house.send),
            threading.Thread(target=house.fetch),
            *(threading.Thread(target=house.visit, args=(port, number)) for number in range(3)),
        ]
        for thread in (drained, *work):
            thread.start()
        time.sleep(seconds)  # so long they are to be at it
        house.over.set()
        for thread in work:
            thread.join()
    drained.join()
    with capsys.disabled():
        table(
            f"Door, sender, events and import on one file for {seconds} seconds",
            [
                *((f"{page}: {status}", count) for (page, status), count in sorted(house.answers.items())),
                ("mails accepted", len(house.ses.mailed())),
                ("lines imported", house.imported),
            ],
        )
    assert house.troubles == []
    # 409 and 429: more work, or later, because so many knocked; no fault of ours.
    assert {status for _, status in house.answers} <= {200, 409, 429}
    assert {page for page, status in house.answers if status == 200} == {"subscribe", "me", "contact", "u"}
    assert house.rows("PRAGMA integrity_check") == [("ok",)]
    assert house.rows("SELECT count(*) FROM subscriber") == [(house.imported,)]
    assert house.ses.bulk_calls() > 0
