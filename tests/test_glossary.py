"""The glossary: an abbreviation is explained where it is first used, and a page tells what each piece says of whom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from newsletter import glossary
from newsletter.errors import ContentError
from newsletter.glossary import Use
from newsletter.mentions import sentence
from newsletter.preview.reading import Reading
from tests.conftest import Project

TEXT = """\
KH: {expansion: Kataib Hizbullah, kind: actor, note: "The most powerful faction."}
PMUs:
  expansion: Popular Mobilisation Units
  kind: actor
IZ: {expansion: International Zone, kind: place}
R&D: {expansion: research and development, kind: abbreviation}
Haftar: {kind: actor, note: "Commander of the LNA."}
"""
WORDS = glossary.parse(TEXT, "glossary.yml")


def test_only_the_first_use_is_marked_up() -> None:
    marked = WORDS.mark("<p>KH fired. KH and the IZ.</p>")
    assert marked == (
        '<p><abbr title="Kataib Hizbullah">KH</abbr> fired. KH and the <abbr title="International Zone">IZ</abbr>.</p>'
    )
    assert WORDS.mark("<p>KH fired.</p>", said="KH did.") == "<p>KH fired.</p>"


@pytest.mark.parametrize(
    "text",
    [
        '<h2 id="kh">KH</h2>', '<a href="/KH/">of KH</a>', "<code>KH</code>", "<pre>KH\n</pre>", '<img alt="KH">',
        "<p>KHARTOUM, XKH, KH2, #KH, @KH, x/KH</p>", '<abbr title="x">KH</abbr>', "<p>Haftar</p>", "<p>research</p>",
    ],
)  # fmt: skip
def test_nothing_is_marked_up_where_it_would_harm(text: str) -> None:
    assert WORDS.mark(text) == text


def test_plurals_entities_and_compounds_are_found() -> None:
    marked = WORDS.mark("<p>KHs, R&amp;D and the IZ-wide alarm.</p>")
    assert re.findall("<abbr[^>]*>(.*?)</abbr>", marked) == ["KHs", "R&amp;D", "IZ"]


@given(st.text(alphabet='KHIZPMUs<>/pa h2&;"(.’', max_size=60))
def test_marking_up_changes_no_word(text: str) -> None:
    assert re.sub(r"<abbr[^>]*>|</abbr>", "", WORDS.mark(text)) == re.sub(r"<abbr[^>]*>|</abbr>", "", text)


@given(st.text(alphabet='KHIZPMUs<>/pa h2&;"(.’', max_size=60))
def test_what_was_marked_up_can_be_taken_out_again(text: str) -> None:
    html, marks = glossary.marked(text, WORDS.uses(text))
    assert glossary.unmarked(html, marks) == text


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("KH fired. KH denied it.", "KH (Kataib Hizbullah) fired. KH denied it."),
        ("Kataib Hizbullah (KH) fired. KH denied it.", "Kataib Hizbullah (KH) fired. KH denied it."),
        ("KH’s men left. KH denied it.", "KH’s men left. KH (Kataib Hizbullah) denied it."),
        ("R&D & <b>", "R&D (research and development) & <b>"),
        ("Haftar left.", "Haftar left."),
    ],
)
def test_a_mail_spells_an_abbreviation_out_in_brackets(text: str, spelled: str) -> None:
    done: set[str] = set()
    assert WORDS.spell(text, done) == spelled
    assert WORDS.spell(text, done) == text  # once in a mail


def test_the_sentence_is_the_one_that_names_the_term() -> None:
    text = "<p>One.</p>\n<p>Two, with 3.5 per cent. “The <em>men</em> of KH &amp; others,” he said. Four.</p>"
    at = text.index("KH")
    assert sentence(text, Use(WORDS.terms["KH"], at, at + 2, True)) == "“The men of KH & others,” he said."


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("KH: Kataib Hizbullah\n", "glossary.yml:1: KH: must have a kind"),
        ("A: {kind: actor}\nKH: {expansion: K, kind: group}\n", 'glossary.yml:2: KH: "group" is no kind'),
        ("A: {kind: actor}\nB: {note: x}\n", "glossary.yml:2: B: has no kind"),
        ("A: {kind: actor}\nB:\n  kind: actor\n  colour: red\n", 'glossary.yml:4: B: "colour" is no field'),
        ("A: {kind: actor}\nA: {kind: place}\n", "glossary.yml:2: A: stands twice"),
        ("A: {kind: abbreviation}\n", "glossary.yml:1: A: is an abbreviation without its words"),
        ("A: {kind: actor, note: [x]}\n", "glossary.yml:1: A: note must be one piece of text"),
        ("A: {kind: actor, note: a: b}\n", "glossary.yml:1: is not valid YAML"),
        ("- A\n", "glossary.yml:1: must be terms"),
    ],
)
def test_what_is_no_term_is_named_by_its_line(text: str, complaint: str) -> None:
    with pytest.raises(ContentError) as raised:
        glossary.parse(text, "glossary.yml")
    assert str(raised.value).startswith(complaint)


def test_an_error_in_the_glossary_stops_the_build_by_its_line(project: Project) -> None:
    project.write("content/glossary.yml", "KH: {kind: actor}\nIZ: {kind: quarter}\n")
    project.analysis("undated", date="")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert 'content/glossary.yml:2: IZ: "quarter" is no kind' in done.stderr
    assert "undated.md:1: date: is missing" in done.stderr


@pytest.fixture
def explained(project: Project) -> Project:
    """A house with that glossary, two pieces, two that are held back, and a briefing."""
    made = project
    made.write("content/glossary.yml", TEXT)
    made.analysis(
        "a", "KH is strong. It stays. The IZ is quiet.\n\n## KH\n\nR&D.", date="2020-10-05", title="Older"
    )
    made.analysis(
        "b", "Later, Kataib Hizbullah left.", date="2020-10-06", title="Newer",
        key_judgements='[{text: "The IZ stays shut."}]',
    )  # fmt: skip
    made.analysis("draft", "Unripe KH.", status="draft")
    made.analysis("later", "Embargoed KH.", date="2999-01-01")
    made.briefing(body="Of KH and [KH](https://example.org/).")
    done = made.newsletter("build")
    assert done.returncode == 0, done.stderr
    return made


def _page(project: Project, path: str) -> html.HtmlElement:
    return html.parse(str(project.path / "output" / path / "index.html")).getroot()


def test_the_page_tells_what_each_piece_says_of_an_actor(explained: Project) -> None:
    page = _page(explained, "glossary")
    (term,) = page.xpath("//section[h3[@id='kh']]")
    assert term.findtext("h3") == "Kataib Hizbullah (KH)"
    told = [" ".join(item.text_content().split()) for item in term.iter("li")]
    assert told == [
        "6 October 2020 Later, Kataib Hizbullah left. Newer",
        "5 October 2020 KH is strong. Older",
    ]
    assert term.xpath(".//a/@href") == ["/analyses/2020/b/", "/analyses/2020/a/"]
    (zone,) = page.xpath("//section[h3[@id='iz']]")
    assert "The IZ stays shut." in zone.text_content()
    words = page.text_content()
    assert "Unripe" not in words
    assert "Embargoed" not in words
    assert _page(explained, "").xpath("//footer//a[.='Glossary']/@href") == ["/glossary/"]
    assert "/glossary/" in explained.read("output/sitemap.xml")


def test_a_piece_explains_its_first_use_on_its_page_and_in_the_mail(explained: Project) -> None:
    body = _page(explained, "analyses/2020/a").xpath("//article//abbr")
    assert [(each.text, each.get("title")) for each in body] == [
        ("KH", "Kataib Hizbullah"), ("IZ", "International Zone"), ("R&D", "research and development"),
    ]  # fmt: skip
    judged = _page(explained, "analyses/2020/b").xpath("//*[contains(@class, 'statement')]/abbr/text()")
    assert judged == ["IZ"]
    for part in ("email.txt", "email.html"):
        mail = explained.read(f"build/briefings/2020-10/{part}").replace("\n", " ")
        assert "Of KH (Kataib Hizbullah) and" in mail
        assert "The IZ (International Zone) stays shut." in mail
        assert "<abbr" not in mail


def test_a_house_without_a_glossary_has_no_page_of_it(project: Project) -> None:
    project.analysis("a", "KH fired.")
    assert project.newsletter("build").returncode == 0
    assert not (project.path / "output/glossary").exists()
    assert "/glossary/" not in project.read("output/index.html")
    assert "/glossary/" not in project.read("output/sitemap.xml")


def test_a_piece_that_is_read_again_is_marked_once_and_by_the_glossary_as_it_is_now(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("content/glossary.yml", TEXT)
    project.analysis("a", "KH fired. KH denied it.")
    monkeypatch.chdir(project.path)
    preview = Reading({"OUTPUT_PATH": "build/preview", "NEWSLETTER_DRAFTS": True})
    for expansion in ("Kataib Hizbullah", "Kataib Hizbullah", "Another name", ""):
        project.write(
            "content/glossary.yml", TEXT.replace("Kataib Hizbullah", expansion) if expansion else ""
        )
        assert preview.read() == ()
        (article,) = preview.context["articles"]
        marked = f'<abbr title="{expansion}">KH</abbr> fired.' if expansion else "KH fired."
        assert article._content == f"<p>{marked} KH denied it.</p>\n"


def test_the_houses_own_glossary_is_sound() -> None:
    own = glossary.load(Path(__file__).parent.parent / "content" / glossary.FILE)
    assert own.terms["KH"].expansion == "Kataib Hizbullah"
