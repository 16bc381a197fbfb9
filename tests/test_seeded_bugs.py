"""The tests have teeth: each bug of seeded_bugs/ is put into a copy of the project, and the tests it names must fail.

A patch begins with what is wrong in words and a line `Caught by: FILE::TEST` for each test that must see it. Without the
patch the same tests pass. To make a patch anew after the code has changed, make the change and take `git diff`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.long
PATCHES = sorted((Path(__file__).parent / "seeded_bugs").glob("*.patch"))
# A test that fails for one of these was not failed by the bug, but by a patch that is none any more.
_NO_BUG = re.compile(r"\b(ImportError|ModuleNotFoundError|SyntaxError|NameError|IndentationError)\b")


@dataclass(frozen=True)
class Copy:
    """The project in a folder of its own, so that a bug in it is in no other."""

    path: Path

    def outcomes(self, tests: list[str]) -> dict[str, str]:
        """Run the tests here: for each, "passed" or how it failed."""
        report = self.path / "report.xml"
        report.unlink(missing_ok=True)
        places = os.pathsep.join([str(self.path / "plugins"), str(self.path)])
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": places, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode in (0, 1), f"the tests could not be run:\n{done.stdout[-3000:]}{done.stderr}"
        found = {}
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - our own
            wrong = [*case.iter("failure"), *case.iter("error")]
            words = f"{wrong[0].tag}: {wrong[0].get('message', '')}" if wrong else "passed"
            found[f"{case.get('classname')}::{case.get('name')}"] = words
        assert len(found) == len(tests), (
            f"{len(tests)} tests were named and {len(found)} were run: {sorted(found)}"
        )
        return found


def _named(patch: Path) -> list[str]:
    return re.findall(r"^Caught by: (.+)$", patch.read_text(encoding="utf-8"), re.MULTILINE)


def _copy(folder: Path) -> Copy:
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "bench", "node_modules")
    for name in ("plugins", "tests", "theme", "samples"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in ("pyproject.toml", "publication.toml", "pelicanconf.py"):
        shutil.copy(ROOT / name, folder / name)
    return Copy(folder)


def test_there_are_at_least_twelve_and_each_names_a_test_that_sees_it() -> None:
    assert len(PATCHES) >= 12
    assert [patch.name for patch in PATCHES if not _named(patch)] == []


def test_without_a_bug_the_tests_that_are_named_pass(tmp_path: Path) -> None:
    named = sorted({test for patch in PATCHES for test in _named(patch)})
    outcomes = _copy(tmp_path).outcomes(named)
    assert {name: how for name, how in outcomes.items() if how != "passed"} == {}


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_seeded_bug_is_seen_by_each_test_that_it_names(tmp_path: Path, patch: Path) -> None:
    copy = _copy(tmp_path)
    applied = subprocess.run(
        ["git", "apply", "-C1", str(patch)], cwd=copy.path, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, f"{patch.name} does not fit the code any more: {applied.stderr}"
    for test, how in copy.outcomes(_named(patch)).items():
        assert how.startswith("failure"), f"{test} did not see {patch.stem}: {how}"
        assert not _NO_BUG.search(how), f"{test} failed for another reason than {patch.stem}: {how}"
