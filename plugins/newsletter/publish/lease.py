"""One publisher at a time: an object in the bucket that only one of them can write next.

S3 writes an object only if it is still the one that was read (If-Match), or if there is none (If-None-Match), and so
of two publishers one gets the lease. Its holder writes it anew every quarter of a minute; one that has not changed
for a whole minute belongs to nobody any more. No two clocks are compared: whoever waits watches the object.

What remains: a publisher that sleeps for more than a minute, in the middle of one upload, and wakes when another has
begun, finishes that one upload.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from newsletter.errors import PublishError

KEY = "state/lease.json"
_SILENT, _RENEWED, _LOOK = 60.0, 15.0, 1.0  # seconds


class Notes(Protocol):
    """What the lease needs of the bucket; `bucket.Bucket` has it."""

    def get(self, key: str) -> tuple[bytes, str] | None:
        """An object's bytes and ETag, or None."""
        ...

    def put_if(self, key: str, body: bytes, etag: str | None) -> str | None:
        """Write it if it is still the one with that ETag (None: if there is none); its new ETag, or None if not."""
        ...


class Lease:
    """The right to publish into one bucket."""

    def __init__(
        self,
        notes: Notes,
        holder: str,
        silent: float = _SILENT,
        pause: Callable[[float], None] = time.sleep,
        ticks: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = lambda words: None,
    ) -> None:
        """`holder` is who, for others to read; `silent` for how many seconds a holder may say nothing; `tell` is told,
        in words, what is waited for.
        """
        self._notes, self._holder, self._silent = notes, holder, silent
        self._pause, self._ticks, self._tell = pause, ticks, tell
        self._etag = ""
        self._renewed = 0.0

    def take(self) -> None:
        """Wait until it can be had. Raises PublishError if the bucket cannot be asked."""
        seen, since, told = "", self._ticks(), False
        while True:
            found = self._notes.get(KEY)
            body, etag = found or (b"", None)
            holder = _holder(body)
            if etag != seen:
                seen, since = etag or "", self._ticks()
            if not holder or self._ticks() - since >= self._silent:
                taken = self._notes.put_if(KEY, self._body(self._holder), etag)
                if taken:
                    self._etag, self._renewed = taken, self._ticks()
                    return
            elif not told:
                self._tell(
                    f"for another publish ({holder}) to end, or to say nothing for {self._silent:.0f} s"
                )
                told = True
            self._pause(min(_LOOK, self._silent))

    def hold(self, now: bool = False) -> None:
        """Keep it; to be called before each step, `now` before one that must not be anybody else's. Raises PublishError
        if another has it.
        """
        if not now and self._ticks() - self._renewed < _RENEWED:
            return
        etag = self._notes.put_if(KEY, self._body(self._holder), self._etag)
        if etag is None:
            raise PublishError(
                "Another publish has begun, since this one had not been heard of for a minute. That one finishes it."
            )
        self._etag, self._renewed = etag, self._ticks()

    def release(self) -> None:
        """Let another have it. One that has it already is left alone; if nobody can be asked, it lapses by itself."""
        with suppress(PublishError):
            self._notes.put_if(KEY, self._body(""), self._etag or None)

    @staticmethod
    def _body(holder: str) -> bytes:
        # Random, so that each writing has an ETag of its own.
        return json.dumps({"holder": holder, "mark": secrets.token_hex(8)}).encode()


def _holder(body: bytes) -> str:
    try:
        return str(json.loads(body)["holder"])
    except (ValueError, KeyError, TypeError):
        return ""
