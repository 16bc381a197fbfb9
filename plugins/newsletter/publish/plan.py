"""What a publish does, and in which order: decided from the files, the bucket's listing and the notes, touching neither.

The order keeps every way that a reader can take open at every moment:

    assets            what pages need is there before them
    new pages         nothing leads to them yet, and all they lead to outside of themselves is there
    new feeds         the same
    a new home page   the door is opened when the house stands
    changed pages     whatever they lead to is there, whatever they led to is still there
    changed feeds     they tell of pages that are there
    deletions         feeds, pages, assets: nothing that is left leads to them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from newsletter.errors import PublishError
from newsletter.publish.piece import HOME, Kind, Piece, is_hashed, kind_of
from newsletter.publish.record import Intent, Manifest, known

# So many addresses are named one by one to CloudFront, of which a thousand a month are free; more go by folders,
# of which fifteen may be under way at one time (CloudFront developer guide, "Concurrent invalidation requests").
_MOST_NAMED, _MOST_FOLDERS = 60, 15
# Of the addresses that readers may know, such a share may go at one time without being told to.
LARGEST_SHARE = 0.2
_DELETED = (Kind.FEED, Kind.PAGE, Kind.ASSET)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `waves` are uploaded one after the other, `deletions` after them in their order; `stale` are
    the paths of which readers may hold old copies; `foreign` lie in the bucket, but no publish put them there.
    """

    waves: tuple[tuple[Piece, ...], ...]
    deletions: tuple[str, ...]
    stale: tuple[str, ...]
    foreign: tuple[str, ...]
    unchanged: int
    share: float

    @property
    def uploads(self) -> tuple[Piece, ...]:
        """Everything that is to be uploaded, in its order."""
        return tuple(piece for wave in self.waves for piece in wave)


def plan(pieces: Sequence[Piece], listing: Mapping[str, str], manifest: Manifest, intent: Intent) -> Plan:
    """`listing` is the bucket's: ETag by path."""
    wanted = {piece.path for piece in pieces}
    changed: list[Piece] = []
    fresh: list[Piece] = []
    for piece in pieces:
        etag = listing.get(piece.path)
        record = known(piece.path, etag, manifest, intent) if etag else None
        if record is None or (record.digest, record.head) != (piece.digest, str(piece.head)):
            (changed if etag else fresh).append(piece)
    ours = manifest.files.keys() | intent.files.keys()
    gone = [path for path in listing if path not in wanted and path in ours]
    old = {piece.path for piece in changed} | set(gone)
    # Of a file that is new nobody has a copy. What an interrupted publish meant to make known is still to be.
    stale = {path for path in old if not is_hashed(path)} | set(intent.stale)
    return Plan(
        waves=_waves(fresh, changed),
        deletions=tuple(sorted(gone, key=lambda path: (_DELETED.index(kind_of(path)), path))),
        stale=tuple(sorted(stale)),
        foreign=tuple(sorted(path for path in listing if path not in wanted and path not in ours)),
        unchanged=len(pieces) - len(changed) - len(fresh),
        share=_share(gone, [path for path in listing if path in ours]),
    )


def require_few_deletions(plan: Plan, force: bool) -> None:
    """Raises PublishError if it would take away more than a fifth of the site's addresses, unless told to."""
    if plan.share > LARGEST_SHARE and not force:
        raise PublishError(
            f"{len(plan.deletions):,} files would be deleted, {plan.share:.0%} of the site's addresses. Is output/ the "
            "whole site? Look with --dry-run; if it is meant, --force. Nothing was changed."
        )


def invalidations(stale: Iterable[str]) -> list[str]:
    """The paths to name to CloudFront, percent-encoded, each beginning with a slash.

    A page is named as readers ask for it and as it is kept: the function that leads from one to the other runs
    before the cache is asked (CloudFront developer guide, "What you need to know when invalidating files").
    """
    paths = sorted(stale)
    named = [address for path in paths for address in _addresses(path)]
    if len(named) <= _MOST_NAMED:
        return named
    folders = sorted({path.partition("/")[0] for path in paths if "/" in path})
    top = [address for path in paths if "/" not in path for address in _addresses(path)]
    if len(folders) > _MOST_FOLDERS or len(top) > _MOST_NAMED:
        return ["/*"]
    return [*top, *(f"/{quote(folder)}/*" for folder in folders)]


def _addresses(path: str) -> list[str]:
    address = "/" + quote(path)
    return [address.removesuffix(HOME), address] if address.endswith(f"/{HOME}") else [address]


def _waves(fresh: Sequence[Piece], changed: Sequence[Piece]) -> tuple[tuple[Piece, ...], ...]:
    def of(pieces: Sequence[Piece], kind: Kind) -> list[Piece]:
        return [piece for piece in pieces if piece.kind is kind and piece.path != HOME]

    home_is_new = [piece for piece in fresh if piece.path == HOME]
    home = [piece for piece in changed if piece.path == HOME]
    waves = (
        of(fresh, Kind.ASSET) + of(changed, Kind.ASSET),
        of(fresh, Kind.PAGE),
        of(fresh, Kind.FEED),
        home_is_new,
        of(changed, Kind.PAGE) + home,
        of(changed, Kind.FEED),
    )
    return tuple(tuple(wave) for wave in waves if wave)


def _share(gone: Sequence[str], ours: Sequence[str]) -> float:
    """The part of the addresses that readers may know; a file whose name is a hash has none of these."""
    addresses = [path for path in ours if not is_hashed(path)]
    return sum(not is_hashed(path) for path in gone) / len(addresses) if addresses else 0.0
