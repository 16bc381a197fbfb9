"""`make pictures`: the pictures of docs/editors.md, made anew from the running system, as docs/pictures/*.webp.

The piece that is shown is the guide's own: its first example with the mistakes, its second without.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
GUIDE, FOLDER = ROOT / "docs/editors.md", ROOT / "docs/pictures"
PIECE = "content/analyses/2020/iraq-election-law.md"
WIDE = (1280, 800)
_PATIENCE = 60_000
_PAPER = TerminalTheme(
    (251, 250, 247), (22, 25, 29),
    [(22, 25, 29), (138, 31, 17), (20, 90, 50), (138, 89, 18), (11, 90, 107), (90, 50, 110), (11, 90, 107), (74, 80, 88)],
)  # fmt: skip


def examples() -> list[str]:
    """The guide's pieces: with its mistakes, and without."""
    return re.findall(r"^```markdown\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def main() -> None:
    """Make all of them."""
    FOLDER.mkdir(exist_ok=True)
    flawed, mended = examples()
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder, sync_playwright() as playwright:
        work = _project(Path(folder))
        chrome = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
        (work / PIECE).write_text(flawed)
        _keep(_terminal(browser, _run(work, "check"), "newsletter check"), "check")
        with _previewing(work) as url:
            page = _page(browser)
            (work / PIECE).write_text(mended)
            page.goto(f"{url}/analyses/2020/iraq-election-law/")
            page.get_by_text("unlikely (20–45 %)").or_(page.locator(".assessment")).first.wait_for()
            _keep(page.screenshot(), "preview")
            (work / PIECE).write_text(flawed)
            page.get_by_role("alert").wait_for()
            page.get_by_text("bare hedge").first.wait_for()
            _keep(page.screenshot(), "error")
            (work / PIECE).write_text(mended)
            page.get_by_role("alert").wait_for(state="detached")
            page.goto(f"{url}/proof/2020-10/")
            page.frame_locator('iframe[title="The mail on a phone"]').get_by_text("Dear reader,").wait_for()
            page.set_viewport_size({"width": 1280, "height": 1500})
            _keep(page.screenshot(), "proof")
            page.close()
            page = _page(browser)
            told = re.sub(
                r"(?m)^status: draft$",
                'corrections:\n  - {date: 2020-12-02, text: "An earlier version gave the number of districts as 83; '
                'it is not decided."}', mended,
            )  # fmt: skip
            (work / PIECE).write_text(told)
            page.goto(f"{url}/analyses/2020/iraq-election-law/")
            page.get_by_text("An earlier version gave").first.wait_for()
            _keep(page.screenshot(), "correction")
        browser.close()
    for file in sorted(FOLDER.iterdir()):
        Console().print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1024:.0f} KB")


def _project(folder: Path) -> Path:
    for name in ("content", "theme", "samples"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pelicanconf.py", "publication.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "plugins").symlink_to(ROOT / "plugins")
    subprocess.run(
        [sys.executable, "-m", "newsletter", "subscribers", "import", "samples/subscribers.csv"],
        cwd=folder, env=_environment(), check=True, capture_output=True,
    )  # fmt: skip
    return folder


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "plugins"), "COLUMNS": "96", "FORCE_COLOR": "1"}


def _run(work: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "newsletter", *words], cwd=work, env=_environment(), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@contextmanager
def _previewing(work: Path) -> Iterator[str]:
    words = [sys.executable, "-u", "-m", "newsletter", "preview", "--port", "0"]
    environment = {**_environment(), "FORCE_COLOR": "", "TERM": "dumb"}
    with subprocess.Popen(
        words, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found, process.stdout.read()
        try:
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def _page(browser: Browser) -> Page:
    page = browser.new_page(viewport={"width": WIDE[0], "height": WIDE[1]}, color_scheme="light")
    page.set_default_timeout(_PATIENCE)
    return page


def _terminal(browser: Browser, said: str, command: str) -> bytes:
    """What a terminal shows, as a picture."""
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
    console.print(Text.from_ansi(said))
    code = "<pre>{code}</pre>"
    inner = console.export_html(theme=_PAPER, inline_styles=True, code_format=code)
    page = browser.new_page(viewport={"width": 900, "height": 400})
    page.set_content(
        "<style>body{margin:0;background:#fbfaf7}pre{margin:0;padding:24px 28px;width:max-content;"
        f'font:15px/1.5 "DejaVu Sans Mono",monospace;color:#16191d}}</style>{inner}'
    )
    picture = page.locator("pre").screenshot()
    page.close()
    return picture


def _keep(png: bytes, name: str) -> None:
    with Image.open(io.BytesIO(png)) as image:
        image.save(FOLDER / f"{name}.webp", quality=82, method=6)


if __name__ == "__main__":
    main()
