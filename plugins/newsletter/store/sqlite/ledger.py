"""The sends in SQLite: freeze, claim, record."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import datetime

from newsletter.errors import StoreError
from newsletter.models import Package
from newsletter.states import ANSWERS, State
from newsletter.store.ledger import Claim, Counts, Outcome, Recipient, Turn
from newsletter.store.sqlite import queries
from newsletter.store.sqlite.database import Database, moment


class SqliteLedger(Database):
    """Keeps those promises of `Ledger` that are about a mail until it is submitted."""

    def freeze(self, package: Package, at: datetime, through: str = "", corrects: str = "") -> bool:
        """See Store."""
        # The briefing is written first; a million recipients need not look it up.
        self.db.execute("PRAGMA foreign_keys = OFF")
        try:
            return self._freeze(package, moment(at), through, corrects)
        finally:
            self.db.execute("PRAGMA foreign_keys = ON")

    def _freeze(self, package: Package, at: str, through: str, corrects: str) -> bool:
        with self.writing() as db:
            if self.frozen(package.month):
                return False
            document = json.dumps(asdict(package), ensure_ascii=False, sort_keys=True)
            db.execute(
                "INSERT INTO send (briefing, content_hash, package, frozen_at, through, corrects) VALUES (?, ?, ?, ?, ?, ?)",
                (package.month, package.content_hash, document, at, through, corrects),
            )
            to = {"briefing": package.month, "at": at, "corrects": corrects}
            db.execute(queries.FREEZE_ERRATUM if corrects else queries.FREEZE, to)
            db.execute(queries.EXCLUDE, to)
        return True

    def frozen(self, briefing: str) -> Package | None:
        """See Store."""
        row = self.db.execute("SELECT package FROM send WHERE briefing = ?", (briefing,)).fetchone()
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
        row = self.db.execute("SELECT through FROM send WHERE briefing = ?", (briefing,)).fetchone()
        return str(row[0]) if row else ""

    def discard(self, briefing: str) -> int:
        """See Store."""
        with self.writing() as db:
            db.execute(queries.UNSUPPRESS_DISCARDED, (briefing,))
            db.execute("DELETE FROM evidence WHERE briefing = ?", (briefing,))
            db.execute("DELETE FROM earlier WHERE briefing = ?", (briefing,))
            count = db.execute("DELETE FROM recipient WHERE briefing = ?", (briefing,)).rowcount
            db.execute("DELETE FROM exclusion WHERE briefing = ?", (briefing,))
            db.execute("DELETE FROM attempt WHERE briefing = ?", (briefing,))
            db.execute("DELETE FROM send WHERE briefing = ?", (briefing,))
        return count

    def found_sound(self, briefing: str, at: datetime) -> None:
        """See Store."""
        with self.writing() as db:
            db.execute(
                "UPDATE send SET sound_at = ? WHERE briefing = ? AND sound_at = ''", (moment(at), briefing)
            )

    def sound(self, briefing: str) -> bool:
        """See Store."""
        row = self.db.execute("SELECT sound_at FROM send WHERE briefing = ?", (briefing,)).fetchone()
        return bool(row and row[0])

    def turn(self, briefing: str) -> Turn | None:
        """See Store."""
        row = self.db.execute(
            "SELECT number, owner, taken_at != '', open_until, stopped FROM turn WHERE briefing = ? "
            "ORDER BY number DESC LIMIT 1",
            (briefing,),
        ).fetchone()
        if row is None:
            return None
        return Turn(row[0], row[1], bool(row[2]), datetime.fromisoformat(row[3]) if row[3] else None, row[4])

    def take_turn(self, briefing: str, number: int, owner: str, at: datetime) -> None:
        """See Store."""
        with self.writing() as db:
            db.execute(
                "INSERT INTO turn (briefing, number, owner, made_at) VALUES (?, ?, ?, ?)",
                (briefing, number, owner, moment(at)),
            )

    def turn_taken(self, briefing: str, number: int, at: datetime) -> None:
        """See Store."""
        with self.writing() as db:
            db.execute(
                "UPDATE turn SET taken_at = ? WHERE briefing = ? AND number = ?",
                (moment(at), briefing, number),
            )

    def drop_turn(self, briefing: str, number: int) -> None:
        """See Store."""
        with self.writing() as db:
            db.execute(
                "DELETE FROM turn WHERE briefing = ? AND number = ? AND taken_at = ''", (briefing, number)
            )

    def hold_orphans(self, briefing: str, at: datetime) -> int:
        """See Store."""
        with self.writing() as db:
            return db.execute(queries.HOLD, (moment(at), briefing)).rowcount

    def claim(
        self, briefing: str, limit: int, attempt: str, at: datetime, first: Collection[str] = ()
    ) -> Claim | None:
        """See Store."""
        wanted = {"limit": limit, "first": json.dumps(list(first))}
        ways = [queries.NEXT_OF_THESE, queries.NEXT] if first else [queries.NEXT]
        return self.claim_some(briefing, ways, wanted, attempt, moment(at))

    def claim_some(
        self, briefing: str, ways: Sequence[str], wanted: Mapping[str, object], attempt: str, at: str
    ) -> Claim | None:
        """Claim those whom the first of these queries finds that finds anybody who may be mailed; None if none does."""
        taken: list[Recipient] = []
        asked = {"briefing": briefing, "at": at, **wanted}
        with self.writing() as db:
            for query in ways:
                while not taken and (rows := db.execute(query, asked).fetchall()):
                    for number, address, public_id, tries, reason in rows:
                        if reason:
                            db.execute(queries.SKIP, (reason, at, briefing, number))
                        else:
                            taken.append(Recipient(number, address, public_id, tries))
            if not taken:
                return None
            db.execute(
                "INSERT INTO attempt (id, briefing, made_at) VALUES (?, ?, ?)", (attempt, briefing, at)
            )
            numbers = json.dumps([recipient.number for recipient in taken])
            db.execute(queries.EARLIER, (briefing, numbers))
            db.execute(queries.CLAIM, (attempt, at, briefing, numbers))
        return Claim(briefing, attempt, tuple(taken))

    def record(self, claim: Claim, outcomes: Sequence[Outcome], at: datetime) -> None:
        """See Store. Raises StoreError, changing nothing, for a step that the table does not have."""
        when = moment(at)
        with self.writing() as db:
            claimed = {number for (number,) in db.execute(queries.CLAIMED, (claim.briefing, claim.attempt))}
            rows = []
            for one in outcomes:
                if one.state not in ANSWERS:
                    raise self._no_step(claim, one)
                if one.number in claimed:
                    claimed.remove(one.number)
                    told = (str(one.state), one.message_id, one.evidence, when, int(one.tried))
                    rows.append((*told, claim.briefing, one.number))
                # SES's events can be quicker than its answer: then the state is theirs and stays.
                elif not db.execute(
                    queries.PROVEN, (one.message_id, claim.briefing, one.number, claim.attempt)
                ).rowcount:
                    raise self._no_step(claim, one)
            db.executemany(queries.RECORD, rows)
            if any(outcome.state is not State.IN_DOUBT for outcome in outcomes):
                db.execute("UPDATE attempt SET answered_at = ? WHERE id = ?", (when, claim.attempt))

    def _no_step(self, claim: Claim, outcome: Outcome) -> StoreError:
        return StoreError(
            f"{self.path}: recipient {outcome.number} of {claim.briefing} cannot become {outcome.state} "
            f"by attempt {claim.attempt}: it is not claimed by it."
        )

    def counts(self, briefing: str) -> Counts:
        """See Store."""
        states = self.db.execute(
            "SELECT state, count(*) FROM recipient WHERE briefing = ? GROUP BY state", (briefing,)
        )
        reasons = self.db.execute(
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
