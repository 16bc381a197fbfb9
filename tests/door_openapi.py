"""What the door takes and answers, as OpenAPI tells it, for a program that tries everything this allows and forbids.

It is served nowhere: the door is for people, and its links come by mail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
# A body that is no form (400, 408, 413, 415), a foreign form (403), no such page or link (404), too soon or work to be
# done (409), something to mend (422), too many (429).
_REFUSED = (400, 403, 404, 408, 409, 413, 415, 422, 429)


def described(tokens: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The description; `tokens` are genuine ones, by the first part of the path where they open something."""
    email = _one_of(
        "reader@example.org", "moved@example.org", "räuber@example.org", "reader@[192.0.2.1]", "a" * 250
    )
    name = _one_of("A. Visitor", "=?UTF-8?Q?=0A?=Bcc: x@y.zz", "<svg onload=x>", "' OR 1=1 --")
    proof = {"stamp": _text(80), "work": _text(10), "homepage": _text(10)}
    months = {"type": "string", "enum": ["1", "12", "0", "٣", "9" * 20]}
    actions = _one_of("unsubscribe", "pause", "resume", "change", "erase", "erase-now")
    contact = {
        "email": email,
        "name": name,
        "region": _text(90),
        "desk": _text(90),
        "article": _text(220),
        "message": _text(200),
        **proof,
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "The subscriber's door", "version": "1"},
        "paths": {
            "/subscribe": _page(_form({"email": email, **proof}, ["email"])),
            "/confirm/{token}": _page(_form({"action": _one_of("confirm")}), tokens["confirm"]),
            "/u/{token}": _page(
                _form({"action": _one_of("unsubscribe", "pause"), "months": months}, ["action", "months"]),
                tokens["u"],
            ),
            "/me": _page(_form({"email": email, **proof}, ["email"])),
            "/me/{token}": _page(
                _form({"action": actions, "months": months, "email": email}, ["action", "months"]),
                tokens["me"],
            ),
            "/me/{token}/data.json": _page(None, tokens["me"], "application/json"),
            "/change/{token}": _page(_form({"action": _one_of("change")}), tokens["change"]),
            "/contact": _page(_form(contact, ["email", "name", "message"])),
            "/health": _page(None, kind="text/plain"),
        },
    }


def _text(most: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": most}


def _one_of(*texts: str) -> dict[str, Any]:
    return {"type": "string", "enum": [*texts]}


def _form(fields: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    schema = {"type": "object", "properties": fields, "required": [*required]}
    return {"content": {kind: {"schema": schema} for kind in (URLENCODED, MULTIPART)}}


def _page(body: dict[str, Any] | None, tokens: Sequence[str] = (), kind: str = "text/html") -> dict[str, Any]:
    """One address: GET shows it, and POST with `body` does something there."""
    pages = {each: {} for each in {"text/html", "text/plain", kind}}
    page: dict[str, Any] = {"get": {"responses": _answers((200, 400, 404), pages)}}
    if body:
        page["post"] = {"requestBody": body, "responses": _answers((200, *_REFUSED), pages)}
    if tokens:
        schema = _one_of(*tokens)  # what is none of these is tried as well, as all that is not as described
        page["parameters"] = [{"name": "token", "in": "path", "required": True, "schema": schema}]
    elif body:
        page["post"]["parameters"] = _headers()
    return page


def _headers() -> list[dict[str, Any]]:
    """What a stranger can write into a request besides; the rest are a browser's."""
    texts = {
        "Referer": _one_of("https://briefing.example.org/a/", "http://[", "//evil.example", "x" * 3000),
        "X-Forwarded-For": _one_of("203.0.113.9", "::1%<b>", "1, 2, 3", "," * 900),
    }
    return [{"name": name, "in": "header", "schema": schema} for name, schema in texts.items()]


def _answers(statuses: Sequence[int], content: Mapping[str, Any]) -> dict[str, Any]:
    return {str(status): {"description": "A page.", "content": content} for status in statuses}
