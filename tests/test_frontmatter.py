"""The head of a file is read as the editor meant it, and what cannot be read is named by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import ContentError
from newsletter.frontmatter import decode, parse


def _complaint(text: str) -> str:
    with pytest.raises(ContentError) as caught:
        parse(text, "x.md")
    return str(caught.value)


def test_yaml_values_stay_the_words_the_editor_wrote() -> None:
    front = parse("---\nregion: No\ndate: 2020-10-16\nweight: 010\n---\nBody\n", "x.md")
    assert front.fields == {"region": "No", "date": "2020-10-16", "weight": "010"}
    assert front.body == "Body\n"
    assert front.body_line == 6


def test_every_field_knows_its_line_even_inside_lists() -> None:
    front = parse("---\ntitle: x\nkey_judgements:\n  - text: a\n    likelihood: likely\n  - b\n---\n", "x.md")
    assert front.lines["title"] == 2
    assert front.lines["key_judgements[1].likelihood"] == 5
    assert front.lines["key_judgements[2]"] == 6


def test_classic_header_is_read_with_its_continuation_lines() -> None:
    front = parse("Title: Ten: a title\nTags: a, b\nSummary: one\n    two\n\nBody\n", "x.md")
    assert front.classic
    assert front.fields == {"title": "Ten: a title", "tags": "a, b", "summary": "one\ntwo"}
    assert (front.body, front.body_line) == ("Body\n", 6)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    assert parse(decode(b"\xef\xbb\xbf---\r\ntitle: x\r\n---\r\nBody\r\n", "x.md"), "x.md").body == "Body\n"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("---\ntitle: a: b\n---\n", "x.md:2", "quotation marks"),
        ("---\nx: y\ntitle: @x\n---\n", "x.md:3", "quotation marks"),
        ("---\ntitle: x\n", "x.md:1", "no end"),
        ("Just text\n", "x.md:1", "no front matter"),
        ("", "x.md:1", "no front matter"),
        ("---\n- a\n---\n", "x.md:2", "field: value"),
        ("---\na: &a [x]\nb: *a\n---\n", "x.md:3", "quotation marks"),
    ],
)
def test_a_head_that_is_none_is_named_with_line_and_remedy(text: str, place: str, words: str) -> None:
    complaint = _complaint(text)
    assert complaint.startswith(place)
    assert words in complaint


def test_a_field_written_twice_is_not_silently_the_last_one() -> None:
    front = parse("---\ntitle: a\ntitle: b\n---\n", "x.md")
    assert [str(finding) for finding in front.findings] == [
        "x.md:3: title: stands twice. Delete one of the two."
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a\nb\xff\n", "x.md:2: is not UTF-8"),
        (b"a\n\nx\x00y", "x.md:3: has the control character U+0000 at column 2"),
    ],
)
def test_bytes_that_cannot_be_published_are_named_by_line(data: bytes, words: str) -> None:
    with pytest.raises(ContentError) as caught:
        decode(data, "x.md")
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("opener", ["[", "{a: ", "- "])
def test_a_head_nested_a_thousandfold_is_refused_and_not_a_crash(opener: str) -> None:
    assert _complaint(f"---\na: {opener * 20_000}\n---\n").startswith("x.md:")


def test_aliases_that_stand_for_gigabytes_are_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    assert "alias" in _complaint(f"---\n{bomb}---\n")


@given(st.binary(max_size=400))
def test_no_bytes_at_all_make_the_reader_fail_but_by_naming_them(data: bytes) -> None:
    try:
        parse(decode(data, "x.md"), "x.md")
    except ContentError as error:
        assert str(error).startswith("x.md:")


@given(st.text(alphabet="ab:-#[]{}&*!|>'\"%@`\n \t0", max_size=80))
def test_no_yaml_at_all_makes_the_reader_fail_but_by_naming_it(head: str) -> None:
    try:
        parse(f"---\n{head}\n---\nBody\n", "x.md")
    except ContentError as error:
        assert str(error).startswith("x.md:")


@pytest.mark.parametrize(
    ("head", "place"),
    [
        ("title:The claim\nx: y", "x.md:2: title: needs a space after the colon"),
        (' title: "x"\ny: z', "x.md:2: begins with a space"),
        ('x: y\ntitle: "open\nz: 1\nw: 2', "x.md:3: the front matter is not valid YAML"),
    ],
)
def test_a_mistake_is_named_where_it_was_made_not_where_it_was_noticed(head: str, place: str) -> None:
    assert _complaint(f"---\n{head}\n---\n").startswith(place)


@pytest.mark.parametrize("nothing", ["", "~", "null"])
def test_an_empty_value_is_an_absent_one(nothing: str) -> None:
    assert parse(f"---\nslug: {nothing}\ntitle: 'null'\n---\n", "x.md").fields == {
        "slug": "",
        "title": "null",
    }
