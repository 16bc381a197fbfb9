"""A mail as different programs show it: in the light, in the dark, without pictures; and its line in an inbox."""

from __future__ import annotations

import re
from email.utils import parseaddr

from newsletter.models import Package
from newsletter.placeholders import tag

_DARK = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)")
_LIGHT = re.compile(r"\(\s*prefers-color-scheme\s*:\s*light\s*\)")
_HEAD = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
# A mail is shown in a frame that may run nothing and send nothing; its links open beside it.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_NO_PICTURES = "default-src 'none'; style-src 'unsafe-inline'"
_PICTURES = f"{_NO_PICTURES}; img-src https: data:"


def filled(text: str, package: Package, url: str) -> str:
    """With an example in each place that is filled for a recipient."""
    for name in package.placeholders:
        text = text.replace(tag(name), url)
    return text


def view(html: str, dark: bool = False, pictures: bool = True) -> str:
    """The HTML half for a frame, as a program in that state shows it, whatever the state of the one it is looked at in."""
    html = _DARK.sub("all" if dark else "not all", html)
    html = _LIGHT.sub("not all" if dark else "all", html)
    policy = _PICTURES if pictures else _NO_PICTURES
    scheme = "dark" if dark else "light"
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><base target="_blank">'
        f"<style>:root{{color-scheme:{scheme} !important}}</style>"
    )
    return _HEAD.sub(lambda found: found[0] + head, html, count=1)


def sender_name(package: Package) -> str:
    """How an inbox names the sender."""
    name, address = parseaddr(package.sender)
    return name or address
