"""One file of the site as it is published: what it is to a reader, and with which headers it is given out.

Pages, scripts and pictures in SVG are kept gzipped, because nobody reads them but browsers, and a request that says
nothing of encodings takes any (RFC 9110 section 12.5.3). Brotli would be a sixth smaller, but S3 gives out one
encoding whatever is asked for, and gzip is the one that everybody reads. Feeds, sitemaps and texts, which programs
of all kinds fetch, are kept as they are: CloudFront compresses them for whoever asks (its "Compress": gzip and
brotli).
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from newsletter.errors import PublishError

HOME = "index.html"
# One packet: what is smaller arrives no sooner for being packed.
_SMALLEST_PACKED = 1400
# A name with the hash of what is in it: Pagefind's ("en_3790c97.pf_fragment") and our own pictures'.
_HASHED = re.compile(r"pagefind/.*_[0-9a-f]{7,}\.pf_[a-z]+|.*[.-][0-9a-f]{16,64}(-[0-9]+)?\.[a-z0-9]+")
_BRIEFLY = "public, max-age=300"
# A picture or an edition that is corrected may be seen as it was for so long by whoever has just seen it.
_AN_HOUR = "public, max-age=3600"
_FOR_EVER = "public, max-age=31536000, immutable"
_NOT_PUBLIC = b'<meta name="robots" content="noindex">'
_UTF8 = "; charset=utf-8"
_TYPES = {
    ".html": "text/html" + _UTF8,
    ".css": "text/css" + _UTF8,
    ".js": "text/javascript" + _UTF8,
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".xml": "application/xml",
    ".opml": "text/x-opml" + _UTF8,
    ".txt": "text/plain" + _UTF8,
    ".csv": "text/csv" + _UTF8,
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
_PACKED = {".html", ".css", ".js", ".svg"}
_SLOW = {".pdf", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".ico", ".woff2"}
_FEEDS = {".xml", ".opml", ".txt"}


class Kind(StrEnum):
    """What a file is to whoever comes to the site."""

    ASSET = "asset"  # what pages stand on or lead to: styles, scripts, pictures, editions
    PAGE = "page"
    FEED = "feed"  # what tells of pages: feeds, sitemap, the search index's entry


@dataclass(frozen=True, slots=True)
class Head:
    """What is said of a file when it is given out. `packed` says that it is kept gzipped."""

    content_type: str
    cache_control: str
    packed: bool

    def __str__(self) -> str:
        return "|".join((self.content_type, self.cache_control, "gzip" if self.packed else ""))


@dataclass(frozen=True, slots=True)
class Piece:
    """One file. `path` is below the site's root, with slashes; `digest` the SHA-256 (hex) of the file, `size` its bytes."""

    path: str
    file: Path
    size: int
    digest: str
    kind: Kind
    head: Head

    @property
    def hashed(self) -> bool:
        """Whether its name changes with its content, so that nobody can have an old copy of it."""
        return is_hashed(self.path)

    def body(self) -> bytes:
        """What is kept in the bucket: the same bytes each time. Raises PublishError if the file is another by now."""
        data = self.file.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise PublishError(
                f"{self.file}: has changed since this began. Let the build end, then publish again; what is in the "
                "bucket is a working site."
            )
        return gzip.compress(data, 9, mtime=0) if self.head.packed else data


def read(folder: Path) -> list[Piece]:
    """Every file of a built site, by its path. Raises PublishError if that is none."""
    if not (folder / HOME).is_file():
        raise PublishError(f"{folder}/{HOME}: not there, so there is no site to publish. Build it: make html")
    # Only a build with what is held back asks search engines to leave its home page out.
    if _NOT_PUBLIC in (folder / HOME).read_bytes():
        raise PublishError(
            f"{folder}: was built with --drafts, for the desk's eyes alone. Publish the site that make html builds."
        )
    return sorted((_piece(folder, file) for file in _files(folder)), key=lambda piece: piece.path)


def is_hashed(path: str) -> bool:
    """Whether a name has the hash of its content in it."""
    return _HASHED.fullmatch(path) is not None


def kind_of(path: str) -> Kind:
    """What a file of that name is."""
    suffix = PurePosixPath(path).suffix
    if suffix == ".html":
        return Kind.PAGE
    if suffix in _FEEDS or path.endswith(("feed.json", "pagefind-entry.json")):
        return Kind.FEED
    return Kind.ASSET


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        names = file.relative_to(folder).parts
        # A file that begins with a dot is a mark for the build, or somebody's editor's; only .well-known is public.
        hidden = any(name.startswith(".") and name != ".well-known" for name in names)
        if file.is_file() and not hidden:
            yield file


def _piece(folder: Path, file: Path) -> Piece:
    path, data = file.relative_to(folder).as_posix(), file.read_bytes()
    packed = file.suffix in _PACKED and len(data) >= _SMALLEST_PACKED
    head = Head(_content_type(path, data), _kept(path), packed)
    return Piece(path, file, len(data), hashlib.sha256(data).hexdigest(), kind_of(path), head)


def _kept(path: str) -> str:
    """For how long browsers and edges may keep it (RFC 9111 section 5.2.2, RFC 8246)."""
    if is_hashed(path):
        return _FOR_EVER
    return _AN_HOUR if PurePosixPath(path).suffix in _SLOW else _BRIEFLY


def _content_type(path: str, data: bytes) -> str:
    suffix = PurePosixPath(path).suffix
    if suffix == ".xml":
        start = data[:2000]
        if b"<rss" in start:
            return "application/rss+xml"
        if b"<feed" in start:
            return "application/atom+xml"
    if path.endswith("feed.json"):
        return "application/feed+json"
    return _TYPES.get(suffix, "application/octet-stream")
