"""`make screenshots`: every kind of page at 1280 and 390 pixels, light and dark, as build/screenshots/KIND-WIDTH-SCHEME.png."""

from __future__ import annotations

import shutil
from pathlib import Path

from audit import OUTPUT, SCHEMES, kinds, served
from playwright.sync_api import sync_playwright
from rich.console import Console

FOLDER = Path("build/screenshots")
WIDTHS = (1280, 390)


def main() -> None:
    """Take them all anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    console = Console()
    with served(OUTPUT) as address, sync_playwright() as playwright:
        chrome = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
        for kind in kinds(OUTPUT):
            with console.status(kind.name):
                for width in WIDTHS:
                    for scheme in SCHEMES:
                        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
                        page.goto(address + kind.path, wait_until="networkidle")
                        page.screenshot(
                            path=FOLDER / f"{kind.name.replace(', ', '-')}-{width}-{scheme}.png",
                            full_page=True,
                        )
                        page.close()
        browser.close()
    console.print(f"{len(list(FOLDER.iterdir()))} pictures in {FOLDER}/")


if __name__ == "__main__":
    main()
