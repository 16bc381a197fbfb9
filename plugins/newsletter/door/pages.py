"""The door's pages: templates of the theme, set into the frame that the build leaves in build/door/frame.html."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError
from starlette.responses import HTMLResponse

from newsletter.errors import SettingsError
from newsletter.publication import Publication

TEMPLATES = Path("theme/templates")
FRAME = Path("build/door/frame.html")
_TITLE, _CONTENT = "@@title@@", "@@content@@"


class Pages:
    """Makes the answers. `root` is the path below which the site lies ("" or "/briefing")."""

    def __init__(
        self, facts: Publication, root: str = "", templates: Path = TEMPLATES, frame: Path = FRAME
    ) -> None:
        """Raises SettingsError if no frame has been built, it has not its two marks, or a template is not sound."""
        self._path = frame
        self._stamp, self._parts = -1, ("", "", "")
        environment = Environment(
            loader=FileSystemLoader(templates),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals.update(PUBLICATION=facts, SITE_ROOT=root)
        try:
            self._templates = {
                path.stem: environment.get_template(f"door/{path.name}")
                for path in sorted((templates / "door").glob("*.html"))
                if path.name != "frame.html"  # Pelican's
            }
        except TemplateSyntaxError as error:
            raise SettingsError(f"{error.filename}:{error.lineno}: {error.message}") from None
        self._frame()

    def answer(
        self,
        name: str,
        title: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """The page `door/{name}.html` with these values, in the frame."""
        content = self._templates[name].render(values, title=title)
        before, between, after = self._frame()
        page = "".join((before, html.escape(title), between, content, after))
        return HTMLResponse(page, status, dict(headers) if headers else None)

    def consent(self) -> str:
        """The words to which whoever signs up agrees, as they stand beside the form."""
        words: Any = self._templates["consent"].module
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
