"""`newsletter new`: what it begins can be previewed at once, and never goes out unfinished."""

from __future__ import annotations

import pytest

from newsletter import frontmatter
from newsletter.blank import slug_of
from newsletter.errors import SettingsError
from tests.conftest import Project


def test_an_analysis_is_begun_as_a_draft_that_builds_and_is_not_published_unfinished(
    project: Project,
) -> None:
    title = 'Iraq’s "long" summer: 3 claims & a #hash'
    done = project.newsletter("new", "analysis", title, "--date", "2020-11-20", "--desk", "Iraq desk")
    assert done.returncode == 0, done.stderr
    name = "content/analyses/2020/iraqs-long-summer-3-claims-a-hash.md"
    assert name in done.stdout
    text = project.read(name)
    front = frontmatter.parse(text, name)
    assert front.findings == []
    assert front.fields["title"] == title
    assert front.fields["date"] == "2020-11-20 07:00"
    assert front.fields["authors"] == ["Iraq desk"]
    assert "almost no chance, very unlikely, unlikely" in text  # the yardstick of publication.toml
    assert project.newsletter("build").returncode == 0
    assert not list((project.path / "output").rglob("*long-summer*"))
    assert project.newsletter("build", "--drafts", "--output", "build/preview").returncode == 0
    project.write(name, text.replace("status: draft", "status: published"))
    done = project.newsletter("build")
    assert done.returncode == 1
    for field in ("summary", "region", "key_judgements"):
        assert f"{field}: still says TODO. Write it, or hold the piece back: status: draft." in done.stderr


def test_the_check_names_what_is_still_to_be_written(project: Project) -> None:
    project.newsletter("new", "analysis", "A claim", "--date", "2020-11-20", "--region", "Iraq")
    done = project.newsletter("check", "--format", "github")
    told = [line for line in done.stdout.splitlines() if "F111" in line]
    assert len(told) == 2, done.stdout  # the standfirst and the judgement
    assert all("content/analyses/2020/a-claim.md" in line for line in told)


def test_a_briefing_is_begun_with_its_month_and_is_not_mailed_unfinished(project: Project) -> None:
    project.analysis("a", date="2020-11-05")
    assert project.newsletter("new", "briefing", "2020-11").returncode == 0
    text = project.read("content/briefings/2020-11.md")
    assert 'title: "Monthly Briefing, November 2020"' in text
    assert "now: a." in text
    assert project.newsletter("build").returncode == 0
    assert not (project.path / "build/briefings/2020-11").exists()
    project.write("content/briefings/2020-11.md", text.replace("status: draft", "status: published"))
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "subject: still says TODO" in done.stderr
    assert "preheader: still says TODO" in done.stderr


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("analysis", "A claim", "--date", "2020-10-05"), "content/analyses/2020/a-claim.md"),
        (("briefing", "2020-10"), "content/briefings/2020-10.md"),
    ],
)
def test_nothing_that_is_written_is_written_over(
    project: Project, words: tuple[str, ...], place: str
) -> None:
    project.write(place, "Days of work.")
    done = project.newsletter("new", *words)
    assert done.returncode == 1
    assert f"{place}: is there already, and stays as it is." in done.stderr
    assert project.read(place) == "Days of work."


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Łukašenka’s “last” stand", "lukasenkas-last-stand"),
        ("under_score & 50 %", "under-score-50"),
        ("العراق", "lrq"),
        ("A headline that goes on and on, for far longer than any address should be, really", None),
    ],
)
def test_an_address_is_made_of_small_letters_digits_and_hyphens(title: str, slug: str | None) -> None:
    made = slug_of(title)
    assert made == (slug or "a-headline-that-goes-on-and-on-for-far-longer-than-any")


def test_a_title_without_letters_asks_for_an_address() -> None:
    with pytest.raises(SettingsError, match="--slug"):
        slug_of("!!!")


@pytest.mark.parametrize("slug", ["../../x", "A", "a b", ""])
def test_no_address_leads_out_of_the_folder(project: Project, slug: str) -> None:
    done = project.newsletter("new", "analysis", "" if not slug else "A", "--slug", slug)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert list((project.path / "content").rglob("*.md")) == []
