"""A piece as a PDF: all of its words, its links, tagged for those who listen, and the same bytes every time."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from newsletter import markdown
from newsletter.edition import Edition, Item, nodes, pdf
from newsletter.models import Event, KeyJudgement
from tests.conftest import ROOT, Project

TEMPLATE = ROOT / "theme/print/edition.typ"
URL = "https://briefing.example.org/analyses/2020/x/"


def _edition(text: str, **changes: Any) -> Edition:
    facts: dict[str, Any] = {
        "title": "A claim", "kind": "Iraq", "summary": "What will happen.", "house": "The house", "desk": "Iraq desk",
        "date": datetime(2020, 10, 16, tzinfo=UTC), "language": "en-GB", "url": URL, "citation": "Cite it so.",
        "html": markdown.render(text),
        "judgements": (KeyJudgement("It holds.", "unlikely", "low", "31 March 2021", "20–45\u00a0%", outcome="It held."),),
    }  # fmt: skip
    return Edition(**(facts | changes))


def _words(edition: Edition) -> str:
    reader = PdfReader(io.BytesIO(pdf(edition, TEMPLATE)))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).replace("-\n", "").split())


def test_everything_a_piece_can_say_is_printed() -> None:
    text = (
        "Before *soft* **hard** `co#de` [link](https://x.org)[^1].\n\n## Head\n\n> quoted\n\n1. one\n2. two\n\n- dot\n\n"
        "| A | B |\n|---|--:|\n| c1 | c2 |\n\nTerm\n\n: Meaning\n\n```\n#pre\n```\n\n![words for a picture](/p.png)\n\n[^1]: A note.\n"
    )
    words = _words(_edition(text))
    for part in ("Before soft hard co#de link", "Head", "quoted", "one", "two", "dot", "c1", "c2", "Term", "Meaning", "#pre",
                 "words for a picture", "A note.", "It holds.", "unlikely (20–45 %)", "It held.", "Cite it so."):  # fmt: skip
        assert part in words, part
    assert "↩" not in words


@pytest.mark.parametrize(
    "hostile",
    [
        '#read("/etc/passwd")',
        "$x^2$",
        "*_`@ref <label> = head",
        "// comment",
        "\\u{41}",
        "[^9]",
        "\u202e\ufffe",
        "#",
    ],
)
def test_no_text_is_a_command_of_the_typesetter(hostile: str) -> None:
    title = f"A {hostile} b"
    words = _words(_edition("Text.", title=title, summary=hostile, desk=hostile))
    assert "Text." in words
    assert "root:" not in words
    if hostile.isascii():
        assert title in words


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=300))
def test_whatever_is_written_can_be_set(text: str) -> None:
    assert pdf(_edition(text), TEMPLATE).startswith(b"%PDF-")


def test_a_card_never_shows_a_likelihood_without_what_is_likely() -> None:
    says = json.loads(_edition("").card)
    assert (says["judgement"], says["likelihood"]) == ("It holds.", "unlikely (20–45\u00a0%)")
    long = KeyJudgement("It holds, " * 40, "unlikely", bracket="20–45\u00a0%")
    says = json.loads(_edition("", judgements=(long,)).card)
    assert (says["judgement"], says["likelihood"], says["range"]) == ("", "", [])


def test_the_judgements_are_a_list_for_those_who_listen() -> None:
    item = Item(
        "Another", URL, "Its standfirst.", (KeyJudgement("It falls.", "likely", bracket="55–80\u00a0%"),)
    )
    made = _edition("Text.", timeline=(Event(date(2020, 10, 10), "A truce."),), items=(item,))
    tags = _tags(pdf(made, TEMPLATE))
    assert tags.count("/LI") == 2
    assert tags.count("/TR") == 2
    words = _words(made)
    for part in ("It falls. likely (55–80 %)", "Its standfirst.", "10 October 2020 A truce."):
        assert part in words


def _tags(made: bytes) -> list[str]:
    """The roles of everything in the tree that a screen reader goes through."""
    found, left = [], [PdfReader(io.BytesIO(made)).trailer["/Root"]["/StructTreeRoot"]]
    while left:
        node = left.pop().get_object()
        if isinstance(node, list):
            left += node
        elif isinstance(node, dict):
            found += [str(node["/S"])] if "/S" in node else []
            left += [node["/K"]] if "/K" in node else []
    return found


def test_a_list_that_begins_elsewhere_and_a_ragged_table_keep_their_form() -> None:
    assert nodes("<ol start='3'><li>c</li></ol>", URL)[0] == {
        "is": "list", "ordered": True, "start": 3, "has": [{"has": ["c"]}],
    }  # fmt: skip
    (table,) = nodes("<table><tr><th>a</th><th>b</th></tr><tr><td>c</td></tr></table>", URL)
    assert isinstance(table, dict)
    assert table["columns"] == 2
    assert len(table["rows"][0]) == 2


def test_links_lead_out_and_those_within_the_page_are_plain() -> None:
    (paragraph,) = nodes('<p><a href="/a/">out</a> <a href="#here">in</a></p>', URL)
    assert isinstance(paragraph, dict)
    links = [node for node in paragraph["has"] if isinstance(node, dict)]
    assert [link["to"] for link in links] == ["https://briefing.example.org/a/"]


def test_every_piece_and_briefing_has_its_edition_tagged_and_cited(built: Project) -> None:
    output = built.path / "output"
    pieces = list((built.path / "content/analyses").rglob("*.md"))
    found = list(output.rglob("*.pdf"))
    assert len(found) == len(pieces) + len(list((built.path / "content/briefings").glob("*.md")))
    for path in found:
        reader = PdfReader(path)
        root: Any = reader.trailer["/Root"]
        assert root["/MarkInfo"]["/Marked"]
        assert root["/Lang"] == "en-GB"
        page = (path.parent / "index.html").read_text()
        assert f'href="/{path.relative_to(output).as_posix()}"' in page
        assert reader.metadata
        assert str(reader.metadata.title) in page.replace("&#39;", "'")
        text = "".join(reader.pages[-1].extract_text().split()).replace("\u00ad", "-")
        assert f"briefing.example.org/{path.parent.relative_to(output).as_posix()}/" in text
        targets = [
            note["/A"]["/URI"]
            for p in reader.pages
            for a in p.get("/Annots", [])
            if "/A" in (note := a.get_object())
        ]
        assert all(target.startswith(("https://", "http://", "mailto:")) for target in targets)


def test_an_edition_is_set_again_only_when_its_text_has_changed(project: Project) -> None:
    project.analysis("one", body="First.")
    project.analysis("two", body="Second.")
    assert project.newsletter("build").returncode == 0
    shelf = project.path / "build/editions"
    first = {path.name: path.stat().st_mtime_ns for path in shelf.iterdir()}
    project.analysis("two", body="Second, mended.")
    assert project.newsletter("build").returncode == 0
    second = {path.name: path.stat().st_mtime_ns for path in shelf.iterdir()}
    kept = first.keys() & second.keys()
    assert len(kept) == 1
    assert len(second) == 2
    assert all(first[name] == second[name] for name in kept)


def test_the_same_piece_gives_the_same_bytes() -> None:
    assert pdf(_edition("Text."), TEMPLATE) == pdf(_edition("Text."), TEMPLATE)


def test_a_draft_has_no_edition(project: Project) -> None:
    project.analysis("open")
    project.analysis("secret", status="draft")
    assert project.newsletter("build").returncode == 0
    assert [path.name for path in project.path.rglob("*.pdf") if "output" in path.parts] == ["open.pdf"]


def test_every_piece_and_briefing_has_a_card_of_the_size_that_other_sites_want(built: Project) -> None:
    output = built.path / "output"
    for path in output.rglob("*.pdf"):
        picture = (path.parent / "card.png").read_bytes()
        assert picture[:8] == b"\x89PNG\r\n\x1a\n"
        assert [int.from_bytes(picture[at : at + 4]) for at in (16, 20)] == [1200, 630]
        page = (path.parent / "index.html").read_text()
        address = f"https://briefing.example.org/{path.parent.relative_to(output).as_posix()}/card.png"
        assert f'property="og:image" content="{address}"' in page


def test_a_card_shows_its_own_piece(project: Project) -> None:
    project.analysis("one", title="One claim")
    project.analysis("two", title="Another claim")
    assert project.newsletter("build").returncode == 0
    one, two = (project.path / f"output/analyses/2020/{name}/card.png" for name in ("one", "two"))
    assert one.read_bytes() != two.read_bytes()


@pytest.mark.parametrize(
    "html",
    [
        '<ol start="abc"><li>x</li></ol>',
        '<sup class="footnote-ref">1</sup>',
        '<ol start="-3"><li>x</li></ol>',
    ],
)
def test_html_of_an_odd_form_is_set_all_the_same(html: str) -> None:
    assert pdf(_edition("", html=f"<p>Text.</p>{html}"), TEMPLATE).startswith(b"%PDF-")
