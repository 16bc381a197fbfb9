"""Part of `make screenshots`: every page of the door, and every letter of it as HTML and as text.

build/screenshots/door-PAGE-WIDTH-SCHEME.png and letter-KIND-WIDTH-SCHEME.png, at 1280 and 390 pixels, light and dark.
"""

from __future__ import annotations

import html
import shutil
from pathlib import Path

from door_pages import READER, Shot, opened, shots, visit
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from newsletter import publication
from newsletter.address import parse
from newsletter.correspondence import Correspondence
from newsletter.store.door import Letter, LetterKind
from tests.conftest import ROOT, Clock
from tests.door_world import KEY, DoorWorld

FOLDER = Path("build/screenshots")
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")


def take(browser: Browser, address: str, shot: Shot, at: DoorWorld) -> None:
    """One page at both widths and in both schemes; a form is sent once, and what came of it is turned about."""
    page = browser.new_page(base_url=address)
    visit(page, shot, at)
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
    with opened(ROOT / "output") as (address, at), sync_playwright() as made:
        chrome = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = made.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
        for shot in shots(at):
            with console.status(shot.name):
                take(browser, address, shot, at)
        letters(browser)
        browser.close()
    console.print(
        f"{len([*FOLDER.glob('door-*'), *FOLDER.glob('letter-*')])} pictures of the door in {FOLDER}/"
    )


if __name__ == "__main__":
    main()
