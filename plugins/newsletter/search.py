"""Pelican plugin: the index for the search page, made by Pagefind from the written pages.

Pagefind (pagefind.app, MIT) splits the index into small pieces, of which a reader's browser fetches the few that a
question needs; nobody else is asked. Only what a template marks with `data-pagefind-body` can be found.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pelican import signals

from newsletter.errors import SettingsError

FOLDER = "pagefind"
# What Pagefind writes for sites without a search page of their own.
_NOT_NEEDED = ("*-ui.js", "*-ui.css", "pagefind-highlight.js")


def index(output: Path) -> None:
    """Index the site below `output` into output/pagefind/. Raises SettingsError if Pagefind cannot."""
    command = [sys.executable, "-m", "pagefind", "--site", str(output), "--output-subdir", FOLDER, "--silent"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise SettingsError(
            f"The index for the search page could not be made: {said[-1] if said else 'Pagefind ended early'}. "
            "To build without it: NEWSLETTER_SEARCH = False in pelicanconf.py."
        )
    for pattern in _NOT_NEEDED:
        for path in (output / FOLDER).glob(pattern):
            path.unlink()


def _write(pelican: Any) -> None:
    output = Path(pelican.settings["OUTPUT_PATH"])
    if not pelican.settings.get("NEWSLETTER_SEARCH") or not (output / "search" / "index.html").is_file():
        return
    shutil.rmtree(output / FOLDER, ignore_errors=True)  # what a piece now gone has left in it
    index(output)


def register() -> None:
    """Called by Pelican."""
    signals.finalized.connect(_write)
