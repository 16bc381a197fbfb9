"""What SES told of the mails afterwards, and what that settles, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from newsletter.errors import StoreError
from newsletter.states import Evidence, State, may, proven
from newsletter.store.door import ERASED, Digests
from newsletter.store.journal import SUPPRESSED
from newsletter.store.ledger import WITHDRAWN, Doubt, Sighting, Trace, when
from newsletter.store.sqlite import queries
from newsletter.store.sqlite.database import moment
from newsletter.store.sqlite.letters import told_of_letter
from newsletter.store.sqlite.membership import SqliteMembership

# Soft bounces in so many briefings in a row end the mail to an address.
_SOFT_BOUNCES = 3


class SqliteEvidence(SqliteMembership):
    """Keeps those promises of `Ledger` that are about a mail after it was submitted."""

    def apply(self, sightings: Sequence[Sighting], at: datetime, digests: Digests = lambda key: ()) -> int:
        """See Store."""
        fresh = 0
        with self.writing() as db, self.journal.together():
            # A mail is known by its message only after what names it.
            for sighting in sorted([*sightings, *_strays(db)], key=lambda one: not one.tagged):
                row = db.execute(*_whose(sighting)).fetchone()
                if row is None:
                    fresh += told_of_letter(db, sighting, at)
                    if sighting.may_be_ours_yet(at):
                        _keep(db, sighting)
                    continue  # else another mail of this account, or another installation's
                briefing, number, state, subscriber, address_key, named = row
                if address_key.startswith(ERASED):  # SES quotes the address
                    sighting = replace(sighting, detail="")
                added = db.execute(
                    "INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        briefing,
                        number,
                        sighting.kind,
                        sighting.message_id,
                        sighting.attempt,
                        moment(sighting.at),
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
                    db.execute(
                        queries.SHOW, (after, sighting.message_id, words, moment(at), briefing, number)
                    )
                elif not named:  # a person had decided it; what SES leaves without tags is known by this name
                    db.execute(queries.NAME, (sighting.message_id, briefing, number))
                if reason := _suppresses(db, sighting.kind, subscriber):
                    suppressed = db.execute(
                        "INSERT OR IGNORE INTO suppression VALUES (?, ?, ?, ?)",
                        (address_key, reason, moment(at), f"{sighting.message_id} {sighting.detail}".strip()),
                    ).rowcount
                    if suppressed and not address_key.startswith(ERASED):
                        # The address is what is suppressed: where it can be told by a digest, not its subscriber.
                        marks = digests(address_key)
                        who = b"" if marks else self._named(subscriber)
                        self.journal.append(who, at, SUPPRESSED, reason, marks)
        return fresh

    def attempted(self, briefing: str, attempt: str) -> bool:
        """See Store."""
        found = self.db.execute("SELECT 1 FROM attempt WHERE id = ? AND briefing = ?", (attempt, briefing))
        return found.fetchone() is not None

    def _named(self, subscriber: int) -> bytes:
        row = self.db.execute("SELECT public_id FROM subscriber WHERE id = ?", (subscriber,)).fetchone()
        return row[0] if row else b""

    def seen(self, briefing: str) -> Mapping[Evidence, int]:
        """See Store."""
        rows = self.db.execute(
            "SELECT kind, count(DISTINCT number) FROM evidence WHERE briefing = ? GROUP BY kind", (briefing,)
        )
        return {Evidence(kind): count for kind, count in rows}

    def canary_mailed(self, canary: str, at: datetime) -> None:
        """See Store."""
        with self.writing() as db:
            db.execute("INSERT INTO canary (id, mailed_at) VALUES (?, ?)", (canary, moment(at)))

    def canary_seen(self, canary: str, at: datetime) -> None:
        """See Store."""
        with self.writing() as db:
            db.execute("UPDATE canary SET seen_at = ? WHERE id = ? AND seen_at = ''", (moment(at), canary))

    def newest_canary(self) -> datetime | None:
        """See Store."""
        (mailed,) = self.db.execute("SELECT max(mailed_at) FROM canary WHERE seen_at != ''").fetchone()
        return datetime.fromisoformat(mailed) if mailed else None

    def doubts(self, briefing: str) -> list[Doubt]:
        """See Store."""
        rows = self.db.execute(queries.DOUBTS, (briefing,))
        return [
            Doubt(attempt, datetime.fromisoformat(made), held, seen) for attempt, made, held, seen in rows
        ]

    def blind(self, briefing: str, since: datetime) -> int:
        """See Store."""
        (count,) = self.db.execute(queries.BLIND, (briefing, moment(since))).fetchone()
        return int(count)

    def release(self, briefing: str, attempt: str, state: State, evidence: str, at: datetime) -> int:
        """See Store."""
        if not may(State.IN_DOUBT, state):
            raise StoreError(f"{briefing}: nobody in doubt can become {state}.")
        with self.writing() as db:
            count = db.execute(queries.RELEASE, (state, evidence, moment(at), briefing, attempt)).rowcount
            db.execute(queries.CLOSE_WITHDRAWN, (WITHDRAWN, moment(at), briefing))
        return count

    def trace(self, briefing: str, address_key: str = "") -> Iterator[Trace]:
        """See Store."""
        one = {"briefing": briefing, "key": address_key}
        for number, address, state, words, message_id, changed, frozen in self.db.execute(
            queries.TRACE, one
        ).fetchall():
            seen = self.db.execute(
                "SELECT at, kind, trim(message_id || ' ' || detail) FROM evidence "
                "WHERE briefing = ? AND number = ? ORDER BY at, kind", (briefing, number),
            ).fetchall()  # fmt: skip
            calls = self.db.execute(queries.CALLS, (briefing, number)).fetchall()
            own = (
                []
                if state == State.PENDING and not words
                else [(changed, str(state), f"{message_id} {words}".strip())]
            )
            history = [(frozen, "frozen", ""), *sorted([*calls, *own, *seen], key=when)]
            yield Trace(address, str(state), tuple(history))
        for address, reason, frozen in self.db.execute(queries.TRACE_EXCLUDED, one).fetchall():
            yield Trace(address, "excluded", ((frozen, "excluded", reason),))


def _whose(sighting: Sighting) -> tuple[str, dict[str, object]]:
    """The query for the recipient a sighting is about: by our tags, or by SES's message id where it has none."""
    if sighting.tagged:
        return queries.TAGGED, {"briefing": sighting.briefing, "number": sighting.number}
    return queries.NAMED, {"message_id": sighting.message_id}


def _strays(db: sqlite3.Connection) -> list[Sighting]:
    """Take out what was kept, since nobody knew whose mail it was about."""
    rows = db.execute("SELECT kind, message_id, at, detail, recipient FROM stray").fetchall()
    if rows:
        db.execute("DELETE FROM stray")
    return [
        Sighting(Evidence(kind), message_id, datetime.fromisoformat(at), detail=detail, recipient=recipient)
        for kind, message_id, at, detail, recipient in rows
    ]


def _keep(db: sqlite3.Connection, stray: Sighting) -> None:
    db.execute(
        "INSERT OR IGNORE INTO stray VALUES (?, ?, ?, ?, ?)",
        (stray.message_id, stray.kind, moment(stray.at), stray.recipient, stray.detail),
    )


def _suppresses(db: sqlite3.Connection, kind: Evidence, subscriber: int) -> str:
    """The reason for which this evidence ends all mail to an address, or ""."""
    if kind is Evidence.HARD_BOUNCE:
        return "hard_bounce"
    if kind is Evidence.COMPLAINT:
        return "complaint"
    if kind is Evidence.SOFT_BOUNCE:
        (soft,) = db.execute(queries.SOFT, {"number": subscriber}).fetchone()
        return "soft_bounces" if soft >= _SOFT_BOUNCES else ""
    return ""
