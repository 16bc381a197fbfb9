"""What the editor sees while writing: in a real browser, with the real command, files saved as an editor saves them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Project

PARTS = ("pelicanconf.py", "publication.toml", "theme", "plugins", "content")
# Generous: on a busy machine everything takes longer, and none of these tests is about how long.
PATIENCE = 60_000


@contextmanager
def previewing(project: Project) -> Iterator[str]:
    """`newsletter preview` in that project; its address."""
    words = [sys.executable, "-u", "-m", "newsletter", "preview", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": "plugins", "TERM": "dumb", "COLUMNS": "200"}
    with subprocess.Popen(
        words, cwd=project.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert found, process.stdout.read()
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


@pytest.fixture
def written(make_project: Callable[..., Project]) -> Project:
    """The project's own content, and a piece of the test's own."""
    project = make_project(*PARTS)
    project.analysis("ours", "The first words.", title="A claim of ours", topics="[Elections]")
    return project


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    page.close()
    # A refused script or style would be told here: the preview keeps to the policy of the site.
    assert not [error for error in errors if "Content Security Policy" in error]


def _ask(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_saved_piece_shows_itself_without_a_reload_by_hand(written: Project, page: Page) -> None:
    with previewing(written) as url:
        page.goto(f"{url}/analyses/2020/ours/")
        expect(page.locator("article")).to_contain_text("The first words.", timeout=PATIENCE)
        written.analysis("ours", "The second words.", title="A claim of ours", topics="[Elections]")
        expect(page.locator("article")).to_contain_text("The second words.", timeout=PATIENCE)


def test_an_editor_that_saves_by_way_of_another_file_is_followed_too(written: Project, page: Page) -> None:
    piece = written.path / "content/analyses/2020/ours.md"
    with previewing(written) as url:
        page.goto(f"{url}/analyses/2020/ours/")
        for number in range(3):
            draft = piece.with_suffix(".tmp")
            draft.write_text(f"{piece.read_text()}\nAnd number {number}.\n")
            draft.replace(piece)
            expect(page.locator("article")).to_contain_text(f"And number {number}.", timeout=PATIENCE)


def test_lists_follow_the_piece(written: Project, page: Page) -> None:
    with previewing(written) as url:
        page.goto(f"{url}/topics/elections/")
        expect(page.locator("main")).to_contain_text("A claim of ours", timeout=PATIENCE)
        written.analysis("ours", "The first words.", title="Another claim", topics="[Elections]")
        expect(page.locator("main")).to_contain_text("Another claim", timeout=PATIENCE)
        (written.path / "content/analyses/2020/ours.md").unlink()
        expect(page.locator("main")).not_to_contain_text("Another claim", timeout=PATIENCE)


def test_a_page_goes_along_with_its_piece(written: Project, page: Page) -> None:
    with previewing(written) as url:
        page.goto(f"{url}/analyses/2020/ours/")
        written.analysis("ours", "The first words.", title="A claim of ours", slug="elsewhere")
        expect(page).to_have_url(f"{url}/analyses/2020/elsewhere/", timeout=PATIENCE)


def test_what_is_wrong_stands_in_the_page_and_vanishes_when_mended(written: Project, page: Page) -> None:
    with previewing(written) as url:
        page.goto(f"{url}/analyses/2020/ours/")
        written.analysis("ours", "New words.", title="A claim of ours", date="the other day")
        panel = page.get_by_role("alert")
        expect(panel).to_contain_text("content/analyses/2020/ours.md", timeout=PATIENCE)
        expect(panel).to_contain_text("line 3", timeout=PATIENCE)
        expect(panel).to_contain_text("Write it as 2020-10-16", timeout=PATIENCE)
        expect(page.locator("article")).to_contain_text("The first words.", timeout=PATIENCE)
        page.goto(f"{url}/")  # whatever page the editor looks at
        expect(page.get_by_role("alert")).to_contain_text("ours.md", timeout=PATIENCE)
        page.goto(f"{url}/analyses/2020/ours/")
        written.analysis("ours", "New words.", title="A claim of ours")
        expect(page.get_by_role("alert")).to_have_count(0, timeout=PATIENCE)
        expect(page.locator("article")).to_contain_text("New words.", timeout=PATIENCE)


def test_it_begins_although_something_is_wrong(written: Project, page: Page) -> None:
    written.write("content/analyses/2020/broken.md", "---\ntitle: [\n---\nWords.\n")
    with previewing(written) as url:
        page.goto(f"{url}/analyses/2020/ours/")
        expect(page.get_by_role("alert")).to_contain_text("broken.md", timeout=PATIENCE)
        expect(page.locator("article")).to_contain_text("The first words.", timeout=PATIENCE)


def test_a_mistake_in_a_template_or_in_the_facts_does_not_end_it(written: Project, page: Page) -> None:
    facts, template = written.path / "publication.toml", written.path / "theme/templates/article.html"
    with previewing(written) as url:
        page.goto(f"{url}/analyses/2020/ours/")
        for file in (facts, template):
            sound = file.read_text()
            file.write_text("{% if %}\n[" + sound)
            expect(page.get_by_role("alert")).to_contain_text(file.name, timeout=PATIENCE)
            file.write_text(sound)
            expect(page.get_by_role("alert")).to_have_count(0, timeout=PATIENCE)
        expect(page.locator("article")).to_contain_text("The first words.", timeout=PATIENCE)


def test_what_is_held_back_is_marked_and_never_reaches_the_published_folder(
    written: Project, page: Page
) -> None:
    assert written.newsletter("build").returncode == 0
    before = _everything(written.path / "output")
    written.analysis("draft", "Quokka words.", title="A draft", status="draft")
    written.analysis("later", "Numbat words.", title="For later", date="2999-01-01 07:00")
    with previewing(written) as url:
        page.goto(f"{url}/analyses/2020/draft/")
        expect(page.locator("article")).to_contain_text("Quokka words.", timeout=PATIENCE)
        expect(page.locator("article")).to_contain_text("Draft", timeout=PATIENCE)
        page.goto(f"{url}/analyses/2999/later/")
        expect(page.locator("article")).to_contain_text("Held back until 1 January 2999", timeout=PATIENCE)
        page.get_by_role("link", name="Held back (2)").click()
        expect(page.locator("main")).to_contain_text("content/analyses/2020/draft.md", timeout=PATIENCE)
        page.goto(f"{url}/")
        lead = page.locator("main article").first
        expect(lead).to_contain_text("For later", timeout=PATIENCE)
        expect(lead).to_contain_text("Held back", timeout=PATIENCE)
        assert _ask(f"{url}/feed.xml")[0] == 200
    assert _everything(written.path / "output") == before
    assert written.newsletter("build").returncode == 0
    published = b"".join(_everything(written.path / "output").values())
    for words in (b"Quokka", b"Numbat", b"preview.js", b".preview"):
        assert words not in published


def _everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_its_search_finds_what_is_being_written(written: Project, page: Page) -> None:
    written.analysis("draft", "Quokka words.", title="A draft", topics="[Elections]", status="draft")
    with previewing(written) as url:
        page.goto(f"{url}/search/?q=quokka")
        expect(page.get_by_role("link", name="A draft", exact=True)).to_be_visible(timeout=PATIENCE)
        written.analysis("draft", "Numbat words.", title="A draft", topics="[Elections]", status="draft")
        page.goto(f"{url}/analyses/2020/draft/")
        expect(page.locator("article")).to_contain_text("Numbat words.", timeout=PATIENCE)
        page.goto(f"{url}/search/?q=numbat")
        expect(page.get_by_role("link", name="A draft", exact=True)).to_be_visible(timeout=PATIENCE)
        page.goto(f"{url}/topics/elections/")
        expect(page.locator("main")).to_contain_text("A draft", timeout=PATIENCE)
        (written.path / "content/analyses/2020/draft.md").unlink()
        expect(page.locator("main")).not_to_contain_text("A draft", timeout=PATIENCE)
        page.goto(f"{url}/search/?q=numbat")
        expect(page.get_by_role("status")).to_contain_text("Nothing has", timeout=PATIENCE)


def test_it_gives_out_what_a_built_site_has(written: Project) -> None:
    with previewing(written) as url:
        for path, words in (
            ("/theme/css/site.css", "--"),
            ("/feed.xml", "A claim of ours"),
            ("/sitemap.xml", "/analyses/2020/ours/"),
            ("/regions/iraq/feed.xml", "A claim of ours"),
            ("/analyses/2020/", "A claim of ours"),
        ):
            status, text = _ask(url + path)
            assert (status, words in text) == (200, True), path
        with urllib.request.urlopen(f"{url}/analyses/2020/ours/ours.pdf") as answer:
            assert answer.read(4) == b"%PDF"


def test_nobody_reaches_it_by_another_name_or_past_the_site(written: Project) -> None:
    with previewing(written) as url:
        assert _ask(f"{url}/", Host="evil.example")[0] == 403
        for path in ("/", "/.preview/state?path=/", "/theme/css/site.css"):
            with urllib.request.urlopen(url + path) as answer:  # another page shows nothing of it
                assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert _ask(f"{url}/analyses/2020/no-such-piece/")[0] == 404
        outside = written.path / "publication.toml"
        for path in (
            "/..%2f..%2f..%2fpublication.toml",
            "/%2e%2e/%2e%2e/%2e%2e/publication.toml",
            f"/{outside}",
            f"/theme/{outside}",
            "/.preview/panel.html",
        ):
            assert _ask(url + path)[0] == 404, path


def test_its_pages_are_those_of_the_published_site(written: Project) -> None:
    """Nothing held back: apart from what the preview adds, each page is the built one, byte for byte."""
    assert written.newsletter("build").returncode == 0
    output = written.path / "output"
    added = re.compile(
        r'<link rel="stylesheet" href="/\.preview/.*?</script>|<div id="preview".*?</div>\n</div>|'
        r'<meta name="robots" content="noindex">\n', re.DOTALL,
    )  # fmt: skip
    with previewing(written) as url:
        for file in sorted(output.rglob("*.html")):
            place = str(file.relative_to(output))
            if place == "404.html":
                continue
            built = file.read_text()
            served = _ask(f"{url}/{place.removesuffix('index.html')}")[1]
            assert added.sub("", served) == added.sub("", built), place
