"""The mailbox in a browser: a list, and each mail as a phone and a desktop show it, as text and as source.

Mail is hostile: it is escaped in our pages (Jinja's autoescape) and its HTML is shown only in a frame that
may run nothing, send no form and load no image from the network unless asked to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from newsletter.local_ses.hosts import LOOPBACK, OnlyHosts
from newsletter.local_ses.letters import LetterBox, Summary

PAGE = 50
_SUBJECTS = 12  # as many groups as are offered above the list
_SHOWN_SOURCE = 512 * 1024
_HERE = Path(__file__).parent
VIEWS = {
    "both": "Both widths",
    "phone": "Phone",
    "desktop": "Desktop",
    "text": "Text",
    "headers": "Headers",
    "source": "Source",
}
_COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
# No scripts, no forms, an origin of its own. Popups, so that a link of the mail can be tried.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_HEAD = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class MailboxPages:
    """The request handlers over one folder."""

    def __init__(self, folder: Path) -> None:
        self._box = LetterBox(folder)
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
        )

    async def index(self, request: Request) -> Response:
        """The list, newest first, by subject or search, in pages."""
        listing = await run_in_threadpool(self._box.listing)
        subject, query = request.query_params.get("subject", ""), request.query_params.get("q", "").strip()
        mails = [
            mail
            for mail in listing.mails
            if (not subject or mail.subject == subject) and (not query or _found(mail, query))
        ]
        pages = max(1, -(-len(mails) // PAGE))
        page = min(max(_number(request.query_params.get("page", "1")), 1), pages)
        groups = Counter(mail.subject for mail in listing.mails).most_common(_SUBJECTS)

        def link(number: int) -> str:
            chosen = {"subject": subject, "q": query, "page": str(number) if number > 1 else ""}
            return "./?" + urlencode({key: value for key, value in chosen.items() if value})

        return self._page(
            "mailbox.html",
            mails=mails[(page - 1) * PAGE : page * PAGE],
            count=len(mails),
            total=len(listing.mails) + listing.unread,
            unread=listing.unread,
            groups=[(name, count, "./?" + urlencode({"subject": name})) for name, count in groups],
            subject=subject,
            query=query,
            page=page,
            pages=pages,
            newer=link(page - 1) if page > 1 else "",
            older=link(page + 1) if page < pages else "",
            quote=quote,
        )

    async def letter(self, request: Request) -> Response:
        """One mail in the chosen view."""
        letter = await run_in_threadpool(self._box.letter, request.path_params["name"])
        if letter is None:
            return self._page("missing.html", 404)
        view = request.query_params.get("view", "both" if letter.html is not None else "text")
        images = request.query_params.get("images") == "1"
        return self._page(
            "letter.html",
            letter=letter,
            view=view if view in VIEWS else "both",
            views=VIEWS,
            images=images,
            frame="html?images=1" if images else "html",
            sandbox=SANDBOX,
            source=_CONTROL.sub(
                "\N{REPLACEMENT CHARACTER}", letter.raw[:_SHOWN_SOURCE].decode("utf-8", "replace")
            ),
            cut=len(letter.raw) > _SHOWN_SOURCE,
            size=f"{len(letter.raw) / 1024:.0f} KB",
        )

    async def html(self, request: Request) -> Response:
        """The HTML of a mail, for the frame only."""
        letter = await run_in_threadpool(self._box.letter, request.path_params["name"])
        if letter is None or letter.html is None:
            return PlainTextResponse("No HTML part.\n", 404, _COMMON)
        remote = " https: http:" if request.query_params.get("images") == "1" else ""
        policy = (
            f"default-src 'none'; img-src data:{remote}; style-src 'unsafe-inline'; font-src data:; "
            f"form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox {SANDBOX}"
        )
        # Links open beside the mailbox; the frame itself cannot go anywhere useful.
        target = '<base target="_blank">'
        html, count = _HEAD.subn(lambda found: found.group() + target, letter.html, count=1)
        return HTMLResponse(
            html if count else target + html, headers={**_COMMON, "Content-Security-Policy": policy}
        )

    async def raw(self, request: Request) -> Response:
        """The mail as a file."""
        name = request.path_params["name"]
        raw = await run_in_threadpool(self._box.raw, name)
        if raw is None:
            return PlainTextResponse("No such mail.\n", 404, _COMMON)
        headers = {
            **_COMMON,
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return Response(raw, headers=headers, media_type="message/rfc822")

    async def stylesheet(self, request: Request) -> Response:
        """The one stylesheet."""
        text = await run_in_threadpool((_HERE / "templates" / "mailbox.css").read_text, "utf-8")
        return Response(text, media_type="text/css", headers=_COMMON)

    def _page(self, name: str, status: int = 200, **context: Any) -> HTMLResponse:
        html = self._templates.get_template(name).render(context)
        return HTMLResponse(
            html.encode("utf-8", "replace"), status, {**_COMMON, "Content-Security-Policy": _PAGE_POLICY}
        )


def _found(mail: Summary, query: str) -> bool:
    wanted = query.casefold()
    return wanted in mail.to.casefold() or wanted in mail.subject.casefold()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def mailbox_app(folder: Path, hosts: Collection[str] = LOOPBACK) -> Starlette:
    """Return the mailbox as a sub-application; its links are relative, so mount it anywhere with a slash.

    `hosts` are the Host names it answers to; others get 403 (hosts.py).
    """
    pages = MailboxPages(folder)
    return Starlette(
        routes=[
            Route("/", pages.index),
            Route("/mailbox.css", pages.stylesheet),
            Route("/{name}/", pages.letter),
            Route("/{name}/html", pages.html),
            Route("/{name}/raw", pages.raw),
        ],
        middleware=[Middleware(OnlyHosts, hosts=hosts)],
    )
