"""The build: what it writes, what it refuses, and that a refusal loses nothing."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from lxml import html
from PIL import Image

from tests.conftest import Project


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_kind_of_page_is_there(built: Project) -> None:
    for path in [
        "index.html", "404.html", "feed.xml", "analyses/index.html", "analyses/2020/us-embassy-baghdad-threat/index.html",
        "regions/iraq/index.html", "topics/elections/index.html", "desks/iraq-desk/index.html",
        "briefings/index.html", "briefings/2020-10/index.html",
        "about/index.html", "privacy/index.html", "how-we-judge/index.html",
    ]:  # fmt: skip
        assert (built.path / "output" / path).is_file(), path


def test_no_link_within_the_site_leads_nowhere(built: Project) -> None:
    output = built.path / "output"
    doors = ("/me", "/subscribe", "/contact")  # what the door answers, and no file
    for page in output.rglob("*.html"):
        for address in html.parse(str(page)).xpath("//@href | //@src"):
            target = address.partition("#")[0].partition("?")[0]
            if target.startswith("/") and not target.startswith("//") and target not in doors:
                place = output / target.lstrip("/")
                assert (place / "index.html" if target.endswith("/") else place).is_file(), (page, address)


def test_two_builds_of_one_commit_are_the_same_to_the_byte(built: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "elsewhere")
    shutil.copytree(built.path, other.path, ignore=shutil.ignore_patterns("output", "build"))
    assert other.newsletter("build", TZ="Pacific/Auckland", LC_ALL="C", PYTHONHASHSEED="7").returncode == 0
    assert _digests(other.path / "output") == _digests(built.path / "output")
    assert _digests(other.path / "build") == _digests(built.path / "build")


def test_all_bad_files_are_named_at_once_and_the_old_site_stays(project: Project) -> None:
    project.analysis("good")
    assert project.newsletter("build").returncode == 0
    before = _digests(project.path / "output")
    project.analysis("undated", date="")
    project.analysis("broken", title="a: b")
    project.write("content/analyses/2020/latin.md", "---\ntitle: Café\n---\n".encode("latin-1"))
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "content/analyses/2020/undated.md:1: date: is missing" in done.stderr
    assert "content/analyses/2020/broken.md:2: the front matter is not valid YAML" in done.stderr
    assert "content/analyses/2020/latin.md:2: is not UTF-8" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert _digests(project.path / "output") == before


@pytest.mark.parametrize("words", [(), ("--fatal", "errors")])
def test_pelican_by_itself_stops_too_and_shows_no_traceback(project: Project, words: tuple[str, ...]) -> None:
    project.analysis("undated", date="")
    done = project.pelican("content", *words)
    assert done.returncode == 1
    assert "undated.md:1: date: is missing" in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "fault", ["import nothing_of_this_name\n", "def register():\n    raise ValueError\n"]
)
def test_a_plugin_that_fails_stops_the_build(project: Project, fault: str) -> None:
    project.analysis("good")
    project.write("plugins/newsletter/related.py", fault)
    assert project.pelican("content").returncode == 1
    assert project.newsletter("build").returncode == 1


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            "One\n\n[x]({filename}nowhere.md)",
            "a.md:9: links to {filename}nowhere.md, and there is no such file",
        ),
        ("[x]({static}/images/none.png)", "a.md:7: links to {static}/images/none.png"),
        ("[x]({filename}secret.md)", "a.md:7: links to {filename}secret.md, which is a draft"),
    ],
)
def test_a_link_that_would_lead_nowhere_stops_the_build(project: Project, body: str, complaint: str) -> None:
    project.analysis("a", body)
    project.analysis("secret", status="draft")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert complaint in done.stderr


def test_two_pieces_cannot_have_one_address(project: Project) -> None:
    project.analysis("a", slug="same")
    project.analysis("b", slug="same")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "slug: has the same address as" in done.stderr


def test_drafts_and_pieces_of_the_future_are_nowhere_in_what_is_published(project: Project) -> None:
    project.analysis("seen", "Visible words.")
    project.analysis("draft", "Unripe words.", title="Unripe claim", status="draft")
    project.analysis("later", "Embargoed words.", title="Embargoed claim", date="2999-01-01")
    project.briefing()
    assert project.newsletter("build").returncode == 0
    for folder in ("output", "build"):
        for path in (project.path / folder).rglob("*"):
            assert not any(word in path.name for word in ("draft", "later"))
            if path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                assert not any(word in text for word in ("Unripe", "Embargoed")), path


def test_internal_links_are_relative_to_the_site_on_pages_and_absolute_in_feed_and_mail(
    project: Project,
) -> None:
    project.analysis("target")
    project.analysis("source", "[over there]({filename}target.md#part)")
    project.briefing(body="Read [this]({filename}/analyses/2020/target.md).")
    assert project.newsletter("build").returncode == 0
    assert 'href="/analyses/2020/target/#part"' in project.read("output/analyses/2020/source/index.html")
    absolute = "https://briefing.example.org/analyses/2020/target/"
    assert f"{absolute}#part" in project.read("output/feed.xml")
    assert absolute in project.read("build/briefings/2020-10/email.html")
    assert absolute in project.read("build/briefings/2020-10/email.txt")


def test_hostile_front_matter_stays_text_on_every_page(project: Project) -> None:
    hostile = "\"<script>alert(1)</script> & '<b>'\""
    judgement = f"[{{text: {hostile}, likelihood: {hostile}, confidence: {hostile}, horizon: {hostile}}}]"
    project.analysis(
        "a", title=hostile, summary=hostile, region=hostile, topics=f"[{hostile}]", authors=f"[{hostile}]",
        key_judgements=judgement,
    )  # fmt: skip
    project.analysis("b", region=hostile)
    project.briefing()
    done = project.newsletter("build")
    assert done.returncode == 0, done.stderr
    pages = [*(project.path / "output").rglob("*.html"), project.path / "build/briefings/2020-10/email.html"]
    assert any("alert(1)" in page.read_text() for page in pages)
    for page in pages:
        tree = html.parse(str(page))
        assert not tree.xpath(
            "//script[not(@type='application/ld+json') and contains(., 'alert')] | //b[.=\"'\"]"
        ), page


def test_a_pelican_site_moves_in_as_it_is(project: Project) -> None:
    for number in range(3):
        project.write(
            f"content/{number}-old.markdown",
            f"Title: Old piece {number}\nDate: 2013-06-0{number + 1} 18:46\nCategory: News\nTags: one, two\n\n"
            "Hello <a href='http://example.org/'>there</a>.\n\n<!-- more -->\n\n# More\n\ntext\n",
        )
    (project.path / "content/analyses").rmdir()
    done = project.newsletter("build")
    assert done.returncode == 0, done.stderr
    page = html.parse(str(project.path / "output/analyses/2013/old-piece-1/index.html"))
    assert "Hello" in page.getroot().text_content()
    assert page.xpath("//a[@href='http://example.org/']")


_BYLINES = """
from pelican import signals

def sign(content):
    if content.source_path.endswith("source.md"):
        content.metadata["byline"] = '<a href="{filename}/analyses/2020/target.md">See</a>'

def show(generator, content):
    if hasattr(content, "byline"):
        print(content.byline)

def register():
    signals.content_object_init.connect(sign)
    signals.article_generator_write_article.connect(show)
"""


@pytest.mark.parametrize("body", ["No link.", "[over there]({filename}target.md)"])
def test_a_plugin_of_the_houses_own_has_the_links_of_its_fields_filled_in(
    project: Project, body: str
) -> None:
    project.write("own/bylines.py", _BYLINES)
    more = '\nPLUGIN_PATHS.append("own")\nPLUGINS.append("bylines")\nFORMATTED_FIELDS = ["byline"]\n'
    project.write("pelicanconf.py", project.read("pelicanconf.py") + more)
    project.analysis("target")
    project.analysis("source", body)
    done = project.pelican("content")
    assert done.returncode == 0, done.stderr
    assert '/analyses/2020/target/">See</a>' in done.stdout


def test_another_theme_works_by_setting_theme_alone(project: Project) -> None:
    project.analysis("a", title="Oil & gas", key_judgements="[It holds.]")
    project.briefing()
    done = project.pelican("content", "-t", "simple", "--fatal", "errors")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Oil &" in project.read("output/analyses/2020/a/index.html")
    assert "/analyses/2020/a/" in project.read("output/analyses/index.html")
    assert re.findall("@@.*?@@", project.read("build/door/frame.html")) == ["@@title@@", "@@content@@"]


def test_other_plugins_work_beside_ours(project: Project) -> None:
    project.analysis("first", date="2020-10-01", title="First")
    project.analysis("second", date="2020-10-02", title="Second")
    conf = (
        project.read("pelicanconf.py")
        + "\nPLUGINS += ['pelican.plugins.sitemap', 'pelican.plugins.neighbors']\n"
    )
    project.write("pelicanconf.py", conf + "SITEMAP = {'format': 'xml'}\n")
    project.write(
        "theme/templates/article.html",
        project.read("theme/templates/article.html")
        + "{# #}{{ article.prev_article.title }}|{{ article.next_article.title }}",
    )
    done = project.pelican("content", "--fatal", "errors")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "https://briefing.example.org/analyses/2020/first/" in project.read("output/sitemap.xml")


def test_a_briefing_takes_the_months_pieces_by_weight_then_date(project: Project) -> None:
    project.analysis("late", date="2020-10-31 23:30", title="Late")
    project.analysis("early", date="2020-10-01", title="Early")
    project.analysis("heavy", date="2020-10-20", title="Heavy", weight="5")
    project.analysis("first", date="2020-10-25", title="First", weight="1")
    project.analysis("zone", date="2020-10-31T23:30:00-04:00", title="November in London")
    project.briefing()
    done = project.newsletter("briefing", "2020-10")
    assert done.returncode == 0, done.stderr
    package = json.loads(project.read("build/briefings/2020-10/briefing.json"))
    assert [item["title"] for item in package["items"]] == ["First", "Heavy", "Early", "Late"]
    assert not (project.path / "output").exists()


def test_a_briefings_own_list_gives_the_order_and_a_wrong_name_stops_it(project: Project) -> None:
    project.analysis("one", date="2020-09-01", title="One")
    project.analysis("two", date="2020-10-01", title="Two")
    project.briefing(extra="analyses: [two, one]\n")
    assert project.newsletter("briefing", "2020-10").returncode == 0
    package = json.loads(project.read("build/briefings/2020-10/briefing.json"))
    assert [item["title"] for item in package["items"]] == ["Two", "One"]
    project.briefing(extra="analyses: [two, on]\n")
    done = project.newsletter("briefing", "2020-10")
    assert done.returncode == 1
    assert 'content/briefings/2020-10.md:5: analyses: "on" names no published analysis' in done.stderr


def test_a_month_without_a_briefing_is_said_with_those_there_are(project: Project) -> None:
    project.analysis("a")
    project.briefing("2020-10")
    done = project.newsletter("briefing", "2020-11")
    assert done.returncode == 1
    assert "content/briefings/2020-11.md" in done.stderr
    assert "There are: 2020-10" in done.stderr


def test_braces_in_what_is_mailed_stop_the_build_with_the_piece_named(project: Project) -> None:
    project.analysis("a", title='"A {{ claim }}"')
    project.briefing()
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "content/analyses/2020/a.md:2: title: holds {{ or }}" in done.stderr
    assert not (project.path / "output/index.html").exists()


def test_check_writes_nothing_but_what_it_remembers(project: Project) -> None:
    project.analysis("a")
    project.briefing()
    before = _digests(project.path)
    assert project.newsletter("check").returncode == 0
    after = {path: digest for path, digest in _digests(project.path).items() if "__pycache__" not in path}
    assert after.pop("var/check.json")
    assert after == {path: digest for path, digest in before.items() if "__pycache__" not in path}


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        (
            "image",
            "{path: images/none.png, alt: A map}",
            "a.md:6: image: there is no file content/images/none.png",
        ),
        ("image", "{path: ../publication.toml, alt: A map}", "a.md:6: image: there is no file"),
        ("title", "Deal #2 fails", 'a.md:2: title: everything after the # is dropped ("#2 fails")'),
    ],
)
def test_what_would_quietly_go_wrong_on_the_page_stops_the_build(
    project: Project, field: str, value: str, complaint: str
) -> None:
    project.analysis("a", **{field: value})
    assert project.newsletter("check").returncode == 1
    assert any(complaint in finding.replace("There", "there") for finding in project.findings())


def test_a_comment_that_is_meant_as_one_is_left_alone(project: Project) -> None:
    project.analysis("a", weight="10  # comes first")
    assert project.newsletter("check").returncode == 0


@pytest.mark.parametrize("link", ["[x](b.md)", "![x](../../images/x.png)", "[x](b/)"])
def test_a_link_to_a_neighbouring_file_is_answered_with_how_it_is_written(
    project: Project, link: str
) -> None:
    project.analysis("a", link)
    project.analysis("b")
    assert project.newsletter("check").returncode == 1
    (finding,) = project.findings()
    assert "a.md:7: " in finding
    assert "Write {" in finding


def test_an_image_of_a_piece_is_published_with_it(project: Project) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (60, 40)).save(picture, "PNG")
    project.write("content/maps/corridor.png", picture.getvalue())
    project.analysis("a", image="maps/corridor.png", alt="A map")
    done = project.newsletter("build")
    assert done.returncode == 0, done.stderr
    (source,) = html.parse(str(project.path / "output/analyses/2020/a/index.html")).xpath(
        "//img[@alt='A map']/@src"
    )
    assert (project.path / "output" / source.lstrip("/")).is_file()


def test_a_month_without_a_piece_is_no_briefing_by_mistake(project: Project) -> None:
    project.analysis("a")
    project.briefing("2020-11")
    done = project.newsletter("briefing", "2020-11")
    assert done.returncode == 1
    assert "no published analysis is dated in 2020-11" in done.stderr
    project.briefing("2020-11", extra="status: draft\n")
    drafts = project.newsletter("build", "--drafts", "--output", "build/desk")
    assert drafts.returncode == 0, drafts.stderr  # a letter that is begun before the month's first piece
    project.briefing("2020-11", extra="analyses: []\n")
    assert project.newsletter("briefing", "2020-11").returncode == 0


def test_a_briefing_that_is_withdrawn_cannot_be_mailed_any_more(project: Project) -> None:
    project.analysis("a")
    project.briefing()
    assert project.newsletter("build").returncode == 0
    assert (project.path / "build/briefings/2020-10").is_dir()
    project.briefing(extra="status: draft\n")
    assert project.newsletter("build").returncode == 0
    assert not (project.path / "build/briefings/2020-10").exists()


@pytest.mark.parametrize(
    "body",
    [
        "[k]({attach}/../publication.toml)",
        "[k]({static}/../publication.toml)",
        '<blockquote cite="{attach}/../publication.toml">x</blockquote>',
        "[h]({attach}/../../../../../../../etc/hostname)",
    ],
)
def test_no_link_publishes_a_file_from_outside_the_content(project: Project, body: str) -> None:
    project.analysis("a", body)
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (project.path / "output").exists()


def test_no_symbolic_link_publishes_a_file_from_outside_the_content(project: Project) -> None:
    project.analysis("a")
    (project.path / "content/images").mkdir()
    (project.path / "content/images/p.png").symlink_to(project.path / "publication.toml")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "content/images/p.png: lies outside of the content folder" in done.stderr


@pytest.mark.parametrize(
    "field",
    [
        '_content: "<script>alert(1)</script>"',
        "save_as: index.html",
        "save_as: ../../escaped.html",
        "url: elsewhere/",
        "get_content: x",
        "template: [a]",
        "lang: de",
        "settings: x",
        "override_save_as: feed.xml",
        "analysis: x",
        "related: [a]",
    ],
)
def test_no_field_of_a_piece_takes_over_the_page_or_another(project: Project, field: str) -> None:
    project.analysis("b")
    assert project.newsletter("build").returncode == 0
    before = _digests(project.path / "output")
    project.write(
        "content/analyses/2020/b.md",
        f"---\ntitle: A claim\ndate: 2020-10-05\nsummary: What will happen, and to whom.\nregion: Iraq\n{field}\n---\nSome text.\n",
    )
    assert project.newsletter("build").returncode == 0
    assert _digests(project.path / "output") == before


@pytest.mark.parametrize(
    "place", ["feed.xml", "theme/css/site.css", "index.html", "analyses/2020/b/index.html", "../x.html"]
)
def test_a_piece_that_moves_in_cannot_take_the_place_of_another_or_of_the_site(
    project: Project, place: str
) -> None:
    project.analysis("b")
    project.write(
        "content/analyses/old.md", f"Title: Old\nDate: 2013-01-01\nSave_as: {place}\nUrl: x/\n\nText.\n"
    )
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "old.md" in done.stderr


@pytest.mark.parametrize("slug", ["theme/css/site.css", "analyses", "..", "../../x"])
def test_a_page_cannot_take_the_place_of_the_sites_own(project: Project, slug: str) -> None:
    project.analysis("b")
    project.write("content/pages/p.md", f"---\ntitle: P\nslug: {slug}\n---\nText.\n")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "content/pages/p.md" in done.stderr


def test_a_folder_that_no_build_has_made_is_not_emptied(project: Project) -> None:
    project.analysis("a")
    thesis = project.write("docs/thesis.txt", "ten years of work")
    done = project.newsletter("build", "--output", "docs")
    assert done.returncode == 1
    assert "holds files that no build has made" in done.stderr
    assert thesis.read_text() == "ten years of work"


def test_what_pelican_only_logs_stops_the_build_before_it_writes(project: Project) -> None:
    project.analysis("a")
    assert project.newsletter("build").returncode == 0
    before = _digests(project.path / "output")
    project.analysis("a", updated="9999-12-31T23:59:59-23:59")
    project.analysis("b", body="New.")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "a.md:6: updated:" in done.stderr
    assert _digests(project.path / "output") == before
