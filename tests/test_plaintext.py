"""The text half of a mail, set for reading."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter import plaintext

LONG = "https://briefing.example.org/analyses/" + "a-very-long-slug-" * 6

PAGES = [
    (
        "a paragraph is filled",
        f"<p>{'word ' * 20}</p>",
        f"{'word ' * 14}".strip() + "\n" + "word " * 5 + "word",
    ),
    ("white space is the browser's", "<p>a\n  b\t<em> c </em>d</p>\n\n<p>e</p>", "a b _c_ d\n\ne"),
    (
        "headings are underlined",
        "<h1>Top</h1><h2>Next</h2><p>a</p><h3>Deep</h3>",
        "Top\n===\n\nNext\n----\n\na\n\nDeep\n~~~~",
    ),
    (
        "a link comes below its paragraph",
        '<p>Read <a href="https://e.org/a">the piece</a> now.</p><p>b</p>',
        "Read the piece now.\n    the piece: https://e.org/a\n\nb",
    ),
    (
        "an address is never broken",
        f'<p>Read <a href="{LONG}">the piece</a>.</p>',
        f"Read the piece.\n    the piece:\n    {LONG}",
    ),
    (
        "an address is not said twice",
        '<p><a href="https://e.org">https://e.org</a></p>',
        "https://e.org",
    ),
    ("nor is a mailbox", '<p>To <a href="mailto:a@e.org">a@e.org</a></p>', "To a@e.org"),
    ("a mailbox behind words", '<p><a href="mailto:a@e.org">Write</a></p>', "Write\n    Write: a@e.org"),
    ("a link without words", '<p>See <a href="https://e.org/a"></a></p>', "See https://e.org/a"),
    (
        "the same link twice is listed once",
        '<p><a href="https://e.org">a</a> and <a href="https://e.org">a</a></p>',
        "a and a\n    a: https://e.org",
    ),
    (
        "lists hang and nest",
        "<ul><li>one<ul><li>inner</li></ul></li><li>two " + "word " * 16 + "</li></ul>",
        "- one\n  - inner\n- two " + "word " * 12 + "word\n  word word word",
    ),
    (
        "numbers stand under each other",
        f'<ol start="9"><li>{"word " * 15}</li><li>b</li></ol>',
        " 9. " + "word " * 12 + "word\n    word word\n10. b",
    ),
    (
        "a loose list keeps its air",
        '<ol><li><p>a</p><p>b</p></li><li><p>c <a href="https://e.org">d</a></p></li></ol>',
        "1. a\n\n   b\n\n2. c d\n       d: https://e.org",
    ),
    ("quotations", "<blockquote><p>a</p><p>b</p></blockquote>", "> a\n>\n> b"),
    ("emphasis", "<p><strong>a</strong>, <em>b</em><b></b></p>", "*a*, _b_"),
    ("line breaks", "<p>a<br>b<br/></p>", "a\nb"),
    ("rules", "<p>a</p><hr><p>b</p>", "a\n\n* * *\n\nb"),
    ("what is set already", "<pre><code>a\n  b</code></pre>", "    a\n      b"),
    (
        "pictures",
        '<p><img src="https://e.org/a.png" alt="A map"> <img src="x" alt=""></p>',
        "[Picture: A map]",
    ),
    (
        "tasks",
        '<ul><li><input type="checkbox" checked> a</li><li><input type="checkbox"> b</li></ul>',
        "- [x] a\n- [ ] b",
    ),
    ("definitions", "<dl><dt>Term</dt><dd>What it means</dd></dl>", "Term\n\n    What it means"),
    ("words beside blocks", "<div>a<p>b</p>c</div>d", "a\n\nb\n\nc\n\nd"),
    ("comments", "<p>a<!-- x --> b</p><!-- y -->c", "a b\n\nc"),
    ("no-break spaces hold", f"<p>{'word ' * 13}a 20–45&nbsp;% x</p>", "word " * 13 + "a\n20–45 % x"),
    ("soft hyphens go", "<p>dip&shy;lo&shy;mat</p>", "diplomat"),
    ("scripts go", "<script>x()</script><style>p{}</style><p>a</p>", "a"),
    ("nothing", "  ", ""),
    (
        "a small table is columns",
        '<table><thead><tr><th>Who</th><th align="right">Per cent</th></tr></thead>'
        '<tbody><tr><td>Iraq</td><td align="right">5</td></tr>'
        '<tr><td>Kuwait</td><td align="right">45</td></tr></tbody></table>',
        "Who     Per cent\n------  --------\nIraq           5\nKuwait        45",
    ),
    (
        "a wide table is lines",
        f"<table><tr><th>Who</th><th>What</th></tr><tr><td>Iraq</td><td>{'word ' * 14}</td></tr>"
        "<tr><td>Oman</td><td>a</td></tr></table>",
        f"Who: Iraq\nWhat: {'word ' * 12}word\n    word\n\nWho: Oman\nWhat: a",
    ),
    (
        "notes keep their numbers",
        '<p>Text.<sup class="footnote-ref"><a href="#fn-1">1</a></sup></p><section class="footnotes">'
        '<ol><li id="fn-1">'
        '<p>A note. <a href="#fnref-1" class="footnote-backref">↩</a></p></li></ol></section>',
        "Text.[1]\n\n* * *\n\n[1] A note.",
    ),
]


@pytest.mark.parametrize(("source", "text"), [page[1:] for page in PAGES], ids=[page[0] for page in PAGES])
def test_it_reads(source: str, text: str) -> None:
    assert plaintext.render(source) == text


WORDS = st.lists(st.text("abcdefgé漢", min_size=1, max_size=12), min_size=1, max_size=25).map(" ".join)
INLINE = st.one_of(
    WORDS,
    WORDS.map(lambda words: f"<em>{words}</em>"),
    WORDS.map(lambda words: f'<a href="https://e.org/{words.split()[0]}">{words}</a>'),
)


def several(blocks: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(blocks, min_size=1, max_size=3)


BLOCK = st.recursive(
    several(INLINE).map(lambda parts: f"<p>{' '.join(parts)}</p>"),
    lambda inner: st.one_of(
        several(inner).map(lambda blocks: f"<ul><li>{'</li><li>'.join(blocks)}</li></ul>"),
        several(inner).map(lambda blocks: f"<blockquote>{''.join(blocks)}</blockquote>"),
    ),
    max_leaves=6,
)


@given(st.lists(BLOCK, max_size=4).map("\n".join))
def test_nothing_is_lost_and_no_line_is_too_long(source: str) -> None:
    """Every word is there in its order, every address whole; only a single word may be over the width."""
    text = plaintext.render(source)
    said = re.sub(r"<[^>]*>", " ", source).split()
    shown = iter(text.replace("_", "").split())
    assert all(word in shown for word in said)
    for address in re.findall(r'href="([^"]*)"', source):
        assert address in text
    for line in text.split("\n"):
        assert line == line.rstrip()
        assert plaintext.columns(line) <= 72 or len(line.split()) <= 4


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=200))
def test_any_words_can_be_set(text: str) -> None:
    shown = plaintext.render(f"<p>{html.escape(text)}</p>")
    assert plaintext.render(f"<p>{html.escape(text)}</p>") == shown
    assert all(line == line.rstrip(" ") for line in shown.split("\n"))


def test_wide_characters_count_two() -> None:
    assert plaintext.underline("漢字") == "漢字\n----"
    assert plaintext.columns("e\u0301") == 1


def test_a_heading_longer_than_the_line_is_filled_and_underlined() -> None:
    assert plaintext.underline("aaaa bb", "=", 5) == "aaaa\nbb\n===="


def test_fill_with_an_indent_stays_within_the_width() -> None:
    assert plaintext.wrap("aa bb cc", 7, "1. ", "   ") == "1. aa\n   bb\n   cc"
