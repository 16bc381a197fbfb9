"""Erasing somebody everywhere: out of the store, and out of what was put aside beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from newsletter import address, tokens
from newsletter.store import Store


def erase(store: Store, public_id: bytes, keys: Sequence[bytes], aside: Iterable[Path], at: datetime) -> bool:
    """Erase a subscriber. `keys` are the secret keys, newest first; `aside` are folders of what was put aside:
    messages that were no events, lines of lists that were not taken. False if there is no such subscriber. Raises
    StoreError.
    """
    kept = store.data_of(public_id)
    if not kept:
        return False
    had = {str(row["address"]) for table in ("subscriber", "recipient") for row in kept[table]}
    # First the files: if the store then fails, the subscriber is still there, and it can be done again.
    clean(aside, had)
    return store.erase(public_id, partial(tokens.digests, keys=keys), at)


def erase_address(
    store: Store, text: str, keys: Sequence[bytes], aside: Iterable[Path], at: datetime
) -> bool:
    """The same for an address, whether or not it ever became a subscriber. Raises AddressError, StoreError."""
    key = address.parse(text).key
    cleaned = clean(aside, [key])
    return store.erase_address(key, partial(tokens.digests, keys=keys), at) or cleaned > 0


def clean(folders: Iterable[Path], addresses: Iterable[str]) -> int:
    """Delete each file in the folders that has one of the addresses in it, in small or capital letters; how many.

    Nothing is lost with them: the messages nobody could read, and a list can be imported once more.
    """
    wanted = [one.lower().encode() for one in addresses]
    files = [path for folder in folders for path in folder.glob("*") if path.is_file()]
    found = [path for path in files if any(one in path.read_bytes().lower() for one in wanted)]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
