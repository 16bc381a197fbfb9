"""The seam between site and mail: the folder build/briefings/YYYY-MM/ (an erratum's: YYYY-MM-erratum/), written
whole or not at all.

    email.html   email.txt     the two halves, `{{unsubscribe_url}}` not yet filled
    briefing.json              subject, headers, items …, and `content_hash` over both halves and these

The mail half of the system reads nothing else of the site.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from newsletter.errors import PackageError
from newsletter.models import Package

_HTML, _TEXT, _FACTS = "email.html", "email.txt", "briefing.json"
_TEXTS = ("briefing", "title", "subject", "preheader", "sender", "reply_to", "content_hash", "url")
_KEYS = {*_TEXTS, "list_headers", "placeholders", "commit", "items"}
_LEFTOVER_AGE = 3600.0  # seconds


def content_hash(package: Package) -> str:
    """SHA-256, in hex, over what a subscriber can see of `package`: canonical JSON in UTF-8, keys sorted."""
    seen = {
        "subject": package.subject,
        "preheader": package.preheader,
        "sender": package.sender,
        "reply_to": package.reply_to,
        "headers": dict(package.headers),
        "placeholders": list(package.placeholders),
        "html": package.html,
        "text": package.text,
    }
    canonical = json.dumps(seen, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def write(package: Package, folder: Path) -> None:
    """Put `package` into `folder`, which is the package's own: it holds nothing else.

    The files are written and synced beside it and then swapped in, so a run killed at any point leaves the
    old package, the new one or none, never a mixture. Equal packages give equal bytes, and a folder that
    holds them already is not touched. Raises PackageError if the folder holds other files or
    the disk refuses.
    """
    files = {
        _HTML: package.html.encode(),
        _TEXT: package.text.encode(),
        _FACTS: _to_json(package).encode(),
    }
    try:
        present = {path.name for path in folder.iterdir()} if folder.exists() else set()
        others = sorted(name for name in present - set(files) if not name.startswith("."))
        if others:
            # Swapping would delete them; a mistyped path may be somebody's home folder.
            raise PackageError(f"{folder}: holds {', '.join(others)} besides a package. Move it away first.")
        if present == set(files) and all(
            (folder / name).read_bytes() == data for name, data in files.items()
        ):
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(folder)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for name, data in files.items():
                _write_synced(fresh / name, data)
            fresh.chmod(0o755)  # mkdtemp's 0700 would hide the package from whoever sends it
            _sync(fresh)
            _swap(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise PackageError(f"{folder}: cannot be written: {error}.") from error


def read(folder: Path) -> Package:
    """Read the package in `folder` and prove that it is whole.

    Raises PackageError naming what is missing or differs: a file, a key of briefing.json, or a half that is
    not the one `content_hash` was taken of (somebody edited it by hand).
    """
    mend = f"Type: newsletter briefing {folder.name}"
    if not folder.is_dir():
        raise PackageError(f"{folder}: there is no package. {mend}")
    try:
        html, text, facts = (_decoded(folder / name) for name in (_HTML, _TEXT, _FACTS))
    except FileNotFoundError as error:
        raise PackageError(f"{error.filename}: is missing. {mend}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PackageError(f"{folder}: cannot be read: {error}. {mend}") from None
    try:
        package = _from_json(json.loads(facts), html, text)
    except ValueError as error:
        raise PackageError(f"{folder / _FACTS}: {error}. {mend}") from None
    found = content_hash(package)
    if found != package.content_hash:
        raise PackageError(
            f"{folder}: is not what was composed: content_hash is {package.content_hash[:12]}…, the files "
            f"make {found[:12]}…. {_HTML}, {_TEXT} or {_FACTS} was changed after it was written; change the "
            f"content or the template instead. {mend}"
        )
    if package.month != folder.name:
        raise PackageError(f"{folder}: holds {package.month} and not {folder.name}. {mend}")
    return package


def _to_json(package: Package) -> str:
    facts = {
        "briefing": package.month,
        "title": package.title,
        "subject": package.subject,
        "preheader": package.preheader,
        "sender": package.sender,
        "reply_to": package.reply_to,
        "list_headers": dict(package.headers),
        "placeholders": list(package.placeholders),
        "content_hash": package.content_hash,
        "commit": package.commit,
        "url": package.url,
        "items": [dict(item) for item in package.items],
    }
    return json.dumps(facts, ensure_ascii=False, indent=2) + "\n"


def _from_json(facts: Any, html: str, text: str) -> Package:
    """Raises ValueError naming the key that is missing or is not of its type."""
    if not isinstance(facts, dict):
        raise ValueError("is not an object of named values")
    missing = sorted(_KEYS - set(facts))
    if missing:
        raise ValueError(f"lacks {', '.join(missing)}")
    for key in _TEXTS:
        if not isinstance(facts[key], str):
            raise ValueError(f"{key} must be a text")
    if not (facts["commit"] is None or isinstance(facts["commit"], str)):
        raise ValueError("commit must be a text or null")
    headers, placeholders, items = facts["list_headers"], facts["placeholders"], facts["items"]
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ValueError("list_headers must map names to texts")
    if not isinstance(placeholders, list) or not all(isinstance(name, str) for name in placeholders):
        raise ValueError("placeholders must be a list of texts")
    if not isinstance(items, list) or not all(_is_record(item) for item in items):
        raise ValueError("items must be a list of mappings of texts")
    return Package(
        month=facts["briefing"],
        title=facts["title"],
        subject=facts["subject"],
        preheader=facts["preheader"],
        sender=facts["sender"],
        reply_to=facts["reply_to"],
        html=html,
        text=text,
        headers=headers,
        placeholders=tuple(placeholders),
        content_hash=facts["content_hash"],
        url=facts["url"],
        commit=facts["commit"],
        items=tuple(items),
    )


def _is_record(item: Any) -> bool:
    return isinstance(item, Mapping) and all(isinstance(value, (str, bool)) for value in item.values())


def _decoded(path: Path) -> str:
    return path.read_bytes().decode()  # not read_text: it would turn a lone \r into \n


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(fresh: Path, folder: Path) -> None:
    """Put `fresh` in the place of `folder`. No system renames over a folder that holds files, so the old one
    steps aside first; killed between the two, the package is missing, which `read` says."""
    aside = fresh.with_name(fresh.name + ".old")
    if folder.exists():
        folder.rename(aside)
    fresh.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _clear_leftovers(folder: Path) -> None:
    """Remove what killed runs left; younger ones may belong to a run that is writing now."""
    for path in folder.parent.glob(f".{folder.name}.*"):
        if time.time() - path.stat().st_mtime > _LEFTOVER_AGE:
            shutil.rmtree(path, ignore_errors=True)
