"""Pelican plugin: the house style's files as the one style sheet that a page asks for.

theme/css/site.css names the others, each by an @import of its own line, as any browser reads it (CSS Cascading and
Inheritance 5, section 2). A browser would have to ask for each of them; here they are put in its place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pelican import signals
from pelican.generators import Generator

from newsletter.errors import ContentError, Finding

_IMPORT = re.compile(r'^@import "(?P<name>[\w.-]+)";\n', re.MULTILINE)


def joined(source: Path) -> str:
    """The style sheet with those it imports in their places. Raises ContentError if one of them is not there."""

    def place(match: re.Match[str]) -> str:
        try:
            return (source.parent / match["name"]).read_text(encoding="utf-8")
        except FileNotFoundError:
            line = text.count("\n", 0, match.start()) + 1
            raise ContentError(
                [Finding(str(source), line, "", f"there is no {match['name']} beside it.")]
            ) from None

    text = source.read_text(encoding="utf-8")
    return _IMPORT.sub(place, text)


class StylesheetWriter(Generator):  # type: ignore[misc]  # pelican has no types
    """Writes it among the theme's other files."""

    def generate_output(self, writer: Any) -> None:
        """Called by Pelican after every piece has been read."""
        source = Path(self.theme, "css", "site.css")
        if source.is_file():  # another theme has its own ways
            target = Path(self.output_path, self.settings["THEME_STATIC_DIR"], "css", "site.css")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(joined(source), encoding="utf-8")


def register() -> None:
    """Called by Pelican."""
    signals.get_generators.connect(_generators)


def _generators(_pelican: Any) -> type[Generator]:
    return StylesheetWriter
