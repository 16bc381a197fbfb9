"""The contact form: a visitor's words, to the house alone."""

from __future__ import annotations

import re
import secrets

from starlette.requests import Request
from starlette.responses import Response

from newsletter import address
from newsletter.door import forms
from newsletter.door.forms import Fields
from newsletter.door.porter import Outcome, Porter
from newsletter.door.sign_up import address_of
from newsletter.errors import AddressError
from newsletter.store.door import Letter, LetterKind

# The path of a page below the site's root, and nothing that could lead elsewhere.
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*(?:/[A-Za-z0-9][A-Za-z0-9._~-]*)*/?\Z")
_LENGTHS = {"article": 200, "region": 80, "desk": 80, "name": 80, "message": 5000}


class Contact:
    """GET and POST of /contact. The mail goes to the address in publication.toml, whatever the form says."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter
        self._house = address.parse(porter.facts.contact)

    async def form(self, request: Request) -> Response:
        """The form by itself, about no particular piece."""
        return self._porter.form("contact", "Get in touch", {})

    async def send(self, request: Request) -> Response:
        """Have the message written down, for the house."""
        porter, fields = self._porter, await forms.read(request)
        words, errors = read(fields)
        if errors:
            return porter.form("contact", "Get in touch", {**fields, **words}, errors)
        if not forms.trapped(fields):
            letter = Letter(
                id=secrets.token_bytes(16),
                kind=LetterKind.CONTACT,
                to=self._house,
                at=porter.clock(),
                ip=porter.ip(request),
                words={**words, "page": porter.page_of(request)},
            )
            outcome, wanted = await porter.ask(request, letter, fields)
            if outcome is not Outcome.KEPT:
                return porter.form("contact", "Get in touch", {**fields, **words}, None, outcome, wanted)
        return porter.pages.answer(
            "contacted", "Thank you", address=words["email"], desk=words["desk"], article=words["article"]
        )


def read(fields: Fields) -> tuple[dict[str, str], dict[str, str]]:
    """A message's parts, clean, and what is wrong with those that its writer can mend, by field."""
    words: dict[str, str] = {}
    errors: dict[str, str] = {}
    for name in ("article", "region", "desk"):
        try:
            words[name] = forms.line(fields, name, _LENGTHS[name])
        except ValueError:
            words[name] = ""  # a page of ours has put it there, or nobody we know
    if not _PATH.match(words["article"]):
        words["article"] = ""
    try:
        words["name"] = forms.line(fields, "name", _LENGTHS["name"])
        if not words["name"]:
            errors["name"] = "Please tell us your name."
    except ValueError as error:
        errors["name"] = str(error)
    try:
        words["email"] = address_of(fields).text
    except AddressError as error:
        errors["email"] = str(error)
    try:
        words["message"] = forms.paragraphs(fields, "message", _LENGTHS["message"])
        if not words["message"]:
            errors["message"] = "Please write your question."
    except ValueError as error:
        errors["message"] = str(error)
    return words, errors
