"""What is held back stays in the desk: its words are looked for in every file that a build writes."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
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


def holds(path: Path, words: tuple[str, ...]) -> list[str]:
    """Those of `words` that a file holds, or its name does; capitals count for nothing."""
    said = [path.as_posix().lower(), *(text.lower() for text in texts(path))]
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
