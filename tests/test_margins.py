"""A long piece's contents, and its notes beside the text: both from the same HTML that the page shows."""

from __future__ import annotations

from lxml import html as parser
from playwright.sync_api import Browser, expect

from newsletter import markdown
from newsletter.margins import LONG, beside, contents
from tests.conftest import Project

_PARAGRAPH = "The council has met and nothing follows from it. " * 8
_NOTES = (
    "One[^a], two[^b], one again[^a].\n\n| Province | Seats[^c] |\n|---|---|\n| Basra | 25 |\n\n"
    "[^a]: The *record*, [page 2](https://example.org/2).\n\n    And page 4.\n\n[^b]: Provisional.\n"
)


def _sections(number: int) -> str:
    return "\n\n".join(f"## Part *{at}* & more\n\n{_PARAGRAPH * 4}" for at in range(number))


def test_a_long_piece_has_contents_and_a_short_one_none() -> None:
    long = markdown.render(_sections(5))
    assert len(long) > LONG
    assert [words for _, words in contents(long)] == [f"Part {at} &amp; more" for at in range(5)]
    assert all(f'id="{name}"' in long for name, _ in contents(long))
    assert contents(markdown.render(_sections(2))) == []
    assert contents(markdown.render(_sections(3) + _PARAGRAPH * 40)) == []


def test_each_note_stands_once_beside_its_first_mark() -> None:
    page = parser.fromstring(f"<div>{beside(markdown.render(_NOTES))}</div>")
    notes = page.xpath("//small[contains(@class, 'side-note')]")
    assert [note.text_content() for note in notes] == ["1 The record, page 2. And page 4.", "2 Provisional."]
    assert [note.getprevious().text_content() for note in notes] == ["1", "2"]
    assert all(
        note.get("hidden") is not None for note in notes
    )  # a program that knows no style sheet reads below
    assert page.xpath("//section[@class='footnotes beside']")


def test_a_note_that_finds_no_place_beside_keeps_all_of_them_below() -> None:
    for text in (
        _NOTES + "\n[^c]: Of 329.\n",  # its mark stands in a table
        "One[^a].\n\n[^a]: A list:\n\n    - first\n    - second\n",
    ):
        page = parser.fromstring(f"<div>{beside(markdown.render(text))}</div>")
        assert page.xpath("//section/@class") == ["footnotes"]
        assert not page.xpath("//table//small")
        assert not page.xpath("//small//li")


def test_a_text_without_notes_is_left_as_it_is() -> None:
    plain = markdown.render(_sections(4))
    assert beside(plain) is plain


def test_a_wide_screen_shows_the_notes_beside_and_a_small_one_below(
    project: Project, browser: Browser
) -> None:
    project.analysis("long", f"Claim[^a]. Another[^b].\n\n{_sections(5)}\n\n[^a]: First.\n\n[^b]: Second.\n")
    assert project.newsletter("build").returncode == 0
    source = project.read("output/analyses/2020/long/index.html")
    sheet = project.read("output/theme/css/site.css")
    for width, wide in ((1280, True), (390, False)):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_content(source.replace("</head>", f"<style>{sheet}</style></head>"))
        for shown, there in ((".side-note", wide), (".footnotes", not wide)):
            expect(page.locator(shown).first).to_be_visible(visible=there)
        contents_links = page.get_by_role("navigation", name="Contents").get_by_role("link")
        expect(contents_links).to_have_count(5)
        if wide:
            text = page.locator(".prose").bounding_box()
            first, second = (page.locator(".side-note").nth(at).bounding_box() for at in (0, 1))
            assert text
            assert first
            assert second
            assert first["x"] >= text["x"] + text["width"]
            assert (
                second["y"] >= first["y"] + first["height"]
            )  # two notes of one line stand one below the other
            assert first["x"] + first["width"] <= width
        page.close()
