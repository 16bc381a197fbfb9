"""The door as one ASGI application: which page is where, and what is answered when something is wrong."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from newsletter.door.contact import Contact
from newsletter.door.forms import Unreadable
from newsletter.door.guard import Guard
from newsletter.door.leaving import Leaving
from newsletter.door.my_page import Change, Knock, MyPage
from newsletter.door.porter import Porter
from newsletter.door.sign_up import SignUp
from newsletter.errors import StoreError

Handler = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger("newsletter.door")


def create_app(porter: Porter) -> ASGIApp:
    """The whole door, below the site's root."""
    sign_up, leaving, contact = SignUp(porter), Leaving(porter), Contact(porter)
    knock, my_page, change = Knock(porter), MyPage(porter), Change(porter)
    root = porter.place.root
    pages = {
        "/subscribe": Page(porter, sign_up.form, sign_up.subscribe),
        "/confirm/{token}": Page(porter, sign_up.look, sign_up.confirm),
        "/u/{token}": Page(porter, leaving.look, leaving.leave),
        "/me": Page(porter, knock.form, knock.ask),
        "/me/{token}": Page(porter, my_page.look, my_page.act),
        "/me/{token}/data.json": Page(porter, my_page.data),
        "/change/{token}": Page(porter, change.look, change.change),
        "/contact": Page(porter, contact.form, contact.send),
        "/health": Page(porter, Health(porter).look),
    }
    return Guard(
        Router(
            [Route(root + path, page) for path, page in pages.items()],
            redirect_slashes=False,
            default=Page(porter),
        ),
        porter.place,
        refused=PlainTextResponse("This address is not served under that name.\n", 400),
        foreign=Page(porter, None, _Foreign(porter).answer),
        one_click=(f"{root}/u/",),
        open_pages=(f"{root}/subscribe", f"{root}/me", f"{root}/contact"),
        free=(f"{root}/health",),
    )


def is_door(path: str, root: str = "") -> bool:
    """Whether the door answers at that path, and not the site."""
    first = path.removeprefix(root).split("/")[1:2]
    return path.startswith(f"{root}/") and first[0] in (
        "subscribe",
        "confirm",
        "u",
        "me",
        "change",
        "contact",
        "health",
    )


class Page:
    """One address: what GET shows and what POST does there; without either, there is no such page."""

    def __init__(self, porter: Porter, get: Handler | None = None, post: Handler | None = None) -> None:
        self._porter = porter
        self._handlers = {name: handler for name, handler in (("GET", get), ("POST", post)) if handler}
        names = [*(["GET", "HEAD"] if get else []), *(["POST"] if post else []), "OPTIONS"]
        self._allow = {"Allow": ", ".join(names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if not self._handlers:
            return self._sorry(404, "There is no page at this address", "The address may be mistyped.")
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=self._allow)
        handler = self._handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            return self._sorry(
                405, "This page cannot do that", "It is to be opened, or its form sent.", self._allow
            )
        try:
            return await handler(request)
        except Unreadable as error:
            return self._sorry(error.status, "The form could not be read", error.sentence)
        except StoreError as error:
            _log.error("The store: %s", error)
            return self._sorry(
                503, "Please try again in a minute", "Nothing was changed just now.", {"Retry-After": "60"}
            )
        except ClientDisconnect:
            raise
        except Exception as error:
            # Its words may have an address in them; where it happened has not.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("%s in %s:%s", type(error).__name__, frame.filename, frame.lineno)
            return self._sorry(
                500, "Something went wrong here", "It is our mistake, and nothing was changed."
            )

    def _sorry(self, status: int, title: str, lead: str, headers: dict[str, str] | None = None) -> Response:
        advice = f"If it stays so, write to {self._porter.facts.contact}: a person reads it."
        return self._porter.pages.answer("sorry", title, status, headers, lead=lead, advice=advice)


class _Foreign:
    def __init__(self, porter: Porter) -> None:
        self._porter = porter

    async def answer(self, request: Request) -> Response:
        """What a form gets that does not say it comes from a page of ours."""
        return self._porter.pages.answer(
            "sorry",
            "This form did not come from our page",
            403,
            lead="Your browser does not say that it did, so nothing was done.",
            advice="Open the form on our own site and send it from there. "
            f"If it stays so, write to {self._porter.facts.contact}: a person reads it.",
        )


class Health:
    """GET of /health, for whoever watches the door."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter

    async def look(self, request: Request) -> Response:
        """200 if the store can be read, 503 if not."""
        try:
            await self._porter.desk.read(lambda store: store.letter(bytes(16)))
        except StoreError:
            return PlainTextResponse("the store cannot be read\n", 503)
        return PlainTextResponse("ok\n")
