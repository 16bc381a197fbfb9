"""Old addresses stay: what readers have linked to is an error of `newsletter check` once it leads nowhere."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.conftest import Project


def _git(project: Project, *words: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ["-c", "user.name=Desk", "-c", "user.email=desk@example.org"]
    subprocess.run(["git", *who, *words], cwd=project.path, env=environment, check=True, capture_output=True)


def _commit(project: Project) -> None:
    _git(project, "add", "content")
    _git(project, "commit", "-qm", "As it is")


def _move(project: Project, old: str, new: str) -> None:
    folder = project.path / "content/analyses/2020"
    (folder / f"{old}.md").rename(folder / f"{new}.md")


@pytest.fixture
def published(project: Project) -> Project:
    _git(project, "init", "-q")
    project.analysis("old", "A text that is long enough to be known again under another name.")
    _commit(project)
    assert project.newsletter("check").returncode == 0
    return project


@pytest.mark.parametrize("committed", [True, False])
def test_a_renamed_file_is_an_error_until_its_old_address_is_an_alias(
    published: Project, committed: bool
) -> None:
    _move(published, "old", "new")
    if committed:
        _commit(published)
    done = published.newsletter("check")
    assert done.returncode == 1
    named = "content/analyses/2020/new.md" if committed else "content/analyses/2020/old.md"
    assert named in done.stdout + done.stderr
    assert "aliases: [analyses/2020/old/]" in done.stdout + done.stderr
    file = published.path / "content/analyses/2020/new.md"
    file.write_text(file.read_text().replace("---\n", "---\naliases: [analyses/2020/old/]\n", 1))
    assert published.newsletter("check").returncode == 0


def test_a_changed_slug_and_a_changed_year_are_moves_too(published: Project) -> None:
    published.analysis("old", slug="other")
    _commit(published)
    published.analysis("old", slug="other", date="2019-10-05")
    _commit(published)
    done = published.newsletter("check")
    assert done.returncode == 1
    for former in ("analyses/2020/old/", "analyses/2020/other/"):
        assert f"aliases: [{former}]" in done.stdout + done.stderr


def test_a_piece_taken_away_is_named_and_held_back_as_a_draft_it_is_not(published: Project) -> None:
    (published.path / "content/analyses/2020/old.md").unlink()
    _commit(published)
    done = published.newsletter("check")
    assert done.returncode == 1
    assert "content/analyses/2020/old.md" in done.stdout + done.stderr
    published.analysis("old", status="draft")
    assert published.newsletter("check").returncode == 0


def test_what_no_reader_ever_saw_may_move_as_it_likes(project: Project) -> None:
    _git(project, "init", "-q")
    project.analysis("kept")
    project.analysis("first", status="draft")
    project.analysis("embargoed", date="2999-01-01")
    _commit(project)
    _move(project, "first", "second")
    _move(project, "embargoed", "freed")
    _commit(project)
    done = project.newsletter("check")
    assert done.returncode == 0, done.stdout + done.stderr
