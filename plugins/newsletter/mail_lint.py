"""What a finished mail must have and must not have; the last look before it is packaged.

every link complete (http, https, mailto), none into the house's own network · each declared placeholder in both halves and no other `{{`
the postal address in both · words in the text half · nothing that mail programs strip or fear
no larger than the budget
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import lxml.html
from lxml.html import HtmlElement

from newsletter.errors import Finding
from newsletter.placeholders import faults, tag

BUDGET = 90 * 1024
"""Bytes of HTML after substitution. Gmail cuts a mail at about 102 KB, and the unsubscribe link with it."""

PLACEHOLDER_BYTES = 300
"""What is put in for one placeholder at most; a token's address is well below."""

_REFUSED = (
    "applet",
    "audio",
    "base",
    "embed",
    "form",
    "iframe",
    "input",
    "link",
    "object",
    "script",
    "svg",
    "video",
)


def lint(
    html: str, text: str, path: str, placeholders: tuple[str, ...], postal_address: str
) -> list[Finding]:
    """Check both halves of a mail as they go to the mail service.

    `path` is what the findings name, `postal_address` is required by law in a bulk mail (15 USC 7704(a)(5)).
    Returns every finding, none for a good mail; raises nothing.
    """
    return [
        Finding(path, 0, field, reason) for field, reason in _lint(html, text, placeholders, postal_address)
    ]


def size(html: str, placeholders: tuple[str, ...]) -> int:
    """Bytes of `html` in UTF-8 once its placeholders are filled, each with `PLACEHOLDER_BYTES`."""
    bytes_now = len(html.encode())
    for name in placeholders:
        bytes_now += html.count(tag(name)) * (PLACEHOLDER_BYTES - len(tag(name)))
    return bytes_now


def _lint(
    html: str, text: str, placeholders: tuple[str, ...], postal_address: str
) -> Iterator[tuple[str, str]]:
    tree: HtmlElement = lxml.html.document_fromstring(html)
    for part, source in (("html", html), ("text", text)):
        yield from ((part, reason) for reason in _placeholders(source, placeholders))
    yield from (("html", reason) for reason in _links(tree, placeholders))
    yield from (("html", reason) for reason in _elements(tree))
    address = _words(postal_address)
    for part, words in (("html", tree.text_content()), ("text", text)):
        if address not in _words(words):
            yield part, "lacks the postal address. Print {{ postal_address }} in the template's foot."
    if not _words(text):
        yield "text", "is empty. Readers of plain text, and spam filters, need words there."
    bytes_filled = size(html, placeholders)
    if bytes_filled > BUDGET:
        yield "html", f"has {bytes_filled:,} bytes once filled; {BUDGET:,} are allowed, or Gmail cuts it."


def _placeholders(source: str, declared: tuple[str, ...]) -> Iterator[str]:
    for name in declared:
        if tag(name) not in source:
            yield f"lacks {tag(name)}. Print {{{{ placeholder.{name} }}}} in the template."
    for offset, reason in faults(source, declared):
        yield f'{reason} It stands in "{_words(source[max(0, offset - 30) : offset + 30])}".'


def _links(tree: lxml.html.HtmlElement, placeholders: tuple[str, ...]) -> Iterator[str]:
    fills = {tag(name) for name in placeholders}
    for name in ("href", "src", "background", "action"):
        for element in tree.iter():
            address = element.get(name) if isinstance(element.tag, str) else None
            if address is None or address in fills:
                continue
            if not _is_complete(address, link=name == "href"):
                words = f'<{element.tag} {name}="{address}">'
                yield f"{words}: only a complete address (https://…) leads anywhere from a mail."
            elif _is_at_home(urlsplit(address).hostname or ""):
                yield (
                    f'<{element.tag} {name}="{address}"> leads to this machine, or into the house\'s own network, where no '
                    "reader gets. Link to the page's public address."
                )


def _is_complete(address: str, link: bool) -> bool:
    if re.search(r"[\s<>\"\x00-\x1f]", address):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    # An editor may lead to a page that is only had by http; what the mail itself loads comes by https.
    schemes = {"https", "http"} if link else {"https"}
    return (parts.scheme in schemes and bool(parts.hostname)) or (
        link and parts.scheme == "mailto" and "@" in parts.path
    )


def _is_at_home(host: str) -> bool:
    """Whether that host is one that nobody elsewhere reaches (RFC 6761, RFC 6762, RFC 6890). "" is none."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return bool(host) and f".{host}".endswith((".localhost", ".local", ".internal"))


def _elements(tree: HtmlElement) -> Iterator[str]:
    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue
        if element.tag in _REFUSED:
            yield f"<{element.tag}>: mail programs strip it or refuse the mail. Take it out."
        if element.tag == "img" and element.get("alt") is None:
            yield f'<img src="{element.get("src")}"> has no alt: with pictures off it says nothing.'
        for name in element.attrib:
            if str(name).lower().startswith("on"):
                yield f"<{element.tag} {name}=…>: scripts do not run in a mail. Take it out."


def _words(text: str) -> str:
    return " ".join(text.split())
