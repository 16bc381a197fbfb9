"""The unsubscribe link, asked as a mail program asks it: a real POST, whose token is genuine and nobody's.

RFC 8058, section 3.1: the address answers a POST of `List-Unsubscribe=One-Click` that has no cookies, and does not
redirect it. A GET is what link scanners and old mail programs make; it may show a page, and must not fail.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from newsletter.delivery import Links
from newsletter.finding import Finding, Verdict, broken, skipped, sound, warning
from newsletter.settings import is_loopback

_NAME = "unsubscribe"
_BODY = b"List-Unsubscribe=One-Click"
_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status, where it redirects to, whether it sets a cookie; or with status 0 the trouble,
    and whether it is the certificate's.
    """

    status: int
    location: str = ""
    cookie: bool = False
    trouble: str = ""
    certificate: bool = False


class _Here(HTTPRedirectHandler):
    """Follows nothing: a mail program does not either."""

    def redirect_request(self, *args: Any) -> None:
        """No request."""


def examine(site_url: str, keys: Sequence[bytes], practice: bool, timeout: float = _TIMEOUT) -> Finding:
    """POST and GET the link of a subscriber who does not exist, where that can be asked."""
    local = is_loopback(site_url)
    if practice and not local:
        return skipped(
            _NAME,
            f"practice: {site_url} is not asked. SITE_URL=http://127.0.0.1:PORT names a door on this machine",
        )
    if local and not practice:
        return elsewhere(site_url)
    if not keys:
        return skipped(_NAME, "there is no key yet to sign a link with")
    link = Links(site_url, keys).unsubscribe(secrets.token_bytes(16))
    found = judge(site_url, ask(link, timeout, _BODY), ask(link, timeout))
    if practice and found.verdict is Verdict.BROKEN:
        return warning(_NAME, found.words, found.mend)  # nobody's mail depends on it
    return found


def elsewhere(site_url: str) -> Finding:
    """Links to this machine in mails that go out into the world."""
    return broken(
        _NAME,
        f"the links in the mails would lead to this machine ({site_url}), and this is no practice",
        "Take SITE_URL out of the environment.",
    )


def ask(link: str, timeout: float, body: bytes | None = None) -> Answer:
    """One request, a POST if it has a body; nothing is followed, and no cookie goes along. Raises nothing."""
    headers = {"User-Agent": "monthly-briefing"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        # settings.py and publication.py let only http and https through.
        request = Request(link, body, headers)  # noqa: S310
        with build_opener(_Here()).open(request, timeout=timeout) as answer:
            return Answer(answer.status, cookie="Set-Cookie" in answer.headers)
    except HTTPError as error:
        with error:
            return Answer(error.code, error.headers.get("Location") or "", "Set-Cookie" in error.headers)
    except (OSError, HTTPException, ValueError) as error:
        return _trouble(error.reason if isinstance(error, URLError) else error)


def _trouble(error: object) -> Answer:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Answer(0, trouble=error.verify_message, certificate=True)
    words = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return Answer(0, trouble=words)


def judge(site_url: str, post: Answer, get: Answer) -> Finding:
    """Whether the link does what RFC 8058 wants of it."""
    link, door = f"{site_url}/u/…", "Is newsletter web running behind it, and does the proxy pass /u/ on?"
    if post.certificate:
        return broken(
            _NAME,
            f"the certificate of {site_url} does not hold: {post.trouble}",
            f"Renew the certificate of {urlsplit(site_url).hostname}, the whole chain of it.",
        )
    if post.trouble:
        return broken(
            _NAME,
            f"a POST to {link} got no answer: {post.trouble}",
            f"See that site_url (publication.toml) is right and reachable from outside. {door}",
        )
    if post.location:
        host = urlsplit(post.location).netloc
        return broken(
            _NAME,
            f"a POST to {link} is redirected ({post.status}, to {host or 'another path'}), and mail programs do not follow",
            "Write the address that answers by itself as site_url in publication.toml, or let /u/ out of the redirect.",
        )
    if post.status != 200:
        return broken(
            _NAME,
            f"a POST to {link} is answered {post.status}, not 200",
            f"{door} Do both have the same SECRET_KEY?"
            if post.status < 500
            else f"See the log of newsletter web, and of the proxy before {site_url}.",
        )
    if post.cookie:
        return broken(
            _NAME,
            f"a POST to {link} sets a cookie, as if somebody were to log in",
            "Keep Set-Cookie, and whatever asks for consent or a login, away from /u/ in the proxy.",
        )
    if get.trouble or get.status >= 500:
        return broken(
            _NAME,
            f"a GET of {link} fails ({get.trouble or get.status}), and whoever opens the link sees that",
            "See the log of newsletter web: the same address must answer a GET with a page.",
        )
    return sound(_NAME, f"a POST to {link} is answered 200")
