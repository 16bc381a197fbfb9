"""Each field of an analysis is read as it is meant, or refused by name, line and remedy."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from newsletter import yardstick
from newsletter.analysis import analysis_of
from newsletter.frontmatter import parse
from newsletter.models import Analysis, Status
from tests.conftest import Project

LONDON = ZoneInfo("Europe/London")
SOUND = {"title": "A claim", "date": "2020-10-16 07:00", "summary": "What will happen.", "region": "Iraq"}


def _read(**fields: str) -> tuple[Analysis | None, list[str]]:
    head = "".join(f"{key}: {value}\n" for key, value in {**SOUND, **fields}.items() if value)
    front = parse(f"---\n{head}---\nBody\n", "x.md")
    analysis = analysis_of(front, "analyses/2020/x.md", "x", LONDON, yardstick.load("ICD 203"))
    return analysis, [str(finding) for finding in front.findings]


def _sound(**fields: str) -> Analysis:
    analysis, findings = _read(**fields)
    assert analysis, findings
    return analysis


def test_a_sound_head_is_read_whole() -> None:
    analysis = _sound(topics="[Elections, Armed groups]", authors="Iraq desk", weight="2", status="draft")
    assert analysis.date.isoformat() == "2020-10-16T07:00:00+01:00"
    assert (analysis.topics, analysis.authors) == (("Elections", "Armed groups"), ("Iraq desk",))
    assert (analysis.slug, analysis.weight, analysis.status) == ("x", 2, Status.DRAFT)


@pytest.mark.parametrize("field", ["title", "date", "summary", "region"])
def test_a_missing_field_is_named_with_an_example(field: str) -> None:
    analysis, findings = _read(**{field: ""})
    assert analysis is None
    assert len(findings) == 1
    assert findings[0].startswith(f"x.md:1: {field}: is missing. Add a line such as {field}: ")


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("date", "16/10/2020", 'x.md:3: date: "16/10/2020" is no date.'),
        ("date", "2020-02-30", 'x.md:3: date: "2020-02-30" is no date.'),
        ("status", "publish", 'x.md:6: status: "publish" is no status.'),
        ("weight", "first", 'x.md:6: weight: "first" is no whole number.'),
        ("slug", "../../etc", 'x.md:6: slug: "../../etc" is no slug.'),
        ("title", "[a, b]", "x.md:2: title: must be one piece of text"),
        ("topics", "{a: b}", "x.md:6: topics: must be a list of words"),
        ("image", "images/x.jpg", "x.md:6: image: has no alt"),
        ("key_judgements", "yes", "x.md:6: key_judgements: must be a list"),
        ("key_judgements", "[{likelihood: likely}]", "x.md:6: key_judgements[1]: has no text"),
        (
            "key_judgements",
            "[{text: a, liklihood: likely}]",
            "x.md:6: key_judgements[1].liklihood: is no field",
        ),
    ],
)
def test_a_malformed_field_is_named_by_line(field: str, value: str, complaint: str) -> None:
    analysis, findings = _read(**{field: value})
    assert analysis is None
    assert [finding[: len(complaint)] for finding in findings] == [complaint]


def test_all_that_is_wrong_with_a_file_is_said_at_once() -> None:
    _, findings = _read(date="soon", weight="x", title="")
    assert len(findings) == 3


def test_a_judgement_carries_its_range_and_its_date_in_words() -> None:
    value = "[{text: It will hold., likelihood: Unlikely, confidence: moderate, horizon: 2021-03-31}, Plain.]"
    first, second = _sound(key_judgements=value).key_judgements
    assert first.assessment == "Unlikely (20–45\u00a0%) · moderate confidence · by 31 March 2021"
    assert (second.text, second.assessment) == ("Plain.", "")


def test_a_word_that_is_not_of_the_yardstick_gets_no_range() -> None:
    (judgement,) = _sound(key_judgements="[{text: x, likelihood: perhaps}]").key_judgements
    assert (judgement.likelihood, judgement.bracket) == ("perhaps", "")


def test_a_date_with_an_offset_is_told_in_the_publications_zone() -> None:
    assert _sound(date="2020-10-31T23:30:00-04:00").date.isoformat() == "2020-11-01T03:30:00+00:00"


def test_classic_header_needs_only_title_and_date_and_keeps_pelicans_names() -> None:
    front = parse(
        "Title: T\nDate: 7 June 2013\nCategory: Rust\nTags: a, b\nAuthor: Desk\nModified: 2013-07-01\n\nx",
        "x.md",
    )
    analysis = analysis_of(front, "x.md", "x", LONDON, yardstick.load("ICD 203"))
    assert analysis, front.findings
    assert (analysis.region, analysis.topics, analysis.authors) == ("Rust", ("a", "b"), ("Desk",))
    assert analysis.date.isoformat() == "2013-06-07T00:00:00+01:00"
    assert analysis.updated
    assert analysis.updated.date().isoformat() == "2013-07-01"


def test_a_timeline_is_told_in_the_order_of_its_days_and_a_bad_line_is_named(project: Project) -> None:
    lines = '\n  - {date: 2020-10-10, text: "Then this."}\n  - {date: 2020-01-03, text: "First this."}'
    project.analysis("one", timeline=lines)
    assert project.newsletter("build").returncode == 0
    page = project.read("output/analyses/2020/one/index.html")
    assert page.index("First this.") < page.index("Then this.")
    assert '<time datetime="2020-01-03">3 January 2020</time>' in page
    project.analysis("one", timeline='\n  - {date: yesterday, text: "x"}')
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "timeline[1]: must have a date and a text" in done.stderr
