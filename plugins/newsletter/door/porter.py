"""What every page of the door is made with, and the one way in which a letter is asked for."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse

from newsletter.door import stamps
from newsletter.door.desk import Desk
from newsletter.door.guard import Place
from newsletter.door.pages import Pages
from newsletter.door.stamps import Shown
from newsletter.errors import StoreError
from newsletter.limits import counted_as, everybody, limits
from newsletter.publication import Publication
from newsletter.store import Store
from newsletter.store.door import LIFETIMES, Letter, LetterKind
from newsletter.tokens import Purpose, verify

_HOUR = 3600


# A path that is nothing but visible ASCII: it is kept, shown and exported.
_PATH = re.compile(r"/[!-~]{0,199}")


class Outcome(StrEnum):
    """What became of a request for a letter; the words are those of the templates."""

    KEPT = ""
    STEP = "step"  # show more, by the same form
    FULL = "full"  # no more can be taken for a while
    FAILED = "failed"  # the store


_STATUS = {Outcome.STEP: 409, Outcome.FULL: 429, Outcome.FAILED: 503}
_RETRY = {Outcome.FULL: {"Retry-After": str(_HOUR)}, Outcome.FAILED: {"Retry-After": "60"}}


@dataclass(frozen=True, slots=True)
class Porter:
    """What the handlers share. `keys` are the secret keys, newest first; `packages` is the folder of the briefings'
    packages, `aside` are those whose files may name a subscriber (erasure.py). `least` is what every form has to show:
    Shown.WORK where the operator wants work always.
    """

    facts: Publication
    place: Place
    keys: tuple[bytes, ...]
    desk: Desk
    pages: Pages
    clock: Callable[[], datetime]
    packages: Path
    aside: tuple[Path, ...] = ()
    least: Shown = Shown.STAMP
    # The hour in which everybody's number was reached: until it is over an attack need not trouble the store.
    crowded: dict[LetterKind, int] = field(default_factory=dict)

    def subject(self, request: Request, purpose: Purpose) -> bytes | None:
        """Whom or what a genuine token in the request's path is about; None for every other text."""
        return verify(request.path_params["token"], purpose, self.keys)

    async def letter(self, request: Request, purpose: Purpose) -> Letter | None:
        """The letter whose token stands in the request's path; None if it is not genuine, or forgotten."""
        if (letter_id := self.subject(request, purpose)) is None:
            return None
        return await self.desk.read(lambda store: store.letter(letter_id))

    async def ask(
        self, request: Request, letter: Letter, fields: Mapping[str, str], form_text: str = ""
    ) -> tuple[Outcome, Shown]:
        """Have a letter written down, if what the form shows will do; with Outcome.STEP, what it has to show."""
        now, showing = letter.at, stamps.shown(fields, letter.at, self.keys)
        # The guard lets through only forms of our pages; those that are files cannot have a stamp.
        vouched = "stamp" not in fields and request.headers.get("sec-fetch-site") == "same-origin"
        if self.least is Shown.WORK and showing < Shown.WORK:
            return Outcome.STEP, Shown.WORK
        if showing < Shown.STAMP and not vouched:
            return Outcome.STEP, Shown.STAMP
        crowd = everybody(letter.kind)
        if showing < Shown.WORK and self.crowded.get(letter.kind) == crowd.stretch(now):
            return Outcome.STEP, Shown.WORK
        key = self.keys[0]
        asked = replace(letter, mailbox=counted_as(letter, key))
        counting = [*limits(asked, key, showing is Shown.WORK)]
        again = stamps.again(fields, asked, key)
        if showing is Shown.WORK:
            counting += [stamps.used_up(fields, key), again]

        def ask(store: Store) -> bool:
            repeated = showing is Shown.WORK and store.counted(again, now) > 0
            return repeated or store.ask(asked, counting, form_text)

        try:
            if await self.desk.write(ask):
                return Outcome.KEPT, showing
            if showing is Shown.WORK:
                return Outcome.FULL, showing
            if await self.desk.read(lambda store: store.counted(crowd, now)) >= crowd.most:
                self.crowded[letter.kind] = crowd.stretch(now)
                return Outcome.STEP, Shown.WORK
        except StoreError:
            return Outcome.FAILED, showing
        return Outcome.FULL, showing

    async def keep(self, letter: Letter) -> bool:
        """Have a letter written down for whoever has shown a token; False if too many were. Raises StoreError."""
        asked = replace(letter, mailbox=counted_as(letter, self.keys[0]))
        counting = limits(asked, self.keys[0])
        return await self.desk.write(lambda store: store.ask(asked, counting))

    def form(
        self,
        name: str,
        title: str,
        fields: Mapping[str, str],
        errors: Mapping[str, str] | None = None,
        outcome: Outcome = Outcome.KEPT,
        wanted: Shown = Shown.NOTHING,
        **values: Any,
    ) -> HTMLResponse:
        """The page of a form: new, or with what was typed and what is wrong with it."""
        again = bool(errors or outcome)
        carried = stamps.proof(self.clock(), self.keys, max(wanted, self.least), again)
        status = 422 if errors else _STATUS.get(outcome, 200)
        title = f"Please look again: {title}" if errors else title
        return self.pages.answer(
            name,
            title,
            status,
            _RETRY.get(outcome),
            form=fields,
            errors=errors or {},
            again=str(outcome),
            proof=carried,
            **values,
        )

    def gone(self, way: str, kind: LetterKind = LetterKind.CONFIRM) -> HTMLResponse:
        """The one answer to every link that is not good, whatever is wrong with it."""
        return self.pages.answer("gone", "This link does not work", 404, way=way, lifetime=lifetime(kind))

    def ip(self, request: Request) -> str:
        """The visitor's address, as the guard found it."""
        return str(request.scope.get("newsletter.ip", ""))

    def page_of(self, request: Request) -> str:
        """The path of the page whose form this is, for the consent record; "" if the browser does not say."""
        try:
            url = urlsplit(request.headers.get("referer", ""))
        except ValueError:  # "http://[": whoever sends it may write what he likes
            return ""
        ours = f"{url.scheme}://{url.netloc}" in self.place.origins()
        return url.path if ours and _PATH.fullmatch(url.path) else ""

    def day(self, moment: datetime) -> str:
        """A day as it is read where the house is: "2 February 2027"."""
        local = moment.astimezone(self.facts.zone)
        return f"{local.day} {local:%B %Y}"

    def months_on(self, count: int) -> datetime:
        """The beginning of the day so many months from now; of the month's last, where it has no such day."""
        today = self.clock().astimezone(self.facts.zone).date()
        months = today.year * 12 + today.month - 1 + count
        year, month = months // 12, months % 12 + 1
        day = min(today.day, calendar.monthrange(year, month)[1])
        return datetime.combine(date(year, month, day), time(), self.facts.zone)


def masked(address: str) -> str:
    """An address as whoever knows it recognises it, and whoever looks over a shoulder does not: "r…@example.org"."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…\u2060@{domain}"  # a joiner, so that no line breaks there


def lifetime(kind: LetterKind) -> str:
    """How long the link of a letter works, in words."""
    days = LIFETIMES[kind].days
    return "a day" if days == 1 else f"{days} days"
