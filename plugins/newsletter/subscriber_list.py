"""A list of subscribers as a CSV file: each line a subscriber, or refused with its number and its reason."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import IO, NamedTuple
from unicodedata import category

from newsletter import address, list_formats
from newsletter.errors import AddressError, ContentError, Finding
from newsletter.list_formats import Head, ListFormat, Said
from newsletter.spreadsheet import unguard
from newsletter.store import Subscriber, Subscription
from newsletter.store.door import form_version
from newsletter.store.lists import Listed

_LONGEST_FIELD = 500
_NOT_UTF_8 = "is not UTF-8. Export it as CSV UTF-8."
_UNCLOSED = "is a quotation mark never closed?"
# What a line of any list may say.
_FIELDS = ("email", "status", "name", "first", "last", "subscribed_at", "confirmed_at", "source")
_REASONS = ("hard_bounce", "soft_bounces", "complaint", "operator")
_PUBLIC_ID = re.compile("([0-9a-f]{32})?")
# What services write behind a moment, and Python does not read: "UTC", or as Go does "+0200 CEST".
_ZONE = re.compile(r" ?(UTC|GMT|[+-]\d\d:?\d\d)(?: [A-Za-z]{1,5}| [+-]\d{2,4})?$")


class Line(NamedTuple):
    """One line of a list. `suppressed` is the reason never to mail the address again, "" for none; `unsaid` says
    that the list does not tell of consent, so that a confirmed one is that by the operator's word; `kept` is what an
    export of ours has besides.
    """

    number: int
    subscriber: Subscriber
    suppressed: str = ""
    unsaid: bool = False
    kept: Listed | None = None

    @property
    def vouched(self) -> bool:
        """Whether only the operator's word makes it confirmed."""
        return self.unsaid and self.subscriber.subscription is Subscription.CONFIRMED


class Refused(NamedTuple):
    """A line that is not taken, and why. `cells` is what it says, empty where that must not be written down again."""

    number: int
    field: str
    reason: str
    cells: Sequence[str] = ()


@dataclass(slots=True)
class SubscriberList:
    """Reads a file line by line. `refused` and `without_status` fill while it is being read.

    `vouched` is the operator's word for everybody of whose consent the file does not tell. `origin` is noted as the
    source of everyone in it, or beside it ("imported from list.csv …"); exports of ours tell that themselves. `form`
    is the format, None to recognise it. `refuse` is told of each refused line; without it `refused` keeps them.
    """

    path: Path
    vouched: bool = False
    origin: str = ""
    form: ListFormat | None = None
    refuse: Callable[[Refused], None] | None = None
    refused: list[Finding] = field(default_factory=list)
    without_status: int = 0

    def head(self) -> Head:
        """What the first line tells. Raises ContentError for a file that is no list at all."""
        with self._open() as file:
            return self._head(next(csv.reader(file, delimiter=_delimiter(file)), []))

    def __iter__(self) -> Iterator[Subscriber]:
        """The subscribers of `lines`."""
        for line in self.lines():
            yield line.subscriber

    def lines(self) -> Iterator[Line]:
        """The lines that can be taken. Raises ContentError for a file that is no list at all.

        A line that does not tell of consent is confirmed if it says when that was given, or if whoever imports it has
        `vouched` for everyone's; otherwise it is pending, and pending subscribers are not mailed.
        """
        with self._open() as file:
            reader = csv.reader(file, delimiter=_delimiter(file))
            columns = _Columns(
                self._head(next(reader, [])), self.vouched, self.origin or f"import of {self.path.name}"
            )
            while True:
                number, row = reader.line_num + 1, []
                try:
                    row = next(reader)
                    if not any(row):
                        continue
                    line = columns.line(number, row)
                except StopIteration:
                    return
                except csv.Error as error:
                    self._refuse(Refused(number, "", f"is no CSV: {error}; {_UNCLOSED}"))
                except _Refusal as refusal:
                    more = reader.line_num - number
                    reason = (
                        f"{refusal.reason} It goes on for {more} more lines: {_UNCLOSED}"
                        if more
                        else refusal.reason
                    )
                    self._refuse(Refused(number, refusal.column, reason, row))
                else:
                    self.without_status += line.unsaid and not line.vouched
                    yield line

    def _open(self) -> IO[str]:
        try:
            # Of a file that is no UTF-8 in places, only the lines with those places are refused.
            return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
        except FileNotFoundError:
            raise self._no_list("there is no such file.") from None
        except OSError as error:
            raise self._no_list(f"cannot be read: {error.strerror}.") from None

    def _head(self, row: Sequence[str]) -> Head:
        if row and row[0].startswith("PK\x03\x04"):
            raise self._no_list("is an archive or a spreadsheet. Unpack it, or save it as CSV UTF-8.")
        if any("\0" in name or not _is_text(name) for name in row):
            raise self._no_list(_NOT_UTF_8)
        names = list_formats.names(row)
        form = self.form or list_formats.recognise(names)
        for beginning, reason in form.unwanted.items():
            if self.path.name.lower().startswith(beginning):
                raise self._no_list(f"{reason}, so nobody in it can be on the list.")
        head = Head(tuple(row), form)
        if head.place("email") < 0:
            needed = " or ".join(form.columns["email"])
            raise self._no_list(f"its first line must name the columns, one of them {needed}.", 1)
        return head

    def _no_list(self, reason: str, line: int = 0) -> ContentError:
        return ContentError([Finding(str(self.path), line, "", reason)])

    def _refuse(self, refused: Refused) -> None:
        if self.refuse is not None:
            self.refuse(refused)
        else:
            self.refused.append(Finding(str(self.path), refused.number, refused.field, refused.reason))


class _Refusal(Exception):
    """A line is refused for what is in this column."""

    def __init__(self, column: str, reason: str) -> None:
        self.column, self.reason = column, reason


class _Columns:
    """Reads the lines of one file: where everything is, was looked up once."""

    def __init__(self, head: Head, vouched: bool, origin: str) -> None:
        self._form, self._vouched, self._origin = head.form, vouched, origin
        self._width = len(head.columns)
        self._whole, self._marks = head.whole(), head.marks()
        # The place -1 is that of an empty cell, which `line` puts behind the others.
        self._pick = itemgetter(*(head.place(name) for name in _FIELDS))
        # What a word says, where nothing else in the line says anything.
        self._said_by = {} if self._whole or self._marks else {**self._form.words, "": list_formats.UNSAID}
        self._kept = [head.place(name) for name in Listed._fields] if head.form.exact else []

    def line(self, number: int, row: Sequence[str]) -> Line:
        """One line. Raises _Refusal."""
        if len(row) > self._width:
            raise _Refusal(
                "", "has more fields than the first line names. A comma within a field needs quotation marks."
            )
        row = [*row, *[""] * (self._width - len(row) + 1)]
        cells = self._pick(row)
        together = "".join(cells)
        if "'" in together:
            cells = map(unguard, cells)
        cells = list(map(str.strip, cells))
        email, word, name, first, last, subscribed_at, confirmed_at, source = cells
        try:
            where = address.parse(email)
        except AddressError as error:
            raise _Refusal("email", f'"{email}": {error}' if _is_text(email) else _NOT_UTF_8) from None
        for ending, reason in self._form.refused.items():
            if where.key.endswith(ending):
                raise _Refusal("email", f"{reason}.")
        said = self._said_by.get(word) or self._said(word.lower(), row)
        if self._kept:
            return self._own(number, where, said, Listed(*(unguard(row[place]) for place in self._kept)))
        if len(together) > _LONGEST_FIELD or not together.isprintable():  # then one of them may be
            _check(dict(zip(_FIELDS, cells, strict=True)), _LONGEST_FIELD)
        subscribed_at, confirmed_at = (
            _moment("subscribed_at", subscribed_at),
            _moment("confirmed_at", confirmed_at),
        )
        unsaid = said.subscription is None and not confirmed_at
        agreed = Subscription.CONFIRMED if confirmed_at or self._vouched else Subscription.PENDING
        origin = f"{self._origin}, by the operator's word" if unsaid and self._vouched else self._origin
        subscriber = Subscriber(
            where,
            said.subscription or agreed,
            name or f"{first} {last}".strip(),
            subscribed_at,
            confirmed_at,
            f"{source}; {origin}" if source else origin,
        )
        return Line(number, subscriber, said.suppressed, unsaid)

    def _said(self, word: str, row: Sequence[str]) -> Said:
        if self._whole:
            return self._whole
        for place, said in self._marks:
            if row[place].strip():
                return said
        if not word:
            return list_formats.UNSAID
        found = self._form.words.get(word)
        if found is None:
            ours = self._form.words is list_formats.STATUSES
            known = (
                "Write confirmed, pending or unsubscribed."
                if ours
                else f"{self._form.name} is not known to have it."
            )
            raise _Refusal("status", f'"{word}" is no status. {known}')
        return found

    def _own(self, number: int, where: address.Address, said: Said, kept: Listed) -> Line:
        """A line of our own export, to the letter."""
        _check({**kept._asdict(), "evidence": "", "form_text": ""}, sys.maxsize)  # whose words are not ours
        for name in ("paused_until", "suppressed_at", "asked_at"):
            _moment(name, getattr(kept, name))
        if kept.suppressed and kept.suppressed not in _REASONS:
            raise _Refusal("suppressed", f'"{kept.suppressed}" is no reason. Write {", ".join(_REASONS)}.')
        if not _PUBLIC_ID.fullmatch(kept.id):
            raise _Refusal("id", "is none of ours: 32 hex digits.")
        if kept.form_text and form_version(kept.form_text) != kept.form:
            raise _Refusal("form_text", "is not what this version of the form said.")
        subscription = said.subscription or Subscription.PENDING
        subscriber = Subscriber(
            where, subscription, kept.name, kept.subscribed_at, kept.confirmed_at, kept.source or self._origin
        )
        return Line(number, subscriber, kept.suppressed, said.subscription is None, kept)


def _delimiter(file: IO[str]) -> str:
    """What stands most often in the first line."""
    first = file.readline()
    file.seek(0)
    return max(",;\t", key=first.count)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check(cells: Mapping[str, str], longest: int) -> None:
    """Raises _Refusal for what must not go into terminals, headers and other programs' files."""
    for column, value in cells.items():
        if not _is_text(value):
            raise _Refusal(column, _NOT_UTF_8)
        if len(value) > longest or any(category(character) == "Cc" for character in value):
            raise _Refusal(column, "is too long or has control characters.")


def _moment(column: str, text: str) -> str:
    """A moment as the store keeps it: ISO 8601 in UTC, which it is taken to be in where no zone is named; a day stays
    a day. Raises _Refusal.
    """
    if not text:
        return ""
    if len(text) == 20 and text[10] == "T" and text[19] == "Z":  # as most are
        try:
            datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return text
    zone = _ZONE.search(text)
    plain = text[: zone.start()] + zone[1].replace("UTC", "Z").replace("GMT", "Z") if zone else text
    try:
        at = datetime.fromisoformat(plain)
        if len(plain) <= len("2020-12-31"):
            return at.date().isoformat()
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        reason = f'"{text}" is no date that can be read. Write 2020-12-31, or 2020-12-31T08:00:00Z.'
        raise _Refusal(column, reason) from None
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds" if at.microsecond else "seconds") + "Z"
