"""Erasing somebody everywhere: out of the store, and out of what was put aside beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from newsletter import address, tokens
from newsletter.store import Store


def erase(store: Store, public_id: bytes, keys: Sequence[bytes], quarantine: Path, at: datetime) -> bool:
    """Erase a subscriber. `keys` are the secret keys, newest first; `quarantine` is the folder of messages that were
    no events. False if there is no such subscriber. Raises StoreError.
    """
    person = store.person(public_id)
    if person is None:
        return False
    # First the files: if the store then fails, the subscriber is still there, and it can be done again.
    clean(quarantine, person.address)
    return store.erase(public_id, partial(tokens.digests, keys=keys), at)


def erase_address(store: Store, text: str, keys: Sequence[bytes], quarantine: Path, at: datetime) -> bool:
    """The same for an address, whether or not it ever became a subscriber. Raises AddressError, StoreError."""
    key = address.parse(text).key
    cleaned = clean(quarantine, key)
    return store.erase_address(key, partial(tokens.digests, keys=keys), at) or cleaned > 0


def clean(folder: Path, text: str) -> int:
    """Delete each file in `folder` that has the address `text` in it, in small or capital letters; how many.

    Nobody could read those messages, so nothing is lost with them.
    """
    wanted = text.lower().encode()
    found = [path for path in folder.glob("*") if path.is_file() and wanted in path.read_bytes().lower()]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
