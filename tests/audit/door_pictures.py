"""Part of `make screenshots`: every page of the door, and every letter of it as HTML and as text.

build/screenshots/door-PAGE-WIDTH-SCHEME.png and letter-KIND-WIDTH-SCHEME.png, at 1280 and 390 pixels, light and dark.
"""

from __future__ import annotations

import html
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from newsletter import front, publication
from newsletter.address import parse
from newsletter.correspondence import Correspondence
from newsletter.door.app import create_app
from newsletter.limits import USUAL
from newsletter.store.door import Letter, LetterKind
from newsletter.tokens import Purpose, mint
from tests.conftest import ROOT, Clock
from tests.door_world import KEY, DoorWorld, door
from tests.test_door_app import crowd

FOLDER = Path("build/screenshots")
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
READER = "reader@example.org"
# Sends a form as a page of ours would, from a page of ours.
SEND = """([path, fields]) => {
  const form = Object.assign(document.createElement("form"), {method: "post", action: path});
  for (const [name, value] of Object.entries(fields))
    form.append(Object.assign(document.createElement("input"), {name, value}));
  document.body.append(form);
  form.submit();
}"""


@dataclass(frozen=True)
class Shot:
    """One page: where it is, what is sent there (nothing: it is only looked at), and what is so beforehand."""

    name: str
    path: str
    sent: Mapping[str, str] = field(default_factory=dict)
    crowded: bool = False


def shots(at: DoorWorld) -> Iterator[Shot]:
    """Every page, in an order in which each is there; the store is changed between them."""
    question = {
        "name": "A. Visitor",
        "email": READER,
        "message": "What about Basra?",
        "article": "analyses/2020/x/",
    }
    yield Shot("subscribe", "/subscribe")
    yield Shot("subscribe-refused", "/subscribe", {"email": "räuber@example.org"})
    yield Shot("subscribed", "/subscribe", {"email": READER})
    yield Shot("subscribe-work", "/subscribe", {"email": "patient@example.org"}, crowded=True)
    yield Shot("contact", "/contact")
    yield Shot("contact-refused", "/contact", {**question, "message": "", "desk": "Iraq desk"})
    yield Shot("contacted", "/contact", {**question, "desk": "Iraq desk"})
    yield Shot("knock", "/me")
    yield Shot("knocked", "/me", {"email": READER})
    yield Shot("gone", "/confirm/cut-in-two")
    yield Shot("no-page", "/me/a/b")
    confirm = at.letter(LetterKind.CONFIRM)
    yield Shot("confirm", f"/confirm/{confirm}")
    yield Shot("welcome", f"/confirm/{confirm}", {"action": "confirm"})
    (public_id,) = at.rows("SELECT public_id FROM subscriber")[0]
    leave = f"/u/{mint(Purpose.UNSUBSCRIBE, bytes(public_id), at.keys)}"
    mine = f"/me/{at.letter(LetterKind.MY_PAGE, READER, bytes(public_id))}"
    yield Shot("me", mine)
    yield Shot("me-change", mine, {"action": "change", "email": "moved@example.org"})
    yield Shot("me-refused", mine, {"action": "change", "email": "moved"})
    yield Shot("me-paused", mine, {"action": "pause", "months": "3"})
    yield Shot("leave", leave)
    yield Shot("leave-unclear", leave, {"action": "?"})
    yield Shot("paused", leave, {"action": "pause", "months": "3"})
    change = f"/change/{at.letter(LetterKind.CHANGE, 'moved@example.org', bytes(public_id))}"
    yield Shot("change", change)
    yield Shot("changed", change, {"action": "change"})
    mine = f"/me/{at.letter(LetterKind.MY_PAGE, 'moved@example.org', bytes(public_id))}"
    yield Shot("erase", mine, {"action": "erase"})
    yield Shot("left", leave, {"action": "unsubscribe"})
    yield Shot("me-left", mine)
    yield Shot("erased", mine, {"action": "erase-now"})


def take(browser: Browser, address: str, shot: Shot) -> None:
    """One page at both widths and in both schemes; a form is sent once, and what came of it is turned about."""
    page = browser.new_page(base_url=address)
    page.goto(shot.path)
    if shot.sent:
        page.goto("/subscribe")
        with page.expect_navigation():
            page.evaluate(SEND, [shot.path, dict(shot.sent)])
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=FOLDER / f"door-{shot.name}-{width}-{scheme}.png", full_page=True)
    page.close()


def letters(browser: Browser) -> None:
    """Every letter as it arrives."""
    facts = publication.load(ROOT / "publication.toml")
    words = {
        "name": "A. Visitor",
        "email": "visitor@example.com",
        "desk": "Iraq desk",
        "region": "Iraq",
        "article": "analyses/2020/us-embassy-baghdad-threat/",
        "message": "Will the embassy close?\n\nAnd if it does: what of Basra?",
    }
    writer = Correspondence(facts, (KEY,), ROOT / "theme/templates/email/letters")
    for kind in LetterKind:
        mail = writer.mail(Letter(b"letter no. 1 ...", kind, parse(READER), Clock()(), words=words))
        text = f"<meta charset=utf-8><pre style='font-size:14px'>{html.escape(mail.subject)}\n\n{html.escape(mail.text)}</pre>"
        for name, content in ((kind, mail.html), (f"{kind}-text", text)):
            for width in WIDTHS:
                for scheme in SCHEMES if content is mail.html else SCHEMES[:1]:
                    page = browser.new_page(viewport={"width": width, "height": 600}, color_scheme=scheme)  # type: ignore[arg-type]
                    page.set_content(content)
                    page.screenshot(path=FOLDER / f"letter-{name}-{width}-{scheme}.png", full_page=True)
                    page.close()


def main() -> None:
    """Take them all, beside those of the site."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    console = Console()
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as folder:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        porch = front.Porch(front.site(ROOT / "output"))
        server = uvicorn.Server(uvicorn.Config(porch, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        chrome = shutil.which("chromium") or shutil.which("chromium-browser")
        clock = Clock()
        with (
            door(Path(folder), clock, site=address, frame=ROOT / "build/door/frame.html") as at,
            sync_playwright() as made,
        ):
            shutil.copytree(ROOT / "build/briefings", at.porter.packages)
            porch.door = create_app(at.porter)
            browser = made.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
            for shot in shots(at):
                with console.status(shot.name):
                    if shot.crowded:
                        crowd(at, "confirm", USUAL.hour)
                    take(browser, address, shot)
                    clock.now += timedelta(hours=2) if shot.crowded else timedelta()
            letters(browser)
            browser.close()
        server.should_exit = True
        thread.join()
    console.print(
        f"{len([*FOLDER.glob('door-*'), *FOLDER.glob('letter-*')])} pictures of the door in {FOLDER}/"
    )


if __name__ == "__main__":
    main()
