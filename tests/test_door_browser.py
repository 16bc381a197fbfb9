"""A subscriber's life in a real browser: `newsletter serve` as a person starts it, its mailbox as the inbox."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from newsletter.limits import USUAL
from tests.conftest import Project, _project

PIECE = "/analyses/2020/us-embassy-baghdad-threat/"


@dataclass
class Served:
    """A running `newsletter serve`."""

    url: str
    project: Project
    read: set[Path] = field(default_factory=set)

    def mail(self, to: str, subject: str) -> EmailMessage:
        """The mail to an address with these words in its subject, unread so far, waited for as a person waits."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for path in {*(self.project.path / "var/mailbox").glob("[!.]*.eml")} - self.read:
                mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                assert isinstance(mail, EmailMessage)
                if to == mail["To"] and subject in mail["Subject"]:
                    self.read.add(path)
                    return mail
            time.sleep(0.1)
        raise AssertionError(f"no mail to {to} about {subject}")

    def link(self, to: str, subject: str) -> str:
        text = self.mail(to, subject).get_body(("plain",))
        assert text
        found = re.search(rf"{re.escape(self.url)}/\w+/\S+", text.get_content())
        assert found, text.get_content()
        return found[0]

    def subscription(self, address: str) -> str:
        with sqlite3.connect(self.project.path / "var/newsletter.db") as db:
            row = db.execute(
                "SELECT subscription FROM subscriber WHERE address_key = ?", (address,)
            ).fetchone()
        db.close()
        return str(row[0]) if row else ""


@pytest.fixture(scope="module")
def served(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    project = _project(
        tmp_path_factory.mktemp("served") / "project", ("publication.toml", "theme", "plugins")
    )
    for name in ("output", "build"):
        shutil.copytree(built.path / name, project.path / name)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "STORE_URL"))}
    said = project.path / "stderr"
    with said.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "newsletter", "serve", "--port", "0"],
            cwd=project.path, env={**inherited, "COLUMNS": "200", "TERM": "dumb", "PYTHONPATH": "plugins", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    assert process.stdout
    try:
        url = next(line.split()[1] for line in process.stdout if line.startswith("site"))
        yield Served(url.rstrip("/"), project)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        process.stdout.close()
        # The postman too, in a process of its own, ends without a word.
        assert said.read_text() == ""


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """Without JavaScript, as every form must work; what the page complains of fails the test."""
    context = browser.new_context(base_url=served.url, java_script_enabled=False)
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    yield page
    context.close()
    # A page that answers "look again" has a status that the console repeats.
    assert [text for text in complaints if "the server responded with a status of 4" not in text] == []


def test_a_subscriber_s_life(page: Page, served: Served) -> None:
    """From an article to the list, a briefing, one click, back again, another address, and forgotten."""
    reader, moved = "reader@example.org", "moved@example.org"

    def sign_up() -> None:
        page.goto(PIECE)
        page.get_by_label("Your email address").first.fill(reader)
        page.get_by_role("button", name="Send me the briefing").click()
        expect(page.locator("h1")).to_have_text("Check your inbox")
        assert served.subscription(reader) != "confirmed"
        page.goto(served.link(reader, "confirm"))
        assert served.subscription(reader) != "confirmed"
        page.get_by_role("button").click()
        expect(page.locator("h1")).to_have_text("You are on the list")
        assert served.subscription(reader) == "confirmed"

    sign_up()
    page.get_by_role("link", name="Monthly Briefing, October 2020").click()
    expect(page).to_have_url(re.compile("/briefings/2020-10/"))

    sent = served.project.newsletter(
        "send", "2020-10", "--approve", approval(served), SITE_URL=served.url, AWS_ENDPOINT_URL_SESV2=served.url,
        AWS_REGION="eu-west-1", AWS_ACCESS_KEY_ID="local-ses", AWS_SECRET_ACCESS_KEY="x", NO_PROXY="127.0.0.1",
    )  # fmt: skip
    assert sent.returncode == 0, sent.stdout + sent.stderr
    briefing = served.mail(reader, "")
    assert briefing["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = served.url + urlsplit(briefing["List-Unsubscribe"].strip("<>")).path
    assert link.startswith(f"{served.url}/u/")
    answer = page.request.post(
        link, data=urlencode({"List-Unsubscribe": "One-Click"}), max_redirects=0,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://mail.example.com"},
    )  # fmt: skip
    assert answer.status == 200
    assert served.subscription(reader) == "unsubscribed"

    page.goto(link)
    expect(page.locator("h1")).to_have_text("Unsubscribe")

    with sqlite3.connect(served.project.path / "var/newsletter.db") as db:
        db.execute("DELETE FROM letter")  # a day goes by, and the address may be written to again
    db.close()
    sign_up()

    ask_for_own_page(page, reader)
    own = served.link(reader, "page")
    page.goto(own)
    expect(page.locator("dl")).to_contain_text(reader)
    expect(page.locator("dl")).to_contain_text(PIECE)
    kept = page.request.get(f"{own}/data.json").json()
    assert kept["subscriber"][0]["address"] == reader

    page.get_by_label("No briefing for").select_option("6")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("No briefing comes before")
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_role("status")).to_have_text("The next briefing comes to you.")

    page.get_by_label("Your new email address").fill("not an address@")
    page.locator("form").first.evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Your new email address").fill(moved)
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("status")).to_contain_text(f"We are writing to {moved}")
    page.goto(served.link(moved, "address"))
    assert served.subscription(moved) == ""
    page.get_by_role("button").click()
    expect(page.locator("h1")).to_have_text("Your address is changed")
    assert (served.subscription(reader), served.subscription(moved)) == ("", "confirmed")

    ask_for_own_page(page, moved)
    page.goto(served.link(moved, "page"))
    page.get_by_role("button", name="Erase me").click()
    expect(page.locator("h1")).to_have_text("Erase everything?")
    assert served.subscription(moved) == "confirmed"
    page.get_by_role("button", name="Erase me").click()
    expect(page.locator("h1")).to_have_text("You are erased")
    assert served.subscription(moved) == ""
    for file in (served.project.path / "var").glob("newsletter*"):
        assert b"moved@example.org" not in file.read_bytes(), file


def ask_for_own_page(page: Page, address: str) -> None:
    page.goto("/me")
    page.get_by_label("The address that gets the briefing").fill(address)
    page.get_by_role("button").click()
    title = page.locator("h1")
    expect(title).to_have_text(re.compile("One more step|Check your inbox"))
    if (
        title.inner_text() == "One more step"
    ):  # so quick is nobody who types, but a loaded machine may be slow
        expect(page.get_by_label("The address that gets the briefing")).to_have_value(address)
        page.get_by_role("button").click()
    expect(title).to_have_text("Check your inbox")


def approval(served: Served) -> str:
    """The content hash by which an editor approves the month."""
    package = json.loads((served.project.path / "build/briefings/2020-10/briefing.json").read_text())
    return str(package["content_hash"])


def test_a_question_from_an_article_reaches_the_house_and_can_be_answered(page: Page, served: Served) -> None:
    page.goto(PIECE)
    page.get_by_label("Your name").fill("A. Visitor")
    page.get_by_label("Your email address").last.fill("visitor@example.com")
    page.get_by_label("Your question").fill("What about Basra?\nAnd Mosul? 問")
    page.get_by_role("button", name="Send to the").click()
    expect(page.locator("h1")).to_have_text("Thank you")
    mail = served.mail("desk@example.org", "")
    assert mail["Reply-To"] == "visitor@example.com"
    text = mail.get_body(("plain",))
    assert text
    assert "What about Basra?" in text.get_content()
    assert PIECE.strip("/") in text.get_content()
    page.get_by_role("link", name="Back to the analysis").click()
    expect(page).to_have_url(served.url + PIECE)


def test_every_page_of_the_door_has_the_site_s_head_and_foot(page: Page, served: Served) -> None:
    page.goto("/about/")
    head, foot = page.locator("body > header").inner_text(), page.locator("body > footer").inner_text()
    for path in ("/subscribe", "/me", "/contact", "/u/x", "/me/x"):
        page.goto(path)
        assert page.locator("body > header").inner_text() == head
        assert page.locator("body > footer").inner_text() == foot
        expect(page.locator("h1")).to_have_count(1)


@pytest.mark.parametrize("width", [320, 1280])
def test_the_pages_of_the_door_fit_every_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/subscribe", "/me", "/contact", "/u/x"):
        page.goto(path)
        box = page.locator("body").bounding_box()
        assert box
        assert box["width"] <= width
        assert page.locator("input[name=homepage]").count() == 0 or (
            (trap := page.locator("input[name=homepage]").bounding_box()) and trap["x"] < 0
        )


def test_a_form_can_be_filled_in_from_the_keyboard_alone(page: Page) -> None:
    page.goto("/subscribe")
    page.locator("#briefing\\.email").focus()
    page.keyboard.type("keys@example.org")
    time.sleep(2)  # a program would not wait
    page.keyboard.press("Tab")
    expect(page.locator("button:focus")).to_have_count(1)  # and not the field that nobody sees
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Check your inbox")


def test_while_too_many_knock_the_browser_works_and_its_reader_signs_up(
    browser: Browser, served: Served
) -> None:
    with sqlite3.connect(served.project.path / "var/newsletter.db") as db:
        hour = int(time.time()) // 3600
        for stretch in (hour, hour + 1):
            db.execute("INSERT OR REPLACE INTO tally VALUES ('confirm', 3600, ?, ?)", (stretch, USUAL.hour))
    db.close()
    page = browser.new_page(base_url=served.url)
    page.goto(PIECE)
    page.get_by_label("Your email address").first.fill("patient@example.org")
    page.get_by_role("button", name="Send me the briefing").click()
    expect(page.locator("h1")).to_have_text("One more step")
    page.get_by_role(
        "button", name="Send me the briefing"
    ).click()  # before the work is done: it waits by itself
    expect(page.locator("h1")).to_have_text("Check your inbox", timeout=60_000)
    assert served.link("patient@example.org", "confirm")
    page.close()
