"""Taking a store over into another: every row as plain values, the same from every store.

A row names bytes in hex and moments as ISO 8601 texts. Two stores hold the same if, kind by kind, they have the same
rows; their order counts for nothing, and neither does how a store keeps them. What is left behind is over with the
process that had it: leases, the account's time that was given out, and counts of an hour or a day that has ended.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

from newsletter.store.journal import Line

Row = Mapping[str, Any]


class Kind(StrEnum):
    """What there is to take over, in the order in which it is: a sending itself comes when its recipients are there."""

    NUMBER = "numbers given"
    SUBSCRIBER = "subscribers"
    SUPPRESSION = "suppressions"
    ERASED = "erased digests"
    JOURNAL = "journal"
    CONSENT = "consents"
    HISTORY = "history"
    LETTER = "letters"
    FORM = "forms"
    LIMIT = "limit counts"
    TURN = "turns"
    CANARY = "canaries"
    STRAY = "events of unknown mails"
    RECIPIENT = "recipients"
    EXCLUSION = "exclusions"
    SEND = "sendings"


# These are taken over sending by sending.
OF_A_SENDING = frozenset({Kind.RECIPIENT, Kind.EXCLUSION})
# The columns of each kind. The last number given is none that a subscriber still has, perhaps, and never given again. A recipient's `told` is what SES told of its mails, each with the moments of its call;
# `made_at` and `answered_at` are those of the call it was last claimed for, `earlier` are the calls before that.
COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.NUMBER: ("last",),
    Kind.SUBSCRIBER: (
        "id", "public_id", "address", "address_key", "subscription", "name", "subscribed_at", "confirmed_at", "source",
        "paused_until",
    ),
    Kind.SUPPRESSION: ("address_key", "reason", "at", "evidence"),
    Kind.ERASED: ("digest", "at"),
    Kind.FORM: ("version", "text"),
    Kind.CONSENT: (
        "public_id", "letter", "form", "page", "asked_at", "asked_ip", "message_id", "confirmed_at", "confirmed_ip",
    ),
    Kind.HISTORY: ("public_id", "at", "what", "how"),
    Kind.LETTER: (
        "id", "kind", "state", "address", "address_key", "public_id", "asked_at", "asked_ip", "form", "words", "mailed_at",
        "message_id", "evidence", "changed_at", "through", "mailbox",
    ),
    Kind.LIMIT: ("key", "seconds", "stretch", "count"),
    Kind.TURN: ("book", "number", "owner", "made_at", "taken_at", "open_until", "stopped"),
    Kind.CANARY: ("id", "mailed_at", "seen_at"),
    Kind.STRAY: ("message_id", "kind", "at", "recipient", "detail"),
    Kind.RECIPIENT: (
        "briefing", "number", "subscriber", "public_id", "address", "address_key", "state", "attempt", "message_id",
        "evidence", "tries", "changed_at", "made_at", "answered_at", "told", "earlier",
    ),
    Kind.EXCLUSION: ("briefing", "subscriber", "reason"),
    Kind.SEND: ("briefing", "content_hash", "package", "frozen_at", "through", "corrects", "sound_at", "withdrawn"),
    Kind.JOURNAL: ("at", "who", "what", "how", "digests"),
}  # fmt: skip
TOLD = ("kind", "message_id", "attempt", "at", "detail", "made_at", "answered_at")
EARLIER = ("attempt", "ended_at", "evidence", "made_at", "answered_at")


@dataclass(frozen=True, slots=True)
class Sum:
    """How many rows there are, and a checksum of them all: equal sums mean the same rows, in whatever order."""

    count: int
    digest: str


class Summing:
    """Adds rows up while they pass."""

    def __init__(self) -> None:
        self._count = self._sum = 0

    def passing(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows."""
        for row in rows:
            text = json.dumps(row, sort_keys=True, ensure_ascii=False)
            self._count += 1
            self._sum = (self._sum + int.from_bytes(sha256(text.encode()).digest(), "big")) % (1 << 256)
            yield row

    @property
    def sum(self) -> Sum:
        """What has passed so far."""
        return Sum(self._count, f"{self._sum:064x}")


def line_row(line: Line) -> Row:
    """A line of the journal."""
    digests = " ".join(digest.hex() for digest in line.digests)
    return {"at": line.at, "who": line.who.hex(), "what": line.what, "how": line.how, "digests": digests}


def missing_lines(rows: Iterable[Row], here: Iterable[Line]) -> list[Line]:
    """The lines of a journal that another has not, each as often as it is missing."""
    there = Counter(here)
    found = []
    for row in rows:
        digests = tuple(map(bytes.fromhex, row["digests"].split()))
        line = Line(row["at"], bytes.fromhex(row["who"]), row["what"], row["how"], digests)
        if there[line] > 0:
            there[line] -= 1
        else:
            found.append(line)
    return found


class Moving(Protocol):
    """What taking a store over needs of both."""

    def rows(self, kind: Kind, briefing: str = "", at: datetime | None = None) -> Iterator[Row]:
        """Every row of a kind (of a sending, for those in OF_A_SENDING), with the columns of COLUMNS; of limit counts those
        whose stretch of time is not over `at` that moment (None: now).
        """
        ...

    def take(self, kind: Kind, rows: Iterable[Row], briefing: str = "") -> None:
        """Write rows of another store's as they are. They may be there already; nobody else is at this store."""
        ...
