"""What the tests share: a clock that stands still, a project in a folder of its own, a store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.ministack_world import Ministack, running

ROOT = Path(__file__).parent.parent
NOON = datetime(2020, 11, 2, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass(frozen=True)
class Project:
    """The project's files in a folder of the test's own, with its commands run as a person runs them."""

    path: Path

    def newsletter(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "newsletter", *words], environment)

    def pelican(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "pelican", *words], environment)

    def hash(self, month: str = "2020-10") -> str:
        """The content hash of a packaged briefing, which whoever mails it approves."""
        return str(json.loads(self.read(f"build/briefings/{month}/briefing.json"))["content_hash"])

    def findings(self, *words: str) -> list[str]:
        """What `newsletter check` finds, a line each: "content/a.md:2: title: is missing. Add a line …"."""
        told = json.loads(self.newsletter("check", "--format", "json", *words).stdout)["findings"]
        return [
            f"{one['path']}:{one['line']}: {one['field'] + ': ' if one['field'] else ''}{one['reason']} {one['mend']}"
            for one in told
        ]

    def mail(
        self, *words: str, month: str = "2020-10", faults: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Approve and mail a month through a local SES of its own; `words` are more options of `send`."""
        send = ("newsletter", "send", month, "--approve", self.hash(month), *words)
        return self.newsletter(
            "local-ses", *(["--faults", faults] if faults else []), "--", *send, **environment
        )

    def _run(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "STORE_URL"))
        }
        return subprocess.run(
            command,
            cwd=self.path,
            env={**inherited, "COLUMNS": "200", "TERM": "dumb", "PYTHONPATH": "plugins", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def analysis(self, name: str, body: str = "Some text.", **fields: str) -> Path:
        """A sound analysis, except for what `fields` say; a field of "" is left out."""
        facts = {
            "title": "A claim",
            "date": "2020-10-05",
            "summary": "What will happen, and to whom.",
            "region": "Iraq",
            **fields,
        }
        head = "".join(f"{key}: {value}\n" for key, value in facts.items() if value)
        return self.write(f"content/analyses/2020/{name}.md", f"---\n{head}---\n{body}\n")

    def briefing(
        self, month: str = "2020-10", body: str = "Dear reader,\n\nA letter.", extra: str = ""
    ) -> Path:
        return self.write(
            f"content/briefings/{month}.md",
            f"---\ntitle: Briefing {month}\nsubject: What to expect\npreheader: One line.\n{extra}---\n{body}\n",
        )

    def read(self, path: str) -> str:
        return (self.path / path).read_text(encoding="utf-8")


def _project(path: Path, parts: tuple[str, ...]) -> Project:
    path.mkdir(parents=True, exist_ok=True)
    for name in parts:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, path / name)
    return Project(path)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without content: the configuration, the theme and the plugins."""
    made = _project(tmp_path / "project", ("pelicanconf.py", "publication.toml", "theme", "plugins"))
    (made.path / "content/analyses").mkdir(parents=True)
    return made


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project with its own sample content, built once; nobody may change it, or tests would hang on their order."""
    parts = ("pelicanconf.py", "publication.toml", "theme", "plugins", "content", "samples")
    made = _project(tmp_path_factory.mktemp("built") / "project", parts)
    done = made.newsletter("build")
    assert done.returncode == 0, done.stderr
    before = {path.name for path in made.path.iterdir()}
    yield made
    assert {path.name for path in made.path.iterdir()} == before, (
        "a test has kept its state in the shared project"
    )


@pytest.fixture(scope="module")
def own(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The built project once more, for one module's tests to keep subscribers, mails and a local SES in."""
    copy = tmp_path_factory.mktemp("own") / "project"
    shutil.copytree(built.path, copy)
    return Project(copy)


@pytest.fixture
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Project]]:
    """Makes projects with the parts a test names."""
    return lambda *parts: _project(tmp_path_factory.mktemp("made") / "project", parts)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """AWS's other services on this machine; whoever uses it makes a bucket, table or queue of its own."""
    with running(tmp_path_factory.mktemp("ministack")) as served:
        yield served


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.fail("These tests look at pages with Chromium, and there is none: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
