"""A SQLite store taken over into another, and another into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from newsletter.store.moving import COLUMNS, TOLD, Kind, Row, line_row, missing_lines
from newsletter.store.sqlite.membership import SqliteMembership

_TABLES = {
    Kind.SUBSCRIBER: "subscriber", Kind.SUPPRESSION: "suppression", Kind.ERASED: "erased", Kind.FORM: "form",
    Kind.CONSENT: "consent", Kind.HISTORY: "history", Kind.LETTER: "letter", Kind.TURN: "turn", Kind.CANARY: "canary",
    Kind.STRAY: "stray", Kind.LIMIT: "tally",
    Kind.EXCLUSION: "exclusion", Kind.SEND: "send",
}  # fmt: skip
# What a column is called here, where it is otherwise.
_NAMES = {(Kind.TURN, "book"): "briefing"}
_BYTES = {"public_id", "digest", "letter"}
_WHERE = {
    Kind.EXCLUSION: "WHERE briefing = :briefing",
    Kind.LIMIT: "WHERE (stretch + 1) * seconds > :at",
}
_ORDER = {Kind.LETTER: "number", Kind.HISTORY: "rowid"}
_RECIPIENTS = """
SELECT recipient.briefing, number, subscriber, public_id, address, address_key, state, coalesce(attempt, ''), message_id,
    evidence, tries, changed_at, coalesce(made_at, ''), coalesce(answered_at, '')
FROM recipient LEFT JOIN attempt ON attempt.id = recipient.attempt
WHERE recipient.briefing = :briefing ORDER BY abs(number), number
"""
_EVIDENCE = """
SELECT number, kind, message_id, attempt, at, detail, coalesce(made_at, ''), coalesce(answered_at, '')
FROM evidence LEFT JOIN attempt ON attempt.id = evidence.attempt
WHERE evidence.briefing = :briefing ORDER BY abs(number), number, kind, message_id
"""
_EARLIER = """
SELECT number, earlier.attempt, ended_at, evidence, coalesce(made_at, ''), coalesce(answered_at, '')
FROM earlier LEFT JOIN attempt ON attempt.id = earlier.attempt
WHERE earlier.briefing = :briefing ORDER BY abs(number), number, earlier.attempt
"""
_STEP = 1_000


class SqliteMoving(SqliteMembership):
    """Keeps the promises of `Moving`."""

    def rows(self, kind: Kind, briefing: str = "", at: datetime | None = None) -> Iterator[Row]:
        """See Moving."""
        if kind is Kind.JOURNAL:
            yield from map(line_row, self.journal.lines())
        elif kind is Kind.NUMBER:
            last = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'subscriber'").fetchone()
            yield {"last": last[0] if last else 0}
        elif kind is Kind.RECIPIENT:
            yield from self._recipients(briefing)
        else:
            columns = ", ".join(_NAMES.get((kind, name), name) for name in COLUMNS[kind])
            order = f"ORDER BY {_ORDER[kind]}" if kind in _ORDER else ""
            query = f"SELECT {columns} FROM {_TABLES[kind]} {_WHERE.get(kind, '')} {order}"  # noqa: S608 - constants
            for values in self.db.execute(
                query, {"briefing": briefing, "at": (at or datetime.now(UTC)).timestamp()}
            ):
                yield dict(zip(COLUMNS[kind], map(_shown, values), strict=True))

    def _recipients(self, briefing: str) -> Iterator[Row]:
        lists = {"told": _Lists(self.db.execute(_EVIDENCE, {"briefing": briefing}))}
        lists["earlier"] = _Lists(self.db.execute(_EARLIER, {"briefing": briefing}))
        for values in self.db.execute(_RECIPIENTS, {"briefing": briefing}):
            row = dict(zip(COLUMNS[Kind.RECIPIENT], map(_shown, values), strict=False))
            yield row | {name: each.of(row["number"]) for name, each in lists.items()}

    def take(self, kind: Kind, rows: Iterable[Row], briefing: str = "") -> None:
        """See Moving. History has no key, so what is there of it goes first."""
        if kind is Kind.JOURNAL:
            self.journal.copy(missing_lines(rows, self.journal.lines()))
            return
        if kind is Kind.NUMBER:
            with self.writing() as db:
                for row in rows:
                    db.execute("DELETE FROM sqlite_sequence WHERE name = 'subscriber'")
                    db.execute("INSERT INTO sqlite_sequence VALUES ('subscriber', ?)", (row["last"],))
            return
        waiting = iter(rows)
        self.db.execute("PRAGMA foreign_keys = OFF")  # a sending comes after its recipients
        try:
            if kind is Kind.HISTORY:
                with self.writing() as db:
                    db.execute("DELETE FROM history")
            while some := list(islice(waiting, _STEP)):
                with self.writing():
                    self._take(kind, some)
        finally:
            self.db.execute("PRAGMA foreign_keys = ON")

    def _take(self, kind: Kind, rows: Sequence[Row]) -> None:
        if kind is not Kind.RECIPIENT:
            self._insert(
                _TABLES[kind], [_NAMES.get((kind, name), name) for name in COLUMNS[kind]], kind, rows
            )
            return
        columns = COLUMNS[kind][:-4]
        self._insert("recipient", columns, kind, [{**row, "attempt": row["attempt"] or None} for row in rows])
        calls = {(row["attempt"], row["briefing"], row["made_at"], row["answered_at"]) for row in rows}
        told, earlier = [], []
        for row in rows:
            for attempt, ended, words, made, answered in row["earlier"]:
                calls.add((attempt, row["briefing"], made, answered))
                earlier.append((row["briefing"], row["number"], attempt, ended, words))
            for one in row["told"]:
                named = dict(zip(TOLD, one, strict=True))
                calls.add((named["attempt"], row["briefing"], named["made_at"], named["answered_at"]))
                told.append((row["briefing"], row["number"], *one[:5]))
        self.db.executemany(
            "INSERT OR IGNORE INTO attempt VALUES (?, ?, ?, ?)",
            [call for call in calls if call[0] and call[2]],
        )
        self.db.executemany("INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?, ?, ?)", told)
        self.db.executemany("INSERT OR IGNORE INTO earlier VALUES (?, ?, ?, ?, ?)", earlier)

    def _insert(self, table: str, columns: Sequence[str], kind: Kind, rows: Sequence[Row]) -> None:
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        self.db.executemany(
            f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - constants
            [[_kept(kind, name, row[name]) for name in COLUMNS[kind][: len(columns)]] for row in rows],
        )


class _Lists:
    """What belongs to each recipient, of rows in the order of their numbers."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._groups = groupby(rows, key=itemgetter(0))
        self._next = next(self._groups, None)

    def of(self, number: int) -> list[list[Any]]:
        """Its rows, without the number. Asked for in the same order."""
        if self._next is None or self._next[0] != number:
            return []
        mine = sorted(list(one[1:]) for one in self._next[1])
        self._next = next(self._groups, None)
        return mine


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _kept(kind: Kind, name: str, value: Any) -> Any:
    return bytes.fromhex(value) if name in _BYTES or (kind, name) == (Kind.LETTER, "id") else value
