"""docs/editors.md is true: its examples are judged as it says, its commands exist, its pictures are there and light."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from newsletter import publication
from newsletter.check import desk
from newsletter.check.house import house_of
from newsletter.cli import main
from newsletter.errors import Severity
from tests.conftest import ROOT, Project
from tests.test_workflows import _understand

GUIDE = (ROOT / "docs/editors.md").read_text()
PIECE = "content/analyses/2020/iraq-election-law.md"
MONTH_AFTER = datetime(2021, 1, 4, tzinfo=UTC)


def _example(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk_of(
    make_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Severity]]:
    """What the check says of the guide's piece, in the house's own content."""
    project = make_project("pelicanconf.py", "publication.toml", "theme", "plugins", "content")
    monkeypatch.chdir(project.path)

    def judge(text: str) -> dict[str, Severity]:
        project.write(PIECE, text)
        house = house_of(publication.load(Path(publication.FILE)), Path("content"))
        checked = desk.check(Path("content"), house, MONTH_AFTER, cache=None)
        return {finding.code: finding.severity for finding in checked.findings if finding.path == PIECE}

    return judge


def test_the_first_example_has_the_six_mistakes_and_the_second_none(
    desk_of: Callable[[str], dict[str, Severity]],
) -> None:
    flawed, mended = _example("markdown")
    found = desk_of(flawed)
    error, warning = Severity.ERROR, Severity.WARNING
    assert found == {
        "F101": error, "F103": error, "E401": error, "D501": warning, "A304": warning, "T203": warning
    }  # fmt: skip
    assert desk_of(mended) == {}


def test_the_example_of_changes_is_taken(desk_of: Callable[[str], dict[str, Severity]]) -> None:
    (changes,) = _example("yaml")
    assert set(yaml.safe_load(changes)) == {"corrections", "updates"}
    _, mended = _example("markdown")
    assert desk_of(mended.replace("status: draft\n", changes)) == {}


def test_its_commands_are_understood() -> None:
    typed = re.findall(r"^    (newsletter [^\n#]+)", GUIDE, re.MULTILINE)
    typed += [
        words for words in re.findall(r"`(newsletter [a-z][^`]*)`", GUIDE) if "command not found" not in words
    ]
    assert len(typed) > 5
    for line in typed:
        _understand(main, shlex.split(line.replace("FILE", "README.md"))[1:])


def test_the_targets_it_names_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z][a-z-]*)", GUIDE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_yardstick_it_shows_is_the_publications() -> None:
    table = re.search(r"^\| almost.*\n\|[-|]*\n\|.*", GUIDE, re.MULTILINE)
    assert table
    words, _, ranges = ([cell.strip() for cell in row.strip("|").split("|")] for row in table[0].split("\n"))
    yardstick = publication.load(ROOT / publication.FILE).yardstick
    for word, bracket in zip(words, ranges, strict=True):
        band = yardstick.band(word)
        assert band
        assert band.bracket.replace("\xa0", " ") == bracket, word


def test_its_pictures_are_there_light_and_told_in_words() -> None:
    shown = re.findall(r"!\[([^\]]+)\]\((pictures/[^)]+)\)", GUIDE)
    assert {path for _, path in shown} == {
        f"pictures/{path.name}" for path in (ROOT / "docs/pictures").iterdir()
    }
    for words, path in shown:
        assert len(words) > 20
        assert (ROOT / "docs" / path).stat().st_size < 150_000, path
