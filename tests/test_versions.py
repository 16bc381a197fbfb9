"""A piece's versions: those that readers saw and no others, and what was changed without a word to them."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter import past, versions, wording
from newsletter.past import Past
from newsletter.versions import Silent, Version
from newsletter.wording import Mark

ZONE = ZoneInfo("Europe/London")
NOW = datetime(2020, 12, 1, tzinfo=UTC)


class Desk:
    """A repository in a test's own folder, in which each commit has the time the test gives it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str, when: str = "2020-10-01T00:00:00+00:00") -> None:
        author = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (
            ("NAME", "Desk"), ("EMAIL", "desk@example.org"), ("DATE", when))}  # fmt: skip
        environment = {
            **os.environ,
            **author,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }
        subprocess.run(
            ["git", "-C", str(self.path), *words], check=True, env=environment, capture_output=True
        )

    def write(self, name: str, body: str, **fields: str) -> Path:
        head = {
            "title": "A claim",
            "date": "2020-10-05",
            "summary": "What will happen.",
            "region": "Iraq",
            **fields,
        }
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            "---\n" + "".join(f"{key}: {value}\n" for key, value in head.items()) + f"---\n{body}\n"
        )
        return file

    def commit(self, when: str) -> None:
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", "a secret reason", when=f"{when}T12:00:00+00:00")

    def past(self) -> Past:
        read = past.read(self.path)
        assert read is not None
        return read

    def seen(self, name: str, now: datetime = NOW) -> list[Version]:
        known = self.past()
        stages = known.stages[name]
        return versions.seen(stages, known.texts(stage.blob for stage in stages), ZONE, now)

    def silent(self, name: str, now: datetime = NOW) -> Silent | None:
        return versions.unexplained(self.past(), {name: (self.path / name).read_bytes()}, ZONE, now).get(name)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def _bodies(seen: list[Version]) -> list[str]:
    return [version.paragraphs[-1] for version in seen]


def test_a_version_is_what_readers_saw_with_its_moment(desk: Desk) -> None:
    for day, body in (("2020-10-05", "One."), ("2020-10-08", "Two."), ("2020-10-09", "Three.")):
        desk.write("a.md", body)
        desk.commit(day)
    seen = desk.seen("a.md")
    assert _bodies(seen) == ["One.", "Two.", "Three."]
    assert [f"{version.since:%Y-%m-%d %H:%M %Z}" for version in seen][1] == "2020-10-08 13:00 BST"


def test_no_word_of_a_draft_or_of_the_time_before_publication_is_a_version(desk: Desk) -> None:
    desk.write("a.md", "Draft words.", status="draft")
    desk.commit("2020-10-01")
    desk.write("a.md", "Embargoed words, replaced before the day.", date="2020-10-20")
    desk.commit("2020-10-02")
    desk.write("a.md", "Words as they came out.", date="2020-10-20")
    desk.commit("2020-10-03")
    desk.write("a.md", "Withdrawn words.", date="2020-10-20", status="draft")
    desk.commit("2020-10-25")
    desk.write("a.md", "Out again.", date="2020-10-20")
    desk.commit("2020-10-26")
    seen = desk.seen("a.md")
    assert _bodies(seen) == ["Words as they came out.", "Out again."]
    assert (
        f"{seen[0].since:%Y-%m-%d %H:%M}" == "2020-10-20 00:00"
    )  # out when its date passed, not when committed
    assert desk.seen("a.md", datetime(2020, 10, 19, tzinfo=UTC)) == []


def test_what_a_branch_tried_out_was_never_seen(desk: Desk) -> None:
    desk.write("a.md", "One.")
    desk.commit("2020-10-05")
    desk.git("checkout", "--quiet", "-b", "try")
    desk.write("a.md", "A try.")
    desk.commit("2020-10-06")
    desk.write("a.md", "Two.")
    desk.commit("2020-10-07")
    desk.git("checkout", "--quiet", "main")
    desk.git("merge", "--quiet", "--no-ff", "-m", "merge", "try", when="2020-10-08T12:00:00+00:00")
    assert _bodies(desk.seen("a.md")) == ["One.", "Two."]


def test_of_commits_that_came_to_the_line_in_one_second_the_last_alone_was_seen(desk: Desk) -> None:
    desk.write("a.md", "One.")
    desk.commit("2020-10-05")
    for body in (
        "The name of a source.",
        "Two.",
    ):  # as "rebase and merge" puts a branch's commits on the line
        desk.write("a.md", body)
        desk.commit("2020-10-08")
    assert _bodies(desk.seen("a.md")) == ["One.", "Two."]


def test_a_renamed_file_keeps_its_past_and_a_name_taken_again_has_none(desk: Desk) -> None:
    text = "A paragraph long enough for git to know it again, whatever the name of its file.\n\n"
    desk.write("old name é.md", text + "One.")
    desk.write("gone.md", "Taken away for good reason.")
    desk.commit("2020-10-05")
    desk.git("mv", "old name é.md", "new.md")
    desk.git("rm", "--quiet", "gone.md")
    desk.write("new.md", text + "Two.")
    desk.commit("2020-10-06")
    desk.write("gone.md", "Another piece of that name.")
    desk.write("old name é.md", "And another.")
    desk.commit("2020-10-07")
    assert _bodies(desk.seen("new.md")) == ["One.", "Two."]
    assert _bodies(desk.seen("gone.md")) == ["Another piece of that name."]
    assert _bodies(desk.seen("old name é.md")) == ["And another."]


def test_markup_and_white_space_alone_make_no_version(desk: Desk) -> None:
    desk.write("a.md", "One *word*\nand a [link](https://example.org/).")
    desk.commit("2020-10-05")
    desk.write("a.md", "One **word** and a [link](https://example.org/other).", topics="[Elections]")
    desk.commit("2020-10-06")
    assert len(desk.seen("a.md")) == 1
    assert desk.silent("a.md") is None


def test_a_silent_change_is_told_with_its_words_and_mended_by_a_correction(desk: Desk) -> None:
    desk.write("a.md", "The vote is on Monday.")
    desk.commit("2020-10-05")
    assert desk.silent("a.md") is None
    desk.write("a.md", "The vote is on Tuesday.")
    uncommitted = desk.silent("a.md")
    assert uncommitted is not None
    assert (uncommitted.before, uncommitted.after) == ("Monday.", "Tuesday.")
    desk.commit("2020-10-06")
    assert desk.silent("a.md") == uncommitted
    told = '[{date: 2020-10-07, text: "An earlier version gave the wrong day."}]'
    desk.write("a.md", "The vote is on Tuesday.", corrections=told)
    assert desk.silent("a.md") is None
    desk.commit("2020-10-07")
    assert desk.silent("a.md") is None
    desk.write(
        "a.md", "The vote is on Wednesday.", corrections=told
    )  # an old correction explains nothing new
    again = desk.silent("a.md")
    assert again is not None
    assert (again.before, again.after) == ("Tuesday.", "Wednesday.")


def test_before_publication_everything_may_change_in_silence(desk: Desk) -> None:
    desk.write("a.md", "One.", date="2021-01-01")
    desk.write("b.md", "One.", status="draft")
    desk.commit("2020-10-05")
    desk.write("a.md", "Two.", date="2021-01-01")
    desk.write("b.md", "Two.")
    assert desk.silent("a.md") is None
    assert desk.silent("b.md") is None


def test_an_outcome_written_under_a_judgement_is_no_silent_change(desk: Desk) -> None:
    judgement = 'text: "It holds.", likelihood: likely'
    desk.write("a.md", "One.", key_judgements=f"[{{{judgement}}}]")
    desk.commit("2020-10-05")
    desk.write("a.md", "One.", key_judgements=f'[{{{judgement}, outcome: "It held."}}]')
    assert desk.silent("a.md") is None
    desk.write("a.md", "One.", key_judgements='[{text: "It holds.", likelihood: very likely}]')
    assert desk.silent("a.md") is not None


def test_without_git_there_is_no_past_and_a_shallow_clone_says_so(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bare = tmp_path_factory.mktemp("bare")
    assert past.read(bare) is None
    for day in ("2020-10-05", "2020-10-06"):
        desk.write("a.md", day)
        desk.commit(day)
    clone = bare / "clone"
    desk.git("clone", "--quiet", "--depth", "1", f"file://{desk.path}", str(clone))
    known = past.read(clone)
    assert known is not None
    assert known.shallow
    assert known.stages == {}


_TEXTS = st.lists(st.text(alphabet="ab cd.", max_size=30), max_size=6)


@given(_TEXTS, _TEXTS)
def test_the_words_of_both_texts_can_be_read_from_their_differences(
    before: list[str], after: list[str]
) -> None:
    found = wording.compare(before, after)

    def side(mark: Mark) -> list[str]:
        return [" ".join(p.text for p in paragraph if p.mark in (mark, Mark.KEPT)) for paragraph in found]

    old, new = ([" ".join(text.split()) for text in texts] for texts in (before, after))
    for mark, texts, others in ((Mark.OUT, old, new), (Mark.IN, new, old)):
        told = [text for text in side(mark) if text]
        left = [text for text in texts if text]
        for text in told:
            left.remove(text)  # each differing paragraph is one of the text's, whole
        assert all(text in others for text in left)  # and what is not told stands in both
    assert old != new or not found


def test_a_few_words_changed_are_marked_alone() -> None:
    (paragraph,) = wording.compare(
        ["Kept as it is.", "The vote in Baghdad is on Monday at noon."],
        ["Kept as it is.", "The vote in Baghdad is on Tuesday at noon."],
    )
    assert [(piece.mark, piece.text) for piece in paragraph] == [
        (Mark.KEPT, "The vote in Baghdad is on"),
        (Mark.OUT, "Monday"),
        (Mark.IN, "Tuesday"),
        (Mark.KEPT, "at noon."),
    ]
