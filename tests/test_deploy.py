"""deploy/: what an operator copies onto a server says the same as the program, and a backup made with it can be used."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from newsletter.door.app import is_door
from newsletter.door.guard import POLICY
from newsletter.store import open_store
from tests.conftest import ROOT, Project

DEPLOY = ROOT / "deploy"
KEY = "k" * 40
DOOR = (
    "/subscribe",
    "/confirm/t",
    "/u/t",
    "/me",
    "/me/t",
    "/me/t/data.json",
    "/change/t",
    "/contact",
    "/health",
)
SITE = ("/", "/about/", "/methods/", "/users/", "/contacts/", "/feed.xml", "/search/")


def _by_nginx(path: str) -> bool:
    places = re.findall(r"location ~ (\S+) \{[^}]*proxy_pass", (DEPLOY / "nginx.conf").read_text())
    assert places
    return any(re.search(place, path) for place in places)


def _by_caddy(path: str) -> bool:
    [words] = re.findall(r"@door path (.*)", (DEPLOY / "Caddyfile").read_text())
    return any(
        path == word or (word.endswith("*") and path.startswith(word.removesuffix("*")))
        for word in words.split()
    )


@pytest.mark.parametrize("leads_to_the_door", [_by_nginx, _by_caddy])
def test_the_web_server_leads_to_the_door_what_is_the_doors(leads_to_the_door: Callable[[str], bool]) -> None:
    for path in DOOR:
        assert is_door(path)
        assert leads_to_the_door(path), path
    for path in SITE:
        assert not leads_to_the_door(path), path


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_the_web_server_gives_the_sites_pages_their_policy(name: str) -> None:
    text = (DEPLOY / name).read_text()
    assert f'"{POLICY}"' in text
    search = POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
    assert f'"{search}"' in text


@pytest.mark.parametrize(
    "name", ["newsletter-web.service", "newsletter-events.service", "newsletter-backup.service"]
)
def test_a_unit_runs_a_command_that_there_is(name: str) -> None:
    [line] = re.findall(r"^ExecStart=/srv/briefing/(.*)$", (DEPLOY / name).read_text(), re.MULTILINE)
    program, *words = line.split()
    if program == ".venv/bin/newsletter":
        shown = subprocess.run(
            [sys.executable, "-m", "newsletter", *words, "--help"],
            capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT / "plugins")},
        )  # fmt: skip
        assert shown.returncode == 0, shown.stderr
    else:
        assert (ROOT / program).stat().st_mode & 0o111


def test_the_drill(make_project: Callable[..., Project], tmp_path: Path) -> None:
    """As docs/operators.md has it: a backup, somebody leaves, the backup is put back, and that one has still left."""
    project = make_project("publication.toml", "plugins", "samples", "deploy")
    environment = {"SECRET_KEY": KEY}
    done = project.newsletter("subscribers", "import", "samples/subscribers.csv", **environment)
    assert (project.path / "var/newsletter.db").exists(), done.stderr

    def back_up() -> Path:
        made = subprocess.run(
            ["deploy/backup.sh", str(tmp_path / "backups")],
            cwd=project.path, capture_output=True, text=True, check=False, env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        return Path(made.stdout.split()[1])

    backup = back_up()
    assert backup.stat().st_mode & 0o077 == 0  # addresses are for nobody else to read
    store = open_store(f"sqlite:///{project.path / 'var/newsletter.db'}")
    reader = next(one for one in store.listed() if one.status == "confirmed")
    left = project.newsletter("subscribers", "show", reader.email, **environment)
    assert "confirmed" in left.stdout
    assert store.unsubscribe(bytes.fromhex(reader.id), datetime.now(UTC), "one click")
    store.close()
    kept = backup.read_bytes()
    back_up()  # the journal is the newest from now on

    restored = project.path / "var/drill.db"
    restored.write_bytes(kept)
    (project.path / "var/drill.journal.jsonl").write_bytes(
        (tmp_path / "backups/newsletter.journal.jsonl").read_bytes()
    )
    drill = {**environment, "STORE_URL": "sqlite:///var/drill.db"}
    assert project.newsletter("doctor", "--invariants", **drill).returncode == 0
    assert "confirmed" in project.newsletter("subscribers", "show", reader.email, **drill).stdout
    replayed = project.newsletter("subscribers", "replay", **drill)
    assert replayed.returncode == 0, replayed.stderr
    assert "unsubscribed" in project.newsletter("subscribers", "show", reader.email, **drill).stdout


def test_a_backup_of_what_is_no_file_says_so(make_project: Callable[..., Project], tmp_path: Path) -> None:
    project = make_project("publication.toml", "deploy")
    for store_url, words in (
        ("dynamodb://briefing", "DynamoDB backs itself up"),
        ("sqlite:///var/none.db", "not there"),
    ):
        done = subprocess.run(
            ["deploy/backup.sh", str(tmp_path / "backups")],
            cwd=project.path, capture_output=True, text=True, check=False,
            env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin", "STORE_URL": store_url},
        )  # fmt: skip
        assert done.returncode == 1
        assert words in done.stderr
