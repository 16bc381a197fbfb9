"""The lint of MJML: what mjml-python lets through or chokes on, with the place and what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mjml import mjml2html

from newsletter import mjml_lint
from newsletter.placeholders import faults

HEAD = "<mj-head><mj-title>T</mj-title></mj-head>"


def document(inner: str = "", head: str = HEAD) -> str:
    """A document whose third line is `inner`, in a column."""
    before, after = "<mj-body><mj-section>\n<mj-column>\n", "\n</mj-column></mj-section></mj-body>"
    return f'<mjml lang="en">{head}{before}{inner}{after}</mjml>'


def findings(source: str) -> list[str]:
    return [each.reason for each in mjml_lint.lint(source, "body.mjml", ("unsubscribe_url",))]


# What mjml-python says nothing about, though the mail is wrong.
SILENT = [
    ("<mj-tetx>a</mj-tetx>", "Did you mean mj-text?"),
    ("<mj-text colour='red'>a</mj-text>", "Did you mean color?"),
    ('<mj-text color="#12">a</mj-text>', "must be a colour"),
    ('<mj-text color="reddish">a</mj-text>', "must be a colour"),
    ('<mj-text font-size="12pt">a</mj-text>', "must be a length in px"),
    ('<mj-text padding="1px 2px 3px 4px 5px">a</mj-text>', "one to four lengths"),
    ('<mj-text padding="12">a</mj-text>', "one to four lengths"),
    ('<mj-text align="middle">a</mj-text>', "must be one of left, right, center, justify"),
    ('<mj-image src="https://example.org/a.png" fluid-on-mobile="yes" />', '"true" or "false"'),
    ('<mj-text mj-class="lead">a</mj-text>', "declared nowhere"),
    ("<mj-column><mj-text>a</mj-text></mj-column>", "may not stand in <mj-column>"),
    ("<mj-section></mj-section>", "belongs in <mj-body>, <mj-wrapper>"),
    ("<mj-text>a</mj-colum>", "closes nothing that is open"),
    ("<mj-text><b><i>a</b></i></mj-text>", "Close that first: </i>"),
    ("<mj-text><script>x()</script></mj-text>", "<script>: mail programs strip it"),
    ('<mj-text><p onclick="x()">a</p></mj-text>', "onclick: scripts do not run"),
    ("<mj-text><stong>a</stong></mj-text>", "no element of HTML. Did you mean strong?"),
    ("<mj-text><p/>a</mj-text>", "does not close itself"),
    ("<mj-text><mj-button>a</mj-button></mj-text>", "takes HTML only"),
    ("<mj-text>{{name}}</mj-text>", "{{name}} is not declared"),
    ("<mj-text>{{ unsubscribe_url }}</mj-text>", "without spaces"),
    ("<mj-text>{{{unsubscribe_url}}}</mj-text>", "two braces on each side"),
    ("<mj-text>\\{{unsubscribe_url}}</mj-text>", "no backslash"),
    ("<mj-text>{{#if a}}b{{/if}}</mj-text>", "sections, partials"),
    ("<mj-text>{{>part}}</mj-text>", "sections, partials"),
    ("<mj-text>{{a\n}}</mj-text>", "not closed on its line"),
    ("<mj-text><em>a</em>\n<b>b</b></mj-text>", "drops the line break between </em> and <b>"),
    ("<mj-text><a title='say \"hi\"'>a</a></mj-text>", "holds a double quote"),
]


@pytest.mark.parametrize(("inner", "reason"), SILENT)
def test_what_mjml_python_takes_in_silence_is_found(inner: str, reason: str) -> None:
    assert mjml2html(document(inner)).startswith("<!doctype html>")
    found = findings(document(inner))
    assert any(reason in each for each in found), found


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        ("<mj-text>a < b</mj-text>", "a bare <. Write &lt;"),
        ("<mj-text><b>a</mj-text>", "while <b> of line 3 is open"),
        ("<mj-text><p class=a>b</p></mj-text>", 'Write class="a"'),
        ("<mj-text>a", "while <mj-text> of line 3 is open"),
        ("<mj-text><a href='x'", "a tag that does not end"),
        ("bare words", "text directly in <mj-column>"),
        ("<p>a</p>", "<p> directly in <mj-column>"),
        ("<mj-text><br></br></mj-text>", "closes nothing: <br> is closed already"),
        ('<mj-text align="left" align="right">a</mj-text>', "align is given twice"),
        ("<mj-text align>a</mj-text>", "has no value"),
        ("<MJ-TEXT>a</MJ-TEXT>", "small letters"),
        ('<mj-include path="a.mjml" />', "Use Jinja's"),
    ],
)
def test_what_breaks_the_mail_is_found(inner: str, reason: str) -> None:
    found = findings(document(inner))
    assert any(reason in each for each in found), found


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("<mj-html-attributes></mj-html-attributes>", "unknown to mjml-python"),
        ('<mj-style inline="inline">p { color:red; }</mj-style>', "mjml-python does not do that"),
        ('<mj-raw position="file-start"></mj-raw>', "position is unknown to mjml-python"),
        ("<mj-style>@media x {a{b:c}}</mj-style>", "write a space between the braces"),
        ("<mj-preview>a <b>b</b></mj-preview>", "takes words only"),
        ("<mj-text>a</mj-text>", "<mj-text> may not stand in <mj-head>"),
        ('<mj-attributes><mj-text colr="#fff" /></mj-attributes>', "Did you mean color?"),
        ('<mj-attributes><mj-all paddin="0" /></mj-attributes>', "Did you mean padding?"),
    ],
)
def test_faults_in_the_head_are_found(head: str, reason: str) -> None:
    found = findings(document("<mj-text>a</mj-text>", HEAD.replace("</mj-head>", head + "</mj-head>")))
    assert any(reason in each for each in found), found


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "no <mjml> element"),
        ("<mjml></mjml>", "no <mj-body>"),
        ("<mjml><mj-body></mj-body></mjml>", "no <mj-title>"),
        (document() + "more", "text outside <mjml>"),
        (document() + "<mj-body></mj-body>", "stands outside <mjml>"),
        ("<div>a</div>", "<div> directly outside <mjml>"),
        ("<mjml><mj-body>", "<mj-body> is never closed"),
    ],
)
def test_a_document_that_is_none_is_found(source: str, reason: str) -> None:
    assert any(reason in each for each in findings(source))


@pytest.mark.parametrize(
    "inner",
    [
        '<mj-text padding="0" color="rgb(1, 2, 3)" line-height="1.5px" letter-spacing="-0.01em">a</mj-text>',
        '<mj-text css-class="x">a<br>b &lt; c &amp; d<hr><img src="https://example.org/a" alt=""></mj-text>',
        '<mj-button href="{{unsubscribe_url}}">Unsubscribe</mj-button>',
        "<mj-raw><!-- <b>{ a } --><tr><td nowrap>a</td></tr></mj-raw>",
        "<mj-raw><!--[if mso]><table><tr><![endif]--></mj-raw>",
        "<mj-text><em>a</em> <b>b</b>\n<p>c</p>\n<p>d</p></mj-text>",
        "<mj-text>a } b { c</mj-text>",
        '<mj-image src="https://example.org/a.png" alt="a > b" width="120px" />',
        '<mj-social mode="horizontal"><mj-social-element name="web">a</mj-social-element></mj-social>',
    ],
)
def test_good_mjml_passes(inner: str) -> None:
    assert findings(document(inner)) == []


def test_declared_classes_and_defaults_pass() -> None:
    head = (
        '<mj-attributes><mj-all font-family="Georgia" /><mj-class name="lead" color="#123456" />'
        '<mj-text padding="0" /></mj-attributes><mj-style>a > b { color:red; }</mj-style>'
    )
    source = document('<mj-text mj-class="lead">a</mj-text>', HEAD.replace("</mj-head>", head + "</mj-head>"))
    assert findings(source) == []


def test_a_finding_names_file_line_and_column() -> None:
    finding, *more = mjml_lint.lint(document('  <mj-text collor="red">a</mj-text>'), "theme/body.mjml", ())
    assert (finding.path, finding.line, finding.column) == ("theme/body.mjml", 3, 12)
    assert str(finding).startswith("theme/body.mjml:3: collor is no attribute of <mj-text>")
    assert not more


def test_one_forgotten_tag_is_one_finding() -> None:
    """What follows a fault is read as if it had been mended."""
    assert len(findings(document("<mj-text><p><b>a</p></mj-text><mj-text>b</mj-text>"))) == 1


@given(st.text(st.sampled_from("<>/\"'={} \nabmj-!tx"), max_size=60))
def test_the_lint_itself_never_fails(text: str) -> None:
    for finding in mjml_lint.lint(document(text), "a", ("a",)):
        assert finding.line >= 1
        assert finding.column >= 1


@given(st.text(st.sampled_from("{}\\ \n#ab"), max_size=30))
def test_what_passes_as_placeholders_is_exactly_that(text: str) -> None:
    """After the declared names are taken out, no two braces stand together."""
    if not list(faults(text, ("a", "b"))):
        rest = text.replace("{{a}}", " ").replace("{{b}}", " ")
        assert "{{" not in rest
        assert "}}" not in rest
        assert "\\{{" not in text
