"""Corrections and updates: told where readers look, in the feeds, and in the next briefing, once."""

from __future__ import annotations

import json
from datetime import datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import feedparser
import pytest
from lxml import html
from pypdf import PdfReader

from newsletter import frontmatter, yardstick
from newsletter.analysis import analysis_of
from newsletter.briefing import changed_since
from newsletter.models import Analysis, Change, ChangeKind
from tests.conftest import Project

ZONE = ZoneInfo("Europe/London")
CORRECTION = "An earlier version “moved” the vote & the count."
CHANGES = {
    "corrections": "\n  - {date: 2020-11-03, text: 'An earlier version \"moved\" the vote & the count.'}",
    "updates": "\n  - {date: 2020-11-09 08:00, text: Adds the result.}\n  - {date: 2020-11-05, text: Adds the turnout.}",
}


def _read(head: str) -> tuple[Analysis | None, list[str]]:
    text = f"---\ntitle: A\ndate: 2020-10-05\nsummary: B\nregion: Iraq\n{head}---\nBody.\n"
    front = frontmatter.parse(text, "a.md")
    return analysis_of(front, "a.md", "a", ZONE, yardstick.load("ICD 203")), [
        str(finding) for finding in front.findings
    ]


def test_the_newest_change_comes_first_and_moves_the_day_of_the_piece() -> None:
    analysis, findings = _read("".join(f"{key}:{value}\n" for key, value in CHANGES.items()))
    assert findings == []
    assert analysis is not None
    assert [change.text for change in analysis.changes] == [
        "Adds the result.",
        "Adds the turnout.",
        CORRECTION,
    ]
    assert [change.text for change in analysis.corrections] == [CORRECTION]
    assert analysis.updated == datetime(2020, 11, 9, 8, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        ("corrections: It was wrong.\n", "a.md:6: corrections[1]: must have a date and a text"),
        ("updates:\n  - {date: 2020-11-03}\n", "a.md:7: updates[1]: must have a date and a text"),
        ("updates:\n  - {date: 2020-11-03, text: A, by: B}\n", "a.md:7: updates[1]: must have a date and a text"),
        ("updates:\n  - {date: 2020-11-03, text: A}\n  - {date: soon, text: A}\n", 'a.md:8: updates[2]: "soon" is no date'),
        ("corrections:\n  - {date: 2019-11-03, text: A}\n", "a.md:7: corrections[1]: is dated 2019-11-03, before"),
    ],
)  # fmt: skip
def test_what_is_no_change_is_named_by_its_line(head: str, complaint: str) -> None:
    analysis, findings = _read(head)
    assert analysis is None
    assert any(finding.startswith(complaint) for finding in findings), findings


def test_what_is_still_to_be_written_is_held_back(project: Project) -> None:
    project.analysis("a", summary='"TODO: what will happen, and to whom"')
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "a.md:4: summary: still says TODO. Write it, or hold the piece back: status: draft." in done.stderr
    project.analysis("a", summary='"TODO: what will happen, and to whom"', status="draft")
    assert project.newsletter("build").returncode == 0


def test_a_change_that_is_still_to_come_stops_the_build(project: Project) -> None:
    project.analysis("a", updates="[{date: 2999-01-01, text: A}]")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "a.md:6: updates: has one of 2999-01-01, which is in the future." in done.stderr


def test_a_change_is_told_wherever_the_piece_is_read(project: Project) -> None:
    project.analysis("a", **CHANGES)
    project.analysis("b", date="2020-11-06")
    project.briefing("2020-10")
    project.briefing("2020-11")
    done = project.newsletter("build")
    assert done.returncode == 0, done.stderr

    page = html.parse(str(project.path / "output/analyses/2020/a/index.html"))
    box = page.xpath("//article/*[contains(@class, 'opening')]/following-sibling::*[1]")[0]
    assert CORRECTION in box.text_content()
    assert "Adds the result." not in box.text_content()
    end = page.xpath("//article/footer")[0].text_content()
    assert end.index("Adds the result.") < end.index("Adds the turnout.") < end.index(CORRECTION)
    (facts,) = page.xpath("//script[@type='application/ld+json']")
    stated = json.loads(facts.text)["@graph"][0]
    assert stated["dateModified"] == "2020-11-09T08:00:00+00:00"
    assert stated["correction"] == [CORRECTION]
    assert "correction" not in project.read("output/analyses/2020/b/index.html").split("</script>")[0]

    for name in ("feed.xml", "atom.xml"):
        (entry,) = [
            e for e in feedparser.parse(str(project.path / "output" / name)).entries if "/a/" in e.link
        ]
        content = entry.content[0].value
        assert content.index("Correction, 3 November 2020") < content.index("Some text.")
        assert content.index("Some text.") < content.index("Update, 9 November 2020")
    assert entry.updated == "2020-11-09T08:00:00+00:00"
    (item,) = [i for i in json.loads(project.read("output/feed.json"))["items"] if "/a/" in i["url"]]
    assert item["date_modified"] == "2020-11-09T08:00:00+00:00"

    pdf = PdfReader(project.path / "output/analyses/2020/a/a.pdf")
    printed = " ".join(" ".join(sheet.extract_text() for sheet in pdf.pages).split())
    assert printed.count(CORRECTION) == 2
    assert "Update, 9 November 2020: Adds the result." in printed

    november = project.read("build/briefings/2020-11/email.txt")
    assert "Corrections and updates" in november
    assert f"Correction, 3 November 2020. {CORRECTION}" in " ".join(november.split())
    assert "https://briefing.example.org/analyses/2020/a/" in november
    mail = html.fromstring(project.read("build/briefings/2020-11/email.html")).text_content()
    web = html.parse(str(project.path / "output/briefings/2020-11/index.html")).getroot().text_content()
    for told in (mail, web):
        assert CORRECTION in told
        assert "Adds the turnout." in told
    edition = PdfReader(project.path / "output/briefings/2020-11/briefing-2020-11.pdf")
    assert "Corrections and updates" in "".join(sheet.extract_text() for sheet in edition.pages)
    assert "Corrections" not in project.read("build/briefings/2020-10/email.txt")


def _piece(*days: str) -> SimpleNamespace:
    changes = tuple(
        Change(ChangeKind.UPDATE, datetime.fromisoformat(day).replace(tzinfo=ZONE), day) for day in days
    )
    return SimpleNamespace(url="a/", source_path="a.md", analysis=SimpleNamespace(title="A", changes=changes))


def test_each_change_is_told_in_one_briefing_and_only_one() -> None:
    days = ["2020-08-31", "2020-09-30", "2020-10-01", "2020-10-31", "2020-11-01", "2020-12-31"]
    months = ["2020-08", "2020-09", "2020-12"]  # two months without a briefing
    told = [
        [each.change.text for each in changed_since(before, month, [_piece(*days)], "https://x")]
        for before, month in zip(["", *months], months, strict=False)
    ]
    assert told == [["2020-08-31"], ["2020-09-30"], ["2020-10-01", "2020-10-31", "2020-11-01", "2020-12-31"]]


def test_no_change_can_smuggle_a_placeholder_into_the_mail(project: Project) -> None:
    project.analysis("a", updates="[{date: 2020-10-07, text: 'Adds {{this}}.'}]")
    project.briefing("2020-10")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "updates: holds {{ or }}" in done.stderr
