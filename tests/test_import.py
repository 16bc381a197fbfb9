"""`newsletter import`: what analysts wrote elsewhere becomes a draft here, and no word of it is lost."""

from __future__ import annotations

import base64
import io
import os
import re
import struct
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import docx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import html

from newsletter import frontmatter, markdown
from newsletter.errors import ContentError
from newsletter.frontmatter import FrontMatter
from newsletter.manuscript import filed, layout, plain, reading, web, word
from tests import word_sample
from tests.conftest import Project

NOW = datetime(2020, 11, 2, 12, 0, tzinfo=UTC)


def file_of(path: Path) -> tuple[str, FrontMatter]:
    """The file that a manuscript becomes, and its head; no complaint is in it."""
    text = filed.filed(reading.read(path), "piece", NOW).text
    front = frontmatter.parse(text, "piece.md")
    assert front.findings == []
    return text, front


def lost(source: str, text: str) -> Counter[str]:
    """Words of the source that the file, as readers and editors see it, has not."""
    return filed.words(source) - filed.words_of_file(text)


def _body(front: FrontMatter) -> html.HtmlElement:
    return html.fragment_fromstring(markdown.render(front.body), create_parent="div")


# -- Word


def test_a_word_document_becomes_a_piece_word_for_word(tmp_path: Path) -> None:
    reference = '<w:footnoteReference w:id="2"/>'
    note = '<w:footnote w:id="2"><w:p><w:r><w:footnoteRef/></w:r><w:r><w:t>As its own_report says.</w:t></w:r></w:p></w:footnote>'
    path = word_sample.save(
        word_sample.analysis(), tmp_path / "a.docx", {"FOOTNOTE": reference}, footnotes=note
    )
    text, front = file_of(path)
    assert front.fields["title"] == "Iraq is unlikely to vote by June"
    assert front.fields["summary"] == "Parliament will finish the law at leisure."
    assert [each["text"] for each in front.fields["key_judgements"]] == [
        "Iraq is unlikely to hold its election on 6 June 2021.",
        "Parliament is likely to finish the election_law this year.",
    ]
    assert front.fields["status"] == "draft"
    body = _body(front)
    assert [(each.tag, each.text_content()) for each in body.xpath("./h2 | ./h3")] == [
        ("h2", "A date is the easy part"), ("h3", "What would change our view"),
    ]  # fmt: skip
    assert body.xpath("//a[.='commission']/@href") == ["https://example.org/commission_1?a=b&c=d"]
    assert "*in* private." in body.text_content()
    (footnote,) = body.xpath("//section//li//p")
    assert footnote.text.strip() == "As its own_report says."
    assert len(body.xpath("//sup[@class='footnote-ref']")) == 1
    assert (
        "1. A paragraph and no list, # nor heading_with_lines [brackets] <angles> | pipes."
        in body.text_content()
    )
    assert [item.text_content().strip() for item in body.xpath("./ol/li")] == ["Register", "Vote"]
    assert [cell.text_content() for cell in body.xpath("//th | //td")] == [
        "Party",
        "Seats | share",
        "Fatah",
        "48",
    ]
    assert body.xpath("//blockquote")[0].text_content().strip() == "A law before May."
    assert body.xpath("//img/@src") == ["{static}/images/piece-1.png"]
    assert lost(word.read(path, path.read_bytes()).source, text) == Counter()
    assert "Not placed" not in text


def test_text_boxes_changes_and_comments_are_kept_each_in_its_way(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("A claim about Iraq", 0)
    document.add_paragraph("Before it, ").add_run("CHANGED")
    document.add_paragraph("").add_run("BOX")
    document.sections[0].header.paragraphs[0].text = "For the desk alone"
    changed = (
        '</w:r><w:ins w:id="1"><w:r><w:t>what was put in</w:t></w:r></w:ins>'
        '<w:del w:id="2"><w:r><w:delText>what was struck</w:delText></w:r></w:del><w:r>'
    )
    comment = '<w:comment w:id="0" w:author="X"><w:p><w:r><w:t>Is this sourced?</w:t></w:r></w:p></w:comment>'
    path = word_sample.save(
        document, tmp_path / "a.docx", {"CHANGED": changed, "BOX": word_sample.TEXT_BOX}, comments=comment
    )
    text, front = file_of(path)
    body = _body(front).text_content()
    assert "Before it, what was put in" in body
    assert "what was struck" not in text
    assert body.count("Words in a box.") == 1
    assert "#   A comment in the margin: Is this sourced?" in text
    assert "#   The page's header: For the desk alone" in text
    assert reading.read(path).notes == ("2 tracked changes were taken as accepted.",)


def test_what_markdown_has_no_words_for_stands_beside_the_text(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("A claim about Iraq", 0)
    document.add_paragraph("It follows from ").add_run("EQUATION")
    equation = (
        '</w:r><m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:r><m:t>growth</m:t></m:r>'
        "</m:oMath><w:r>"
    )
    path = word_sample.save(document, tmp_path / "a.docx", {"EQUATION": equation})
    text, _ = file_of(path)
    assert "growth" in text
    assert "#   Not placed: It follows from growth" in text


def _zip(parts: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return data.getvalue()


def _locked() -> bytes:
    data = bytearray(_zip({"word/document.xml": b"<x/>"}))
    for sign, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(sign) + at
        data[place : place + 2] = struct.pack("<H", 1)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is no .docx, or a damaged one"),
        (b"PK\x03\x04 cut off", "is no .docx, or a damaged one"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is locked with a password, or an old .doc"),
        (_locked(), "is locked with a password"),
        (_zip({"xl/workbook.xml": b"<x/>"}), "holds no Word document"),
        (_zip({"word/document.xml": b"not XML"}), "cannot be read as a Word document"),
        (_zip({"word/document.xml": b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'}), "declares entities of its own"),
        (_zip({"word/document.xml": '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'.encode("utf-16")}), "declares entities"),
        (_zip({"word/document.xml": bytes(60_000_000)}), "unpacks to far more than any text has"),
        (_zip({"word/document.xml": b"<x/>", **{f"p{n}": b"" for n in range(5001)}}), "unpacks to far more"),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_read_is_refused_in_a_sentence(
    project: Project, data: bytes, complaint: str
) -> None:
    project.write("bad.docx", data)
    done = project.newsletter("import", "bad.docx")
    assert done.returncode == 1
    assert f"bad.docx: {complaint}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((project.path / "content").rglob("*.md"))


# -- Plain text, in the shape of a house's page

PAGE = """\
A 3 May threat by the minister to close the port of Qasr will slow the trade that passes through it this year.

  • The threat reflects anger at tolls that nobody in the capital receives.
  • The tolls are unlikely to end before the vote in October,
    whatever the minister says of them.

Threat to close

The minister's threat built on a warning of 20 April, which the governor passed on.

It came as a shock - all but the port's guards were surprised.

Cost to reopen

Too few ships would come back.

Monthly Briefing

Receive our analysis straight to your inbox every month

You may also be interested in

Get in touch

Can our experts help you?"""


def test_a_pages_text_is_taken_apart_as_a_reader_would(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(PAGE)
    text, front = file_of(tmp_path / "a.txt")
    assert front.fields["summary"].startswith("A 3 May threat by the minister")
    assert front.fields["title"].startswith("TODO:")
    assert [each["text"] for each in front.fields["key_judgements"]] == [
        "The threat reflects anger at tolls that nobody in the capital receives.",
        "The tolls are unlikely to end before the vote in October, whatever the minister says of them.",
    ]
    body = _body(front)
    assert [each.text for each in body.xpath("./h2")] == ["Threat to close", "Cost to reopen"]
    assert "Monthly Briefing" not in body.text_content()
    assert "#   From the page's foot: Monthly Briefing" in text
    assert "#   From the page's foot: Can our experts help you?" in text
    assert lost(PAGE, text) == Counter()


def test_a_headline_and_its_day_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(
        "The port will stay shut\n\n3 May 2020\n\nIt will, for these reasons.\n\nAnd more.\n"
    )
    text, front = file_of(tmp_path / "a.txt")
    assert front.fields["title"] == "The port will stay shut"
    assert front.fields["date"] == "2020-05-03"
    assert lost("The port will stay shut 3 May 2020", text) == Counter()


@pytest.mark.parametrize("heading", ["Key judgements", "What we expect:"])
def test_dashes_right_below_the_line_that_announces_them_are_a_list(tmp_path: Path, heading: str) -> None:
    (tmp_path / "a.txt").write_text(
        f"Tunis will raise fuel prices\n\nThe budget leaves no way.\n\n{heading}\n"
        "- The government is likely to raise them by March.\n- Unions are unlikely to strike.\n\nThe IMF asked for it.\n"
    )
    text, front = file_of(tmp_path / "a.txt")
    expected = ["The government is likely to raise them by March.", "Unions are unlikely to strike."]
    if heading == "Key judgements":
        assert [each["text"] for each in front.fields["key_judgements"]] == expected
    else:
        assert [item.text_content() for item in _body(front).iter("li")] == expected
    assert r"\-" not in text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_text_is_read_in_the_encoding_it_has(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("Café “closed”\n\nIt is shut, and so it stays.".encode(encoding))
    assert file_of(tmp_path / "a.txt")[1].fields["title"] == "Café “closed”"


# -- Web pages


def test_a_saved_page_gives_its_article_notes_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    (tmp_path / "img/map one.png").write_bytes(word_sample.picture().getvalue())
    (tmp_path.parent / "secret.png").write_bytes(b"x")
    (tmp_path / "a.html").write_text(
        """<!doctype html><html><head><meta charset="utf-8"><title>Port – House</title><style>p{}</style></head><body>
        <nav><a href="/">Home page</a></nav><article><h1>The port stays <em>shut</em></h1>
        <p class="standfirst">For these reasons.</p><div><h3>Why</h3><p>Because<sup><a href="#fn1" id="r1">1</a></sup> of
        the <a href="https://example.org/x_y">tolls</a>.</p><img src="img/map%20one.png" alt="A map">
        <img src="../secret.png" alt="Elsewhere"><script>alert(1)</script></div>
        <ol class="footnotes"><li id="fn1"><p>A note. <a href="#r1">↩</a></p></li></ol></article>
        <footer>All rights reserved</footer></body></html>"""
    )
    manuscript = reading.read(tmp_path / "a.html")
    text, front = file_of(tmp_path / "a.html")
    assert (front.fields["title"], front.fields["summary"]) == ("The port stays shut", "For these reasons.")
    body = _body(front)
    assert [each.text for each in body.xpath("./h2")] == ["Why"]
    assert [note.text.strip() for note in body.xpath("//section//li/p")] == ["A note."]
    assert body.xpath("//img/@src")[0] == "{static}/images/piece-1.png"
    assert [picture.data for picture in manuscript.pictures] == [word_sample.picture().getvalue()]
    assert any("../secret.png is not on this machine" in note for note in manuscript.notes)
    assert "alert" not in text
    assert "#   Around the article: All rights reserved" in text
    assert lost("Port House Home page All rights reserved The port stays shut", text) == Counter()


def test_a_picture_in_postscript_is_run_by_nobody(project: Project) -> None:
    program = project.path / "bin/gs"  # which Pillow would start for it
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {project.path}/started\n")
    program.chmod(0o755)
    picture = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    data = base64.b64encode(picture.encode()).decode()
    project.write("a.html", f'<h1>A claim</h1><p>Some words.</p><img src="data:image/bmp;base64,{data}">')
    path = f"{program.parent}:{os.environ['PATH']}"
    done = project.newsletter("import", "a.html", PATH=path)
    assert done.returncode == 0, done.stderr
    assert "of a kind that browsers do not show" in done.stdout
    project.write("content/images/map.png", picture.encode())
    built = project.newsletter("build", PATH=path)
    assert "content/images/map.png: is no picture that can be shown" in built.stderr
    assert not (project.path / "started").exists()


def test_a_post_of_substacks_export_has_its_headline_from_the_list_beside_it(tmp_path: Path) -> None:
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts.csv").write_text(
        "post_id,post_date,title,subtitle\n7.port,2020-05-03T07:00:00.000Z,The port,It stays shut.\n"
    )
    (tmp_path / "posts/7.port.html").write_text(
        "<p>First paragraph, which is long enough.</p><h2>Why</h2><p>Because.</p>"
    )
    front = file_of(tmp_path / "posts/7.port.html")[1]
    assert (front.fields["title"], front.fields["summary"]) == ("The port", "It stays shut.")
    assert front.fields["date"] == "2020-05-03"
    assert "First paragraph, which is long enough." in front.body


# -- Any document at all

_LINES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029"), max_size=60
) | st.sampled_from(
    ["# x", "- y", "1. z", "*a* _b_ `c`", "[d](e)", "<f>", "{{ g }}", "| h | i |", "---", "Monthly Briefing", "    j",
     "Key judgements", "\\k", "&amp; l", "![m](n)", "[^1]: o", "> p", "~~q~~", "3 May 2020", "zqnote1qz", "__r__s"]
)  # fmt: skip
_GENEROUS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_LESS = settings(_GENEROUS, max_examples=20)  # python-docx takes half a second for a document


@_GENEROUS
@given(st.lists(_LINES, min_size=1, max_size=12))
def test_no_word_of_any_text_is_lost(lines: list[str]) -> None:
    source = "\n\n".join(lines)
    if source.strip():
        text = filed.filed(layout.arrange(plain.read(Path("a.txt"), source.encode())), "piece", NOW).text
        assert lost(source, text) == Counter()
        assert frontmatter.parse(frontmatter.decode(text.encode(), "a.md"), "a.md").findings == []


@_GENEROUS
@given(
    st.lists(
        st.tuples(_LINES, st.sampled_from(["p", "h1", "h2", "li", "td", "blockquote", "pre", "div", "b"])),
        max_size=10,
    )
)
def test_no_word_of_any_page_is_lost(parts: list[tuple[str, str]]) -> None:
    from html import escape

    wrap = {"li": "<ul><li>{}</li></ul>", "td": "<table><tr><td>{}</td><td>x</td></tr></table>"}
    page = "".join(wrap.get(tag, f"<{tag}>{{}}</{tag}>").format(escape(words)) for words, tag in parts)
    sheet = web.read(Path("a.html"), f"<html><body><p>Some text.</p>{page}</body></html>".encode())
    text = filed.filed(layout.arrange(sheet), "piece", NOW).text
    assert lost("\n".join(words for words, _ in parts), text) == Counter()


_STYLES = ["Normal", "Heading 1", "Heading 2", "List Bullet", "List Number", "Quote", "Title", "Subtitle"]
_XML = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
    max_size=50,
)


@_LESS
@given(st.lists(st.tuples(_XML | _LINES, st.sampled_from(_STYLES), st.booleans()), min_size=1, max_size=10))
def test_no_word_of_any_word_document_is_lost(tmp_path: Path, parts: list[tuple[str, str, bool]]) -> None:
    document = docx.Document()
    for words, style, bold in parts:
        document.add_paragraph("", style=style).add_run(re.sub("[\ufffe\uffff]", "", words)).bold = bold
    document.save(str(tmp_path / "any.docx"))
    text = filed.filed(reading.read(tmp_path / "any.docx"), "piece", NOW).text
    assert lost("\n".join(re.sub("[\ufffe\uffff]", "", words) for words, _, _ in parts), text) == Counter()


_SENTENCE = st.lists(st.text("abcdefg", min_size=2, max_size=8), min_size=6, max_size=12).map(
    lambda words: " ".join(words).capitalize() + "."
)


@_LESS
@given(st.lists(st.tuples(_SENTENCE, st.sampled_from(_STYLES)), min_size=1, max_size=10))
def test_plain_sentences_have_their_place_in_the_text_itself(
    tmp_path: Path, parts: list[tuple[str, str]]
) -> None:
    document = docx.Document()
    for words, style in parts:
        document.add_paragraph(words, style=style)
    document.save(str(tmp_path / "any.docx"))
    text = filed.filed(reading.read(tmp_path / "any.docx"), "piece", NOW).text
    assert "Not placed" not in text
    assert lost("\n".join(words for words, _ in parts), text) == Counter()


# -- Markdown with other front matter


@pytest.mark.parametrize(
    "head",
    [
        '+++\ntitle = "A claim"\ndate = 2020-10-05T07:00:00Z\ndescription = "What happens."\ntags = ["Oil"]\n'
        'categories = ["Iraq", "Gulf"]\naliases = ["/old/claim/"]\ndraft = false\n+++\n',
        "---\ntitle: A claim\ndate: 2020-10-05 07:00:00 +0000\nexcerpt: What happens.\ntags: [Oil]\ncategories:\n"
        "  - Iraq\n  - Gulf\nredirect_from:\n  - /old/claim/\nlayout: post\n---\n",
        '{"title": "A claim", "published_at": "2020-10-05T07:00:00.000Z", "custom_excerpt": "What happens.", '
        '"tags": [{"name": "Oil"}], "section": "Iraq", "url": "/old/claim/"}\n',
        "Title: A claim\nDate: 5 October 2020 07:00\nSummary: What happens.\nTags: Oil\nCategory: Iraq\nUrl: old/claim/\n\n",
    ],
    ids=["hugo", "jekyll", "ghost", "pelican"],
)  # fmt: skip
def test_another_systems_front_matter_becomes_ours(tmp_path: Path, head: str) -> None:
    (tmp_path / "a.md").write_text(head + "First.\n\nSecond,[^1] as it *is*.\n\n[^1]: A note.\n")
    text, front = file_of(tmp_path / "a.md")
    assert front.fields["title"] == "A claim"
    assert front.fields["date"].startswith("2020-10-05")
    assert front.fields["summary"] == "What happens."
    assert front.fields["region"] == "Iraq"
    assert "Oil" in front.fields["topics"]
    assert front.fields["aliases"] == ["old/claim"]
    assert front.fields["status"] == "draft"
    assert front.body == "First.\n\nSecond,[^1] as it *is*.\n\n[^1]: A note.\n"
    assert lost(head.replace("+", " "), text).keys() <= {
        # the names of fields, and times that are written otherwise
        "title", "date", "description", "tags", "categories", "aliases", "draft", "excerpt", "redirect", "from", "layout",
        "published", "at", "custom", "name", "section", "url", "summary", "category", "5", "10", "000z", "0000", "00",
        "05t07", "false", "00z",
    }  # fmt: skip


def test_a_text_without_front_matter_has_its_heading_as_headline(tmp_path: Path) -> None:
    (tmp_path / "2020-10-05-old-name.md").write_text("# A claim\n\nText.\n\n![Map](map.png)\n")
    (tmp_path / "map.png").write_bytes(word_sample.picture().getvalue())
    text, front = file_of(tmp_path / "2020-10-05-old-name.md")
    assert front.fields["title"] == "A claim"
    assert front.fields["date"] == "2020-10-05"
    assert "![Map]({static}/images/piece-1.png)" in text
    assert reading.read(tmp_path / "2020-10-05-old-name.md").fields["slug"] == "old-name"


def test_a_head_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("+++\ntitle = \n+++\nText.\n")
    with pytest.raises(ContentError, match="front matter cannot be read"):
        reading.read(tmp_path / "a.md")


# -- The command


def test_an_import_is_a_draft_that_builds_and_writes_over_nothing(project: Project) -> None:
    word_sample.analysis().save(str(project.path / "a.docx"))
    done = project.newsletter("import", "a.docx", "--region", "Iraq")
    assert done.returncode == 0, done.stderr
    (path,) = (project.path / "content/analyses").rglob("*.md")
    assert path.stem == "iraq-is-unlikely-to-vote-by-june"
    assert (project.path / f"content/images/{path.stem}-1.png").is_file()
    assert "to write    date, key_judgements" in done.stdout
    assert project.newsletter("build").returncode == 0
    assert not list((project.path / "output").rglob(f"*{path.stem}*/*"))
    assert project.newsletter("build", "--drafts", "--output", "build/preview").returncode == 0
    before = path.read_bytes()
    again = project.newsletter("import", "a.docx")
    assert again.returncode == 1
    assert "is there already, and stays as it is." in again.stderr
    assert path.read_bytes() == before
    path.write_text(path.read_text().replace("status: draft", "status: published"))
    unfinished = project.newsletter("build")
    assert unfinished.returncode == 1
    assert "a picture still says TODO." in unfinished.stderr


def test_of_many_files_the_sound_ones_are_imported_and_the_others_named(project: Project) -> None:
    project.write("in/a.txt", "A claim\n\nIt is so, and for these reasons.\n")
    project.write("in/b.docx", b"no document")
    project.write("in/c.odt", b"x")
    done = project.newsletter("import", "in/a.txt", "in/b.docx", "in/c.odt")
    assert done.returncode == 1
    assert "in/b.docx: is no .docx" in done.stderr
    assert "in/c.odt: is of a kind that cannot be imported" in done.stderr
    assert "2 of 3 were not imported" in done.stderr
    assert [path.stem for path in (project.path / "content").rglob("*.md")] == ["a-claim"]
