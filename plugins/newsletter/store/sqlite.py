"""The store in one SQLite file: enough for a laptop or one small server.

Durability first (sqlite.org/pragma.html#pragma_synchronous): a claim that was committed must survive a power
cut, or its mails would go out twice. WAL is used only where the reset bug of 3.7.0 to 3.51.2 is mended
(sqlite.org/wal.html#walresetbug); elsewhere the rollback journal, with EXTRA. Every transaction that writes
begins IMMEDIATE: one that begins as a reader and then writes fails at once when another has written, timeout
or not.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib.resources import files
from itertools import islice
from pathlib import Path

from newsletter.errors import StoreBusy, StoreError
from newsletter.models import Package
from newsletter.states import ANSWERS, Evidence, State, may, proven
from newsletter.store import (
    Claim,
    Counts,
    Doubt,
    ImportCounts,
    Outcome,
    Recipient,
    Sighting,
    Subscriber,
    Subscription,
    Trace,
    queries,
)

_VERSION = 2
_WAL_IS_SOUND = (3, 51, 3)
# How long one writer waits for another, in seconds; no transaction here takes a tenth of it.
_PATIENCE = 30.0
# Rows a transaction: an import that is cut off loses no more, and holds nobody up longer.
_IMPORT_STEP = 2_000
# Soft bounces in so many briefings in a row end the mail to an address.
_SOFT_BOUNCES = 3


class SqliteStore:
    """Keeps the promises of `Store` in a file. One object serves one thread."""

    def __init__(self, path: str, make: bool = True) -> None:
        """Open, and make or move forward, the database at `path`. Without `make`, one that is not there is
        opened as an empty one in memory. Raises StoreError.
        """
        self.path = Path(path)
        try:
            if not make and not self.path.exists():
                path = ":memory:"
            else:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.execute("PRAGMA secure_delete = ON")
            wal = sqlite3.sqlite_version_info >= _WAL_IS_SOUND
            self._db.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if wal else 'EXTRA'}")
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path}: cannot be opened as the database: {error}.") from error

    def _prepare(self) -> None:
        if self._db.execute("PRAGMA user_version").fetchone() == (_VERSION,):
            return  # nothing to do, so nobody to wait for
        with self._writing():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise StoreError(
                    f"{self.path}: was written by a newer version of this program (schema {version}, "
                    f"this one knows {_VERSION}). Update the program."
                )
            if version < _VERSION:
                script = "schema.sql" if version == 0 else f"from-{version}.sql"
                for statement in files("newsletter.store").joinpath(script).read_text().split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            kind = StoreBusy if "locked" in str(error) else StoreError
            raise kind(f"{self.path}: {error}. Nothing of this step was kept.") from error

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    # -- subscribers

    def import_subscribers(self, subscribers: Iterable[Subscriber]) -> ImportCounts:
        """See Store. Commits step by step: running it again goes on where it was cut off.

        Each step is read before its transaction begins, so that slow input holds nobody up.
        """
        added = withdrawn = known = 0
        rows = iter(subscribers)
        while step := list(islice(rows, _IMPORT_STEP)):
            with self._writing() as db:
                for subscriber in step:
                    if db.execute(queries.ADD, _row(subscriber)).rowcount:
                        added += 1
                    elif subscriber.subscription is Subscription.UNSUBSCRIBED:
                        changed = db.execute(queries.WITHDRAW, (subscriber.address.key,)).rowcount
                        withdrawn += changed
                        known += 1 - changed
                    else:
                        known += 1
        return ImportCounts(added, withdrawn, known)

    def suppress(self, key: str, reason: str, at: datetime, evidence: str) -> None:
        """See Store."""
        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO suppression VALUES (?, ?, ?, ?)", (key, reason, _iso(at), evidence)
            )

    def subscription_counts(self) -> Mapping[Subscription, int]:
        """See Store."""
        rows = self._db.execute("SELECT subscription, count(*) FROM subscriber GROUP BY subscription")
        return {Subscription(kind): count for kind, count in rows}

    # -- a send

    def freeze(self, package: Package, at: datetime, through: str = "") -> bool:
        """See Store."""
        with self._writing() as db:
            if self.frozen(package.month):
                return False
            document = json.dumps(asdict(package), ensure_ascii=False, sort_keys=True)
            db.execute(
                "INSERT INTO send VALUES (?, ?, ?, ?, ?)",
                (package.month, package.content_hash, document, _iso(at), through),
            )
            db.execute(queries.FREEZE, {"briefing": package.month, "at": _iso(at)})
            db.execute(queries.EXCLUDE, {"briefing": package.month})
        return True

    def frozen(self, briefing: str) -> Package | None:
        """See Store."""
        row = self._db.execute("SELECT package FROM send WHERE briefing = ?", (briefing,)).fetchone()
        if row is None:
            return None
        document = json.loads(row[0])
        known = {field.name for field in fields(Package)}
        document = {key: value for key, value in document.items() if key in known}
        document["placeholders"] = tuple(document["placeholders"])
        document["items"] = tuple(document["items"])
        return Package(**document)

    def through(self, briefing: str) -> str:
        """See Store."""
        row = self._db.execute("SELECT through FROM send WHERE briefing = ?", (briefing,)).fetchone()
        return str(row[0]) if row else ""

    def discard(self, briefing: str) -> int:
        """See Store."""
        with self._writing() as db:
            db.execute("DELETE FROM evidence WHERE briefing = ?", (briefing,))
            count = db.execute("DELETE FROM recipient WHERE briefing = ?", (briefing,)).rowcount
            db.execute("DELETE FROM exclusion WHERE briefing = ?", (briefing,))
            db.execute("DELETE FROM attempt WHERE briefing = ?", (briefing,))
            db.execute("DELETE FROM send WHERE briefing = ?", (briefing,))
        return count

    def hold_orphans(self, briefing: str, at: datetime) -> int:
        """See Store."""
        with self._writing() as db:
            return db.execute(queries.HOLD, (_iso(at), briefing)).rowcount

    def claim(self, briefing: str, limit: int, attempt: str, at: datetime) -> Claim | None:
        """See Store."""
        taken: list[Recipient] = []
        with self._writing() as db:
            while not taken:
                rows = db.execute(queries.NEXT, (briefing, limit)).fetchall()
                if not rows:
                    return None
                for number, address, public_id, reason in rows:
                    if reason:
                        db.execute(queries.SKIP, (reason, _iso(at), briefing, number))
                    else:
                        taken.append(Recipient(number, address, public_id))
            db.execute(
                "INSERT INTO attempt (id, briefing, made_at) VALUES (?, ?, ?)", (attempt, briefing, _iso(at))
            )
            db.executemany(
                queries.CLAIM, [(attempt, _iso(at), briefing, recipient.number) for recipient in taken]
            )
        return Claim(briefing, attempt, tuple(taken))

    def record(self, claim: Claim, outcomes: Sequence[Outcome], at: datetime) -> None:
        """See Store. Raises StoreError, changing nothing, for a step that the table does not have."""
        moment = _iso(at)
        with self._writing() as db:
            for outcome in outcomes:
                if outcome.state not in ANSWERS:
                    raise self._no_step(claim, outcome)
                row = (outcome.state, outcome.message_id, outcome.evidence, moment)
                if (
                    db.execute(queries.RECORD, (*row, claim.briefing, outcome.number, claim.attempt)).rowcount
                    == 0
                ):
                    # SES's events can be quicker than its answer: then the state is theirs and stays.
                    known = db.execute(
                        queries.PROVEN, (outcome.message_id, claim.briefing, outcome.number, claim.attempt)
                    )
                    if known.rowcount == 0:
                        raise self._no_step(claim, outcome)
            if any(outcome.state is not State.IN_DOUBT for outcome in outcomes):
                db.execute("UPDATE attempt SET answered_at = ? WHERE id = ?", (moment, claim.attempt))

    def _no_step(self, claim: Claim, outcome: Outcome) -> StoreError:
        return StoreError(
            f"{self.path}: recipient {outcome.number} of {claim.briefing} cannot become {outcome.state} "
            f"by attempt {claim.attempt}: it is not claimed by it."
        )

    # -- afterwards

    def apply(self, sightings: Sequence[Sighting], at: datetime) -> int:
        """See Store."""
        fresh = 0
        with self._writing() as db:
            for sighting in sightings:
                row = db.execute(*_whose(sighting)).fetchone()
                if row is None:
                    continue  # another mail of this account, or another installation's
                briefing, number, state, subscriber, address_key = row
                added = db.execute(
                    "INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        briefing,
                        number,
                        sighting.kind,
                        sighting.message_id,
                        sighting.attempt,
                        _iso(sighting.at),
                        sighting.detail,
                    ),
                ).rowcount
                if not added:
                    continue
                fresh += 1
                kinds = db.execute(
                    "SELECT kind FROM evidence WHERE briefing = ? AND number = ?", (briefing, number)
                )
                after = proven(Evidence(kind) for (kind,) in kinds.fetchall())
                if after and after != state:
                    if not may(State(state), after):
                        raise StoreError(
                            f"{self.path}: {sighting.kind} cannot make {state} of {briefing} {after}."
                        )
                    words = f"{sighting.kind.replace('_', ' ')}: {sighting.detail}".rstrip(": ")
                    db.execute(queries.SHOW, (after, sighting.message_id, words, _iso(at), briefing, number))
                if reason := _suppresses(db, sighting.kind, subscriber):
                    db.execute(
                        "INSERT OR IGNORE INTO suppression VALUES (?, ?, ?, ?)",
                        (address_key, reason, _iso(at), f"{sighting.message_id} {sighting.detail}".strip()),
                    )
        return fresh

    def canary_mailed(self, canary: str, at: datetime) -> None:
        """See Store."""
        with self._writing() as db:
            db.execute("INSERT INTO canary (id, mailed_at) VALUES (?, ?)", (canary, _iso(at)))

    def canary_seen(self, canary: str, at: datetime) -> None:
        """See Store."""
        with self._writing() as db:
            db.execute("UPDATE canary SET seen_at = ? WHERE id = ? AND seen_at = ''", (_iso(at), canary))

    def newest_canary(self) -> datetime | None:
        """See Store."""
        (mailed,) = self._db.execute("SELECT max(mailed_at) FROM canary WHERE seen_at != ''").fetchone()
        return datetime.fromisoformat(mailed) if mailed else None

    def doubts(self, briefing: str) -> list[Doubt]:
        """See Store."""
        rows = self._db.execute(queries.DOUBTS, (briefing,))
        return [
            Doubt(attempt, datetime.fromisoformat(made), held, seen) for attempt, made, held, seen in rows
        ]

    def blind(self, briefing: str, since: datetime) -> int:
        """See Store."""
        (count,) = self._db.execute(queries.BLIND, (briefing, _iso(since))).fetchone()
        return int(count)

    def release(self, briefing: str, attempt: str, state: State, evidence: str, at: datetime) -> int:
        """See Store."""
        if not may(State.IN_DOUBT, state):
            raise StoreError(f"{briefing}: nobody in doubt can become {state}.")
        with self._writing() as db:
            return db.execute(queries.RELEASE, (state, evidence, _iso(at), briefing, attempt)).rowcount

    def trace(self, briefing: str, address_key: str = "") -> Iterator[Trace]:
        """See Store."""
        one = {"briefing": briefing, "key": address_key}
        for number, address, state, words, message_id, changed, frozen in self._db.execute(
            queries.TRACE, one
        ).fetchall():
            seen = self._db.execute(
                "SELECT at, kind, trim(message_id || ' ' || detail) FROM evidence "
                "WHERE briefing = ? AND number = ? ORDER BY at, kind", (briefing, number),
            ).fetchall()  # fmt: skip
            own = (
                []
                if state == State.PENDING and not words
                else [(changed, str(state), f"{message_id} {words}".strip())]
            )
            history = [(frozen, "frozen", ""), *sorted([*own, *seen])]
            yield Trace(address, str(state), tuple(history))
        for address, reason, frozen in self._db.execute(queries.TRACE_EXCLUDED, one).fetchall():
            yield Trace(address, "excluded", ((frozen, "excluded", reason),))

    def counts(self, briefing: str) -> Counts:
        """See Store."""
        states = self._db.execute(
            "SELECT state, count(*) FROM recipient WHERE briefing = ? GROUP BY state", (briefing,)
        )
        reasons = self._db.execute(
            "SELECT reason, count(*) FROM exclusion WHERE briefing = ? GROUP BY reason ORDER BY reason",
            (briefing,),
        )
        return Counts({State(state): count for state, count in states}, dict(reasons.fetchall()))

    @contextmanager
    def sending(self, briefing: str) -> Iterator[None]:
        """See Store. The lock is the operating system's, so it goes with the process that dies."""
        path = self.path.with_name(f"{self.path.name}.{briefing}.lock")
        try:
            file = path.open("a")
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror}. Who may write there?") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(
                    f"{briefing}: another process is sending it now. Wait for it, or stop it; "
                    f"`newsletter status {briefing}` shows how far it is."
                ) from None
            yield


def _whose(sighting: Sighting) -> tuple[str, tuple[object, ...]]:
    """The query for the recipient a sighting is about: by our tags, or by SES's message id where it has none."""
    if sighting.briefing and sighting.number is not None:
        return f"{queries.WHOSE} briefing = ? AND number = ?", (sighting.briefing, sighting.number)
    return f"{queries.WHOSE} message_id = ? AND message_id != ''", (sighting.message_id,)


def _suppresses(db: sqlite3.Connection, kind: Evidence, subscriber: int) -> str:
    """The reason for which this evidence ends all mail to an address, or ""."""
    if kind is Evidence.HARD_BOUNCE:
        return "hard_bounce"
    if kind is Evidence.COMPLAINT:
        return "complaint"
    if kind is Evidence.SOFT_BOUNCE:
        (soft,) = db.execute(queries.SOFT, (subscriber,)).fetchone()
        return "soft_bounces" if soft >= _SOFT_BOUNCES else ""
    return ""


def _row(subscriber: Subscriber) -> tuple[object, ...]:
    return (
        secrets.token_bytes(16),
        subscriber.address.text,
        subscriber.address.key,
        str(subscriber.subscription),
        subscriber.name,
        subscriber.subscribed_at,
        subscriber.confirmed_at,
        subscriber.source,
    )


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
