"""The whole list in SQLite, and the operator's decisions."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from newsletter.store.door import ERASED, Digests, stand_in
from newsletter.store.lists import NOBODY, Known, Listed, Numbers, Suppression
from newsletter.store.people import Subscription
from newsletter.store.sqlite.database import moment
from newsletter.store.sqlite.letters import OUTDATED
from newsletter.store.sqlite.membership import SqliteMembership

# Rows a slice: some milliseconds, for which a writer waits.
_SLICE = 2_000
_KNOWN = """
SELECT address_key, public_id, subscription FROM subscriber
WHERE address_key IN (SELECT value FROM json_each(?))
"""
# The proof that belongs to the present subscription, not to one that ended.
_LISTED = """
SELECT id, address, subscription, name, subscribed_at, subscriber.confirmed_at, source, paused_until,
    coalesce(reason, ''), coalesce(at, ''), coalesce(evidence, ''), coalesce(asked_at, ''), coalesce(asked_ip, ''),
    coalesce(page, ''), coalesce(form, ''), coalesce(text, ''), coalesce(message_id, ''), coalesce(confirmed_ip, ''),
    lower(hex(subscriber.public_id))
FROM subscriber LEFT JOIN suppression USING (address_key)
LEFT JOIN consent ON consent.public_id = subscriber.public_id AND consent.confirmed_at = subscriber.confirmed_at
LEFT JOIN form ON version = form
WHERE id > ? AND subscription IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?
"""
_NOBODYS = f"""
SELECT address_key, reason, at, evidence FROM suppression
WHERE address_key > ? AND address_key NOT LIKE '{ERASED}%'
  AND NOT EXISTS (SELECT 1 FROM subscriber WHERE subscriber.address_key = suppression.address_key)
ORDER BY address_key LIMIT ?
"""  # noqa: S608 - put together from constants
_CONSENT = """
INSERT OR IGNORE INTO consent
SELECT public_id, x'', ?, ?, ?, ?, ?, confirmed_at, ? FROM subscriber WHERE address_key = ? AND subscription = 'confirmed'
"""
_JOINED = """
SELECT substr(iif(confirmed_at = '', subscribed_at, confirmed_at), 1, 7), count(*) FROM subscriber
WHERE subscription = 'confirmed' OR confirmed_at != '' GROUP BY 1
"""
# A link that is nobody's here (of an older copy, or the doctor's) is written down too, and nobody left by it.
_LEFT = """
SELECT substr(at, 1, 7), count(*) FROM history JOIN subscriber USING (public_id) WHERE what = 'unsubscribed' GROUP BY 1
"""


class SqliteLists(SqliteMembership):
    """Keeps the promises of `Lists`."""

    def known(self, address_keys: Collection[str]) -> Mapping[str, Known]:
        """See Lists."""
        rows = self.db.execute(_KNOWN, (json.dumps(list(address_keys)),))
        return {key: Known(public_id, Subscription(kind)) for key, public_id, kind in rows}

    def listed(self, only: Collection[Subscription] = ()) -> Iterator[Listed]:
        """See Lists."""
        kinds = json.dumps([str(kind) for kind in only or Subscription])
        last, texts = 0, set()
        while rows := self.db.execute(_LISTED, (last, kinds, _SLICE)).fetchall():
            last = rows[-1][0]
            for _, *cells in rows:
                line = Listed(*cells)
                if line.form in texts:
                    line = line._replace(form_text="")
                texts.add(line.form)
                yield line
        if only:
            return
        key = ""
        while found := self.db.execute(_NOBODYS, (key, _SLICE)).fetchall():
            for key, reason, at, evidence in found:
                yield Listed(
                    key,
                    Subscription.UNSUBSCRIBED,
                    source=NOBODY,
                    suppressed=reason,
                    suppressed_at=at,
                    evidence=evidence,
                )

    def restore(self, address_key: str, kept: Listed) -> None:
        """See Lists."""
        with self.writing() as db:
            if kept.id:
                db.execute(
                    "UPDATE OR IGNORE subscriber SET public_id = ? WHERE address_key = ?",
                    (bytes.fromhex(kept.id), address_key),
                )
            if kept.paused_until:
                db.execute(
                    "UPDATE subscriber SET paused_until = ? WHERE address_key = ? AND subscription = 'confirmed'",
                    (kept.paused_until, address_key),
                )
            if kept.asked_at:
                record = (
                    kept.form,
                    kept.page,
                    kept.asked_at,
                    kept.asked_ip,
                    kept.message_id,
                    kept.confirmed_ip,
                )
                db.execute(_CONSENT, (*record, address_key))
            if kept.form_text:
                db.execute("INSERT OR IGNORE INTO form VALUES (?, ?)", (kept.form, kept.form_text))

    def vouch(self, address_key: str, source: str, at: datetime) -> bool:
        """See Lists."""
        with self.writing() as db:
            row = db.execute(
                "UPDATE subscriber SET subscription = 'confirmed', source = ? "
                "WHERE address_key = ? AND subscription = 'pending' RETURNING public_id",
                (source, address_key),
            ).fetchone()
            if row:
                self.note(db, row[0], at, "confirmed", "the operator's word", elsewhere=False)
        return row is not None

    def suppression(self, address_key: str, digests: Digests) -> Suppression | None:
        """See Lists."""
        for key in _keys(address_key, digests):
            row = self.db.execute(
                "SELECT reason, at, evidence FROM suppression WHERE address_key = ?", (key,)
            ).fetchone()
            if row:
                return Suppression(*row)
        return None

    def block(self, address_key: str, digests: Digests, at: datetime, why: str) -> bool:
        """See Lists. An erased address is not written down again: what stands for it is suppressed."""
        kept = digests(address_key)
        with self.writing() as db:
            erased = any(
                db.execute("SELECT 1 FROM erased WHERE digest = ?", (digest,)).fetchone() for digest in kept
            )
            if self.suppression(address_key, digests):
                return False
            db.execute(
                "INSERT INTO suppression VALUES (?, 'operator', ?, ?)",
                (stand_in(kept[0]) if erased else address_key, moment(at), why),
            )
            self.journal.append(b"", at, "suppressed", why, kept)
        return True

    def unblock(self, address_key: str, digests: Digests, at: datetime, why: str) -> bool:
        """See Lists. In the journal it is about nobody's public id: the last word on a subscriber stays the last."""
        keys = json.dumps(list(_keys(address_key, digests)))
        with self.writing() as db:
            ended = db.execute(
                "DELETE FROM suppression WHERE address_key IN (SELECT value FROM json_each(?))", (keys,)
            ).rowcount
            if ended:
                self.journal.append(b"", at, "unsuppressed", why, digests(address_key))
                if found := self.known([address_key]).get(address_key):
                    self.journal.append(found.public_id, at, "unsuppressed")
        return bool(ended)

    def letters_to(self, address_key: str) -> Sequence[tuple[str, str, str]]:
        """See Lists."""
        return self.db.execute(
            "SELECT iif(changed_at = '', asked_at, changed_at), kind, state FROM letter "
            "WHERE address_key = ? AND kind != 'contact' ORDER BY number DESC",
            (address_key,),
        ).fetchall()

    def decisions(self, address_key: str, digests: Digests) -> Sequence[tuple[str, str, str]]:
        """See Lists."""
        wanted = set(digests(address_key))
        return [
            (line.at, line.what, line.how)
            for line in self.journal.lines()
            if not line.who and wanted.intersection(line.digests)
        ]

    def numbers(self, at: datetime) -> Numbers:
        """See Lists."""
        query = self.db.execute
        (paused,) = query(
            "SELECT count(*) FROM subscriber WHERE subscription = 'confirmed' AND paused_until > ?",
            (moment(at),),
        ).fetchone()
        kinds = query("SELECT subscription, count(*) FROM subscriber GROUP BY 1").fetchall()
        return Numbers(
            subscriptions={Subscription(kind): count for kind, count in kinds},
            paused=paused,
            suppressed=dict(query("SELECT reason, count(*) FROM suppression GROUP BY 1").fetchall()),
            joined=dict(query(_JOINED).fetchall()),
            left=dict(query(_LEFT).fetchall()),
        )

    def outdated(self, before: datetime) -> Mapping[str, int]:
        """See Lists."""
        return {
            what: self.db.execute(f"SELECT count(*) FROM {where}", {"before": moment(before)}).fetchone()[0]  # noqa: S608 - constants
            for what, where in OUTDATED.items()
        }


def _keys(address_key: str, digests: Digests) -> tuple[str, ...]:
    return (address_key, *map(stand_in, digests(address_key)))
