"""Becoming a subscriber: the form, the letter that asks whether it was you, the button in it, the welcome."""

from __future__ import annotations

import asyncio
import secrets
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from newsletter import address
from newsletter.door import forms
from newsletter.door.forms import Fields
from newsletter.door.latest import latest
from newsletter.door.porter import Outcome, Porter, masked
from newsletter.errors import AddressError
from newsletter.store import Subscription
from newsletter.store.door import Letter, LetterKind, Used, form_version
from newsletter.tokens import Purpose

LONGEST_ADDRESS = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets


class SignUp:
    """GET and POST of /subscribe and /confirm/{token}."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter
        self._title = f"Get the {porter.facts.name}"

    @cached_property
    def _consent(self) -> str:
        """The words agreed to; they stand in a template, which most first requests do not need."""
        return self._porter.pages.consent()

    async def form(self, request: Request) -> Response:
        """The form by itself."""
        return self._porter.form("subscribe", self._title, {})

    async def subscribe(self, request: Request) -> Response:
        """Ask for the letter. The answer is the same for every address, whatever is known of it."""
        porter, fields = self._porter, await forms.read(request)
        try:
            to = address_of(fields)
        except AddressError as error:
            return porter.form("subscribe", self._title, fields, {"email": str(error)})
        if not forms.trapped(fields):
            letter = Letter(
                id=secrets.token_bytes(16),
                kind=LetterKind.CONFIRM,
                to=to,
                at=porter.clock(),
                ip=porter.ip(request),
                form=form_version(self._consent),
                words={"page": porter.page_of(request)},
            )
            outcome, wanted = await porter.ask(request, letter, fields, self._consent)
            if outcome is not Outcome.KEPT:
                return porter.form("subscribe", self._title, fields, None, outcome, wanted)
        return porter.pages.answer("subscribed", "Check your inbox", address=to.text)

    async def look(self, request: Request) -> Response:
        """What the link of the letter opens. It changes nothing: programs follow links."""
        porter = self._porter
        letter = await porter.letter(request, Purpose.CONFIRM)
        if letter is None:
            return porter.gone("confirm")
        if letter.usable(porter.clock()):
            return porter.pages.answer("confirm", "Confirm", address=masked(letter.to.text))
        # Used up, too old, or made void by another: whoever has it has the mailbox, and may know how things stand.
        public_id = letter.subscriber
        person = await porter.desk.read(lambda store: store.person(public_id))
        if person is None or person.subscription is not Subscription.CONFIRMED:
            return porter.gone("confirm")
        return await self._welcome(letter, already=True)

    async def confirm(self, request: Request) -> Response:
        """The button: consent is given now."""
        porter = self._porter
        await forms.read(request)
        letter = await porter.letter(request, Purpose.CONFIRM)
        if letter is None:
            return porter.gone("confirm")
        letter_id, now, ip = letter.id, porter.clock(), porter.ip(request)
        used = await porter.desk.write(lambda store: store.confirm(letter_id, now, ip))
        if used not in (Used.DONE, Used.ALREADY):
            return porter.gone("confirm")
        return await self._welcome(letter, already=used is Used.ALREADY)

    async def _welcome(self, letter: Letter, already: bool) -> Response:
        porter = self._porter
        newest = await asyncio.to_thread(latest, porter.packages, porter.facts.site_url)
        return porter.pages.answer(
            "welcome",
            "You are on the list",
            address=masked(letter.to.text),
            already=already,
            latest=newest,
        )


def address_of(fields: Fields) -> address.Address:
    """The address in a form's field "email". Raises AddressError with the reason."""
    try:
        text = forms.line(fields, "email", LONGEST_ADDRESS)
    except ValueError as error:
        raise AddressError(str(error)) from None
    if not text:
        raise AddressError("Please type your email address.")
    return address.parse(text)
