"""Markdown becomes the HTML an editor expects, and nothing an attacker would like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html as lxml_html

from newsletter.markdown import render, smart


def _tree(text: str) -> lxml_html.HtmlElement:
    return lxml_html.fragment_fromstring(render(text), create_parent="div")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("| a | b |\n|---|--:|\n| 1 | 2 |\n", "//table/tbody/tr/td[@align='right']"),
        ("Word\n\n: What it means\n", "//dl/dt[.='Word']/following-sibling::dd"),
        ("Word\n: What it means\n", "//dl/dt[.='Word']/following-sibling::dd"),
        ("- [x] done\n- [ ] open\n", "//li/input[@type='checkbox'][@checked][@disabled]"),
        ("## Beyond the vote\n", "//h2[@id='beyond-the-vote'][.='Beyond the vote']"),
        ("a[^1]\n\n[^1]: Note.\n", "//a[@href='#fn-1']"),
        ("a[^1]\n\n[^1]: Note.\n", "//li[@id='fn-1']//a[@href='#fnref-1']"),
        ("[x]({filename}other.md#part)", "//a[@href='{filename}other.md#part']"),
        ("![x]({static}/images/a.png)", "//img[@src='{static}/images/a.png']"),
        ('A <a href="{static}/x.pdf">raw</a> link', "//a[@href='{static}/x.pdf']"),
        ("<b>bold</b> stays", "//b[.='bold']"),
    ],
)
def test_what_an_editor_writes_is_what_a_reader_gets(text: str, path: str) -> None:
    assert _tree(text).xpath(path), render(text)


def test_quotes_and_dashes_are_typographic_in_text_and_fields() -> None:
    assert "“quoted” – it’s…" in render('"quoted" -- it\'s...')
    assert smart('"quoted" -- it\'s...') == "“quoted” – it’s…"


def test_equal_headings_get_different_ids() -> None:
    assert _tree("## A\n\n## A\n").xpath("//h2/@id") == ["a", "a-1"]


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    '<a href="java&#10;script:alert(1)">x</a>',
    '<a href="vbscript:x">x</a>',
    "<svg><script>alert(1)</script></svg>",
    '<iframe src="https://example.org"></iframe>',
    '<p style="position:fixed">x</p>',
    '<form action="https://example.org"><input name=a></form>',
    '<math><mtext><table><mglyph><style><img src=x onerror="alert(1)">',
    '<a href="https://x" onclick="x()">x</a>',
    "<base href=https://example.org>",
    '<meta http-equiv="refresh" content="0;url=https://example.org">',
    "<!--><img src=x onerror=alert(1)>-->",
    "<b>x</b> [x](javascript:alert(1))",
    "<b>x</b> <javascript:alert(1)>",
]


def _assert_harmless(text: str) -> None:
    for element in _tree(text).iter():
        if not isinstance(element.tag, str):
            continue
        assert element.tag not in {
            "script",
            "style",
            "iframe",
            "form",
            "base",
            "meta",
            "object",
            "embed",
            "link",
        }, text
        for name, value in element.attrib.items():
            assert not name.startswith("on"), text
            assert name != "style", text
            if name in {"href", "src", "action", "formaction", "poster"}:
                scheme = value.partition(":")[0].lower() if ":" in value.partition("/")[0] else ""
                assert scheme in {"", "http", "https", "mailto", "tel"}, (text, value)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_raw_html_or_address_can_run(text: str) -> None:
    _assert_harmless(text)


@given(
    st.lists(
        st.sampled_from([*HOSTILE, "\n\n", "> ", "- ", "`", "[", "](", ")", "<", "&", '"', "x"]), max_size=12
    )
)
def test_no_mixture_of_hostile_pieces_can_run(pieces: list[str]) -> None:
    _assert_harmless("".join(pieces))


@given(st.text(max_size=60))
def test_a_plain_field_never_loses_or_gains_words(text: str) -> None:
    words = "".join(character for character in text if character.isalnum())
    assert "".join(character for character in smart(text) if character.isalnum()) == words
