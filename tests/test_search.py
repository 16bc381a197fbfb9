"""A reader finds a piece by its words, with the keyboard alone, under the site's own security policy."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from newsletter import front
from tests.conftest import Project


@pytest.fixture(scope="module")
def address(built: Project) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(front.site(built.path / "output"), log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    complaints: list[str] = []
    page = browser.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    page.close()
    assert complaints == []


def test_a_word_of_a_piece_leads_to_it_by_keyboard_alone(page: Page, address: str) -> None:
    page.goto(f"{address}/search/")
    expect(page.get_by_label("Results")).to_be_hidden()  # no empty list before there is a question
    page.get_by_label("Words to look for").focus()
    page.keyboard.type("Varosha")
    page.keyboard.press("Enter")
    first = page.locator("#search\\.list a").first
    expect(first).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("with “Varosha”")
    for _ in range(10):
        page.keyboard.press("Tab")
        if first.evaluate("link => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/analyses/2020/cyprus-varosha-vote/")


def test_a_question_in_the_address_is_answered_and_a_new_one_takes_its_place(
    page: Page, address: str
) -> None:
    page.goto(f"{address}/search/?q=ceasefire")
    expect(page.locator("#search\\.list li").nth(2)).to_be_visible()
    page.get_by_label("Words to look for").fill("Varosha")
    expect(page.get_by_role("status")).to_contain_text("with “Varosha”")
    expect(page).to_have_url(re.compile(r"\?q=Varosha$"))


def test_what_nobody_wrote_is_said_not_to_be_there(page: Page, address: str) -> None:
    page.goto(f"{address}/search/?q=zzyzx<b>")
    expect(page.get_by_role("status")).to_contain_text("Nothing has “zzyzx<b>” in it")


def test_forms_and_lists_are_not_found_only_what_was_written(page: Page, address: str) -> None:
    page.goto(f"{address}/search/?q=%22Send+me+the+briefing%22")
    expect(page.get_by_role("status")).to_contain_text("Nothing has")


def test_without_javascript_the_page_says_so_and_leads_to_everything(browser: Browser, address: str) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{address}/search/")
    expect(page.locator("form#search\\.form")).to_be_hidden()
    expect(page.get_by_text("Searching needs JavaScript")).to_be_visible()
    page.get_by_role("link", name="All analyses").click()
    expect(page).to_have_url(f"{address}/analyses/")
    page.close()


def test_a_draft_is_in_no_part_of_the_index(project: Project) -> None:
    project.analysis("open", body="A word like xylophone.")
    project.analysis("secret", body="A word like quicksilver.", status="draft")
    project.analysis("later", body="A word like saxifrage.", date="2999-01-01")
    assert project.newsletter("build").returncode == 0
    import gzip

    index = b""
    for path in (project.path / "output/pagefind").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            index += gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    assert b"xylophone" in index
    assert b"quicksilver" not in index
    assert b"saxifrage" not in index
