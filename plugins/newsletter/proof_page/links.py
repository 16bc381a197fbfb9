"""The links of a mail, and where each of them leads: onto the site, to others, to the subscriber's own pages."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lxml.html

from newsletter.door.app import is_door

There = Callable[[str, str], str]
"""Whether the site has a page at that path below its address, with that place in it: "" or what is wrong."""

_TIMEOUT = 10.0  # seconds
_AT_ONCE = 8
_NAME = "Monthly Briefing (link check)"


class Status(StrEnum):
    """What is known of a link."""

    FINE = "there"
    BROKEN = "broken"
    NOT_ASKED = "not asked"
    OWN = "each subscriber’s own"
    MAIL = "an address"


@dataclass(frozen=True, slots=True)
class Link:
    """One address that a mail links to, the words it stands behind, and what is known of it."""

    address: str
    words: tuple[str, ...]
    status: Status
    note: str = ""


def links(
    html: str, site_url: str, there: There, answers: Mapping[str, str] | None = None
) -> tuple[Link, ...]:
    """Every link of a mail's HTML half, in its order, each address once.

    `answers` is what `ask` has given; an address of others that is not in it has not been asked.
    """
    found: dict[str, list[str]] = {}
    for element in lxml.html.document_fromstring(html).iter("a", "area"):
        if address := element.get("href"):
            words = (
                " ".join("".join(map(str, element.itertext())).split())
                or element.get("aria-label")
                or "(no words)"
            )
            found.setdefault(address, []).append(words)
    return tuple(
        Link(address, tuple(dict.fromkeys(words)), *_judged(address, site_url, there, answers or {}))
        for address, words in found.items()
    )


def _judged(address: str, site_url: str, there: There, answers: Mapping[str, str]) -> tuple[Status, str]:
    if address.startswith("{{"):
        return Status.OWN, "filled for each recipient"
    if address.startswith("mailto:"):
        return Status.MAIL, ""
    if address == site_url or address.startswith((f"{site_url}/", f"{site_url}#")):
        parts = urlsplit(address)
        path = unquote(parts.path).removeprefix(urlsplit(site_url).path.rstrip("/")) or "/"
        if is_door(path):
            return Status.FINE, "answered by the door (newsletter web)"
        wrong = there(path, unquote(parts.fragment))
        return (Status.BROKEN, wrong) if wrong else (Status.FINE, "")
    if address not in answers:
        return Status.NOT_ASKED, "another house’s page"
    return (Status.BROKEN, answers[address]) if answers[address] else (Status.FINE, "answered just now")


def in_folder(output: Path) -> There:
    """What the built site in that folder says."""

    def there(path: str, fragment: str) -> str:
        file = output / path.lstrip("/")
        if path.endswith("/"):
            file = file / "index.html"
        if not file.resolve().is_relative_to(output.resolve()) or not file.is_file():
            return "The built site has no such page. Build it: make html"
        return missing_place(file.read_text(encoding="utf-8"), fragment) if fragment else ""

    return there


def missing_place(page: str, fragment: str) -> str:
    """ "" if the page has that place (an id), or what is wrong."""
    found = re.search(rf'\sid="{re.escape(fragment)}"', page)
    return "" if found else f"The page is there, but no place #{fragment} in it."


def ask(addresses: Iterable[str]) -> dict[str, str]:
    """Ask other houses' servers for these addresses: "" for each that answers, otherwise what it said."""
    wanted = sorted({each for each in addresses if each.lower().startswith(("http://", "https://"))})
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(wanted, pool.map(_answer, wanted), strict=True))


def _answer(address: str) -> str:
    for method in ("HEAD", "GET"):  # some servers do not know the first
        try:
            request = urllib.request.Request(address, method=method, headers={"User-Agent": _NAME})  # noqa: S310 - http(s) only, see ask
            with urllib.request.urlopen(request, timeout=_TIMEOUT):  # noqa: S310 - the same
                return ""
        except urllib.error.HTTPError as error:
            said = f"It answers {error.code} {error.reason}."
            if error.code in (404, 410):
                return said
        except (OSError, ValueError, HTTPException) as error:  # the last: what is no address, or no HTTP
            return f"It does not answer: {getattr(error, 'reason', error)}."
    return said
