"""What a form sent: read within limits, and each field made one clean text.

A body has at most 32 KB and comes within ten seconds, urlencoded or as multipart/form-data (RFC 7578); nothing
else is read. What a visitor typed never becomes anything but text: no file, no number, no list.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

MOST_BYTES = 32 * 1024
_PATIENCE = 10.0  # seconds in which a body must have come
_MOST_FIELDS = 20
_LONGEST_NAME = 40
_MOST_MARKS = 30  # accents on one letter
_NAME = re.compile(rb'(?i)^content-disposition:[^\r\n]*;\s*name="([^"\r\n]*)"', re.MULTILINE)
_BOUNDARY = re.compile(r'(?i);\s*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))')
# By these a text shows otherwise than it is: its direction is turned round (Trojan Source, CVE-2021-42574).
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

Fields = Mapping[str, str]
"""What a form sent: each field's name and its text."""


class Unreadable(Exception):
    """A body that is no form of ours: the HTTP status, and the sentence for whoever sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status, self.sentence = status, sentence
        super().__init__(sentence)


async def read(request: Request) -> Fields:
    """The fields of a form, each once. Raises Unreadable (400, 408, 413, 415)."""
    kind = request.headers.get("content-type", "application/x-www-form-urlencoded")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Unreadable(415, "The form came compressed, which no browser does.")
    body = await _body(request)
    media = kind.partition(";")[0].strip().lower()
    if media == "application/x-www-form-urlencoded":
        return urlencoded(body)
    if media == "multipart/form-data":
        return multipart(body, kind)
    raise Unreadable(415, "What came is no form.")


async def _body(request: Request) -> bytes:
    stated = request.headers.get("content-length", "0")
    too_long = Unreadable(413, "What you wrote is longer than this form takes.")
    if not stated.isascii() or not stated.isdigit() or int(stated) > MOST_BYTES:
        raise too_long
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_PATIENCE):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MOST_BYTES:
                    raise too_long
                chunks.append(chunk)
    except TimeoutError:
        raise Unreadable(408, "The form took too long to arrive.") from None
    return b"".join(chunks)


def urlencoded(body: bytes) -> Fields:
    """The fields of an application/x-www-form-urlencoded body. Raises Unreadable."""
    try:
        # parse_qsl works with texts; latin-1 gives it each byte, and what was percent-encoded is UTF-8.
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except (ValueError, UnicodeDecodeError):
        raise Unreadable(400, "The form came garbled.") from None
    return _once(pairs)


def multipart(body: bytes, content_type: str) -> Fields:
    """The fields of a multipart/form-data body. Raises Unreadable."""
    garbled = Unreadable(400, "The form came garbled.")
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise garbled
    try:
        mark = b"\r\n--" + (found[1] or found[2]).encode("ascii")
        parts = (b"\r\n" + body).split(mark)
        if len(parts) < 2 or not parts[-1].startswith(b"--") or len(parts) - 2 > _MOST_FIELDS:
            raise garbled
        pairs = []
        for part in parts[1:-1]:
            head, blank, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            name = _NAME.search(head)
            if not blank or name is None:
                raise garbled
            pairs.append((name[1].decode(), value.decode()))
    except UnicodeError:
        raise garbled from None
    return _once(pairs)


def _once(pairs: list[tuple[str, str]]) -> Fields:
    fields = dict(pairs)
    if len(fields) != len(pairs) or any(len(name) > _LONGEST_NAME for name in fields):
        raise Unreadable(400, "The form came garbled.")
    return fields


def _composed(text: str, most: int) -> str:
    """The text in Unicode's form C. ValueError where that would take long: the time grows with the square of the marks
    that stand on one letter, and no language stacks so many.
    """
    if len(text) > 4 * most:
        raise ValueError(f"This is longer than {most:,} characters.")
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > _MOST_MARKS:
            raise ValueError("This has characters in it that cannot be read. Please type it anew.")
    return unicodedata.normalize("NFC", text)


def line(fields: Fields, name: str, most: int) -> str:
    """A field of one line, trimmed; "" if it is not there. ValueError, with the reason, if it is no such line."""
    text = _composed(fields.get(name, ""), most).strip()
    if len(text) > most:
        raise ValueError(f"This is longer than {most} characters.")
    if not (text.isascii() and text.isprintable()) and any(
        unicodedata.category(character) in ("Cc", "Zl", "Zp") or character in _TURNING for character in text
    ):
        raise ValueError("This has characters in it that cannot be seen. Please type it anew.")
    return text


def paragraphs(fields: Fields, name: str, most: int) -> str:
    """A field of several lines, trimmed, with line ends as "\\n" and without control characters. ValueError if too long."""
    text = _composed(fields.get(name, ""), most).replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(
        character
        for character in text
        if character in "\n\t" or (unicodedata.category(character) != "Cc" and character not in _TURNING)
    ).strip()
    if len(text) > most:
        raise ValueError(f"This is longer than {most:,} characters; yours has {len(text):,}.")
    return text


def trapped(fields: Fields) -> bool:
    """Whether the field that nobody sees was filled in."""
    return bool(fields.get("homepage"))
