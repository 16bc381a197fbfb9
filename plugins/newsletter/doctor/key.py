"""The key that signs the links in mails: there, long enough, and nobody else's to read."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from newsletter.finding import Finding, broken, sound, warning
from newsletter.settings import KEY_FILE, SHORTEST_KEY, Settings

_NAME = "secret key"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """Where the key is: `place` is "SECRET_KEY" or a file. `length` in characters, None where there is none or it
    cannot be read; `mode` the file's permissions, None for the environment's.
    """

    place: str
    length: int | None
    mode: int | None = None


def look(settings: Settings, path: Path = KEY_FILE) -> KeyFacts:
    """Read what there is, and make nothing."""
    if settings.secret_key:
        keys = [key.strip() for key in settings.secret_key.split(",") if key.strip()]
        return KeyFacts("SECRET_KEY", min(map(len, keys), default=0))
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        return KeyFacts(str(path), len(path.read_bytes().strip()), mode)
    except FileNotFoundError:
        return KeyFacts(str(path), None)
    except OSError:
        return KeyFacts(str(path), None, 0)


def judge(key: KeyFacts, begun: bool) -> Finding:
    """What it means for the links; `begun` says that mails are out already."""
    if key.length is None and key.mode is not None:
        return broken(
            _NAME, f"{key.place} cannot be read", f"Let the user of this command own it: chown … {key.place}"
        )
    if key.length is None and begun:
        return broken(
            _NAME,
            f"{key.place} is gone, and the links in the mails that are out are signed with it",
            f"Restore {key.place} from a backup, or set SECRET_KEY as it was; a new key would void those links.",
        )
    if key.length is None:
        return warning(
            _NAME,
            f"{key.place} is not there yet; the first newsletter send makes it",
            f"Keep a copy of {key.place} with the backups, or set SECRET_KEY: links in mails are void without it.",
        )
    if key.length < SHORTEST_KEY:
        return broken(
            _NAME,
            f"{key.place} has {key.length} characters, and {SHORTEST_KEY} are needed",
            f"Restore {key.place} from a backup. If no mail is out yet, make one: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    if key.mode is not None and key.mode & 0o077:
        return broken(
            _NAME,
            f"{key.place} can be read by others on this machine ({key.mode:04o}), who could sign links with it",
            f"chmod 600 {key.place}",
        )
    return sound(_NAME, f"{key.place}, {key.length} characters")


def usable(settings: Settings, path: Path = KEY_FILE) -> tuple[bytes, ...]:
    """The keys, newest first, where there are any; none is made."""
    return settings.secret_keys() if (look(settings, path).length or 0) >= SHORTEST_KEY else ()
