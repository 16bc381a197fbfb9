"""One publish: the lease, the plan, and then step after step what it says.

    lease ─► notes, listing ─► plan ─► intent ─► uploads ─► deletions ─► invalidation ─► manifest ─► lease

It may die after any of them. Until the manifest is written the intent tells the next publish what this one was about,
so that it goes on and makes known what this one did not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from newsletter.publish.lease import Lease, Notes
from newsletter.publish.piece import Head, Piece
from newsletter.publish.plan import Plan, invalidations, plan, require_few_deletions
from newsletter.publish.record import Intent, Manifest, Record, dump, load_intent, load_manifest

MANIFEST, INTENT = "state/manifest.json.gz", "state/intent.json.gz"
_SITE = "site/"
_AT_ONCE = 16  # uploads under way


class Shelf(Notes, Protocol):
    """What a publish needs of S3 and CloudFront; `bucket.Bucket` has it. Every method raises PublishError."""

    def listing(self, prefix: str) -> dict[str, str]:
        """The ETag of each object below a prefix, by the rest of its key."""
        ...

    def put(self, key: str, body: bytes, head: Head | None = None) -> str:
        """Write an object; its ETag."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, in their order; one that is not there is deleted already."""
        ...

    def invalidate(self, paths: Sequence[str]) -> None:
        """Have CloudFront forget its copies of these paths."""
        ...


@dataclass(frozen=True, slots=True)
class Survey:
    """The bucket as it is: what is remembered of it, what lies in it, and what follows from that for a site."""

    manifest: Manifest
    intent: Intent
    listing: dict[str, str]
    plan: Plan


def survey(shelf: Shelf, pieces: Sequence[Piece]) -> Survey:
    """Look, and change nothing. Raises PublishError."""
    manifest, intent = load_manifest(_note(shelf, MANIFEST)), load_intent(_note(shelf, INTENT))
    listing = shelf.listing(_SITE)
    return Survey(manifest, intent, listing, plan(pieces, listing, manifest, intent))


class Publisher:
    """Publishes into one bucket. `uploaded` is told of each piece that has arrived."""

    def __init__(
        self, shelf: Shelf, lease: Lease, uploaded: Callable[[Piece], None] = lambda piece: None
    ) -> None:
        self._shelf, self._lease, self._uploaded = shelf, lease, uploaded

    def publish(
        self,
        pieces: Sequence[Piece],
        force: bool = False,
        planned: Callable[[Plan], None] = lambda plan: None,
    ) -> Plan:
        """Make the bucket hold these pieces; what was done. `planned` is told before anything is changed.

        Raises PublishError; what is in the bucket then is a working site, and the same command goes on.
        """
        self._lease.take()
        try:
            found = survey(self._shelf, pieces)
            planned(found.plan)
            require_few_deletions(found.plan, force)
            if found.plan.uploads or found.plan.deletions or found.intent.files or found.plan.stale:
                self._carry_out(pieces, found)
        finally:
            self._lease.release()
        return found.plan

    def _carry_out(self, pieces: Sequence[Piece], found: Survey) -> None:
        with ThreadPoolExecutor(_AT_ONCE, "publish") as pool:
            news = dict(
                zip(
                    (piece.path for piece in found.plan.uploads),
                    pool.map(_record, found.plan.uploads),
                    strict=True,
                )
            )
            # What earlier intents put there stays ours, so that it can be deleted.
            intent = Intent({**found.intent.files, **news}, found.plan.stale)
            self._lease.hold(now=True)  # of a large site the packing above takes longer than a lease lasts
            self._shelf.put(INTENT, dump(intent))
            for wave in found.plan.waves:
                for piece, etag in self._upload(pool, wave):
                    news[piece.path] = Record(piece.digest, etag, str(piece.head))
                    self._uploaded(piece)
        self._lease.hold(now=True)
        self._shelf.delete([_SITE + path for path in found.plan.deletions])
        if paths := invalidations(found.plan.stale):
            self._shelf.invalidate(paths)
        old = {
            piece.path: Record(piece.digest, found.listing[piece.path], str(piece.head))
            for piece in pieces
            if piece.path not in news
        }
        self._lease.hold(now=True)
        self._shelf.put(MANIFEST, dump(Manifest({**old, **news})))
        self._shelf.delete([INTENT])

    def _upload(self, pool: ThreadPoolExecutor, wave: Sequence[Piece]) -> Iterator[tuple[Piece, str]]:
        """Upload a wave; each piece with its ETag when it has arrived. After the first that fails no other begins."""
        under_way: dict[Future[str], Piece] = {}
        rest = iter(wave)
        try:
            while True:
                while len(under_way) < _AT_ONCE and (piece := next(rest, None)):
                    self._lease.hold()
                    under_way[pool.submit(self._put, piece)] = piece
                if not under_way:
                    return
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    yield under_way.pop(future), future.result()
        finally:
            for future in under_way:
                future.cancel()

    def _put(self, piece: Piece) -> str:
        return self._shelf.put(_SITE + piece.path, piece.body(), piece.head)


def _record(piece: Piece) -> Record:
    # S3's own ETag, not a safeguard: what is compared with it is the bucket's listing.
    etag = hashlib.md5(piece.body(), usedforsecurity=False).hexdigest()
    return Record(piece.digest, etag, str(piece.head))


def _note(shelf: Shelf, key: str) -> bytes | None:
    found = shelf.get(key)
    return found[0] if found else None
