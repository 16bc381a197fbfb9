"""Reading the mailbox folder back: a list that stays quick with 100,000 mails, and one mail in its parts.

Every byte here was written by somebody else: nothing in a mail may raise.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.eml")
_FIELD = re.compile(rb"^(From|To|Subject|Date):[ \t]*((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
_HEAD = 16_384  # bytes read for the list; a mail's head is under 4 KB
_BUDGET = 0.4  # seconds in which one request may read mails it has not seen


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list."""

    name: str
    sender: str
    to: str
    subject: str
    date: str


@dataclass(frozen=True, slots=True)
class Listing:
    """All mails that were read so far, newest first, and how many files are still to be read."""

    mails: tuple[Summary, ...]
    unread: int


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail in its parts; text or html is None where the mail has no such part."""

    summary: Summary
    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[tuple[str, int], ...]
    raw: bytes


class LetterBox:
    """A folder of .eml files. May be asked from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, Summary] = {}

    def listing(self) -> Listing:
        """Read what is new, for a moment at most, newest first; the rest is read by the next request."""
        with self._lock:
            names = self._names()
            if len(self._known) > len(names):
                present = set(names)
                self._known = {name: one for name, one in self._known.items() if name in present}
            end = time.monotonic() + _BUDGET
            mails, unread = [], 0
            for name in names:
                known = self._known.get(name)
                if known is None:
                    if time.monotonic() > end:
                        unread += 1
                        continue
                    known = self._known[name] = self._summary(name)
                mails.append(known)
            return Listing(tuple(mails), unread)

    def letter(self, name: str) -> Letter | None:
        """Return one mail, or None if there is none of that name."""
        raw = self.raw(name)
        if raw is None:
            return None
        try:
            return self._read(name, raw)
        except RecursionError:  # parts in parts in parts: made by nobody who wanted to be read
            return Letter(_summarise(name, raw[:_HEAD]), (), "This mail is nested too deeply.", None, (), raw)

    @staticmethod
    def _read(name: str, raw: bytes) -> Letter:
        parsed = BytesParser(policy=compat32).parsebytes(raw)
        text = html = None
        attachments: list[tuple[str, int]] = []
        for part in parsed.walk():
            if part.is_multipart():
                continue
            kind = part.get_content_type()
            file_name = part.get_filename()
            if file_name is not None:
                attachments.append((decoded(str(file_name)), len(_payload(part))))
            elif kind == "text/plain" and text is None:
                text = _text(part)
            elif kind == "text/html" and html is None:
                html = _text(part)
        headers = tuple((name, decoded(str(value))) for name, value in parsed.items())
        return Letter(_summarise(name, raw[:_HEAD]), headers, text, html, tuple(attachments), raw)

    def raw(self, name: str) -> bytes | None:
        """Return a mail's bytes, or None. A name that could leave the folder is no name."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            return None

    def _names(self) -> list[str]:
        try:
            return sorted(
                (path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True
            )
        except OSError:
            return []

    def _summary(self, name: str) -> Summary:
        try:
            with (self._folder / name).open("rb") as file:
                head = file.read(_HEAD)
        except OSError:
            head = b""
        return _summarise(name, head)


def _summarise(name: str, head: bytes) -> Summary:
    head = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    fields: dict[str, str] = {}
    for field, value in _FIELD.findall(head):
        fields.setdefault(field.decode().lower(), decoded(value.decode("utf-8", "replace")))
    return Summary(
        name,
        fields.get("from", ""),
        fields.get("to", ""),
        fields.get("subject", "") or "(no subject)",
        _date(name) or fields.get("date", ""),
    )


def _date(name: str) -> str:
    try:
        at = datetime.strptime(name[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return f"{at.day} {at:%b %Y %H:%M}"


@functools.lru_cache(maxsize=4096)
def decoded(value: str) -> str:
    """Decode a header's encoded words and unfold it; what cannot be decoded is shown as it is."""
    value = " ".join(value.split())
    try:
        parts = decode_header(value)
        text = "".join(
            part if isinstance(part, str) else part.decode(charset or "ascii", "replace")
            for part, charset in parts
        )
    except (HeaderParseError, LookupError, ValueError):
        return value
    return " ".join(text.split())


def _payload(part: Message) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError):
        return b""
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    try:
        text = _payload(part).decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):  # no charset, or one that is none ("idna", "undefined")
        text = _payload(part).decode("utf-8", "replace")
    return text.encode("utf-8", "replace").decode(
        "utf-8"
    )  # without halves of characters, which no page can hold
