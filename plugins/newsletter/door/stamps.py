"""When a form was given out, and the work its sender has done: what tells visitors from programs, without cookies.

A stamp is a signed time (tokens.py). A form sent within two seconds of its stamp was not filled in by a person, one
that is older than a day has to be asked for again. The pages of the site are files and carry none: their forms are
taken on the browser's word that they come from our page (guard.py), and whoever cannot give it gets the same form
again, with a stamp in it.

While too many knock, a form asks for work as well: the scheme of ALTCHA (a number below MOST whose SHA-256 after a
salt is known), with the stamp as the salt. The number is derived from the stamp with our key, so nothing is kept to
check it. theme/static/js/work.js does the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from hashlib import sha256

from newsletter.store.door import Letter, Limit
from newsletter.tokens import keyed_hash, stamp, stamped

EARLIEST, LATEST = timedelta(seconds=2), timedelta(hours=24)
# On average half of them are tried: one or two seconds of a laptop, a few of a phone.
MOST = 150_000
# How many letters one piece of work is worth.
_USES = 1


class Shown(IntEnum):
    """What a form has shown of its sender, least first."""

    NOTHING = 0
    STAMP = 1
    WORK = 2


@dataclass(frozen=True, slots=True)
class Proof:
    """What the next form carries: its stamp, and with `challenge` (hex, "" for none) the work it asks for."""

    stamp: str
    challenge: str = ""
    most: int = MOST


def proof(now: datetime, keys: Sequence[bytes], wanted: Shown, again: bool = False) -> Proof | None:
    """What a form must carry to show what is wanted. `again`: its fields are filled in already, so it may come at once."""
    if wanted is Shown.NOTHING:
        return None
    made = stamp(now - EARLIEST if again else now, keys)
    if wanted is Shown.STAMP:
        return Proof(made)
    return Proof(made, sha256(f"{made}{_number(made, keys[0])}".encode()).hexdigest())


def shown(fields: Mapping[str, str], now: datetime, keys: Sequence[bytes]) -> Shown:
    """What a form that was sent shows."""
    made = fields.get("stamp", "")
    at = stamped(made, keys)
    if at is None or now - at < EARLIEST or now - at > LATEST:
        return Shown.NOTHING
    if any(fields.get("work") == str(_number(made, key)) for key in keys):
        return Shown.WORK
    return Shown.STAMP


def used_up(fields: Mapping[str, str], key: bytes) -> Limit:
    """What one piece of work counts against, so that it is not sold by the thousand."""
    return Limit(f"work {keyed_hash('work', fields.get('stamp', ''), key).hex()}", _USES, LATEST)


def again(fields: Mapping[str, str], letter: Letter, key: bytes) -> Limit:
    """What the same request with the same work counts against: a button pressed twice, which asks for nothing more."""
    request = repr((fields.get("stamp", ""), letter.kind, letter.to.key, sorted(letter.words.items())))
    return Limit(f"again {keyed_hash('again', request, key).hex()}", _USES, LATEST)


def _number(made: str, key: bytes) -> int:
    return int.from_bytes(keyed_hash("number", made, key)[:8], "big") % MOST
