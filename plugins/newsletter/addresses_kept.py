"""Old addresses stay: what readers have linked to must go on leading somewhere (w3.org/Provider/Style/URI).

Which addresses were ever public is known from git: every state of a piece that a later one replaced, renamed or took
away. An address of such a state that no piece has now, as its own or among its `aliases:`, is lost.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from newsletter import frontmatter
from newsletter.analysis import moment, status
from newsletter.errors import ContentError, Finding
from newsletter.frontmatter import FrontMatter
from newsletter.models import Status
from newsletter.past import Past
from newsletter.publication import Publication

_CODE = "H602"  # of `newsletter check`
# How a head of that time (its file's path beside it) is answered with its address; None if it had none.
AddressOf = Callable[[FrontMatter, str, datetime], str | None]


@dataclass(frozen=True, slots=True)
class Former:
    """An address that was public until `until`. `path` is the file of that time, `now` its present name; "" if gone.

    Both paths are below the content folder, the address below the site's ("analyses/2020/old/").
    """

    address: str
    path: str
    now: str
    until: datetime


def lost(formers: Iterable[Former], present: Collection[str], content: str = "content") -> list[Finding]:
    """What is to be said of those addresses that are not `present` (with the aliases): each once, its latest state. Pure."""
    latest: dict[str, Former] = {}
    for former in formers:
        if former.address not in present:
            known = latest.get(former.address)
            if known is None or former.until > known.until:
                latest[former.address] = former
    return [_finding(former, content) for _, former in sorted(latest.items())]


def _finding(former: Former, content: str) -> Finding:
    line = f"aliases: [{former.address}]"
    if former.now:
        was = f" (the file was {former.path})" if former.now != former.path else ""
        reason = f"readers know this piece at {former.address}{was}, and their links would lead nowhere. Add the line {line}"
        return Finding(f"{content}/{former.now}", 1, "aliases", reason, code=_CODE)
    reason = (
        f"is gone, and readers know it at {former.address}. If another piece has taken its place, add to that one the "
        f"line {line}; or bring the file back, as a draft if it is not to be read."
    )
    return Finding(f"{content}/{former.path}", 0, "", reason, code=_CODE)


def formers(content: Path, publication: Publication, address_of: AddressOf, now: datetime) -> list[Former]:
    """The former addresses of what lies below `content`, from git; [] where there is no git, or no past in it."""
    if (
        log := _git(content, "log", "--first-parent", "--diff-merges=first-parent", *_RAW, "--", ".")
    ) is None:
        return []
    here = _git(content, "diff-index", *_RAW[:-1], "HEAD", "--", ".") or ""
    replaced = [*_replaced(here, now), *_replaced(log, now)]
    texts = Past(content, {}).texts(blob for blob, *_ in replaced)
    successors: dict[str, str] = {}
    found = []
    for blob, path, new, until in replaced:  # the newest first
        successors[path] = now_at = successors.get(new, new) if new else ""
        if (
            path.endswith(".md")
            and blob in texts
            and (address := _public(texts[blob], path, until, publication, address_of))
        ):
            found.append(Former(address, path, now_at, until))
    return found


def _public(
    text: bytes, path: str, until: datetime, publication: Publication, address_of: AddressOf
) -> str | None:
    """The address of a state of a file, if readers could see it before `until`."""
    try:
        front = frontmatter.parse(frontmatter.decode(text, path), path)
    except ContentError:
        return None
    day = moment(front, "date", publication.zone)
    if day is None or day > until or status(front) is not Status.PUBLISHED:
        return None
    return address_of(front, path, day)


_RAW = ("--raw", "-z", "-M", "--no-abbrev", "--relative", "--format=%x01%ct")


def _replaced(log: str, now: datetime) -> Iterator[tuple[str, str, str, datetime]]:
    """Each state that a later one has replaced: its git object, its path, the path of the one after ("" if none), when."""
    until = now
    fields = iter(log.split("\0"))
    for entry in fields:
        field = entry.lstrip("\n")
        if field.startswith("\x01"):
            until = datetime.fromtimestamp(int(field[1:]), now.tzinfo)
        elif field.startswith(":"):
            _, _, blob, _, what = field.split(" ")
            path = next(fields)
            after = next(fields) if what[0] in "RC" else "" if what[0] == "D" else path
            if what[0] in "MRD":
                yield blob, path, after, until


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None
