"""The proof of a briefing: everything an editor has to have seen, on one page, and no way past what is wrong."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from newsletter.proof_page.links import Status, ask, in_folder, links
from newsletter.proof_page.views import view
from tests.conftest import Project
from tests.test_preview import PARTS, PATIENCE, previewing

SITE = "https://briefing.example.org"


@pytest.fixture
def written(make_project: Callable[..., Project]) -> Project:
    return make_project(*PARTS, "samples")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    yield page
    page.close()
    assert not [text for text in refused if "Content Security Policy" in text]


@contextmanager
def _others(status: int) -> Iterator[str]:
    """Another house's server, which answers everything with that status."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        do_GET = do_HEAD  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/page"
        server.shutdown()


def test_every_link_of_a_mail_is_judged(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/index.html").write_text('<h2 id="part">x</h2>')
    mail = f"""<a href="{SITE}/there/">a</a><a href="{SITE}/there/#part">b</a><a href="{SITE}/there/#gone">c</a>
    <a href="{SITE}/gone/">d</a><a href="{SITE}/../secret">e</a><a href="https://other.example/">f</a>
    <a href="mailto:desk@example.org">g</a><a href="{{{{unsubscribe_url}}}}">h</a><a href="{SITE}/subscribe">i</a>
    <a href="{SITE}/there/">again</a>"""
    found = links(mail, SITE, in_folder(tmp_path))
    statuses = {link.words[0]: link.status for link in found}
    fine, broken = Status.FINE, Status.BROKEN
    assert statuses == {
        "a": fine, "b": fine, "c": broken, "d": broken, "e": broken, "f": Status.NOT_ASKED, "g": Status.MAIL,
        "h": Status.OWN, "i": fine,
    }  # fmt: skip
    assert found[0].words == ("a", "again")


@pytest.mark.parametrize(("status", "said"), [(200, ""), (404, "It answers 404 Not Found.")])
def test_other_houses_pages_are_asked_for_only_when_wanted(tmp_path: Path, status: int, said: str) -> None:
    with _others(status) as address:
        answers = ask([address, "mailto:nobody@example.org", "file:///etc/passwd"])
        assert answers == {address: said}
        (link,) = links(f'<a href="{address}">x</a>', SITE, in_folder(tmp_path), answers)
        assert link.status is (Status.BROKEN if said else Status.FINE)


@pytest.mark.parametrize("address", ["http://[bad", "http://other.example/a b", "http://other.example:x/"])
def test_what_is_no_address_is_told_as_the_others_are(address: str) -> None:
    assert "does not answer" in ask([address])[address]


def test_a_server_that_speaks_something_else_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            for _ in range(2):
                with server.accept()[0] as visitor:
                    visitor.recv(1000)
                    visitor.sendall(b"SSH-2.0-OpenSSH\r\n")

        threading.Thread(target=greet, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert "does not answer" in ask([address])[address]


def test_a_server_that_is_not_there_is_told() -> None:
    with _others(200) as address:
        pass
    assert "does not answer" in ask([address])[address]


def test_the_light_view_stays_light_and_the_dark_one_dark_whatever_the_editors_screen() -> None:
    mail = "<html><head><style>@media (prefers-color-scheme:dark){p{color:red}}</style></head></html>"
    assert "@media not all{" in view(mail)
    assert "@media all{" in view(mail, dark=True)
    assert "img-src" not in view(mail, pictures=False)


def test_the_page_for_reviewers_has_all_its_parts_and_needs_nothing_beside_it(
    written: Project, page: Page
) -> None:
    assert written.newsletter("build").returncode == 0
    assert written.newsletter("subscribers", "import", "samples/subscribers.csv").returncode == 0
    done = written.newsletter("proof", "2020-10", "--output", "proof")
    assert done.returncode == 0, done.stderr
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto((written.path / "proof/index.html").as_uri())
    package_hash = written.hash()
    main = page.locator("main")
    for words in (
        "Truces that bind nobody",
        "62 KB of 90 KB",
        package_hash,
        "117 would get it",
        "unsubscribed",
    ):
        expect(main).to_contain_text(words)
    for name in (
        "The mail on a desktop", "The mail on a phone", "The mail on a phone, dark", "The mail on a desktop, dark",
        "The mail with pictures off",
    ):  # fmt: skip
        frame = page.frame_locator(f'iframe[title="{name}"]')
        expect(frame.get_by_text("Dear reader,")).to_be_visible()
    expect(page.locator("pre.text")).to_contain_text("CAIRNWELL RISK")
    expect(page.locator("tbody tr").first).to_contain_text("there")
    assert page.locator(".command").inner_text() == f"newsletter send 2020-10 --approve {package_hash}"
    assert [url for url in requested if not url.startswith(("file:", "about:", "data:"))] == []
    summary = written.read("proof/summary.md")
    for words in (
        "Truces that bind nobody",
        package_hash,
        "| recipients | 117 |",
        "Nothing stands in the way",
    ):
        assert words in summary
    whole = written.read("proof/index.html") + summary
    for line in written.read("samples/subscribers.csv").splitlines()[1:]:
        assert line.split(",")[0] not in whole  # nobody's address


def test_where_the_list_is_not_it_says_so(written: Project) -> None:
    assert written.newsletter("build").returncode == 0
    assert written.newsletter("proof", "2020-10", "--output", "proof").returncode == 0
    assert "the list is not on this machine" in written.read("proof/summary.md")


def test_no_command_to_approve_stands_there_before_it_is_right(written: Project) -> None:
    assert written.newsletter("build").returncode == 0
    gone = written.path / "output/analyses/2020/us-embassy-baghdad-threat/index.html"
    gone.unlink()  # what a site built from other content would lack
    done = written.newsletter("proof", "2020-10", "--output", "proof")
    assert done.returncode == 1
    assert "us-embassy-baghdad-threat" in done.stderr
    proof = written.read("proof/index.html")
    assert "One thing to mend before it can go" in proof
    assert "--approve" not in proof + written.read("proof/summary.md")


def test_in_the_preview_the_proof_follows_what_is_saved(written: Project, page: Page) -> None:
    letter = written.path / "content/briefings/2020-10.md"
    sound = letter.read_text()
    with previewing(written) as url:
        page.goto(f"{url}/")
        page.get_by_role("link", name="Proof of 2020-10").click()
        expect(page.locator("main")).to_contain_text("Truces that bind nobody", timeout=PATIENCE)
        expect(page.locator(".command")).to_be_visible(timeout=PATIENCE)
        letter.write_text(re.sub(r"(?m)^subject:.*$", "subject: Another subject altogether", sound))
        expect(page.locator("main")).to_contain_text("Another subject altogether", timeout=PATIENCE)
        letter.write_text(sound.replace("---\n", "---\nstatus: draft\n", 1))
        expect(page.locator(".findings")).to_contain_text("nothing is mailed", timeout=PATIENCE)
        expect(page.locator(".command")).to_have_count(0, timeout=PATIENCE)
        letter.write_text(re.sub(r"(?m)^subject:.*$", "", sound))
        expect(page.get_by_role("alert")).to_contain_text("subject", timeout=PATIENCE)
        letter.write_text(sound)
        expect(page.locator(".command")).to_be_visible(timeout=PATIENCE)


def test_a_piece_that_is_held_back_is_in_no_proof(written: Project, page: Page) -> None:
    before = _hash_in_the_preview(written, page)
    written.analysis("draft", "Quokka words.", title="A quokka claim", date="2020-10-09", status="draft")
    assert _hash_in_the_preview(written, page) == before
    assert written.newsletter("build").returncode == 0
    assert written.hash() == before  # what is proofed is what is packaged


def _hash_in_the_preview(project: Project, page: Page) -> str:
    with previewing(project) as url:
        page.goto(f"{url}/proof/2020-10/")
        expect(page.locator("main")).to_contain_text("Content hash", timeout=PATIENCE)
        expect(page.locator("main")).not_to_contain_text("quokka", timeout=PATIENCE)
        return page.locator("dd code").first.inner_text()


def test_the_editor_has_other_houses_asked_by_a_button(
    written: Project, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = written.path / "content/briefings/2020-10.md"
    with _others(404) as server:
        address = "http://other.example/page"  # a mail leads to no machine of the house: it is asked by way of this one
        monkeypatch.setenv("http_proxy", server.removesuffix("/page"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        letter.write_text(f"{letter.read_text()}\n\nSee [another house]({address}).\n")
        with previewing(written) as url:
            page.goto(f"{url}/proof/2020-10/")
            row = page.locator("tr", has_text=address)
            expect(row).to_contain_text("not asked", timeout=PATIENCE)
            page.get_by_role("button", name="Ask the other houses").click()
            expect(row).to_contain_text("It answers 404", timeout=PATIENCE)
            expect(page.locator(".command")).to_have_count(0, timeout=PATIENCE)
