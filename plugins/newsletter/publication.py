"""The facts of the publication, read from publication.toml: the one place they are written."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from newsletter import yardstick
from newsletter.errors import SettingsError
from newsletter.yardstick import Yardstick

FILE = "publication.toml"
_LATENESS = timedelta(hours=1)
_YARDSTICK = "ICD 203"


@dataclass(frozen=True, slots=True)
class Publication:
    """Who publishes, where, and in whose name the mail goes out.

    `site_url` has no slash at its end. `sender` is an RFC 5322 mailbox ("Name <address>"), `reply_to` and
    `contact` are bare addresses, `list_id` is the value of the List-Id header (RFC 2919). `testers` are the bare
    addresses that test mails may go to; `lateness` is how long after its time a mailing may still begin.
    `yardstick` is what the words of likelihood mean. `regions` and `topics` are the words a piece may be filed
    under (none: any), `abbreviations` those that no piece needs to explain, `fields` front-matter keys of one's own.
    """

    house: str
    name: str
    description: str
    site_url: str
    time_zone: str
    language: str
    sender: str
    reply_to: str
    postal_address: str
    list_id: str
    contact: str
    testers: tuple[str, ...] = ()
    lateness: timedelta = _LATENESS
    yardstick: Yardstick = field(default_factory=lambda: yardstick.load(_YARDSTICK))
    regions: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    abbreviations: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the publication dates its pieces and counts its months."""
        return ZoneInfo(self.time_zone)

    @property
    def sender_domain(self) -> str:
        """The domain of the sender's address, which SES must have verified."""
        return parseaddr(self.sender)[1].rpartition("@")[2].lower()


def load(path: Path) -> Publication:
    """Read and check publication.toml. Raises SettingsError naming the file and the key."""
    try:
        facts = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: not found. Run the command in the project's folder, where {FILE} lies."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f'{path}: {error}. Mend the file; its form is TOML (key = "value").') from None
    mail, desk = facts.get("mail"), facts.get("desk", {})
    publication = Publication(
        house=_text(path, facts, "house"),
        name=_text(path, facts, "name"),
        description=_text(path, facts, "description"),
        site_url=_text(path, facts, "site_url").rstrip("/"),
        time_zone=_text(path, facts, "time_zone"),
        language=_text(path, facts, "language"),
        sender=_text(path, mail, "sender", "mail"),
        reply_to=_text(path, mail, "reply_to", "mail"),
        postal_address=_text(path, mail, "postal_address", "mail"),
        list_id=_text(path, mail, "list_id", "mail"),
        contact=_text(path, mail, "contact", "mail"),
        testers=_texts(path, mail, "testers", "mail"),
        lateness=_minutes(path, mail, "lateness", "mail", _LATENESS),
        yardstick=_yardstick(path, desk),
        regions=_texts(path, desk, "regions", "desk"),
        topics=_texts(path, desk, "topics", "desk"),
        abbreviations=_texts(path, desk, "abbreviations", "desk"),
        fields=_texts(path, desk, "fields", "desk"),
    )
    _check(path, publication)
    return publication


def _text(path: Path, table: Any, key: str, section: str = "") -> str:
    name = f"{section}.{key}" if section else key
    value = table.get(key) if isinstance(table, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(
            f'{path}: {name}: missing. Write {key} = "…"' + (f" under [{section}]" if section else "")
        )
    if any(ord(character) < 32 for character in value):
        raise SettingsError(f"{path}: {name}: must be one line without control characters.")
    return value.strip()


def _texts(path: Path, table: Any, key: str, section: str) -> tuple[str, ...]:
    values = table.get(key, []) if isinstance(table, dict) else []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SettingsError(f'{path}: {section}.{key}: must be a list of texts: {key} = ["…", "…"].')
    return tuple(value.strip() for value in values)


def _yardstick(path: Path, table: Any) -> Yardstick:
    name = table.get("yardstick", _YARDSTICK) if isinstance(table, dict) else _YARDSTICK
    if name not in yardstick.names():
        known = " or ".join(f'"{known}"' for known in yardstick.names())
        raise SettingsError(f"{path}: desk.yardstick: {name!r} is not known. Write {known}.")
    return yardstick.load(name)


def _minutes(path: Path, table: Any, key: str, section: str, usual: timedelta) -> timedelta:
    value = table.get(key) if isinstance(table, dict) else None
    if value is None:
        return usual
    if type(value) is not int or value < 1:
        raise SettingsError(f"{path}: {section}.{key}: must be a whole number of minutes: {key} = 60.")
    return timedelta(minutes=value)


def _check(path: Path, publication: Publication) -> None:
    address = urlsplit(publication.site_url)
    if address.scheme != "https" or not address.netloc:
        # RFC 8058 requires an HTTPS address for one-click unsubscribe, and it is made from this one.
        raise SettingsError(f"{path}: site_url: must begin with https:// and name a host.")
    try:
        ZoneInfo(publication.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError(
            f'{path}: time_zone: "{publication.time_zone}" is no time zone. Write one such as "Europe/London".'
        ) from None
    for key, value in (
        ("sender", publication.sender),
        ("reply_to", publication.reply_to),
        ("contact", publication.contact),
        *(("testers", tester) for tester in publication.testers),
    ):
        try:
            Address(addr_spec=parseaddr(value)[1])
        except (ValueError, IndexError):
            raise SettingsError(f'{path}: mail.{key}: "{value}" is no email address.') from None
