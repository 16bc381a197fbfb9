"""What an earlier build has made and is still good: PDF editions, cards, pictures in other sizes.

Each thing lies in a folder under the hash of all that it is made of, so it is made again only when that changes,
and what no page asks for any more is thrown away at the end of a build.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path


class Stock:
    """One such folder, for the length of one build."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made if it is not there."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._used: set[Path] = set()

    def put(self, target: Path, made_of: bytes, make: Callable[[], bytes]) -> None:
        """Copy what is `made_of` that to `target`, making it first if it is not in stock. Raises what `make` raises."""
        kept = self._folder / f"{sha256(made_of).hexdigest()}{target.suffix}"
        self._used.add(kept)
        if not kept.is_file():
            draft = kept.with_suffix(".tmp")
            draft.write_bytes(make())
            draft.replace(kept)  # a build that is cut off leaves no half of a thing
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, target)

    def clear_out(self) -> None:
        """Throw away what nothing has asked for."""
        for old in set(self._folder.iterdir()) - self._used:
            old.unlink()
