"""The preview over HTTP: pages, files, the state of the page that is being looked at, and word that it has changed."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from jinja2 import TemplateError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from newsletter import search
from newsletter.door.guard import POLICY
from newsletter.errors import NewsletterError
from newsletter.local_ses.hosts import OnlyHosts
from newsletter.preview.desk import Desk
from newsletter.preview.panel import HERE, PATH, Panel, mark
from newsletter.preview.proofs import Proofs
from newsletter.preview.reading import findings_of
from newsletter.proof_page import page as proof_page

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # Another page in the editor's browser could otherwise show a draft's picture, or learn that there is one.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
# The search page alone runs WebAssembly (front.py).
_SEARCH_POLICY = POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
_PROOF = re.compile(r"/proof/([^/]+)/")
_STILL_THERE = 15.0  # seconds between signs of life on a connection that has nothing to tell


class Preview:
    """The handlers over one desk."""

    def __init__(self, desk: Desk, proofs: Proofs, site_url: str) -> None:
        """`site_url` is the site's address in the world; below its path the pages lie here too."""
        self._desk, self._proofs, self._site_url = desk, proofs, site_url
        self._root = urlsplit(site_url).path.rstrip("/")
        self._panel = Panel(self._root)
        self._listeners: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def app(self) -> Starlette:
        """The application; it answers to the names of this machine alone."""
        return Starlette(
            routes=[
                Route(f"{PATH}events", self.events),
                Route(f"{PATH}state", self.state),
                Route(f"{PATH}{{name}}", self.own),
                Route("/proof/", self.proofs),
                Route("/proof/{mailing}/", self.proof),
                Route("/proof/{mailing}/links", self.ask, methods=["POST"]),
                Route("/{path:path}", self.page, methods=["GET", "POST"]),
            ],
            middleware=[Middleware(OnlyHosts)],
        )

    def changed(self) -> None:
        """Tell every open page, from whatever thread."""
        if self._loop and not self._loop.is_closed():
            with suppress(RuntimeError):  # it was closed between the two
                self._loop.call_soon_threadsafe(self._wake)

    def end(self) -> None:
        """Let go of every open page: the server waits for them otherwise."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.set()

    async def events(self, request: Request) -> Response:
        """ "changed" after each new state, as server-sent events (HTML standard, section 9.2)."""
        self._loop = asyncio.get_running_loop()
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_HEADERS)

    async def _stream(self) -> AsyncIterator[str]:
        listener = asyncio.Event()
        self._listeners.add(listener)
        try:
            # At once, for what has changed while nobody listened.
            yield "retry: 500\nevent: changed\ndata: \n\n"
            while not self._ended:
                try:
                    await asyncio.wait_for(listener.wait(), _STILL_THERE)
                except TimeoutError:
                    yield ": still there\n\n"
                    continue
                listener.clear()
                if not self._ended:
                    yield "event: changed\ndata: \n\n"
        finally:
            self._listeners.discard(listener)

    async def state(self, request: Request) -> Response:
        """Whether the page at `path`, which a browser has as `page`, is another one now, and the panel as it is now."""
        path, known = request.query_params.get("path", "/"), request.query_params.get("page", "")
        return await run_in_threadpool(self._state, path, known)

    def _state(self, path: str, known: str) -> Response:
        if proof := _PROOF.fullmatch(path):
            return self._fresh(self._proof(proof[1])[0], known, "", "")
        place = self._place(path)
        try:
            page = self._desk.page(place) if place is not None else None
        except (TemplateError, NewsletterError, OSError):
            page = ""  # its place is taken by what is wrong with it
        go = ""
        if page is None and place is not None and (moved := self._desk.moved(place)):
            go = f"{self._root}/{moved.removesuffix('index.html')}"
        return self._fresh(page, known, go, self._desk.source(place or ""))

    def _fresh(self, page: str | None, known: str, go: str, source: str) -> Response:
        state = self._desk.state
        panel = self._panel.panel(state, source)
        fresh = {"go": go, "reload": page is not None and mark(page, state) != known, "panel": panel}
        return JSONResponse(fresh, headers=_HEADERS)

    async def proofs(self, request: Request) -> Response:
        """All that can be proofed."""
        page = await run_in_threadpool(self._panel.proofs, self._desk.state)
        return HTMLResponse(page, headers=_HEADERS)

    async def proof(self, request: Request) -> Response:
        """The proof of one mailing."""
        page, status = await run_in_threadpool(self._proof, request.path_params["mailing"])
        dressed = self._panel.dress(page, self._desk.state)
        return HTMLResponse(dressed, status, {**_HEADERS, "Content-Security-Policy": proof_page.POLICY})

    def _proof(self, mailing: str) -> tuple[str, int]:
        try:
            proof = self._proofs.proof(mailing)
        except Exception as error:  # whatever it is, the preview goes on and says it
            words = "\n".join(str(finding) for finding in findings_of(error))
            return self._panel.plain("There is no mail to proof yet", words), 200
        if proof is None:
            words = f"Nothing is called so: write content/briefings/{mailing}.md, or see which there are."
            return self._panel.plain("There is no such briefing", words), 404
        return proof_page.html(proof, self._site_url, button=True), 200

    async def ask(self, request: Request) -> Response:
        """The editor wants to know whether other houses' pages are there."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return self._alone(
                "This was not asked here", "A page of another address has sent this form.", 403
            )
        mailing = request.path_params["mailing"]
        await run_in_threadpool(self._ask, mailing)
        return RedirectResponse(f"/proof/{mailing}/#links", 303)

    def _ask(self, mailing: str) -> None:
        with suppress(NewsletterError):  # the page that follows says it
            if proof := self._proofs.proof(mailing):
                self._proofs.ask(proof)

    async def own(self, request: Request) -> Response:
        """The preview's own script and style sheet, and its list of what is held back."""
        name = request.path_params["name"]
        if name == "held":
            page = await run_in_threadpool(self._panel.held, self._desk.state)
            return HTMLResponse(page, headers=_HEADERS)
        if name not in ("preview.js", "preview.css"):
            return PlainTextResponse("There is no such file.\n", 404, _HEADERS)
        return FileResponse(HERE / "static" / name, headers=_HEADERS)

    async def page(self, request: Request) -> Response:
        """A page or a file of the site."""
        if request.method == "POST":
            words = "Forms are not answered in the preview. To try them: make serve."
            return self._alone("This form is not answered here", words, 405)
        return await run_in_threadpool(self._page, request.url.path)

    def _page(self, path: str) -> Response:
        place = self._place(path)
        if place is None and self._root and path in ("/", self._root):
            return RedirectResponse(f"{self._root}/")
        if place is None:
            return self._alone("There is no such page", "It would lie outside of the site.", 404)
        try:
            page = self._desk.page(place)
            if page is None and (file := self._desk.file(place)):
                return _file_response(file, place)
            if page is None and (moved := self._desk.moved(place)):
                return RedirectResponse(f"{self._root}/{moved.removesuffix('index.html')}")
            if page is None and not path.endswith("/") and self._desk.page(f"{place}/index.html"):
                return RedirectResponse(f"{path}/")
            known = page if page is not None else self._desk.page("404.html")
        except (TemplateError, NewsletterError, OSError) as error:
            finding = findings_of(error)[0]
            return self._alone("This page cannot be made", str(finding), 500)
        if known is None:
            words = "Nothing could be read yet. What is in the way stands above; this page comes by itself when it is mended."
            return self._alone("There is no page yet", words, 200 if self._desk.state.refused else 404)
        policy = _SEARCH_POLICY if place.startswith("search/") else POLICY
        return HTMLResponse(
            self._panel.dress(known, self._desk.state, self._desk.source(place)),
            200 if page is not None else 404,
            {**_HEADERS, "Content-Security-Policy": policy},
        )

    def _alone(self, title: str, words: str, status: int) -> Response:
        return HTMLResponse(self._panel.alone(self._desk.state, title, words), status, _HEADERS)

    def _place(self, path: str) -> str | None:
        """The place below the output folder that a request means; None for one outside of the site."""
        path = unquote(path)
        place = path.removeprefix(f"{self._root}/")
        if place == path or place.startswith("/") or ".." in place.split("/") or "\0" in place:
            return None
        return f"{place}index.html" if place.endswith("/") or not place else place


def _file_response(file: object, place: str) -> Response:
    kind = mimetypes.guess_type(place)[0] or "application/octet-stream"
    headers = dict(_HEADERS)
    if place.startswith(f"{search.FOLDER}/"):
        headers["Content-Security-Policy"] = _SEARCH_POLICY
    return FileResponse(str(file), media_type=kind, headers=headers)
