"""The way to publication: the workflows are what GitHub takes, ask for little, and type what the programs understand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from newsletter.cli import main
from tests.conftest import ROOT, Project

FOLDER = ROOT / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
HASH = "0123456789abcdef" * 4


def _jobs(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from yaml.safe_load(file.read_text())["jobs"].items()


def _runs(file: Path) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Each step that runs something: its name, its script, and the variables it is given."""
    for job_name, job in _jobs(file):
        for step in job["steps"]:
            if "run" in step:
                given = {**job.get("env", {}), **step.get("env", {})}
                yield f"{job_name}: {step['name']}", step["run"], given


STEPS = [(f"{file.name} {name}", script, given) for file in FILES for name, script, given in _runs(file)]


def test_github_takes_them() -> None:
    """By the schema that check-jsonschema carries, for workflows and for Dependabot."""
    for schema, files in (
        ("vendor.github-workflows", FILES),
        ("vendor.dependabot", [ROOT / ".github/dependabot.yml"]),
    ):
        words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "script", "given"), STEPS, ids=[name for name, *_ in STEPS])
def test_what_a_step_types_is_understood(
    name: str, script: str, given: dict[str, str], tmp_path: Path
) -> None:
    """The step's own script in a real shell; what it calls is noted and held against the command line."""
    assert "${{" not in script, (
        "an input that stands in a script can be a script: it goes through the environment"
    )
    _note_calls(tmp_path)
    (tmp_path / "build/briefings/2020-10").mkdir(parents=True)
    values = {"MONTH": "2020-10", "HASH": HASH, "EXPECT": "120"}
    environment = {
        **{key: values.get(key, "") for key in given}, **({"MONTH": "2020-10"} if "$MONTH" in script else {}),
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "outputs"),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    noted = tmp_path / "calls"
    for line in noted.read_text().splitlines() if noted.is_file() else ():
        program, *words = json.loads(line)
        if program == "make":
            known = subprocess.run(
                ["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert known.returncode == 0, known.stderr
        else:
            _understand(main, words)


def _note_calls(folder: Path) -> None:
    for program, place in (("newsletter", folder / ".venv/bin"), ("make", folder / "bin")):
        place.mkdir(parents=True)
        stub = place / program
        stub.write_text(
            f"#!{sys.executable}\nimport json, sys\n"
            f'with open({str(folder / "calls")!r}, "a") as calls:\n'
            f'    print(json.dumps(["{program}", *sys.argv[1:]]), file=calls)\n'
            f'print("{HASH}")\n'
        )
        stub.chmod(0o755)


def _understand(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """Parse the words as the command line does. Raises what it would say to a person who had mistyped them."""
    with command.make_context(command.name, list(words), parent=parent) as context:
        if isinstance(command, click.Group):
            _, sub, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            assert sub
            _understand(sub, rest, context)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_asks_for_as_little_as_it_can(file: Path) -> None:
    text, workflow = file.read_text(), yaml.safe_load(file.read_text())
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for name, job in _jobs(file):
        allowed = {"contents": "read", "id-token": "write"}
        assert job.get("permissions", {}).items() <= allowed.items(), name
        assert job["timeout-minutes"], name
        for step in job["steps"]:
            if "uses" in step:  # a tag can be moved to other code, a commit cannot
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
                if step["uses"].startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False
    assert "pull_request_target" not in text
    assert not re.search(r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)", text)


def test_nobody_is_mailed_before_reviewers_have_approved_what_was_proofed() -> None:
    jobs = dict(_jobs(FOLDER / "send.yml"))
    send = jobs["send"]
    assert send["environment"] == "briefing"
    assert send["needs"] == "proof"
    assert "environment" not in jobs["proof"]
    (mailing,) = (step for step in send["steps"] if "newsletter send" in step.get("run", ""))
    assert '--approve "$HASH"' in mailing["run"]
    assert send["env"]["HASH"] == "${{ needs.proof.outputs.hash }}"
    for name, job in jobs.items():
        secrets = [step for step in job["steps"] if "secrets." in json.dumps(step)]
        assert not secrets or name == "send"


@pytest.mark.parametrize(("file", "job"), [("check.yml", "content"), ("send.yml", "proof")])
def test_the_jobs_scripts_do_their_work(file: str, job: str, make_project: Callable[..., Project]) -> None:
    """Run for real, one after another, where `make` builds: proof, summary and hash are there in the end."""
    project = make_project("pelicanconf.py", "publication.toml", "theme", "plugins", "content")
    _programs(project.path)
    environment = {
        "MONTH": "2020-10", "STORE_URL": "sqlite:///var/newsletter.db", "PATH": f"{project.path}/bin:/usr/bin:/bin",
        "PYTHONPATH": "plugins", "COLUMNS": "200",
        "GITHUB_STEP_SUMMARY": "summary", "GITHUB_OUTPUT": "outputs",
    }  # fmt: skip
    for name, script, _ in _runs(FOLDER / file):
        if name.startswith(f"{job}: "):
            done = subprocess.run(
                ["bash", "-e", "-c", script], cwd=project.path, env=environment, capture_output=True, text=True,
                check=False, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    assert project.hash() in project.read("summary")
    assert "iframe" in project.read("build/proof/index.html")
    if job == "proof":
        assert project.read("outputs") == f"hash={project.hash()}\n"
    else:
        assert (project.path / "build/desk/index.html").is_file()
        assert not (project.path / "output/.preview").exists()


def _programs(folder: Path) -> None:
    for place, words in (
        (folder / ".venv/bin/newsletter", f'exec {sys.executable} -m newsletter "$@"'),
        (folder / "bin/make", 'if [ "$1" = html ]; then .venv/bin/newsletter build; fi'),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"#!/bin/sh\n{words}\n")
        place.chmod(0o755)
