"""What is remembered of the site in the bucket: how each file came there, and what is under way.

Two notes, gzipped JSON below state/: the manifest, written when a publish is complete, and the intent, written before
its first upload and deleted after the manifest. Neither is believed alone: a file is known only if the bucket lists it
with the very ETag that a note names. An ETag is the MD5 of what was uploaded in one piece (S3 API reference,
"Object"); where a bucket is encrypted with a key of KMS it is not, and then what an interrupted publish uploaded is
uploaded once more.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from newsletter.errors import PublishError

_FORM = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One file as it was uploaded: the SHA-256 of its source, the bucket's ETag, and its headers in one line."""

    digest: str
    etag: str
    head: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of the site, by their path, as the last complete publish left them."""

    files: Mapping[str, Record] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intent:
    """What a publish was about to upload, and the paths of which readers may then hold old copies."""

    files: Mapping[str, Record] = field(default_factory=dict)
    stale: tuple[str, ...] = ()


def known(path: str, etag: str, manifest: Manifest, intent: Intent) -> Record | None:
    """How the file that the bucket lists under this ETag came there; None where the notes leave it open.

    Where both name that ETag with different headers, only an upload could tell which of them it has.
    """
    before, after = manifest.files.get(path), intent.files.get(path)
    fitting = {record for record in (before, after) if record and record.etag == etag}
    return fitting.pop() if len(fitting) == 1 else None


def dump(note: Manifest | Intent) -> bytes:
    """A note as it is kept."""
    files = {path: [one.digest, one.etag, one.head] for path, one in sorted(note.files.items())}
    document: dict[str, Any] = {"form": _FORM, "files": files}
    if isinstance(note, Intent):
        document["stale"] = list(note.stale)
    return gzip.compress(json.dumps(document).encode(), mtime=0)


def load_manifest(data: bytes | None) -> Manifest:
    """The manifest, an empty one where there is none. Raises PublishError."""
    return Manifest(_files(_document("manifest", data)))


def load_intent(data: bytes | None) -> Intent:
    """The intent, an empty one where there is none. Raises PublishError."""
    document = _document("intent", data)
    return Intent(_files(document), tuple(str(path) for path in document["stale"]))


def _document(name: str, data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {"files": {}, "stale": []}
    try:
        document = json.loads(gzip.decompress(data))
        form = document["form"]
        document.setdefault("stale", [])
        _files(document)
    except (ValueError, OSError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise PublishError(
            f"state/{name}: cannot be read ({error}). Delete it from the bucket and publish again: everything is "
            "uploaded anew then, and the site stays as it is meanwhile."
        ) from error
    if form != _FORM:
        raise PublishError(
            f"state/{name}: was written by a newer version of this program; publish with that one."
        )
    return dict(document)


def _files(document: Mapping[str, Any]) -> dict[str, Record]:
    return {str(path): Record(*map(str, one)) for path, one in document["files"].items()}
