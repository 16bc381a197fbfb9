"""The mail of a month: what a subscriber sees, and what must never reach one."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import timedelta
from functools import cache
from html import escape
from pathlib import Path

import lxml.html
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter import mail_lint, message
from newsletter.errors import ContentError, SettingsError
from newsletter.models import Briefing, Item, KeyJudgement, Package
from newsletter.publication import Publication
from tests.briefing_sample import BRIEFING, ITEMS, PUBLICATION, SITE, TEMPLATES, judgement

CHROMIUM = shutil.which("chromium")


def compose(briefing: Briefing = BRIEFING, publication: Publication = PUBLICATION) -> Package:
    return message.compose(briefing, publication, TEMPLATES, None)


def refused(briefing: Briefing) -> str:
    with pytest.raises(ContentError) as caught:
        compose(briefing)
    return str(caught.value)


def spaced(text: str) -> str:
    return " ".join(text.split())


def words(html: str) -> str:
    return " ".join(lxml.html.document_fromstring(html).text_content().split())


@pytest.fixture(scope="module")
def package() -> Package:
    return compose()


def test_both_halves_say_what_the_month_says(package: Package) -> None:
    """Letter, then each analysis with its judgements in words, then why, how to leave, who and where."""
    for half in (words(package.html), " ".join(package.text.split())):
        place = half.index("October closed with three governments waiting")
        for item in ITEMS:
            assert half.index(item.title, place) > place
            place = half.index(item.title, place)
            assert item.summary in half
            for each in item.key_judgements:
                assert each.text in half
                assert " ".join(each.assessment.split()) in half
        assert "unlikely (20–45 %) · moderate confidence · by 31 March 2021" in half
        assert "16 October 2020" in half
        assert half.index("You get this because you asked") > place
        assert PUBLICATION.postal_address in half
        assert PUBLICATION.contact in half


def test_every_link_leads_somewhere(package: Package) -> None:
    links = lxml.html.document_fromstring(package.html).xpath("//a/@href")
    assert links.count("{{unsubscribe_url}}") == 1
    assert BRIEFING.url in links
    assert all(links.count(item.url) >= 2 for item in ITEMS)
    assert all(re.match(r"https://|mailto:|\{\{unsubscribe_url\}\}$", link) for link in links)
    assert package.text.count("{{unsubscribe_url}}") == 1
    assert all(item.url in package.text for item in ITEMS)


def test_a_screen_reader_finds_its_way(package: Package) -> None:
    """Language, title, one first heading, a heading per analysis; layout tables and scales are silent."""
    page = lxml.html.document_fromstring(package.html)
    assert page.get("lang") == "en-GB"
    assert page.get("dir") == "ltr"
    assert page.findtext(".//title") == BRIEFING.title
    assert [each.text_content() for each in page.iter("h1")] == [BRIEFING.title]
    assert [each.text_content() for each in page.iter("h2")][-6:] == [item.title for item in ITEMS]
    assert all(table.get("role") == "presentation" for table in page.iter("table"))
    assert len(page.xpath("//table[@aria-hidden]")) == 23  # 24 judgements, one without a likelihood


def test_the_inbox_shows_the_preheader_and_nothing_of_the_body(package: Package) -> None:
    text = lxml.html.document_fromstring(package.html).find("body").text_content()
    assert text.startswith(BRIEFING.preheader)
    assert text.index("Cairnwell") >= message.PREVIEW_LENGTH


def test_a_usual_month_is_half_of_what_gmail_cuts_at(package: Package) -> None:
    assert mail_lint.size(package.html, package.placeholders) < 45 * 1024


def test_equal_input_gives_equal_bytes(package: Package) -> None:
    assert compose() == package
    assert message.compose(BRIEFING, PUBLICATION, TEMPLATES, "abc123").content_hash == package.content_hash
    assert compose(replace(BRIEFING, subject="Another")).content_hash != package.content_hash
    assert compose(replace(BRIEFING, preheader="Another")).content_hash != package.content_hash


def test_words_are_not_glued_together_where_a_line_of_the_letter_ends() -> None:
    """mjml-python drops a line break between two inline elements."""
    letter = f'<p>See <em>this</em>\n<a href="{SITE}/a/">that</a>\n<strong>now</strong>.</p>'
    assert "See this that now." in words(compose(replace(BRIEFING, letter_html=letter)).html)


def test_a_letter_alone_is_a_briefing_and_so_are_analyses_alone() -> None:
    assert "Nothing new" in compose(replace(BRIEFING, items=(), letter_html="<p>Nothing new.</p>")).text
    assert ITEMS[0].title in compose(replace(BRIEFING, letter_html="")).html
    assert "neither a letter nor analyses" in refused(replace(BRIEFING, items=(), letter_html="<p> </p>"))


@pytest.mark.parametrize("text", ["{{name}}", "}} end", "{{{x}}}", "{{#if a}}b{{/if}}"])
@pytest.mark.parametrize("field", ["subject", "preheader", "title", "letter_html"])
def test_no_template_code_of_an_editor_reaches_the_mail_service(field: str, text: str) -> None:
    """SES would find no data for the name and drop the mail after having accepted it."""
    said = refused(replace(BRIEFING, **{field: text}))
    assert said.startswith("content/briefings/2020-10.md:")
    assert "{{" in said


@pytest.mark.parametrize(
    "item",
    [
        replace(ITEMS[2], title="A {{b}}"),
        replace(ITEMS[2], summary="A {{b}}"),
        replace(ITEMS[2], region="{{b}}"),
        replace(ITEMS[2], key_judgements=(judgement("A {{b}} c."),)),
        replace(ITEMS[2], key_judgements=(KeyJudgement("A.", "{{b}}"),)),
        replace(ITEMS[2], key_judgements=(KeyJudgement("A.", "likely", horizon="{{b}}"),)),
    ],
)
def test_nor_does_any_of_an_analysis(item: Item) -> None:
    assert refused(replace(BRIEFING, items=(ITEMS[0], item))).startswith(item.url)


@pytest.mark.parametrize(
    "letter", ["<p>&#123;&#123;a&#125;&#125;</p>", "<p>{<span>{a}</span>}</p>", "<p>a{{<br>b</p>"]
)
def test_nor_in_pieces(letter: str) -> None:
    """Braces that only meet in the text half, or once entities are read."""
    assert "{{" in refused(replace(BRIEFING, letter_html=letter))


@pytest.mark.parametrize("field", ["subject", "preheader"])
@pytest.mark.parametrize(
    "text",
    [
        "Hello\r\nBcc: someone@example.org",
        "Hello\nBcc: x",
        "Hello =?UTF-8?Q?=0A?=Bcc: x",
        "Hello\u2028there",
        "Hello\x00",
        "Hello\x85",
        "Hello \u202eolleH",
    ],
)
def test_no_header_hides_in_the_subject(field: str, text: str) -> None:
    assert f": {field}: " in refused(replace(BRIEFING, **{field: text}))


@pytest.mark.parametrize(
    ("briefing", "words"),
    [
        (replace(BRIEFING, subject=" "), "subject: is empty"),
        (replace(BRIEFING, month="2020-13"), "is no month"),
        (replace(BRIEFING, url="/briefings/2020-10/"), "no complete https:// address"),
        (replace(BRIEFING, items=(replace(ITEMS[0], url="http://example.org/"),)), "no complete https://"),
        (replace(BRIEFING, items=(replace(ITEMS[0], title=""),)), "title: is empty"),
        (replace(BRIEFING, items=(replace(ITEMS[0], summary="a\x08b"),)), "U+0008"),
        (replace(BRIEFING, letter_html='<p><a href="/about/">about</a></p>'), '<a href="/about/">'),
        (replace(BRIEFING, letter_html='<p><a href="javascript:x()">a</a></p>'), "javascript:"),
        *(
            (replace(BRIEFING, letter_html=f'<p><a href="{home}">a</a></p>'), "where no reader gets")
            for home in (
                "http://127.0.0.1:8001/a/",
                "http://localhost:8001/a/",
                "http://10.1.2.3/",
                "https://[::1]/",
            )
        ),
        (replace(BRIEFING, letter_html='<p><img src="https://example.org/a.png"></p>'), "no alt"),
        (replace(BRIEFING, letter_html="<script>x()</script>"), "<script>"),
        (replace(BRIEFING, letter_html='<iframe src="https://example.org/"></iframe><p>a</p>'), "<iframe>"),
    ],
)
def test_what_cannot_be_mailed_is_named(briefing: Briefing, words: str) -> None:
    assert words in refused(briefing)


def structure(html: str) -> list[tuple[str, tuple[str, ...]]]:
    page = lxml.html.document_fromstring(html)
    return [(str(each.tag), tuple(sorted(map(str, each.attrib)))) for each in page.iter()]


HOSTILE = st.one_of(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="{}\ufffe\uffff"),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(
        [
            "<b>bold</b>",
            "</mj-text></mj-column>",
            '"><script>alert(1)</script>',
            "' onmouseover='x",
            "&lt;i&gt; &amp; &quot; &#60;",
            "<!-- x -->",
            "<![CDATA[x]]>",
            "a < b > c",
            "]]>",
            "<!--[if mso]>x<![endif]-->",
            "{ { a } }",
            "\\",
            "{",
            "{% raw %}{# x #}",
        ]
    ),
).filter(lambda text: text.strip())


@cache
def mail_with(field: str, value: str) -> str:
    item = replace(ITEMS[0], key_judgements=ITEMS[0].key_judgements[:1])
    briefing = replace(BRIEFING, items=(item,), letter_html="<p>Letter.</p>")
    if field == "judgement":
        item = replace(item, key_judgements=(replace(item.key_judgements[0], text=value),))
    elif field == "mail title":
        briefing = replace(briefing, title=value)
    elif field == "preheader":
        briefing = replace(briefing, preheader=value)
    else:
        item = replace(item, **{field: value})
    return compose(replace(briefing, items=(item,))).html


def refuses(field: str, text: str) -> bool:
    try:
        mail_with(field, text)
    except ContentError:
        return True
    return False


@settings(max_examples=120, deadline=None)
@given(
    text=HOSTILE,
    field=st.sampled_from(["title", "summary", "region", "judgement", "mail title", "preheader"]),
)
def test_text_stays_text(text: str, field: str) -> None:
    """Whatever stands in a plain field: the same elements, attributes and links, and the text is shown."""
    if field == "preheader" and refuses(field, text):
        return  # a header as well, and stricter
    html, plain = mail_with(field, text), mail_with(field, "x")
    assert structure(html) == structure(plain)
    labels = lxml.html.document_fromstring(html).xpath("//@aria-label")
    titles = {"title": [BRIEFING.title, text], "mail title": [text, ITEMS[0].title]}
    label, read_on = titles.get(field, [BRIEFING.title, ITEMS[0].title])
    assert [spaced(each) for each in labels] == [spaced(label), spaced(f"Read on: {spaced(read_on)}")]
    page = lxml.html.document_fromstring(html)
    assert page.xpath("//a/@href") == lxml.html.document_fromstring(plain).xpath("//a/@href")
    shown = text.upper() if field == "region" else text
    assert spaced(shown) in spaced(page.text_content())


def picture(address: str, alt: str) -> str:
    """A letter with one link and one picture."""
    link = f'<a href="{escape(address)}">words</a>'
    return f'<p>a {link} b <img src="https://example.org/a.png" alt="{escape(alt)}"></p>'


LINKS = st.text(
    st.characters(codec="utf-8", exclude_characters="{}", exclude_categories=["Cc", "Cs", "Cn"]), max_size=20
)


@settings(max_examples=60, deadline=None)
@given(query=LINKS, alt=LINKS)
def test_a_link_of_the_letter_survives_the_way_to_the_mail(query: str, alt: str) -> None:
    address = f"https://example.org/?q={query}"
    briefing = replace(BRIEFING, letter_html=picture(address, alt), items=())
    if re.search(r'[\s<>"]', query):
        assert "only a complete address" in refused(briefing)
        return
    html = compose(briefing).html
    page = lxml.html.document_fromstring(html)
    assert next(page.iter("a")).text_content() == "words"
    assert next(page.iter("a")).get("href") == address
    assert page.xpath("//img/@alt") == [alt]
    assert structure(html) == structure(
        compose(replace(BRIEFING, letter_html=picture("https://example.org/", "x"), items=())).html
    )
    assert len(list(page.iter("a"))) == 4


def heavy(count: int, letters: int) -> Briefing:
    """A briefing of `count` analyses whose judgements have `letters` letters each."""
    filler = ("word " * (letters // 5)).strip()
    items = tuple(
        replace(
            ITEMS[0],
            title=f"Piece {number}",
            url=f"{SITE}/analyses/{number}/",
            date=ITEMS[0].date + timedelta(hours=number),
            key_judgements=tuple(judgement(f"{index} {filler}", "likely") for index in range(4)),
        )
        for number in range(count)
    )
    return replace(BRIEFING, items=items)


def test_a_mail_too_large_for_gmail_loses_its_lowest_pieces_first() -> None:
    package = compose(heavy(20, 600))
    assert mail_lint.size(package.html, package.placeholders) <= 90 * 1024
    shortened = [item["shortened"] for item in package.items]
    assert shortened == sorted(shortened)
    assert 0 < sum(bool(each) for each in shortened) < 20
    assert all(
        f"{SITE}/analyses/{number}/" in half for number in range(20) for half in (package.html, package.text)
    )
    # One piece fewer would not have been enough.
    whole = shortened.count(False)
    rest = mail_lint.size(package.html, package.placeholders)
    piece = mail_lint.size(compose(heavy(2, 600)).html, ()) - mail_lint.size(compose(heavy(1, 600)).html, ())
    assert whole
    assert rest + piece > 90 * 1024


def test_what_stays_too_large_is_an_error_that_names_the_sizes() -> None:
    """The first piece is never shortened, and a mail without its end has no way to unsubscribe."""
    said = refused(heavy(3, 30_000))
    assert "92,160 are allowed" in said
    assert "with every analysis but the first shortened" in said
    assert re.search(r"has \d{3},\d{3} bytes", said)


def test_the_headers_are_what_ses_takes() -> None:
    """RFC 2919 and 2369; printable ASCII, at most 995 characters, and room for the two of each entry."""
    publication = replace(
        PUBLICATION, list_id="Lettre d’été <x.example.org>", sender="Maison d’été <a@example.org>"
    )
    package = compose(publication=publication)
    assert set(package.headers) == {"List-Id", "List-Help", "List-Archive", "Precedence"}
    assert all(re.fullmatch(r"[ -~]{1,995}", value) for value in package.headers.values())
    assert package.headers["List-Id"].endswith(" <x.example.org>")
    assert package.sender.isascii()
    assert package.sender.endswith("<a@example.org>")
    assert compose().sender == PUBLICATION.sender
    with pytest.raises(SettingsError, match="List-Archive"):
        compose(publication=replace(PUBLICATION, site_url="https://été.example"))


@pytest.mark.parametrize(
    ("bracket", "widths"),
    [
        ("20–45 %", [(20, False), (25, True), (55, False)]),
        ("20–45\u00a0%", [(20, False), (25, True), (55, False)]),
        ("0-5%", [(5, True), (95, False)]),
        ("95–100 %", [(95, False), (5, True)]),
        ("", []),
        ("45–20 %", []),
        ("20–450 %", []),
        ("about half", []),
    ],
)
def test_the_scale_shows_the_range_or_nothing(bracket: str, widths: list[tuple[int, bool]]) -> None:
    assert [(cell.width, cell.filled) for cell in message.scale(bracket)] == widths


@pytest.mark.parametrize(
    ("file", "old", "new", "place"),
    [
        (
            "body.mjml",
            '<mj-section padding="0 20px" />',
            '<mj-section pading="0 20px" />',
            "pading is no attribute",
        ),
        ("body.mjml", "{{ house }}</p>", "{{ hose }}</p>", "'hose' is undefined"),
        ("body.mjml", "{% if letter %}", "{% if letter", "expected token"),
        ("likelihood.mjml", "</tr></table>", "</table></tr>", "</table> comes while <tr>"),
        ("body.txt", "{{ title |", "{{ titel |", "'titel' is undefined"),
        ("style.toml", "[face]", "[face", "Its form is TOML"),
        ("style.toml", "$sans", "$sanserif", "sanserif"),
        ("body.txt", "{{ placeholder.unsubscribe_url }}", "", "lacks {{unsubscribe_url}}"),
        (
            "body.txt",
            "{{ placeholder.unsubscribe_url }}",
            "{{ placeholder.my_page }}",
            "no attribute 'my_page'",
        ),
        ("body.mjml", "{{ postal_address }}", "", "lacks the postal address"),
    ],
)
def test_a_fault_in_the_theme_is_found_at_its_line(
    tmp_path: Path, file: str, old: str, new: str, place: str
) -> None:
    folder = tmp_path / "briefing"
    shutil.copytree(TEMPLATES, folder)
    path = folder / file
    before, _, after = path.read_text(encoding="utf-8").partition(old)
    assert after
    path.write_text(before + new + after, encoding="utf-8")
    with pytest.raises(ContentError) as caught:
        message.compose(BRIEFING, PUBLICATION, folder, None)
    finding = caught.value.findings[0]
    assert place in finding.reason
    if "lacks" not in place:
        assert finding.path == str(path)
    if "lacks" not in place and file != "style.toml" and "{%" not in new:
        assert finding.line == before.count("\n") + 1


def test_a_theme_without_the_mail_says_so(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"style\.toml: not found"):
        message.compose(BRIEFING, PUBLICATION, tmp_path, None)


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
def test_a_phone_shows_it_whole() -> None:
    """At 320 px nothing scrolls sideways, and what is tapped is 44 px high; in the dark the text is light."""
    from playwright.sync_api import sync_playwright

    longest = "https://example.org/" + "abcdefghij" * 12
    item = replace(ITEMS[0], title=longest, summary=longest, key_judgements=(judgement(longest, "likely"),))
    letter = f'<p>{longest}</p><ul><li><a href="{longest}">{longest}</a></li></ul>'
    html = compose(replace(BRIEFING, letter_html=letter, items=(item, *ITEMS[1:]))).html
    measure = """() => ({
        scroll: document.documentElement.scrollWidth,
        taps: [...document.querySelectorAll('h2 a, .more a')].map(a => a.getBoundingClientRect().height),
        ink: getComputedStyle(document.querySelector('.text td, .text div')).color,
        paper: getComputedStyle(document.body).backgroundColor,
    })"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme, ink in (("light", "rgb(22, 25, 29)"), ("dark", "rgb(233, 230, 223)")):
            page = browser.new_page(viewport={"width": 320, "height": 700}, color_scheme=scheme)
            page.set_content(html)
            seen = page.evaluate(measure)
            assert seen["scroll"] <= 320
            assert min(seen["taps"]) >= 44
            assert seen["ink"] == ink
            # Programs that drop <style> must still break long words.
            page.set_content(re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL))
            assert page.evaluate("document.documentElement.scrollWidth") <= 320
        browser.close()
