"""The feed is strict RSS, whole, and the same for the same content."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.parsers import expat
from zoneinfo import ZoneInfo

import feedparser
import pytest
from lxml import etree, html

from newsletter import feed, publication
from newsletter.models import Analysis, KeyJudgement
from tests.conftest import ROOT, Project

FACTS = publication.load(ROOT / "publication.toml")
LONDON = ZoneInfo("Europe/London")


def _article(number: int, title: str = "A claim", body: str = "<p>Body.</p>") -> Any:
    date = datetime(2020, 10, 1, tzinfo=LONDON) + timedelta(days=number)
    judgement = KeyJudgement("It holds.", "unlikely", "low", "31 March 2021", "20–45\u00a0%")
    analysis = Analysis(
        f"{number}.md", title, str(number), date, "Standfirst & more", "Iraq", ("Oil",), (), (judgement,)
    )
    return SimpleNamespace(
        title=title, date=date, slug=f"piece-{number}", url=f"analyses/{number}/", analysis=analysis,
        _content=body, _update_content=lambda content, _address: content,
    )  # fmt: skip


def _documents(articles: list[Any]) -> dict[str, bytes]:
    return dict(feed.documents(articles, FACTS, feed.everything(FACTS)))


def test_the_built_feed_is_read_without_complaint_and_has_every_analysis_in_full(built: Project) -> None:
    read = feedparser.parse((built.path / "output/feed.xml").read_bytes())
    assert not read.bozo
    assert len(read.entries) == len(list((built.path / "content/analyses").rglob("*.md")))
    entry = next(e for e in read.entries if "us-embassy-baghdad-threat" in e.link)
    assert entry.link.startswith("https://briefing.example.org/analyses/2020/")
    text = entry.content[0].value
    assert len(text.split()) > 900
    assert re.search(r"\(\d+–\d+\u00a0%\)", text)
    assert 'href="https://briefing.example.org/analyses/' in text
    assert "{filename}" not in text


@pytest.mark.parametrize(
    "hostile", ["\x00\x0b\x1f", "\ufffe\uffff", "\ud800", "]]>", "<&>\"'", "{{ x }}", "\u202e"]
)
def test_no_character_of_a_piece_breaks_the_xml(hostile: str) -> None:
    pieces = [_article(1, f"A{hostile}b", f"<p>c{hostile}d</p>")]
    for document in _documents(pieces).values():
        expat.ParserCreate().Parse(document, True)
        (entry,) = feedparser.parse(document).entries
        assert entry.title.startswith("A")
        assert entry.title.endswith("b")
    (item,) = json.loads(feed.json_feed(pieces, FACTS, feed.everything(FACTS)))["items"]
    assert item["title"].startswith("A")


def test_ids_and_dates_come_from_the_content_and_survive_a_new_headline() -> None:
    first = feedparser.parse(_documents([_article(1, "One")])["feed.xml"])
    second = feedparser.parse(_documents([_article(1, "Another")])["feed.xml"])
    assert first.entries[0].id == second.entries[0].id
    assert first.feed.updated == "Fri, 02 Oct 2020 00:00:00 +0100"


def test_no_piece_is_lost_when_there_are_many_and_full_archives_never_change() -> None:
    articles = [_article(number) for number in reversed(range(2 * feed.PAGE + 7))]
    documents = _documents(articles)
    for start in ("feed.xml", "atom.xml"):
        ids, name = [], start
        while name:
            read = feedparser.parse(documents[name])
            ids += [entry.id for entry in read.entries]
            older = [link.href for link in read.feed.links if link.rel == "prev-archive"]
            name = older[0].removeprefix(f"{FACTS.site_url}/") if older else ""
        assert len(ids) == len(set(ids)) == len(articles)
    grown = _documents([_article(2 * feed.PAGE + 7), *articles])
    assert grown["feed-1.xml"] == documents["feed-1.xml"]


def test_an_empty_site_has_a_feed_all_the_same() -> None:
    assert feedparser.parse(_documents([])["feed.xml"]).feed.title == f"{FACTS.house}: {FACTS.name}"


def test_the_feed_reads_no_clock(tmp_path: Path) -> None:
    assert _documents([_article(1)]) == _documents([_article(1)])


def test_a_region_and_a_topic_have_feeds_of_their_own_pieces_in_both_forms(built: Project) -> None:
    pages = {path.parent: path.parent.parent.name for path in (built.path / "output").rglob("*/*/feed.xml")}
    assert set(pages.values()) == {"regions", "topics"}
    for folder in pages:
        listed = (folder / "index.html").read_text()
        for name, kind in (("feed.xml", "rss"), ("atom.xml", "atom")):
            read = feedparser.parse((folder / name).read_bytes())
            assert not read.bozo
            assert read.version.startswith(kind)
            assert read.entries
            for entry in read.entries:
                assert entry.link.removeprefix(FACTS.site_url) in listed
            assert f'href="/{folder.parent.name}/{folder.name}/{name}"' in listed, (
                "the page does not name its feed"
            )


def test_signs_of_markup_in_a_standfirst_are_words_in_every_reader(project: Project) -> None:
    summary = "Oil below <i>$40</i> & falling."
    project.analysis("one", summary=json.dumps(summary))
    assert project.newsletter("build").returncode == 0
    rss, atom = (
        etree.fromstring((project.path / f"output/{name}").read_bytes()) for name in ("feed.xml", "atom.xml")
    )
    # The RSS specification has entity-encoded HTML in a description; Atom's text construct is text (RFC 4287, 3.1.1).
    assert html.fragment_fromstring(rss.findtext("channel/item/description"), "p").text_content() == summary
    assert atom.findtext("{*}entry/{*}summary") == summary


def test_every_form_of_the_feed_tells_the_same_pieces_under_the_same_ids(built: Project) -> None:
    rss, atom = (
        feedparser.parse((built.path / f"output/{name}").read_bytes()) for name in ("feed.xml", "atom.xml")
    )
    items = json.loads((built.path / "output/feed.json").read_text())["items"]
    assert (
        [entry.id for entry in rss.entries]
        == [entry.id for entry in atom.entries]
        == [i["id"] for i in items]
    )
    assert [entry.content[0].value for entry in rss.entries] == [
        entry.content[0].value for entry in atom.entries
    ]
    assert all(entry.summary for entry in atom.entries)
