"""A subscriber's own doing in SQLite: confirming, moving, pausing, leaving; and the history of it."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

from newsletter.store.door import Letter, LetterKind, LetterState, Person, Used
from newsletter.store.journal import Journal
from newsletter.store.people import Subscription
from newsletter.store.sqlite.database import Database, moment
from newsletter.store.sqlite.letters import find_letter, suppressed
from newsletter.store.sqlite.queries import MINE

_JOIN = """
INSERT INTO subscriber (public_id, address, address_key, subscription, subscribed_at, confirmed_at, source)
VALUES (:public_id, :address, :key, 'confirmed', :asked_at, :at, 'sign-up')
ON CONFLICT (address_key) DO UPDATE SET address = excluded.address, subscription = 'confirmed',
    subscribed_at = excluded.subscribed_at, confirmed_at = excluded.confirmed_at, source = excluded.source,
    paused_until = ''
RETURNING public_id
"""
_CONSENT = """
INSERT INTO consent
SELECT :public_id, id, form, coalesce(json_extract(words, '$.page'), ''), asked_at, asked_ip, message_id, :at, :ip
FROM letter WHERE id = :id
"""
# Letters that are still out must not undo what their reader has decided since.
_VOID = """
UPDATE letter SET state = 'dropped', evidence = ?, changed_at = ?
WHERE address_key = ? AND kind = 'confirm' AND state IN ('asked', 'claimed', 'submitted', 'in_doubt')
"""
# Of a briefing that is being sent, what is still to come goes to the new address, unless that is in it already.
_FOLLOW = f"""
UPDATE recipient SET address = :address, address_key = :key
WHERE state = 'pending' AND {MINE} AND NOT EXISTS
    (SELECT 1 FROM recipient AS other WHERE other.briefing = recipient.briefing AND other.address_key = :key)
"""  # noqa: S608 - put together from constants
_PERSON = """
SELECT public_id, address, subscription, name, subscribed_at, confirmed_at, paused_until, source
FROM subscriber WHERE public_id = ?
"""
# Every table, and how its rows are about a subscriber; tests/door_contract.py sees to it that none is left out.
_ABOUT = {
    "subscriber": "public_id = :public_id",
    "suppression": "address_key = :key",
    "recipient": MINE,
    "evidence": f"(briefing, number) IN (SELECT briefing, number FROM recipient WHERE {MINE})",  # noqa: S608 - a constant
    "earlier": f"(briefing, number) IN (SELECT briefing, number FROM recipient WHERE {MINE})",  # noqa: S608 - a constant
    "exclusion": "subscriber = :number",
    "letter": "address_key = :key OR public_id = :public_id "
    "OR (kind = 'contact' AND lower(json_extract(words, '$.email')) = :key)",
    "consent": "public_id = :public_id",
    "form": "version IN (SELECT form FROM consent WHERE public_id = :public_id)",
    "history": "public_id = :public_id",
}


class SqliteMembership(Database):
    """Keeps those promises of `Door` that are about one subscriber."""

    @cached_property
    def journal(self) -> Journal:
        """What is noted outside the database as well."""
        return Journal(self.path.with_suffix(".journal.jsonl"))

    @contextmanager
    def together(self) -> Iterator[None]:
        """See Door. The journal has it before the database does."""
        with super().together(), self.journal.together():
            yield

    def confirm(self, letter_id: bytes, at: datetime, ip: str) -> Used:
        """See Door. The link of an address that was suppressed since does nothing."""
        with self.writing() as db:
            letter = find_letter(db, letter_id)
            if letter is None:
                return Used.GONE
            before = self._subscription(letter.subscriber)
            if letter.kind is not LetterKind.CONFIRM or not letter.usable(at):
                return Used.ALREADY if before is Subscription.CONFIRMED else Used.GONE
            if before is Subscription.CONFIRMED:
                _use(db, letter, at)
                return Used.ALREADY
            if suppressed(db, letter.to.key, lambda key: ()):
                return Used.GONE
            values: dict[str, Any] = {
                "public_id": secrets.token_bytes(16),
                "address": letter.to.text,
                "key": letter.to.key,
                "asked_at": moment(letter.at),
                "at": moment(at),
                "ip": ip,
                "id": letter.id,
            }
            (values["public_id"],) = db.execute(_JOIN, values).fetchone()
            db.execute(_CONSENT, values)
            _use(db, letter, at)
            db.execute(_VOID, ("another letter's link was used", moment(at), letter.to.key))
            self.note(db, values["public_id"], at, "confirmed", "sign-up")
        return Used.DONE

    def change_address(self, letter_id: bytes, at: datetime) -> Used:
        """See Door. What was still under way to the old address is void from then on."""
        with self.writing() as db:
            letter = find_letter(db, letter_id)
            if letter is None or letter.kind is not LetterKind.CHANGE:
                return Used.GONE
            mine = db.execute(
                "SELECT address, address_key, id FROM subscriber WHERE public_id = ?", (letter.subscriber,)
            ).fetchone()
            if mine is None:
                return Used.GONE
            if not letter.usable(at):
                return Used.ALREADY if mine[0] == letter.to.text else Used.GONE
            if suppressed(db, letter.to.key, lambda key: ()):
                return Used.GONE
            taken = db.execute(
                "SELECT 1 FROM subscriber WHERE address_key = ? AND public_id != ?",
                (letter.to.key, letter.subscriber),
            ).fetchone()
            if taken:
                return Used.TAKEN
            db.execute(
                "UPDATE subscriber SET address = ?, address_key = ? WHERE public_id = ?",
                (letter.to.text, letter.to.key, letter.subscriber),
            )
            db.execute(_FOLLOW, {"address": letter.to.text, "key": letter.to.key, "number": mine[2]})
            _use(db, letter, at)
            db.execute(
                "DELETE FROM letter WHERE id != ? AND ((address_key = ? AND kind != 'contact') OR public_id = ?)",
                (letter.id, mine[1], letter.subscriber),
            )
            self.note(db, letter.subscriber, at, "moved", "own page", elsewhere=False)
        return Used.DONE

    def person(self, public_id: bytes) -> Person | None:
        """See Door."""
        row = self.db.execute(_PERSON, (public_id,)).fetchone()
        return Person(row[0], row[1], Subscription(row[2]), *row[3:]) if row else None

    def unsubscribe(self, public_id: bytes, at: datetime, how: str = "") -> bool:
        """See Door."""
        before = self._subscription(public_id)
        if before is Subscription.UNSUBSCRIBED:
            return True  # and durably so
        if before is None and self._last_noted(public_id) in ("unsubscribed", "erased"):
            return False
        with self.writing() as db:
            row = db.execute(
                "UPDATE subscriber SET subscription = 'unsubscribed', paused_until = '' WHERE public_id = ? "
                "RETURNING address_key",
                (public_id,),
            ).fetchone()
            if row:
                db.execute(_VOID, ("the subscriber has left since", moment(at), row[0]))
            self.note(db, public_id, at, "unsubscribed", how)
        return row is not None

    def pause(self, public_id: bytes, until: datetime | None, at: datetime) -> bool:
        """See Door."""
        with self.writing() as db:
            done = db.execute(
                "UPDATE subscriber SET paused_until = ? WHERE public_id = ? AND subscription = 'confirmed'",
                (moment(until) if until else "", public_id),
            ).rowcount
            if done:
                what, how = ("paused", f"until {moment(until)}") if until else ("resumed", "")
                self.note(db, public_id, at, what, how, elsewhere=False)
        return bool(done)

    def data_of(self, public_id: bytes) -> Mapping[str, Any]:
        """See Door."""
        row = self.db.execute(
            "SELECT id, address_key FROM subscriber WHERE public_id = ?", (public_id,)
        ).fetchone()
        if row is None:
            return {}
        about = {"public_id": public_id, "number": row[0], "key": row[1]}
        found: dict[str, Any] = {}
        for table, where in _ABOUT.items():
            cursor = self.db.execute(f"SELECT * FROM {table} WHERE {where}", about)  # noqa: S608 - constants
            names = [column[0] for column in cursor.description]
            found[table] = [dict(zip(names, map(_shown, values), strict=True)) for values in cursor]
        return found

    def note(
        self,
        db: sqlite3.Connection,
        public_id: bytes,
        at: datetime,
        what: str,
        how: str,
        digests: Sequence[bytes] = (),
        elsewhere: bool = True,
    ) -> None:
        """Write one line of a subscriber's history, and with `elsewhere` into the journal too, before the commit."""
        db.execute("INSERT INTO history VALUES (?, ?, ?, ?)", (public_id, moment(at), what, how))
        if elsewhere:
            self.journal.append(public_id, at, what, how, digests)

    def _subscription(self, public_id: bytes) -> Subscription | None:
        row = self.db.execute(
            "SELECT subscription FROM subscriber WHERE public_id = ?", (public_id,)
        ).fetchone()
        return Subscription(row[0]) if row else None

    def _last_noted(self, public_id: bytes) -> str:
        row = self.db.execute(
            "SELECT what FROM history WHERE public_id = ? ORDER BY rowid DESC LIMIT 1", (public_id,)
        ).fetchone()
        return str(row[0]) if row else ""


def _use(db: sqlite3.Connection, letter: Letter, at: datetime) -> None:
    db.execute(
        "UPDATE letter SET state = ?, evidence = 'its link was used', changed_at = ? WHERE id = ?",
        (LetterState.ANSWERED, moment(at), letter.id),
    )


def _shown(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value
