"""Links that only we can have made: a subject, what it may be used for, and a signature.

    base64url( key id, 4 bytes | subject, 16 bytes | HMAC-SHA256 over purpose and both, 16 of 32 bytes )

A token says nothing of its subscriber but a random number, grants one purpose, and stands in the path of an
address, never in its query, which proxies strip and logs keep (RFC 8058 section 3.1: hard to forge, opaque).

The subject of UNSUBSCRIBE is a subscriber's public id, and it never expires. That of CONFIRM, MY_PAGE and CHANGE
is a letter's id, and the letter says how long its link works (`Letter.usable`). That of FORM is a moment.

With the same keys addresses are hashed where one must be recognised and not known.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256

_KEY_ID, _SUBJECT, _MAC = 4, 16, 16
_LENGTH = _KEY_ID + _SUBJECT + _MAC


class Purpose(StrEnum):
    """What a token lets its bearer do; a token for one is worthless for another."""

    UNSUBSCRIBE = "unsubscribe"
    CONFIRM = "confirm"
    MY_PAGE = "my-page"
    CHANGE = "change"
    FORM = "form"


def mint(purpose: Purpose, subject: bytes, keys: Sequence[bytes]) -> str:
    """A token for `subject` (16 bytes), signed with the newest of `keys`; 48 characters of [A-Za-z0-9_-]."""
    head = _key_id(keys[0]) + subject
    return urlsafe_b64encode(head + _mac(purpose, head, keys[0])).decode()


def verify(token: str, purpose: Purpose, keys: Sequence[bytes]) -> bytes | None:
    """The subject of a genuine token for that purpose, signed with any of `keys`; None for every other text."""
    try:
        raw = urlsafe_b64decode(token)
    except ValueError:
        return None
    if len(raw) != _LENGTH or urlsafe_b64encode(raw).decode() != token:
        return None
    head, mac = raw[:-_MAC], raw[-_MAC:]
    for key in keys:
        if hmac.compare_digest(_key_id(key), head[:_KEY_ID]) and hmac.compare_digest(
            _mac(purpose, head, key), mac
        ):
            return head[_KEY_ID:]
    return None


def stamp(at: datetime, keys: Sequence[bytes]) -> str:
    """A token that says when it was made, to the second, for a form to carry; no two are alike."""
    return mint(Purpose.FORM, int(at.timestamp()).to_bytes(8, "big") + secrets.token_bytes(8), keys)


def stamped(token: str, keys: Sequence[bytes]) -> datetime | None:
    """When a genuine stamp was made, in UTC; None for every other text."""
    subject = verify(token, Purpose.FORM, keys)
    return datetime.fromtimestamp(int.from_bytes(subject[:8], "big"), UTC) if subject else None


def keyed_hash(use: str, text: str, key: bytes) -> bytes:
    """16 bytes that tell two texts apart, and nothing of either to whoever has not the key. `use` is what for: the
    same text has another hash for another use.
    """
    return hmac.digest(key, f"newsletter hash/{use}\0{text}".encode(), "sha256")[:_MAC]


def digests(address_key: str, keys: Sequence[bytes]) -> tuple[bytes, ...]:
    """What is kept of an erased address: its hash with each key, the newest first. An older key goes on recognising
    what was erased in its time.
    """
    return tuple(keyed_hash("erased", address_key, key) for key in keys)


def attempt_id(briefing: str, keys: Sequence[bytes]) -> str:
    """A new id for one call of SES, 32 hex digits: half of it random, half a keyed hash of that. So an event that comes
    back with it is about a mail of ours, whichever copy of the ledger made the call.
    """
    nonce = secrets.token_hex(8)
    return nonce + _attempt_hash(briefing, nonce, keys[0])


def is_attempt(text: str, briefing: str, keys: Sequence[bytes]) -> bool:
    """Whether `attempt_id` made this text for this briefing, with any of the keys."""
    nonce, own = text[:16], text[16:].encode()
    return any(hmac.compare_digest(own, _attempt_hash(briefing, nonce, key).encode()) for key in keys)


def _attempt_hash(briefing: str, nonce: str, key: bytes) -> str:
    return keyed_hash("attempt", f"{briefing}\0{nonce}", key).hex()[:16]


@lru_cache(maxsize=16)
def _key_id(key: bytes) -> bytes:
    return sha256(b"key id\0" + key).digest()[:_KEY_ID]


def _mac(purpose: Purpose, head: bytes, key: bytes) -> bytes:
    return hmac.digest(key, f"newsletter/{purpose}\0".encode() + head, "sha256")[:_MAC]
