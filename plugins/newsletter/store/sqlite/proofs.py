"""What a ledger in SQLite can be examined by: one reading of it, counted by SQLite itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from newsletter.states import Evidence, State
from newsletter.store.proofs import DECIDED, Kept, Shape, Some, Suppressed
from newsletter.store.sqlite.database import Database

# Each kind of evidence is one bit, so that any set of them is one number.
_BIT = {kind: 1 << place for place, kind in enumerate(Evidence)}
_BITS = " ".join(f"WHEN '{kind}' THEN {bit}" for kind, bit in _BIT.items())
_SHAPES = f"""
SELECT state, recipient.attempt IS NOT NULL, attempt.id IS NOT NULL, message_id != '',
    recipient.evidence LIKE '{DECIDED}%' OR recipient.evidence = '(erased)',
    (SELECT sum(DISTINCT CASE kind {_BITS} END) FROM evidence
     WHERE evidence.briefing = recipient.briefing AND evidence.number = recipient.number),
    (SELECT count(DISTINCT message_id) > 1 OR min(message_id) NOT IN (recipient.message_id, '')
     AND recipient.message_id != '' FROM evidence
     WHERE evidence.briefing = recipient.briefing AND evidence.number = recipient.number) IS TRUE,
    CASE WHEN suppression.address_key IS NULL THEN 'never'
         WHEN suppression.at < attempt.made_at THEN 'before' ELSE 'since' END,
    coalesce((SELECT what != 'confirmed' FROM history WHERE history.public_id = recipient.public_id
        AND history.at < attempt.made_at AND what IN ('confirmed', 'unsubscribed', 'erased')
        ORDER BY history.rowid DESC LIMIT 1), 0),
    exclusion.subscriber IS NOT NULL, count(*), min(number)
FROM recipient
LEFT JOIN attempt ON attempt.id = recipient.attempt AND attempt.briefing = recipient.briefing
LEFT JOIN suppression USING (address_key)
LEFT JOIN exclusion ON exclusion.briefing = recipient.briefing AND exclusion.subscriber = recipient.subscriber
WHERE recipient.briefing = :briefing GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""  # noqa: S608 - put together from constants
_DOUBLED = """
SELECT coalesce(sum(count), 0), coalesce(min(example), 0) FROM (
    SELECT count(*) AS count, min(number) AS example FROM recipient WHERE briefing = :briefing
    GROUP BY address_key HAVING count(*) > 1)
"""
# Numbers of subscribers only grow, so whoever has a smaller one than the last of a freeze was there at the freeze.
_UNACCOUNTED = """
SELECT count(*), coalesce(min(id), 0) FROM subscriber
WHERE EXISTS (SELECT 1 FROM send WHERE briefing = :briefing AND corrects = '')
  AND id <= max((SELECT coalesce(max(subscriber), 0) FROM recipient WHERE briefing = :briefing),
                (SELECT coalesce(max(subscriber), 0) FROM exclusion WHERE briefing = :briefing))
  AND id NOT IN (SELECT subscriber FROM recipient WHERE briefing = :briefing)
  AND NOT EXISTS (SELECT 1 FROM exclusion WHERE briefing = :briefing AND subscriber = subscriber.id)
"""
_UNCORRECTED = """
SELECT count(*), coalesce(min(number), 0) FROM recipient JOIN send USING (briefing)
WHERE briefing = :briefing AND corrects != '' AND subscriber NOT IN (SELECT subscriber FROM recipient
    WHERE briefing = (SELECT corrects FROM send WHERE briefing = :briefing) AND attempt IS NOT NULL)
"""
_KEPT = """
SELECT abs(number), address, state, coalesce(attempt, ''), message_id FROM recipient WHERE briefing = :briefing ORDER BY number
"""


class SqliteProofs(Database):
    """Keeps the promises of `Proofs`."""

    def shapes(self, briefing: str) -> list[Shape]:
        """See Store."""
        return [
            Shape(
                State(state), bool(claimed), bool(called), bool(named), bool(decided), _kinds(bits or 0), bool(another),
                Suppressed(suppressed), bool(left), bool(excluded), count, example,
            )
            for state, claimed, called, named, decided, bits, another, suppressed, left, excluded, count, example
            in self._asked(_SHAPES, briefing)
        ]  # fmt: skip

    def doubled(self, briefing: str) -> Some:
        """See Store."""
        return Some(*next(self._asked(_DOUBLED, briefing)))

    def unaccounted(self, briefing: str) -> Some:
        """See Store."""
        return Some(*next(self._asked(_UNACCOUNTED, briefing)))

    def uncorrected(self, briefing: str) -> Some:
        """See Store."""
        return Some(*next(self._asked(_UNCORRECTED, briefing)))

    def kept(self, briefing: str) -> Iterator[Kept]:
        """See Store."""
        for number, address, state, attempt, message_id in self._asked(_KEPT, briefing):
            yield Kept(number, address, State(state), attempt, message_id)

    def unsafe(self) -> list[str]:
        """See Store. What is asked for is in database.py; a file on an odd disk silently gets something else."""
        journal, synchronous, keys, scrubs = (
            next(self._asked(f"PRAGMA {name}"))[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        )
        found = []
        looking = journal == "memory" and not self.path.exists()  # an empty store, opened to look
        if not looking and (journal, synchronous) not in {("truncate", 3), ("wal", 2)}:
            found.append(
                f"a commit may not outlive a power cut: journal_mode {journal}, synchronous {synchronous}"
            )
        if not keys:
            found.append("rows may name others that are not there: foreign_keys is off")
        if not scrubs:
            found.append("what is deleted stays readable in the file: secure_delete is off")
        return found

    def _asked(self, query: str, briefing: str = "") -> Iterator[tuple[Any, ...]]:
        yield from self.db.execute(query, {"briefing": briefing})


def _kinds(bits: int) -> frozenset[Evidence]:
    return frozenset(kind for kind, bit in _BIT.items() if bits & bit)
