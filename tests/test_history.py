"""The page of a piece's earlier versions: what readers saw, marked as a person would mark it, and nothing else."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from lxml import html

from tests.conftest import Project
from tests.test_embargo import holds

# What a commit brought was to be seen until the next one: each has a minute of its own.
_MINUTES = (datetime(2020, 11, 1, tzinfo=UTC) + timedelta(minutes=minute) for minute in count())


def _git(project: Project, *words: str) -> None:
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (
        ("NAME", "Desk"), ("EMAIL", "desk@example.org"), ("DATE", next(_MINUTES).isoformat()))}  # fmt: skip
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", "-C", str(project.path), *words], check=True, env=environment, capture_output=True)


@pytest.fixture
def kept(project: Project) -> Project:
    """A project in git, without anything committed yet."""
    _git(project, "init", "--quiet", "--initial-branch=main")
    project.write(".gitignore", "output\nbuild\n")
    return project


def _commit(project: Project) -> None:
    _git(project, "add", "-A")
    _git(project, "commit", "--quiet", "-m", "Confidential reasons")


def _page(project: Project, name: str) -> Path:
    return project.path / "output/analyses/2020" / name / "history/index.html"


def test_a_reader_sees_what_was_changed_and_what_was_said_of_it(kept: Project) -> None:
    kept.analysis("a", "First paragraph.\n\nThe vote is on *Monday* at noon.")
    kept.analysis("same", "Never changed.")
    _commit(kept)
    told = "[{date: 2020-10-07, text: An earlier version gave the wrong day.}]"
    kept.analysis(
        "a", "First paragraph.\n\nThe vote is on *Tuesday* at noon.\n\n<b>More.</b>", corrections=told
    )
    _commit(kept)
    assert kept.newsletter("build").returncode == 0
    page = html.parse(str(_page(kept, "a")))
    assert page.xpath("//div[contains(@class, 'step')]//del/text()") == ["Monday"]
    assert page.xpath("//div[contains(@class, 'step')]//ins/text()") == ["Tuesday", "More."]
    words = " ".join(page.getroot().text_content().split())
    assert "Correction An earlier version gave the wrong day." in words
    assert "The vote is on Monday Tuesday at noon." in words
    assert "Confidential" not in words
    assert page.xpath("//meta[@name='robots']/@content") == ["noindex"]
    article = html.parse(str(_page(kept, "a").parent.parent / "index.html"))
    assert article.xpath("//a[.='History of this page']/@href") == ["/analyses/2020/a/history/"]
    assert not _page(kept, "same").exists()
    assert "History of this page" not in kept.read("output/analyses/2020/same/index.html")


def test_nothing_that_readers_did_not_see_is_in_any_file(kept: Project) -> None:
    kept.analysis("a", "Unripe words.", status="draft")
    kept.analysis("b", "Premature words.", date="2999-01-01")
    kept.analysis("c", "Shown at once.")
    _commit(kept)
    kept.analysis("a", "Shown words.")
    kept.analysis("b", "Shown too.")
    kept.analysis("c", "Secret again.", status="draft")
    _commit(kept)
    kept.analysis("a", "Shown words, and more.")
    kept.analysis("c", "Shown once more.")
    _commit(kept)
    kept.analysis("later", "Embargoed one.", date="2999-01-01")
    _commit(kept)
    kept.analysis("later", "Embargoed two.", date="2999-01-01")
    _commit(kept)
    assert kept.newsletter("build").returncode == 0
    assert _page(kept, "a").is_file()
    assert _page(kept, "c").is_file()
    assert not _page(kept, "b").exists()  # of it one version alone was seen
    secrets = ("unripe", "premature", "secret again", "embargoed", "confidential")
    for path in (kept.path / "output").rglob("*"):
        if path.is_file():
            assert holds(path.relative_to(kept.path), path, secrets) == [], path


def test_a_piece_whose_past_must_not_be_shown_has_no_history(kept: Project) -> None:
    for body in ("Libellous words.", "Harmless words."):
        kept.analysis("a", body, history="no")
        _commit(kept)
    assert kept.newsletter("build").returncode == 0
    assert not _page(kept, "a").exists()
    kept.analysis("a", history="never")
    assert 'history: "never" is no answer.' in kept.newsletter("build").stderr


def test_a_shallow_clone_is_told_of_and_nothing_is_invented(kept: Project, tmp_path: Path) -> None:
    for body in ("One.", "Two."):
        kept.analysis("a", body)
        _commit(kept)
    clone = Project(tmp_path / "clone")
    _git(kept, "clone", "--quiet", "--depth", "1", f"file://{kept.path}", str(clone.path))
    done = clone.newsletter("build")
    assert done.returncode == 0, done.stderr
    assert "git fetch --unshallow" in done.stdout
    assert not _page(clone, "a").exists()
