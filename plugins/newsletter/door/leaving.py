"""Leaving: the mail program's own button (RFC 8058), and the page that a briefing's link opens."""

from __future__ import annotations

from datetime import datetime

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from newsletter.door import forms
from newsletter.door.forms import Fields
from newsletter.door.porter import Porter, masked
from newsletter.store import Subscription
from newsletter.tokens import Purpose

PAUSES = ("1", "2", "3", "6", "12")  # months


class Leaving:
    """GET and POST of /u/{token}. The token is in every mail and never expires; it grants leaving, and a break."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter

    async def look(self, request: Request) -> Response:
        """What the link opens. It changes nothing: programs follow links."""
        return await self._page(request)

    async def leave(self, request: Request) -> Response:
        """The button. A mail program's POST says List-Unsubscribe=One-Click; the page's own says what it wants.

        200 for whoever is or is not on the list: a mail program could do nothing with another answer.
        """
        porter = self._porter
        if (public_id := porter.subject(request, Purpose.UNSUBSCRIBE)) is None:
            return porter.gone("leave")
        fields = await forms.read(request)
        now, one_click = porter.clock(), fields.get("List-Unsubscribe") == "One-Click"
        if one_click or fields.get("action") == "unsubscribe":
            how = "one-click" if one_click else "page"
            await porter.desk.write(lambda store: store.unsubscribe(public_id, now, how))
            if one_click:
                return PlainTextResponse("You are unsubscribed.\n")
            return porter.pages.answer("left", "You are unsubscribed")
        if fields.get("action") == "pause" and (until := pause_of(fields, porter)):
            if await porter.desk.write(lambda store: store.pause(public_id, until, now)):
                return porter.pages.answer("paused", "Paused", until=porter.day(until))
            return await self._page(request)
        return await self._page(request, unclear=True)

    async def _page(self, request: Request, unclear: bool = False) -> Response:
        porter = self._porter
        if (public_id := porter.subject(request, Purpose.UNSUBSCRIBE)) is None:
            return porter.gone("leave")
        person = await porter.desk.read(lambda store: store.person(public_id))
        return porter.pages.answer(
            "leave",
            "Unsubscribe",
            422 if unclear else 200,
            address=masked(person.address) if person else "",
            may_pause=person is not None and person.subscription is Subscription.CONFIRMED,
            unclear=unclear,
        )


def pause_of(fields: Fields, porter: Porter) -> datetime | None:
    """Until when the field "months" asks for a break; None if it does not say."""
    months = fields.get("months", "")
    return porter.months_on(int(months)) if months in PAUSES else None
