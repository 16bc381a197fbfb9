"""The door's pages: templates of the theme, set into the frame that the build leaves in build/door/frame.html.

A function that starts cold waits for what its first request needs and for no more. So Jinja comes with the first page,
which a mail program's unsubscribing never asks for, and each template with the first page made of it.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse

from newsletter.errors import SettingsError
from newsletter.publication import Publication

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path("theme/templates")
FRAME = Path("build/door/frame.html")
_TITLE, _CONTENT = "@@title@@", "@@content@@"


class Pages:
    """Makes the answers. `root` is the path below which the site lies ("" or "/briefing")."""

    def __init__(
        self, facts: Publication, root: str = "", templates: Path = TEMPLATES, frame: Path = FRAME
    ) -> None:
        """Raises SettingsError if no frame has been built, or it has not its two marks."""
        self._facts, self._root, self._folder, self._path = facts, root, templates, frame
        self._stamp, self._parts = -1, ("", "", "")
        self._frame()

    def read(self) -> None:
        """Read every template now, for a door that stays open. Raises SettingsError if one is not sound."""
        from jinja2 import TemplateSyntaxError

        try:
            for path in sorted((self._folder / "door").glob("*.html")):
                if path.name != "frame.html":  # Pelican's
                    self._environment.get_template(f"door/{path.name}")
        except TemplateSyntaxError as error:
            raise SettingsError(f"{error.filename}:{error.lineno}: {error.message}") from None

    @cached_property
    def _environment(self) -> Environment:
        """It keeps each template that it has read."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(self._folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals.update(PUBLICATION=self._facts, SITE_ROOT=self._root)
        return environment

    def answer(
        self,
        name: str,
        title: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """The page `door/{name}.html` with these values, in the frame."""
        content = self._environment.get_template(f"door/{name}.html").render(values, title=title)
        before, between, after = self._frame()
        page = "".join((before, html.escape(title), between, content, after))
        return HTMLResponse(page, status, dict(headers) if headers else None)

    def consent(self) -> str:
        """The words to which whoever signs up agrees, as they stand beside the form."""
        words: Any = self._environment.get_template("door/consent.html").module
        return f"{html.unescape(words.offer)}\n{html.unescape(words.promise)}"

    def _frame(self) -> tuple[str, str, str]:
        """What stands before the title, between it and the content, and after; read anew when it was built anew."""
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                before, _, rest = self._path.read_text(encoding="utf-8").partition(_TITLE)
                between, mark, after = rest.partition(_CONTENT)
                if not mark:
                    raise SettingsError(
                        f"{self._path}: has not the marks {_TITLE} and {_CONTENT}. Build it: make html"
                    )
                self._stamp, self._parts = stamp, (before, between, after)
        except OSError:
            if self._stamp < 0:
                raise SettingsError(f"{self._path}: there is no site yet. Build it: make html") from None
        return self._parts
