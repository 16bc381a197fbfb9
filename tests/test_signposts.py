"""What machines read besides the pages: each address in the map is a page, each feed in the list a feed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import feedparser
import pytest

from newsletter import publication
from newsletter.signposts import security
from tests.conftest import ROOT, Project

FACTS = publication.load(ROOT / "publication.toml")


def test_the_map_has_every_page_that_is_to_be_found_and_no_other(built: Project) -> None:
    output = built.path / "output"
    tree = ElementTree.fromstring((output / "sitemap.xml").read_text())  # noqa: S314 - our own file
    listed = {str(loc.text) for loc in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")}
    pages = {
        f"{FACTS.site_url}/{path.parent.relative_to(output).as_posix()}/".replace("/./", "/")
        for path in output.rglob("index.html")
    }
    assert listed == pages


def test_the_list_of_feeds_names_feeds_that_are_there(built: Project) -> None:
    tree = ElementTree.fromstring(built.read("output/feeds.opml"))  # noqa: S314 - our own file
    addresses = [outline.attrib["xmlUrl"] for outline in tree.iter("outline")]
    assert len(addresses) > 10
    for address in addresses:
        path = address.removeprefix(FACTS.site_url)
        assert not feedparser.parse((built.path / f"output{path}").read_bytes()).bozo


@pytest.mark.parametrize("month", range(1, 13))
def test_the_word_to_whoever_finds_a_hole_expires_within_the_year(month: int) -> None:
    today = datetime(2026, month, 28, tzinfo=UTC)
    (line,) = (row for row in security(FACTS, today).splitlines() if row.startswith("Expires: "))
    ahead = datetime.fromisoformat(line.removeprefix("Expires: ")) - today
    assert timedelta(days=90) < ahead < timedelta(days=365)


def test_an_old_address_leads_to_the_present_one(project: Project) -> None:
    project.analysis("new", aliases="[/analyses/2019/old/, archive/old-one]")
    assert project.newsletter("build").returncode == 0
    for old in ("analyses/2019/old", "archive/old-one"):
        page = project.read(f"output/{old}/index.html")
        assert f'content="0; url={FACTS.site_url}/analyses/2020/new/"' in page
        assert f'<link rel="canonical" href="{FACTS.site_url}/analyses/2020/new/">' in page


@pytest.mark.parametrize("alias", ["../../etc", "analyses/2020/other/", "about:blank", "forecasts", "a//b"])
def test_an_old_address_that_cannot_be_is_refused_by_name(project: Project, alias: str) -> None:
    project.analysis("new", aliases=f'["{alias}"]')
    project.analysis("other")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "content/analyses/2020/new.md" in done.stderr
    assert "aliases" in done.stderr
    assert not (project.path / "output").exists()


def test_two_pieces_cannot_have_one_old_address(project: Project) -> None:
    project.analysis("one", aliases="[old]")
    project.analysis("two", aliases="[old]")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "old/ is the address of" in done.stderr
