"""The built site over HTTP, as a web server would give it out: clean addresses, its own page for 404; and beside it,
at the same address, the door.
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsletter.door.app import is_door
from newsletter.door.guard import POLICY
from newsletter.errors import SettingsError

# What the pages themselves are made for; the published site gets it from its web server.
_POLICY = POLICY.encode()
# The search page alone runs WebAssembly: Pagefind's, in a worker that has the policy of its own file.
_SEARCH = ("/search/", "/pagefind/")
_SEARCH_POLICY = _POLICY.replace(b"script-src 'self'", b"script-src 'self' 'wasm-unsafe-eval'")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
)


def site(output: Path) -> ASGIApp:
    """The site below `output`. Raises SettingsError if nothing has been built there."""
    if not (output / "index.html").is_file():
        raise SettingsError(f"{output}/: there is no site yet. Build it: make html")

    def own_page(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 404:
            return HTMLResponse((output / "404.html").read_bytes(), 404)
        return HTMLResponse(_plain(status), status)

    return Starlette(
        routes=[Mount("/", StaticFiles(directory=output, html=True))],
        exception_handlers={404: own_page, 405: own_page},
        middleware=[Middleware(_SafeHeaders)],
    )


class Porch:
    """The site and its door at one address. Until a `door` is there, its pages are not answered."""

    def __init__(self, site: ASGIApp, root: str = "") -> None:
        self._site, self._root = site, root
        self.door: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the one answer whose page it is."""
        at_door = self.door if scope["type"] == "http" and is_door(scope["path"], self._root) else None
        await (at_door or self._site)(scope, receive, send)


def _plain(status: int) -> str:
    # A form of the site, posted to where only files are.
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Not answered here</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/theme/css/site.css"></head>'
        '<body><main class="grid opening"><h1>This form is not answered here</h1>'
        f'<p class="standfirst">Only the pages are served at this address ({status}). Nothing of what you typed was '
        'kept. Write to the address at the foot of every page instead. <a href="/">Back to the front page</a></p>'
        "</main></body></html>"
    )


class _SafeHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = _SEARCH_POLICY if scope["path"].startswith(_SEARCH) else _POLICY
                message["headers"] = [*message["headers"], (b"content-security-policy", policy), *_HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers)
