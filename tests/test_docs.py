"""README says what is there, and what is there is in README."""

from __future__ import annotations

import re
import tomllib

import click
import pytest

from newsletter.cli import main
from newsletter.states import State
from newsletter.store import Subscription
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_every_dependency_is_named_with_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = README.partition("### What it stands on")[2].lower()
    for name in [*project["dependencies"], *project["optional-dependencies"]["site"]]:
        assert name.partition("[")[0].lower() in reasons, name


def test_readme_has_at_most_ten_commands_and_each_exists() -> None:
    table = README.partition("## Ten commands")[2].partition("## Writing")[0]
    commands = re.findall(r"^\| `(make|newsletter) ?([a-z-]*) ?([a-z]*)", table, re.MULTILINE)
    assert 0 < len(commands) <= 10
    makefile = (ROOT / "Makefile").read_text()
    for program, first, second in commands:
        if program == "make":
            assert re.search(rf"^{first or 'all'}:", makefile, re.MULTILINE), first
        else:
            context = click.Context(main)
            command = main.get_command(context, first)
            assert command
            assert not isinstance(command, click.Group) or second in command.list_commands(context)


def test_the_glossary_has_every_word_for_a_state() -> None:
    glossary = README.partition("## Glossary")[2].partition("## How it is made")[0]
    for word in [*Subscription, State.PENDING, State.SUBMITTED, State.FAILED, State.SKIPPED, State.IN_DOUBT]:
        assert str(word).replace("_", " ") in glossary, word


def test_every_variable_of_the_environment_is_in_readme() -> None:
    source = (ROOT / "plugins/newsletter/settings.py").read_text()
    for name in re.findall(r'env\.get\("([A-Z_]+)"', source):
        assert f"`{name}`" in README, name


@pytest.mark.parametrize("path", ["requirements/run.txt", "requirements/dev.txt", "requirements/aws.txt"])
def test_every_requirement_has_a_hash_and_no_address(path: str) -> None:
    text = (ROOT / path).read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE), (
        "an option line: where to install from is the machine's business"
    )
    requirements = re.findall(r"^[a-z][^\n]*==", text, re.MULTILINE)
    assert requirements
    for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block[:60]


def test_plugins_holds_one_package_and_nothing_else() -> None:
    """Pelican would load a stray plugins/analysis.py in place of newsletter.analysis."""
    names = {
        path.name
        for path in (ROOT / "plugins").iterdir()
        if not path.name.endswith((".egg-info", "__pycache__"))
    }
    assert names == {"newsletter"}
