"""Pelican plugin: the page in which the door's pages stand, with this site's own head and foot.

The door runs where Pelican is not installed, so the build leaves it a file: build/door/frame.html, one finished page
with a mark for the title and one for what stands between head and foot (door/pages.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jinja2 import TemplateNotFound
from pelican import signals
from pelican.generators import Generator

# For a theme that is not ours: its pages have other parts, and a plain page works with all of them.
_PLAIN = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>@@title@@</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
    "</head><body><main>@@content@@</main></body></html>\n"
)


class FrameWriter(Generator):  # type: ignore[misc]  # pelican has no types
    """Writes the frame beside the packages."""

    def generate_output(self, writer: Any) -> None:
        """Called by Pelican after every piece has been read."""
        if not (path := self.settings.get("DOOR_FRAME")):
            return
        try:
            frame = self.env.get_template("door/frame.html").render(self.context)
        except TemplateNotFound:
            frame = _PLAIN
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        fresh.write_text(frame, encoding="utf-8")
        fresh.replace(target)  # a door that is open reads it whole


def register() -> None:
    """Called by Pelican."""
    signals.get_generators.connect(_generators)


def _generators(_pelican: Any) -> type[Generator]:
    return FrameWriter
