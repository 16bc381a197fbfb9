"""A subscriber's own page, opened by a link that is mailed on demand: there is no password to lose."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from newsletter.door import forms
from newsletter.door.forms import Fields
from newsletter.door.leaving import pause_of
from newsletter.door.porter import Outcome, Porter, lifetime, masked
from newsletter.door.sign_up import address_of
from newsletter.erasure import erase
from newsletter.errors import AddressError
from newsletter.store import Subscription
from newsletter.store.door import Letter, LetterKind, LetterState, Person, Used
from newsletter.tokens import Purpose

_TITLE = "Your own page"


class Knock:
    """GET and POST of /me: asking for the link."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter

    async def form(self, request: Request) -> Response:
        """The form by itself."""
        return self._porter.form("knock", _TITLE, {})

    async def ask(self, request: Request) -> Response:
        """Ask for the letter with the link. The answer is the same whoever is on the list."""
        porter, fields = self._porter, await forms.read(request)
        try:
            to = address_of(fields)
        except AddressError as error:
            return porter.form("knock", _TITLE, fields, {"email": str(error)})
        if not forms.trapped(fields):
            letter = Letter(
                id=secrets.token_bytes(16),
                kind=LetterKind.MY_PAGE,
                to=to,
                at=porter.clock(),
                ip=porter.ip(request),
            )
            outcome, wanted = await porter.ask(request, letter, fields)
            if outcome is not Outcome.KEPT:
                return porter.form("knock", _TITLE, fields, None, outcome, wanted)
        return porter.pages.answer(
            "knocked", "Check your inbox", address=to.text, lifetime=lifetime(LetterKind.MY_PAGE)
        )


class MyPage:
    """GET and POST of /me/{token}, and the data. The token is a letter's; it works for a day, as often as wanted."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter

    async def look(self, request: Request) -> Response:
        """The page."""
        person = await self._who(request)
        return await self._page(request, person) if person else self._gone()

    async def data(self, request: Request) -> Response:
        """All that is kept of the subscriber, as JSON to keep."""
        if (person := await self._who(request)) is None:
            return self._gone()
        public_id = person.public_id
        kept = await self._porter.desk.read(lambda store: store.data_of(public_id))
        return Response(
            json.dumps(kept, ensure_ascii=False, indent=2, sort_keys=True) + "\n",
            media_type="application/json",
            headers={"Content-Disposition": 'attachment; filename="my-data.json"'},
        )

    async def act(self, request: Request) -> Response:
        """One of the page's buttons."""
        if (person := await self._who(request)) is None:
            return self._gone()
        porter, fields = self._porter, await forms.read(request)
        public_id, now, desk = person.public_id, porter.clock(), porter.desk
        match fields.get("action"):
            case "change":
                return await self._change(request, person, fields)
            case "pause" if until := pause_of(fields, porter):
                await desk.write(lambda store: store.pause(public_id, until, now))
                notice = f"No briefing comes before {porter.day(until)}."
            case "resume":
                await desk.write(lambda store: store.pause(public_id, None, now))
                notice = "The next briefing comes to you."
            case "unsubscribe":
                await desk.write(lambda store: store.unsubscribe(public_id, now, "my page"))
                notice = "You are unsubscribed. A briefing that is just being handed over for delivery can still arrive."
            case "erase":
                return porter.pages.answer("erase", "Erase everything?", here=self._here(request))
            case "erase-now":
                keys, aside = porter.keys, porter.aside
                await desk.write(lambda store: erase(store, public_id, keys, aside, now), alone=True)
                return porter.pages.answer("erased", "You are erased")
            case _:
                notice = "Nothing has changed."
        changed = await self._who(request)
        return await self._page(request, changed, notice) if changed else self._gone()

    async def _who(self, request: Request) -> Person | None:
        letter = await self._porter.letter(request, Purpose.MY_PAGE)
        if letter is None or not letter.usable(self._porter.clock()):
            return None
        public_id = letter.subscriber
        return await self._porter.desk.read(lambda store: store.person(public_id))

    async def _change(self, request: Request, person: Person, fields: Fields) -> Response:
        porter = self._porter
        try:
            to = address_of(fields)
            if to.text == person.address:
                raise AddressError("This is the address the briefing comes to already.")
        except AddressError as error:
            return await self._page(request, person, form=fields, errors={"email": str(error)})
        letter = Letter(
            id=secrets.token_bytes(16),
            kind=LetterKind.CHANGE,
            to=to,
            at=porter.clock(),
            ip=porter.ip(request),
            subscriber=person.public_id,
        )
        if not await porter.keep(letter):
            return await self._page(
                request,
                person,
                form=fields,
                errors={"email": "Too many changes were asked for. Try again tomorrow."},
            )
        return await self._page(
            request,
            person,
            f"We are writing to {to.text}. Open that email and follow its link: only then does the address change.",
        )

    async def _page(
        self,
        request: Request,
        person: Person,
        notice: str = "",
        form: Fields | None = None,
        errors: Mapping[str, str] | None = None,
    ) -> Response:
        porter, public_id = self._porter, person.public_id
        kept = await porter.desk.read(lambda store: store.data_of(public_id))
        confirmed = person.subscription is Subscription.CONFIRMED
        paused = confirmed and person.paused_until and _moment(person.paused_until) > porter.clock()
        if paused:
            standing = f"Paused until {porter.day(_moment(person.paused_until))}"
        else:
            standing = {
                Subscription.CONFIRMED: "It comes once a month",
                Subscription.PENDING: "Not confirmed",
                Subscription.UNSUBSCRIBED: "Unsubscribed",
            }[person.subscription]
        return porter.pages.answer(
            "me",
            f"Please look again: {_TITLE}" if errors else _TITLE,
            422 if errors else 200,
            person=person,
            standing=standing,
            facts=self._facts(person, kept),
            confirmed=confirmed,
            paused=paused,
            notice=notice,
            form=form or {},
            errors=errors or {},
            here=self._here(request),
        )

    def _facts(self, person: Person, kept: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What is known, in the order in which it came about, the proof of consent with it: names and words."""
        consents = kept.get("consent") or []
        given: Mapping[str, str] = max(consents, key=lambda each: str(each["confirmed_at"]), default={})
        texts = {each["version"]: each["text"] for each in kept.get("form") or []}
        asked = self._when(person.subscribed_at, given.get("asked_ip", ""))
        if given.get("page"):
            asked += f", on the page {given['page']}"
        found = (
            ("Name", person.name),
            ("Added from", "" if given else person.source),
            ("Asked for", asked),
            ("Confirmed", self._when(person.confirmed_at, given.get("confirmed_ip", ""))),
            ("Agreed to", " ".join(texts.get(given.get("form", ""), "").split())),
        )
        return [(name, words) for name, words in found if words]

    def _when(self, moment: str, ip: str) -> str:
        if not moment:
            return ""
        at = _moment(moment)
        words = f"{self._porter.day(at)}, {at.astimezone(self._porter.facts.zone):%H:%M}"
        return f"{words}, from {ip}" if ip else words

    def _here(self, request: Request) -> str:
        return f"{self._porter.place.root}/me/{request.path_params['token']}"

    def _gone(self) -> Response:
        return self._porter.gone("me", LetterKind.MY_PAGE)


class Change:
    """GET and POST of /change/{token}: the new address says yes."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter

    async def look(self, request: Request) -> Response:
        """What the link opens. It changes nothing: programs follow links."""
        letter = await self._porter.letter(request, Purpose.CHANGE)
        if letter is None or not (
            letter.usable(self._porter.clock()) or letter.state is LetterState.ANSWERED
        ):
            return self._gone()
        return self._porter.pages.answer("change", "Use this address?", address=masked(letter.to.text))

    async def change(self, request: Request) -> Response:
        """The button."""
        porter = self._porter
        await forms.read(request)
        letter = await porter.letter(request, Purpose.CHANGE)
        if letter is None:
            return self._gone()
        letter_id, now = letter.id, porter.clock()
        used = await porter.desk.write(lambda store: store.change_address(letter_id, now))
        if used is Used.TAKEN:
            return porter.pages.answer(
                "sorry",
                "Another subscriber",
                409,
                lead="This address is on the list already, as a subscriber of its own.",
                advice="To have the briefing come there alone, unsubscribe the old address.",
            )
        if used is Used.GONE:
            return self._gone()
        return porter.pages.answer(
            "changed", "Your address is changed", address=masked(letter.to.text), already=used is Used.ALREADY
        )

    def _gone(self) -> Response:
        return self._porter.gone("change", LetterKind.CHANGE)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
