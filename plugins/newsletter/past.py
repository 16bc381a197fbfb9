"""What git knows of the content's past: for each file its versions, by one `git log` for all of them.

The line of the first parents is followed: what a branch tried out was never published. A file's versions go back
over renames, and no further than to the commit that put it there (again): what was once taken away stays away.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_LOG = (
    "log",
    "--first-parent",
    "--diff-merges=first-parent",
    "-M",
    "--raw",
    "-z",
    "--no-abbrev",
    "--relative",
)
_FORMAT = "--format=%x01%ct"


@dataclass(frozen=True, slots=True)
class Stage:
    """One state of a file: since when (UTC, when it was committed) and its content's git object."""

    since: datetime
    blob: str


@dataclass(frozen=True, slots=True)
class Past:
    """The past of everything below a folder. `stages` by the present path below it, the oldest first; `shallow` tells
    a clone that was made without its past: then there are none. `head` is the commit up to which it goes.
    """

    root: Path
    stages: Mapping[str, tuple[Stage, ...]]
    head: str = ""
    shallow: bool = False

    def texts(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """What stood in the files, by git object; one git process for all of them."""
        wanted = sorted(set(blobs))
        if not wanted:
            return {}
        done = _git(self.root, "cat-file", "--batch", given="".join(f"{blob}\n" for blob in wanted).encode())
        return dict(_batch(done or b""))


def read(root: Path, known: Past | None = None) -> Past | None:
    """The past of the files below `root`; None where there is no git, no repository, or no commit yet.

    `known` is the past as it was read before: it is the answer if nothing has been committed since.
    """
    answer = _git(root, "rev-parse", "--is-shallow-repository", "HEAD")
    if answer is None:
        return None
    shallow, head = answer.decode("ascii").split()
    if known and known.root == root and known.head == head:
        return known
    if shallow == "true":
        return Past(root, {}, head, shallow=True)
    log = _git(root, *_LOG, _FORMAT, "--", ".")
    return Past(root, stages(log), head) if log is not None else None


def head(root: Path) -> str | None:
    """The commit that `root` is at; None where there is no git, or no commit yet."""
    answer = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    return answer.decode("ascii").strip() if answer else None


def stages(log: bytes) -> dict[str, tuple[Stage, ...]]:
    """Read git's log (NUL between its fields, the newest commit first) into each present path's states."""
    found: dict[str, list[Stage]] = {}
    # By the name a file had at that time, its present path; a name that is not here is new to us.
    now: dict[str, str] = {}
    gone: set[str] = set()
    for since, status, names, blob in _changes(log):
        name = names[-1]
        if status == "D":
            if name not in now:
                gone.add(name)
            continue
        if name in gone:
            continue
        path = now.setdefault(name, name)
        found.setdefault(path, []).append(Stage(since, blob))
        if status in ("A", "R", "C"):
            del now[name]  # before this, a file of that name was another one
            if status == "R" and names[0] not in now:
                gone.discard(names[0])
                now[names[0]] = path
    return {path: tuple(reversed(all_of_them)) for path, all_of_them in found.items()}


def _changes(log: bytes) -> Iterator[tuple[datetime, str, tuple[str, ...], str]]:
    since = datetime.fromtimestamp(0, UTC)
    fields = iter(log.split(b"\0"))
    for entry in fields:
        field = entry.lstrip(b"\n")
        if field.startswith(b"\x01"):
            since = datetime.fromtimestamp(int(field[1:]), UTC)
        elif field.startswith(b":"):
            *_, blob, status = field.decode("ascii").split(" ")
            count = 2 if status[0] in "RC" else 1
            names = tuple(next(fields).decode("utf-8", "surrogateescape") for _ in range(count))
            yield since, status[0], names, blob


def _batch(answer: bytes) -> Iterator[tuple[str, bytes]]:
    """Read what `git cat-file --batch` answers: a line "object type size", the bytes, a line end."""
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        head = answer[at:end].split(b" ")
        if len(head) != 3:  # "missing": a clone that fetches objects only when they are needed
            at = end + 1
            continue
        size = int(head[2])
        yield head[0].decode("ascii"), answer[end + 1 : end + 1 + size]
        at = end + 1 + size + 1


def _git(root: Path, *words: str, given: bytes | None = None) -> bytes | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], input=given, capture_output=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return done.stdout if done.returncode == 0 else None
