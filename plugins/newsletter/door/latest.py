"""The briefing a new subscriber can read at once: the newest package that is there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from newsletter.errors import PackageError

PACKAGES = Path("build/briefings")
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])\Z")


@dataclass(frozen=True, slots=True)
class Latest:
    """Its title, the line an inbox shows beside it, and the path of its web version below the site's root."""

    title: str
    line: str
    path: str


def latest(packages: Path, site_url: str) -> Latest | None:
    """The newest month's briefing below `packages`; None where there is none, or it cannot be read.

    `site_url` is the publication's own, with which the package's links begin.
    """
    from newsletter import package  # only the page of welcome reads one

    months = sorted(folder.name for folder in packages.glob("*") if _MONTH.match(folder.name))
    if not months:
        return None
    try:
        newest = package.read(packages / months[-1])
    except (PackageError, OSError):
        return None  # it is being built; the welcome goes without it
    path = newest.url.removeprefix(site_url)
    return Latest(newest.title, newest.preheader, path if path.startswith("/") else urlsplit(path).path)
