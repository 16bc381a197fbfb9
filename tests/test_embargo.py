"""What is held back stays in the desk: its words are looked for in every file that a build writes."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from tests.conftest import Project


def texts(path: Path) -> Iterator[str]:
    """All that a file says, whichever way it is packed: as it is, inflated, and as the text of a PDF's pages."""
    data = path.read_bytes()
    yield data.decode("utf-8", "replace")
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data).decode("utf-8", "replace")
    if data[:5] == b"%PDF-":
        reader = PdfReader(io.BytesIO(data))
        yield "".join(page.extract_text() for page in reader.pages) + str(reader.metadata)
        yield from _streams(data)


def _streams(data: bytes) -> Iterator[str]:
    for part in data.split(b"stream\r\n" if b"stream\r\n" in data else b"stream\n")[1:]:
        try:
            yield zlib.decompressobj().decompress(part).decode("utf-8", "replace")
        except zlib.error:
            continue


def holds(name: Path, path: Path, words: tuple[str, ...]) -> list[str]:
    """Those of `words` that a file holds, or its name does; capitals count for nothing."""
    said = [name.as_posix().lower(), *(text.lower() for text in texts(path))]
    return [word for word in words if any(word in text for text in said)]


def test_drafts_are_built_for_the_desk_alone(project: Project) -> None:
    project.analysis("seen", "Visible words.")
    project.analysis("draft", "Unripe words.", title="Unripe claim", status="draft")
    project.analysis("later", "Embargoed words.", title="Later claim", date="2999-10-05 07:00")
    project.briefing(extra="status: draft\n")
    assert project.newsletter("build").returncode == 0
    before = {path: path.read_bytes() for path in project.path.rglob("*") if path.is_file()}
    done = project.newsletter("build", "--drafts", "--output", "build/preview")
    assert done.returncode == 0, done.stderr
    draft = project.read("build/preview/analyses/2020/draft/index.html")
    assert "Unripe words." in draft
    assert "Draft: only the desk sees this" in draft
    assert 'name="robots" content="noindex"' in draft
    assert "Held back until 5 October 2999, 07:00" in project.read(
        "build/preview/analyses/2999/later/index.html"
    )
    assert "A letter." in project.read("build/preview/briefings/2020-10/index.html")
    assert "Unripe" in project.read("build/preview-packages/briefings/2020-10/email.txt")
    # Nothing of what is published has been touched.
    assert {path: path.read_bytes() for path in before} == before
    assert not (project.path / "build/briefings/2020-10").exists()


@pytest.mark.parametrize(
    "output", [(), ("--output", "output"), ("--output", "output/preview"), ("--output", ".")]
)
def test_drafts_are_never_built_into_the_published_site(project: Project, output: tuple[str, ...]) -> None:
    project.analysis("draft", status="draft")
    done = project.newsletter("build", "--drafts", *output)
    assert done.returncode == 1
    assert "Drafts are never built into the published site." in done.stderr
    assert not (project.path / "output").exists()


# A word for each place of a piece from which it might get out.
HELD = {
    "title": "Titleword", "summary": "Summaryword", "region": "Regionword", "topics": "[Topicword]",
    "authors": "[Deskword]", "aliases": "[old/aliasword]", "image": "{path: images/pictureword.png, alt: Altword}",
    "key_judgements": "[{text: Judgementword, likelihood: likely, horizon: 2999-12-31, outcome: Outcomeword}]",
    "timeline": "[{date: 2999-10-01, text: Timelineword}]", "updates": "[{date: 2999-10-06, text: Updateword}]",
    "corrections": "[{date: 2999-10-07, text: Correctionword}]",
}  # fmt: skip
BODY = "Bodyword of KH.[^1]\n\n## Headingword\n\n![Secondword]({static}/images/insideword.png)\n\n[^1]: Noteword."
WORDS = (
    "titleword", "summaryword", "regionword", "topicword", "deskword", "aliasword", "pictureword", "altword",
    "judgementword", "outcomeword", "timelineword", "updateword", "correctionword", "bodyword", "headingword",
    "secondword", "insideword", "noteword", "slugword",
)  # fmt: skip


def _house(project: Project) -> None:
    """A house in which everything is on, with a piece that everybody may see."""
    project.write("content/glossary.yml", "KH: {expansion: Kataib Hizbullah, kind: actor}\n")
    for name in ("pictureword", "insideword", "shared"):
        data = io.BytesIO()
        Image.new("RGB", (900, 600), "red").save(data, "PNG")
        project.write(f"content/images/{name}.png", data.getvalue())
    project.analysis("seen", "Visible words of KH. ![A map]({static}/images/shared.png)", topics="[Oil]")
    project.briefing()


def _found(project: Project, *folders: str) -> dict[str, list[str]]:
    return {
        path.relative_to(project.path).as_posix(): found
        for folder in folders
        for path in (project.path / folder).rglob("*")
        if path.is_file() and (found := holds(path.relative_to(project.path), path, WORDS))
    }


@pytest.mark.parametrize("why", [{"status": "draft"}, {"date": "2999-10-05"}], ids=["draft", "embargoed"])
def test_no_word_of_what_is_held_back_is_in_any_file(project: Project, why: dict[str, str]) -> None:
    _house(project)
    changed = {"updates": "", "corrections": ""} if "status" in why else {}
    project.analysis("slugword", BODY, **{**HELD, **changed, **why})
    project.briefing(
        "2020-11", "Letter: bodyword. ![Altword]({static}/images/insideword.png)", "status: draft\n"
    )
    done = project.newsletter("build")
    assert done.returncode == 0, done.stderr
    assert _found(project, "output", "build") == {}
    assert (project.path / "output/images/shared.png").is_file()


def test_once_it_is_out_its_words_are_everywhere(project: Project) -> None:
    """The search above would find them: in pages, feeds, the search index, the edition, the mail."""
    _house(project)
    out = {key: value.replace("2999", "2020") for key, value in HELD.items()}
    project.analysis("slugword", BODY, **out)
    done = project.newsletter("build")
    assert done.returncode == 0, done.stderr
    found = _found(project, "output", "build")
    everywhere = "\n".join(found)
    for place in (
        "analyses/2020/slugword/index.html", "output/index.html", "feed.xml", "atom.xml", "feed.json", "sitemap.xml",
        "feeds.opml", "regions/regionword", "topics/topicword", "desks/deskword", "slugword.pdf", "pagefind/fragment",
        "pagefind/index", "forecasts/index.html", "glossary/index.html", "old/aliasword/index.html",
        "images/pictureword", "images/insideword", "build/briefings/2020-10/email.html", "email.txt",
        "analyses/2020/seen/index.html", "build/editions",
    ):  # fmt: skip
        assert place in everywhere, place
    assert {word for words in found.values() for word in words} == set(WORDS)
