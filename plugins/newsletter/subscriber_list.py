"""A list of subscribers as a CSV file: each line a subscriber, or refused with its number and its reason."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import category

from newsletter import address
from newsletter.errors import AddressError, ContentError, Finding
from newsletter.store import Subscriber, Subscription

# The names a column may have, the surest first: Mailchimp's "Address" is a street where there is an "Email Address".
_COLUMNS = {
    "email": ("email", "e-mail", "email address", "email_address", "address"),
    "status": ("status", "subscription"),
    "name": ("name", "full name"),
    "subscribed_at": ("subscribed_at", "created_at"),
    "confirmed_at": ("confirmed_at", "optin_time"),
    "source": ("source",),
}
_WORDS = {
    Subscription.CONFIRMED: {"confirmed", "subscribed", "active", "enabled"},
    Subscription.PENDING: {"pending", "unconfirmed", "unactivated"},
    # Whoever's mail came back or who complained of it elsewhere is not mailed here either.
    Subscription.UNSUBSCRIBED: {"unsubscribed", "inactive", "cancelled", "disabled", "removed"}
    | {"bounced", "complained", "cleaned", "suppressed", "blocklisted", "blocked"},
}
_SUBSCRIPTIONS = {word: subscription for subscription, words in _WORDS.items() for word in words}
_LONGEST_FIELD = 500


@dataclass(slots=True)
class SubscriberList:
    """Reads a file line by line. `refused` and `without_status` fill while it is being read."""

    path: Path
    vouched: bool = False
    refused: list[Finding] = field(default_factory=list)
    without_status: int = 0
    _columns: int = 0

    def __iter__(self) -> Iterator[Subscriber]:
        """The subscribers. Raises ContentError for a file that is no list at all.

        A line without a status is confirmed if it says when, or if whoever imports it has `vouched` for
        everyone's consent; otherwise it is pending, and pending subscribers are not mailed.
        """
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                first = file.readline()
                file.seek(0)
                rows = csv.reader(file, delimiter=max(",;\t", key=first.count))
                places = self._header(next(rows, []))
                for row in rows:
                    if any(row) and (subscriber := self._subscriber(rows.line_num, row, places)):
                        yield subscriber
        except FileNotFoundError:
            raise ContentError([Finding(str(self.path), 0, "", "there is no such file.")]) from None
        except OSError as error:
            raise ContentError(
                [Finding(str(self.path), 0, "", f"cannot be read: {error.strerror}.")]
            ) from None
        except UnicodeDecodeError:
            raise ContentError(
                [Finding(str(self.path), 0, "", "is not UTF-8. Export it as CSV UTF-8.")]
            ) from None
        except csv.Error as error:
            raise ContentError([Finding(str(self.path), rows.line_num, "", f"is no CSV: {error}.")]) from None

    def _header(self, header: list[str]) -> dict[str, int]:
        names = [name.strip().lower() for name in header]
        places = {
            column: names.index(known)
            for column, choices in _COLUMNS.items()
            for known in [next((choice for choice in choices if choice in names), "")]
            if known
        }
        self._columns = len(names)
        if "email" not in places:
            reason = "its first line must name the columns, one of them email: email,status,name,…"
            raise ContentError([Finding(str(self.path), 1, "", reason)])
        return places

    def _subscriber(self, line: int, row: list[str], places: dict[str, int]) -> Subscriber | None:
        if len(row) > self._columns:
            self._refuse(
                line,
                "",
                "has more fields than the first line names. A comma within a field needs quotation marks.",
            )
            return None
        cells = {column: row[place].strip() if place < len(row) else "" for column, place in places.items()}
        try:
            where = address.parse(cells["email"])
        except AddressError as error:
            self._refuse(line, "email", f'"{cells["email"]}": {error}')
            return None
        word = cells.get("status", "").lower()
        if word and word not in _SUBSCRIPTIONS:
            self._refuse(line, "status", f'"{word}" is no status. Write confirmed, pending or unsubscribed.')
            return None
        for column, value in cells.items():
            if len(value) > _LONGEST_FIELD or any(category(character) == "Cc" for character in value):
                self._refuse(line, column, "is too long or has control characters.")
                return None
        return Subscriber(
            where,
            _SUBSCRIPTIONS[word] if word else self._unstated(cells),
            cells.get("name", ""),
            cells.get("subscribed_at", ""),
            cells.get("confirmed_at", ""),
            cells.get("source", "") or f"import of {self.path.name}",
        )

    def _unstated(self, cells: dict[str, str]) -> Subscription:
        if self.vouched or cells.get("confirmed_at"):
            return Subscription.CONFIRMED
        self.without_status += 1
        return Subscription.PENDING

    def _refuse(self, line: int, column: str, reason: str) -> None:
        self.refused.append(Finding(str(self.path), line, column, reason))
