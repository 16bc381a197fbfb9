"""The letters of the door in SQLite: asked for, claimed, answered for."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from newsletter.address import Address
from newsletter.errors import StoreError
from newsletter.states import Evidence
from newsletter.store.door import (
    LETTER_STEPS,
    TAG,
    Digests,
    Letter,
    LetterKind,
    LetterState,
    Limit,
    Standing,
    stand_in,
)
from newsletter.store.ledger import Sighting
from newsletter.store.people import Subscription
from newsletter.store.sqlite.database import Database, moment

_COUNT = """
INSERT INTO tally VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1 WHERE count < ?
"""
_ASK = """
INSERT INTO letter (id, kind, state, address, address_key, mailbox, public_id, asked_at, asked_ip, form, words)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A sign-up and a request for one's page are about whoever has the address now, and about nobody if nobody has.
_LETTER = """
SELECT letter.id, kind, letter.address, letter.address_key, asked_at, asked_ip, form,
       iif(kind IN ('confirm', 'my_page'), coalesce(subscriber.public_id, x''), letter.public_id), words, state, mailbox
FROM letter LEFT JOIN subscriber USING (address_key)
"""
_OPEN = "state = 'asked' AND (kind != 'confirm' OR NOT ?)"
_WAITS = f"SELECT 1 FROM letter WHERE {_OPEN} LIMIT 1"  # noqa: S608 - constants
_NEXT = f"{_LETTER} WHERE {_OPEN} ORDER BY number LIMIT 1"
_CONFIRMATIONS = "SELECT count(*) FROM letter WHERE kind = 'confirm' AND mailed_at != '' AND mailed_at > ?"
_HAD = """
SELECT count(*) FILTER (WHERE kind = 'confirm' AND state IN ('claimed', 'submitted', 'in_doubt')),
       max(mailed_at) FILTER (WHERE kind = 'confirm'),
       count(*) FILTER (WHERE kind = ? AND mailed_at > ?)
FROM letter WHERE (address_key = ? OR (mailbox = ? AND mailbox != '')) AND mailed_at != ''
"""
_CLAIM = """
UPDATE letter SET state = 'claimed', kind = ?, mailed_at = ?, changed_at = ?, through = ? WHERE id = ?
"""
_DONE = """
UPDATE letter SET state = :state, evidence = :evidence, message_id = :message_id, changed_at = :at,
    mailed_at = iif(:state IN ('submitted', 'in_doubt'), mailed_at, '')
WHERE id = :id AND state = 'claimed'
"""
_NAMED = (
    "UPDATE letter SET message_id = ? WHERE id = ? AND message_id = ''",
    "UPDATE consent SET message_id = ? WHERE letter = ? AND message_id = ''",
)
# What is too old to be kept, and where it is.
OUTDATED = {
    # A message that the house has not had is not thrown away; every other letter has lost its use long before.
    "letters": "letter WHERE asked_at < :before AND NOT (kind = 'contact' AND state = 'asked')",
    "limit counts": "tally WHERE (stretch + 1) * seconds < unixepoch(:before)",
    # Whoever was imported as pending and does not say since when is not known to be old.
    "unconfirmed": "subscriber WHERE subscription = 'pending' AND subscribed_at != '' AND subscribed_at < :before",
}
# What a call's own answer, or the judgement before it, can make of a claimed letter; the rest its reader does.
_ENDS = LETTER_STEPS[LetterState.CLAIMED] - {LetterState.ANSWERED}
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_SUPPRESSES = {Evidence.HARD_BOUNCE: "hard_bounce", Evidence.COMPLAINT: "complaint"}


class SqliteLetters(Database):
    """Keeps those promises of `Door` that are about letters."""

    def ask(self, letter: Letter, limits: Sequence[Limit], form_text: str = "") -> bool:
        """See Door."""
        try:
            with self.writing() as db:
                for limit in limits:
                    row = (limit.key, limit.window.total_seconds(), limit.stretch(letter.at), limit.most)
                    if limit.most < 1 or not db.execute(_COUNT, row).rowcount:
                        if not limit.quiet:
                            raise _Reached
                        letter = _nobodys(letter)
                if form_text:
                    db.execute("INSERT OR IGNORE INTO form VALUES (?, ?)", (letter.form, form_text))
                db.execute(_ASK, _row(letter))
        except _Reached:
            return False
        return True

    def counted(self, limit: Limit, at: datetime) -> int:
        """See Door."""
        row = self.db.execute(
            "SELECT count FROM tally WHERE key = ? AND seconds = ? AND stretch = ?",
            (limit.key, limit.window.total_seconds(), limit.stretch(at)),
        ).fetchone()
        return int(row[0]) if row else 0

    def letter(self, letter_id: bytes) -> Letter | None:
        """See Door."""
        return find_letter(self.db, letter_id)

    def letter_counts(self) -> Mapping[tuple[LetterKind, LetterState], int]:
        """See Door."""
        rows = self.db.execute("SELECT kind, state, count(*) FROM letter GROUP BY kind, state")
        return {(LetterKind(kind), LetterState(state)): count for kind, state, count in rows}

    def next_letter(
        self,
        at: datetime,
        digests: Digests = lambda key: (),
        through: str = "",
        most: int | None = None,
    ) -> tuple[Letter, Standing] | None:
        """See Door."""
        full = (
            most is not None and self.db.execute(_CONFIRMATIONS, (moment(at - _HOUR),)).fetchone()[0] >= most
        )
        if not self.db.execute(_WAITS, (full,)).fetchone():
            return None  # nothing to do, so nobody to hold up
        with self.writing() as db:
            row = db.execute(_NEXT, (full,)).fetchone()
            if row is None:
                return None
            letter = _letter(row)
            found = db.execute(
                "SELECT subscription FROM subscriber WHERE public_id = ?", (letter.subscriber,)
            ).fetchone()
            subscription = Subscription(found[0]) if found else None
            kind = letter.kind
            if kind is LetterKind.CONFIRM and subscription is Subscription.CONFIRMED:
                kind = LetterKind.MY_PAGE
            about = (kind, moment(at - _DAY), letter.to.key, letter.mailbox)
            unanswered, newest, today = db.execute(_HAD, about).fetchone()
            standing = Standing(
                subscription,
                suppressed(db, letter.to.key, digests),
                unanswered,
                datetime.fromisoformat(newest) if newest else None,
                today,
            )
            db.execute(_CLAIM, (kind, moment(at), moment(at), through, letter.id))
        return replace(letter, kind=kind, state=LetterState.CLAIMED), standing

    def letter_done(
        self, letter_id: bytes, state: LetterState, evidence: str, at: datetime, message_id: str = ""
    ) -> None:
        """See Door."""
        values = {
            "id": letter_id,
            "state": state,
            "evidence": evidence,
            "message_id": message_id,
            "at": moment(at),
        }
        with self.writing() as db:
            if state in _ENDS and db.execute(_DONE, values).rowcount:
                return
            row = db.execute("SELECT state FROM letter WHERE id = ?", (letter_id,)).fetchone()
            if row is None or (state in _ENDS and row[0] in (LetterState.ANSWERED, LetterState.DROPPED)):
                # Its reader was quicker than SES's answer; the mail's name is still wanted.
                for statement in _NAMED if message_id else ():
                    db.execute(statement, (message_id, letter_id))
                return
        raise StoreError(f"{self.path}: a letter that is {row[0]} cannot become {state}.")

    def mailed_through(self) -> set[str]:
        """See Door."""
        rows = self.db.execute("SELECT through FROM send UNION SELECT through FROM letter")
        return {through for (through,) in rows if through}

    def hold_letters(self, at: datetime) -> int:
        """See Door."""
        with self.writing() as db:
            return db.execute(
                "UPDATE letter SET state = 'in_doubt', evidence = 'the postman ended before SES answered', "
                "changed_at = ? WHERE state = 'claimed'",
                (moment(at),),
            ).rowcount

    @contextmanager
    def posting(self) -> Iterator[None]:
        """See Door. The lock is the operating system's, so it goes with the process that dies."""
        path = self.path.with_name(f"{self.path.name}.letters.lock")
        try:
            file = path.open("a")
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror}. Who may write there?") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError("Another process mails the door's letters already.") from None
            yield

    def prune(self, before: datetime) -> int:
        """See Door."""
        with self.writing() as db:
            return sum(
                db.execute(f"DELETE FROM {where}", {"before": moment(before)}).rowcount  # noqa: S608 - constants
                for where in OUTDATED.values()
            )


class _Reached(Exception):
    """A limit is: what was counted so far is taken back."""


def find_letter(db: sqlite3.Connection, letter_id: bytes) -> Letter | None:
    """The letter of that id."""
    row = db.execute(f"{_LETTER} WHERE letter.id = ?", (letter_id,)).fetchone()
    return _letter(row) if row else None


def suppressed(db: sqlite3.Connection, address_key: str, digests: Digests) -> str:
    """Why this address must not be mailed, or "": under its key, or under what is left of one that was erased."""
    for key in (address_key, *map(stand_in, digests(address_key))):
        row = db.execute("SELECT reason FROM suppression WHERE address_key = ?", (key,)).fetchone()
        if row:
            return str(row[0])
    return ""


def told_of_letter(db: sqlite3.Connection, sighting: Sighting, at: datetime) -> int:
    """Take in what SES told of a letter: 1 if that ends all mail to its address, which is all that is kept of it."""
    reason = _SUPPRESSES.get(sighting.kind)
    if not reason:
        return 0
    return db.execute(
        "INSERT OR IGNORE INTO suppression SELECT address_key, ?, ?, ? FROM letter "
        "WHERE kind != 'contact' AND ((message_id = ? AND message_id != '') OR (? = ? AND lower(hex(id)) = ?))",
        (
            reason,
            moment(at),
            f"{sighting.message_id} {sighting.detail}".strip(),
            sighting.message_id,
            sighting.briefing,
            TAG,
            sighting.attempt,
        ),
    ).rowcount


def _nobodys(letter: Letter) -> Letter:
    """What stands for a letter over a quiet limit, so that neither answer nor time tells it from one that is kept."""
    return Letter(
        letter.id, letter.kind, Address("", ""), letter.at, form=letter.form, state=LetterState.DROPPED
    )


def _row(letter: Letter) -> tuple[object, ...]:
    return (
        letter.id,
        letter.kind,
        letter.state,
        letter.to.text,
        letter.to.key,
        letter.mailbox,
        letter.subscriber,
        moment(letter.at),
        letter.ip,
        letter.form,
        json.dumps(dict(letter.words), ensure_ascii=False),
    )


def _letter(row: tuple[Any, ...]) -> Letter:
    number, kind, text, key, at, ip, form, subscriber, words, state, mailbox = row
    return Letter(
        id=number,
        kind=LetterKind(kind),
        to=Address(text, key),
        at=datetime.fromisoformat(at),
        ip=ip,
        form=form,
        subscriber=subscriber,
        words=json.loads(words),
        state=LetterState(state),
        mailbox=mailbox,
    )
