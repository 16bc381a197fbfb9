"""An erratum from its file to the package, and to the page of the briefing it corrects."""

from __future__ import annotations

import json

import feedparser
import pytest
from lxml import html
from playwright.sync_api import Browser

from newsletter import issue, package
from newsletter.issue import Issue
from tests.conftest import Project

HEAD = {
    "title": '"One figure was wrong"',
    "subject": '"Correction: one figure of October"',
    "preheader": "Barrels a day, not a month.",
    "date": "2020-11-03",
}
BODY = "We wrote 800,000 barrels **a month**. It is 800,000 barrels a day.[^1]\n\n## Why\n\nA slip.\n\n[^1]: The ministry.\n"


def erratum(project: Project, name: str = "2020-10.erratum.md", body: str = BODY, **fields: str) -> None:
    """A sound erratum, except for what `fields` say; a field of "" is left out."""
    head = "".join(f"{key}: {value}\n" for key, value in {**HEAD, **fields}.items() if value)
    project.write(f"content/briefings/{name}", f"---\n{head}---\n{body}")


@pytest.fixture
def october(project: Project) -> Project:
    """A project with one analysis and the briefing that carries it."""
    project.analysis("a", title="The claim")
    project.briefing(body="Dear reader,\n\n## Why\n\nA letter.[^1]\n\n[^1]: Its note.")
    return project


def text(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


@pytest.mark.parametrize(
    ("stem", "id_", "mailing"),
    [
        ("2020-10", "2020-10", Issue("2020-10")),
        ("2020-10.erratum", "2020-10-erratum", Issue("2020-10", 1)),
        ("2020-10.erratum-2", "2020-10-erratum-2", Issue("2020-10", 2)),
        ("2020-10.erratum-99", "2020-10-erratum-99", Issue("2020-10", 99)),
    ],
)
def test_a_mailing_has_one_name_for_its_file_and_one_for_its_package(
    stem: str, id_: str, mailing: Issue
) -> None:
    assert issue.of_stem(stem) == issue.of_id(id_) == mailing
    assert (mailing.stem, mailing.id) == (stem, id_)


@pytest.mark.parametrize(
    "name",
    [
        "2020-13", "2020-1", "٢٠٢٠-10", "2020-10\n", "2020-10.erratum-1", "2020-10.erratum-02", "2020-10.erratum-100",
        "2020-10.errata", "2020-10.Erratum", "erratum", "",
    ],
)  # fmt: skip
def test_no_mailing_has_a_second_name(name: str) -> None:
    assert issue.of_stem(name) is None
    assert issue.of_id(name.replace(".", "-")) is None
    assert issue.of_stem("2020-10-erratum") is issue.of_id("2020-10.erratum") is None


def test_an_erratum_is_packaged_as_a_briefing_is_and_says_at_once_what_it_corrects(october: Project) -> None:
    erratum(october)
    done = october.newsletter("build")
    assert done.returncode == 0, done.stderr
    assert "2020-10, 2020-10-erratum → build/briefings/" in done.stdout
    folder = october.path / "build/briefings/2020-10-erratum"
    made, briefing = package.read(folder), package.read(folder.with_name("2020-10"))
    assert (made.month, made.subject) == ("2020-10-erratum", "Correction: one figure of October")
    assert (made.headers, made.placeholders, made.sender) == (
        briefing.headers, briefing.placeholders, briefing.sender,
    )  # fmt: skip
    assert made.items == ()
    page = html.fromstring(made.html)
    line = "Correction to the Monthly Briefing of October 2020"
    (mark,) = page.xpath("//p[contains(@class, 'correction')]")
    assert text(mark) == line
    assert mark.xpath(".//a/@href") == ["https://briefing.example.org/briefings/2020-10/"] == [made.url]
    first = [text(each) for each in page.xpath("//p | //h1")][:3]
    assert first[1:] == [line, "One figure was wrong"]
    assert f"{line}\nhttps://briefing.example.org/briefings/2020-10/\n" in made.text
    for half in (text(page), " ".join(made.text.split())):
        assert "800,000 barrels a day." in half
        assert "only to those to whom that briefing was mailed" in half
        assert half.count("{{unsubscribe_url}}") == (0 if half == text(page) else 1)
    assert page.xpath("//a[.='Unsubscribe']/@href") == ["{{unsubscribe_url}}"]
    assert "orrection" not in briefing.html.partition("<body")[2] + briefing.text


def test_readers_of_the_archive_see_the_correction_above_the_letter(october: Project) -> None:
    erratum(october)
    erratum(october, "2020-10.erratum-2.md", "Another name.[^1]\n\n[^1]: A gazette.\n", date="2020-11-09")
    assert october.newsletter("build").returncode == 0
    page = html.parse(str(october.path / "output/briefings/2020-10/index.html")).getroot()
    newer, older = page.xpath("//section[@class='correction']")
    assert text(newer).startswith("Correction, 9 November 2020 Another name.")
    assert text(older).startswith("Correction, 3 November 2020 We wrote 800,000 barrels a month.")
    main = text(page.find(".//main"))
    assert main.index("What to expect") < main.index("Another name.") < main.index("Dear reader")
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    for letter in (newer, older):  # a note leads to the note of its own letter
        assert all(letter.xpath(f".//*[@id='{link[1:]}']") for link in letter.xpath(".//a/@href"))
        assert letter.xpath(".//a[starts-with(@href, '#')]")


def test_an_erratum_is_in_no_list_no_feed_and_no_page_of_its_own(october: Project) -> None:
    assert october.newsletter("build").returncode == 0
    before = {path: path.read_bytes() for path in (october.path / "output").rglob("*") if path.is_file()}
    erratum(october)
    assert october.newsletter("build").returncode == 0
    after = {path: path.read_bytes() for path in (october.path / "output").rglob("*") if path.is_file()}
    changed = {
        path.relative_to(october.path / "output").as_posix()
        for path in after
        if after[path] != before.get(path) and "pagefind" not in path.parts
    }
    assert changed == {"briefings/2020-10/index.html"}
    assert len(feedparser.parse(after[october.path / "output/feed.xml"]).entries) == 1


FAULTS: list[tuple[str, dict[str, str], str]] = [
    ("2020-09.erratum.md", {}, ":1: corrects 2020-09, and no briefing of that month is published"),
    ("2020-10.erratum.markdown", {}, ""),  # of two with one name the second is told, below
    ("2020-10.erratum.md", {}, ":1: is erratum 1 of 2020-10, as content/briefings/2020-10.erratum.markdown is. Name it by a number that is free"),
    ("2020-10.errata.md", {}, ":1: a briefing's file is named by its month"),
    ("2020-10.erratum-1.md", {}, ":1: a briefing's file is named by its month"),
    ("2020-10.erratum-2.md", {"subject": "One figure"}, ':3: subject: must begin with "Correction" or "Erratum"'),
    ("2020-10.erratum-3.md", {"date": ""}, ":1: date: is missing"),
    ("2020-10.erratum-4.md", {"date": "tomorrow"}, ':5: date: "tomorrow" is no date'),
    ("2020-10.erratum-5.md", {"date": "2020-09-30"}, ":5: date: is before 2020-10"),
    ("2020-10.erratum-6.md", {"preheader": ""}, ":1: preheader: is missing"),
    ("2020-10.erratum-7.md", {"analyses": "[a]"}, ":6: analyses: an erratum carries none"),
    ("2020-10.erratum-8.md", {"body": " \n"}, ":1: says nothing"),
]  # fmt: skip


def test_every_erratum_that_cannot_be_mailed_is_named_with_the_remedy(october: Project) -> None:
    """All of them at once, and nothing else: neither the sound one among them nor the briefing is blamed."""
    for name, fields, _ in FAULTS:
        erratum(october, name, **fields)
    erratum(october, "2020-10.erratum-10.md")
    said = october.findings()
    for name, _, complaint in FAULTS:
        assert sum(f"content/briefings/{name}{complaint}" in line for line in said) == 1, (name, said)
    assert len(said) == len(FAULTS) - 1


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("A {{ name }}.", "{{ would break the email"),
        ("[x]({filename}none.md)", "There is no file content/briefings/none.md"),
    ],
)
def test_its_text_is_held_to_what_every_mail_and_page_is(october: Project, body: str, complaint: str) -> None:
    erratum(october, body=body)
    assert october.newsletter("check").returncode == 1
    assert any(f"content/briefings/2020-10.erratum.md:7: {complaint}" in said for said in october.findings())


def test_a_subject_may_say_it_in_either_word(october: Project) -> None:
    for number, subject in enumerate(("CORRECTION to October", "Erratum: x", "Corrections to x"), start=2):
        erratum(october, f"2020-10.erratum-{number}.md", subject=f'"{subject}"')
    assert october.newsletter("check").returncode == 0


def test_an_erratum_held_back_or_withdrawn_cannot_be_mailed(october: Project) -> None:
    erratum(october)
    assert october.newsletter("build").returncode == 0
    assert (october.path / "build/briefings/2020-10-erratum").is_dir()
    erratum(october, status="draft")
    assert october.newsletter("build").returncode == 0
    assert not (october.path / "build/briefings/2020-10-erratum").exists()
    assert 'class="correction"' not in october.read("output/briefings/2020-10/index.html")


def test_an_erratum_of_a_briefing_with_faults_is_not_blamed_for_them(october: Project) -> None:
    erratum(october)
    october.briefing(extra="status: perhaps\n")
    assert october.newsletter("check").returncode == 1
    assert len(october.findings()) == 1


def test_one_erratum_can_be_packaged_alone_and_a_missing_one_is_said(october: Project) -> None:
    erratum(october)
    done = october.newsletter("briefing", "2020-10-erratum")
    assert done.returncode == 0, done.stderr
    facts = json.loads(october.read("build/briefings/2020-10-erratum/briefing.json"))
    assert facts["briefing"] == "2020-10-erratum"
    done = october.newsletter("briefing", "2020-10-erratum-2")
    assert done.returncode == 1
    assert "write content/briefings/2020-10.erratum-2.md" in done.stderr


def test_an_erratum_is_never_mailed_as_a_briefing_to_everybody(october: Project) -> None:
    erratum(october)
    assert october.newsletter("build").returncode == 0
    done = october.newsletter("send", "2020-10-erratum")
    assert done.returncode == 2
    assert "newsletter erratum 2020-10" in done.stderr
    assert not (october.path / "var/newsletter.db").exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_mail_and_box_stay_within_a_phone_and_are_marked(
    october: Project, browser: Browser, scheme: str
) -> None:
    longest = "https://example.org/" + "abcdefghij" * 12
    erratum(october, body=f"{longest}\n\n| We wrote | It is |\n|---|---|\n| {longest} | b |\n")
    assert october.newsletter("build").returncode == 0
    marks = {"light": "rgb(138, 59, 18)", "dark": "rgb(229, 160, 122)"}
    for width in (320, 1280):
        page = browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
        page.set_content(october.read("build/briefings/2020-10-erratum/email.html"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for part in (".correction", ".correction a"):
            assert page.locator(part).evaluate("e => getComputedStyle(e).color") == marks[scheme]
        box = october.read("output/briefings/2020-10/index.html")
        page.set_content(f"{box}<style>{october.read('output/theme/css/site.css')}</style>")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".correction").evaluate(
            "e => [...e.querySelectorAll('*')].every(x => x.closest('.table') && !x.matches('.table')"
            " || x.getBoundingClientRect().right <= e.getBoundingClientRect().right + 1)"
        )
        assert page.locator(".correction h2").evaluate("e => getComputedStyle(e).color") == marks[scheme]
        page.close()
