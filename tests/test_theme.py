"""The theme, as a reader meets it: a small site is built once through Pelican and looked at with Chromium."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from lxml import html
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Project

ROOT = Path(__file__).parent.parent
# What a server sends with each page (issue D); a page that breaks it says so on the console.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PIECE = "/analyses/2020/baghdad/"
BARE = "/analyses/2019/moved-in/"
KINDS = {
    "home": "/",
    "article": PIECE,
    "bare article": BARE,
    "region": "/regions/iraq/",
    "topic": "/topics/armed-groups/",
    "desk": "/desks/iraq-desk/",
    "regions": "/regions/",
    "topics": "/topics/",
    "desks": "/desks/",
    "archive": "/analyses/",
    "briefing": "/briefings/2020-10/",
    "briefings": "/briefings/",
    "page": "/how-we-judge/",
    "404": "/404.html",
}
SECTIONS = ["Monthly Briefing", "You may also be interested in", "Get in touch"]

LONG_WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
CONTENT = {
    "analyses/2020/baghdad.md": f"""---
title: "The <b>embassy</b> & the {LONG_WORD}"
date: 2020-10-16 07:00
updated: 2020-10-19 09:00
summary: "What will happen, and to whom: https://example.org/{"a" * 120}"
region: Iraq
topics: [Armed groups, Diplomacy]
authors: [Iraq desk]
key_judgements:
  - {{text: "It is unlikely to close.", likelihood: unlikely, confidence: moderate, horizon: 2021-03-31}}
  - {{text: "It is almost certain to be shelled.", likelihood: almost certain, horizon: "{LONG_WORD}"}}
  - "A statement without an assessment."
---
# A heading as high as the headline

A claim[^1], and مرحبا.

## Get in touch

## Main

| Governorate | 2016 | 2017 | 2018 | 2019 | 2020 | A comment |
|---|---:|---:|---:|---:|---:|---|
| Baghdad | 1,204 | 980 | 1,100 | 2,300 | 4,500 | Provisional figures of the ministry |

```
{"one line of code that does not end " * 6}
```

- [x] done

[^1]: The source.
""",
    "analyses/2020/gulf.md": """---
title: "Another piece"
date: 2020-10-20
summary: "Its standfirst."
region: Gulf
topics: [Diplomacy]
authors: [Gulf desk]
key_judgements: ["The first judgement of the other piece."]
---
Text.
""",
    "analyses/2019/moved-in.md": "Title: Moved in\nDate: 2019-05-01\n\nNothing but a body.\n",
    "briefings/2020-10.md": """---
title: "Monthly Briefing, October 2020"
subject: "What the subject says"
preheader: "What an inbox shows."
---
Dear reader,

this is the letter.
""",
    "pages/about.md": "---\ntitle: About us\nslug: about\n---\nWho we are.\n",
    "pages/how-we-judge.md": "---\ntitle: How we judge\nslug: how-we-judge\n---\nThe yardstick.\n",
    "pages/privacy.md": "---\ntitle: Privacy\nslug: privacy\n---\nWhat we keep.\n",
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()


def built(folder: Path) -> Path:
    """Build the small site below `folder`; answers with its output folder."""
    for name, text in CONTENT.items():
        path = folder / "content" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    words = ["-m", "pelican", str(folder / "content"), "-o", str(folder / "output"), "-s", "pelicanconf.py"]
    words += ["--fatal", "warnings", "-e", f'BRIEFING_PACKAGES="{folder / "build"}"']
    words += [f'DOOR_FRAME="{folder / "door/frame.html"}"']
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "output"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(base_url=address, viewport={"width": 320, "height": 640})
    yield context.new_page()
    context.close()


def tree(site: Path, path: str) -> html.HtmlElement:
    file = site / path.strip("/")
    return html.fromstring((file / "index.html" if file.is_dir() else file).read_bytes())


def every_page(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def text(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_loads_cleanly_and_fits_a_small_screen(page: Page, address: str, kind: str) -> None:
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("request", lambda request: requests.append(request.url))
    answer = page.goto(KINDS[kind])
    assert answer is not None
    assert answer.ok
    assert complaints == []
    assert {f"http://{urlsplit(url).netloc}" for url in requests} == {address}
    assert page.locator("h1").count() == 1
    assert page.locator("h1").inner_text().strip()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_an_article_is_light(page: Page, site: Path) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(urlsplit(request.url).path))
    page.goto(PIECE)
    assert requests == [PIECE, "/theme/css/site.css"]
    files = [site / PIECE.strip("/") / "index.html", site / "theme/css/site.css", site / "theme/mark.svg"]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 40_000


@pytest.mark.parametrize("path", [PIECE, BARE, "/analyses/2020/gulf/"])
def test_every_article_ends_with_the_three_sections(site: Path, path: str) -> None:
    sections = tree(site, path).xpath("//main/*[position() > last() - 3]")
    assert [text(section.find("h2")) for section in sections] == SECTIONS
    assert all(section.get("aria-labelledby") == section.find("h2").get("id") for section in sections)


def test_related_pieces_lead_on_by_title_date_region_and_first_judgement(site: Path) -> None:
    first = tree(site, PIECE).xpath("//section[h2/@id='page.related']//li")[0]
    assert text(first) == "Gulf 20 October 2020 Another piece The first judgement of the other piece."
    assert first.xpath(".//h3/a/@href") == ["/analyses/2020/gulf/"]


def test_an_article_says_when_whence_and_how_to_cite(site: Path) -> None:
    article = tree(site, PIECE)
    assert text(article.find(".//h1")) == f"The <b>embassy</b> & the {LONG_WORD}"
    line = text(article.xpath("//main//p[@class='dateline']")[0])
    assert line == "Iraq 16 October 2020 Iraq desk Updated 19 October 2020 1 min read"
    assert "https://briefing.example.org/analyses/2020/baghdad/" in text(article.xpath("//footer[1]")[0])
    assert article.xpath("//link[@rel='canonical']/@href") == [
        "https://briefing.example.org/analyses/2020/baghdad/"
    ]


def test_a_judgement_has_a_scale_with_words_for_those_who_do_not_see_it(site: Path) -> None:
    unlikely, certain, bare = tree(site, PIECE).xpath("//ol[contains(@class, 'judgements')]/li")
    assert (
        text(unlikely)
        == "It is unlikely to close. unlikely (20–45 %) · moderate confidence · by 31 March 2021"
    )
    scale = unlikely.find(".//svg")
    assert scale.get("role") == "img"
    assert scale.get("aria-label") == "20 to 45 on a scale from 0 to 100 per cent"
    band = scale.find("rect")
    assert (band.get("x"), band.get("width")) == ("20", "25")
    assert certain.find(".//svg/rect").get("width") == "4"
    assert bare.find(".//svg") is None


def test_a_piece_without_judgements_has_no_place_for_them(site: Path) -> None:
    bare = tree(site, BARE)
    assert not bare.xpath("//*[@id='page.judgements']")
    assert bare.xpath("//meta[@name='description']/@content") == ["Nothing but a body."]


def test_forms_have_labels_and_say_what_they_send(site: Path) -> None:
    sign_up, contact = tree(site, PIECE).xpath("//form")
    for form, action in ((sign_up, "/subscribe"), (contact, "/contact")):
        assert (form.get("method"), form.get("action")) == ("post", action)
        for field in form.xpath(".//input[not(@type='hidden' or @name='homepage')] | .//textarea"):
            assert form.xpath(f".//label[@for='{field.get('id')}']"), field.get("name")
            assert field.get("required") is not None
        (trap,) = form.xpath(".//*[@aria-hidden='true']//input[@name='homepage']")  # for programs alone
        assert (trap.get("tabindex"), trap.get("required")) == ("-1", None)
    assert [field.get("name") for field in sign_up.xpath(".//input")] == ["email", "homepage"]
    assert text(sign_up.find(".//button")) == "Send me the briefing"
    assert sign_up.xpath(".//p//a/@href") == ["/privacy/"]
    hidden = {field.get("name"): field.get("value") for field in contact.xpath(".//input[@type='hidden']")}
    assert hidden == {"article": "analyses/2020/baghdad/", "region": "Iraq", "desk": "Iraq desk"}
    named = [field.get("name") for field in contact.xpath(".//*[@required]")]
    assert named == ["name", "email", "message"]


def test_nothing_is_written_into_the_pages_that_the_policy_forbids(site: Path) -> None:
    for file in every_page(site):
        document = html.fromstring(file.read_bytes())
        assert not document.xpath("//style | //@style | //@*[starts-with(name(), 'on')]"), file
        # Facts for machines (JSON-LD) are data, which no policy runs; every script is a file of the site's own.
        for script in document.xpath("//script[not(@type='application/ld+json')]"):
            assert script.get("src", "").startswith("/theme/js/"), file
            assert not script.text, file


def test_ids_are_single_and_labels_find_theirs(site: Path) -> None:
    for file in every_page(site):
        document = html.fromstring(file.read_bytes())
        ids = document.xpath("//@id")
        assert len(ids) == len(set(ids)), file
        wanted = document.xpath("//@aria-labelledby | //label/@for") + [
            target.removeprefix("#") for target in document.xpath("//a/@href") if target.startswith("#")
        ]
        assert set(wanted) <= set(ids), file


def test_links_within_the_site_lead_somewhere(site: Path) -> None:
    for file in every_page(site):
        for link in html.fromstring(file.read_bytes()).xpath(
            "//a/@href | //link[not(@rel='canonical')]/@href"
        ):
            address = urldefrag(link).url
            if address.startswith(("http", "mailto:")) or not address:
                continue
            assert address.startswith("/"), (file, link)
            target = site / unquote(address).strip("/")
            assert (target / "index.html" if address.endswith("/") else target).is_file(), (file, link)


def test_whoever_cuts_an_address_short_finds_a_page(site: Path) -> None:
    pages = {page.parent for page in site.rglob("index.html")}
    above = {folder for page in pages for folder in page.parents if folder.is_relative_to(site)}
    assert above <= pages


def test_a_year_with_many_pieces_has_a_way_to_each_month(make_project: Callable[..., Project]) -> None:
    project = make_project("pelicanconf.py", "publication.toml", "theme", "plugins")
    for number in range(60):
        project.analysis(f"p{number}", date=f"2020-{number % 12 + 1:02d}-10 07:00", title=f"Piece {number}")
    assert project.newsletter("build").returncode == 0
    page = html.parse(str(project.path / "output/analyses/2020/index.html"))
    ways = page.xpath("//div[@class='ways']//a/@href")
    assert ways == [f"#month.{month}" for month in range(12, 0, -1)]
    for way in ways:
        (month,) = page.xpath(f"//section[h2[@id='{way[1:]}']]")
        assert len(month.xpath(".//li[@class='entry']")) == 5


def test_the_newest_piece_of_each_region_stands_beside_its_name(site: Path) -> None:
    entries = tree(site, "/regions/").xpath("//li[@class='entry']")
    said = [[link.get("href") for link in entry.xpath(".//a")] for entry in entries]
    assert said == [
        ["/regions/gulf/", "/analyses/2020/gulf/"],
        ["/regions/iraq/", PIECE],
        ["/regions/world/", BARE],
    ]


def test_the_first_key_press_offers_to_skip_to_the_text(page: Page) -> None:
    page.goto(PIECE)
    skip = page.get_by_role("link", name="Skip to the text")
    assert skip.bounding_box()["y"] < 0
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    page.wait_for_function("document.activeElement.getBoundingClientRect().y === 0")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Iraq")
    expect(page.locator(":focus")).to_have_css("outline-style", "solid")


COLOURS = """
element => {
  const ink = getComputedStyle(element).color;
  for (let at = element; at; at = at.parentElement) {
    const paper = getComputedStyle(at).backgroundColor;
    if (paper !== "rgba(0, 0, 0, 0)") return [ink, paper];
  }
}
"""


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_both_schemes_can_be_read(browser: Browser, address: str) -> None:
    papers = set()
    for scheme in ("light", "dark"):
        context = browser.new_context(
            base_url=address, color_scheme=scheme, viewport={"width": 1280, "height": 800}
        )
        page = context.new_page()
        page.goto(PIECE)
        for selector, least in (
            ("h1", 7),
            (".prose p", 7),
            (".prose th", 7),
            (".prose pre", 7),
            (".prose sup a", 4.5),
            (".standfirst", 4.5),
            (".dateline time", 4.5),
            (".dateline .label", 4.5),
            (".assessment", 4.5),
            (".entry .line", 4.5),
            (".note a", 4.5),
            ("button", 4.5),
            ("label", 4.5),
            (".colophon p", 4.5),
        ):
            ink, paper = page.locator(selector).first.evaluate(COLOURS)
            dark, light = sorted((luminance(ink), luminance(paper)))
            assert (light + 0.05) / (dark + 0.05) >= least, (scheme, selector, ink, paper)
        papers.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        context.close()
    assert len(papers) == 2


def test_print_leaves_out_what_paper_cannot_do(page: Page) -> None:
    page.emulate_media(media="print")
    page.goto(PIECE)
    for gone in ("nav", "form", "[id='page.related']", ".skip"):
        assert not page.locator(gone).first.is_visible(), gone
    for kept in ("h1", ".scale", ".prose p", ".notes", ".colophon p"):
        assert page.locator(kept).first.is_visible(), kept


def test_the_home_page_says_what_the_house_thinks_and_what_is_new(site: Path) -> None:
    home = tree(site, "/")
    lead = home.xpath("//main/article")[0]
    assert text(lead.find(".//h2")) == "Another piece"
    assert "The first judgement of the other piece." in text(lead)
    contents = home.xpath("//section[h2/@id='page.month']//ol//a/@href")
    assert contents == ["/analyses/2020/baghdad/", "/analyses/2020/gulf/"]
    regions = home.xpath("//section[h2/@id='page.regions']//a/@href")
    assert {"/regions/gulf/", "/regions/iraq/"} <= set(regions)


def test_the_web_version_of_a_briefing_has_letter_and_pieces(site: Path) -> None:
    briefing = tree(site, "/briefings/2020-10/")
    assert "this is the letter." in text(briefing.xpath("//*[@class='prose']")[0])
    items = briefing.xpath("//section[contains(@class, 'item')]")
    assert [item.xpath(".//h2/a/@href")[0] for item in items] == [
        "/analyses/2020/baghdad/",
        "/analyses/2020/gulf/",
    ]
    assert len(items[0].xpath(".//svg")) == 2


def test_the_style_sheet_is_one_file_and_asks_for_no_other(site: Path) -> None:
    sheet = (site / "theme/css/site.css").read_text()
    assert "@import" not in sheet
    assert [path.name for path in (site / "theme/css").iterdir()] == ["site.css"]
    for part in sorted((ROOT / "theme/css").glob("*.css")):
        assert part.name == "site.css" or part.read_text() in sheet, part.name
