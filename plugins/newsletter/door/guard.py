"""What every request passes before the door listens: under which name, from whose page, from which address.

There are no cookies and no sessions, so a request has only the rights that stand in it (a token, or none). The
check of where a form comes from keeps other sites' pages from making their visitors knock. One-click unsubscribe
is free of it: it comes from mail programs and their servers (RFC 8058 section 3.2).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What the pages are made for (and the site's as well): nothing from elsewhere, nothing inline.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"x-robots-tag", b"noindex, nofollow"),
    (b"cache-control", b"no-store"),
)
_TWO_YEARS = b"max-age=63072000"
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the door stands: the site's address, other names that are answered, and the proxies in front of it.

    `site_url` has no slash at its end. `names` are further values of Host, such as localhost:8000. `proxies` is how
    many trusted proxies each request has come through: each of them has added one address to X-Forwarded-For.
    """

    site_url: str
    names: tuple[str, ...] = ()
    proxies: int = 0

    @property
    def root(self) -> str:
        """The path below which the site lies: "" or "/briefing"."""
        return urlsplit(self.site_url).path.rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether visitors come over HTTPS."""
        return self.site_url.startswith("https://")

    def hosts(self) -> frozenset[str]:
        """Every Host header that is answered."""
        url = urlsplit(self.site_url)
        return frozenset(
            name.lower() for name in (url.netloc, url.netloc + _DEFAULT_PORTS[url.scheme], *self.names)
        )

    def origins(self) -> frozenset[str]:
        """Every Origin whose forms are ours."""
        scheme = urlsplit(self.site_url).scheme
        return frozenset(f"{scheme}://{host}" for host in self.hosts())


class Guard:
    """ASGI middleware: answers what is not for us, tells the application the visitor's address, sets the headers.

    `one_click` are beginnings of paths whose POSTs may come from anywhere, `open_pages` the paths whose forms a page
    of the site posts to, `free` the paths that answer under any name (for a load balancer's health check).
    """

    def __init__(
        self,
        app: ASGIApp,
        place: Place,
        refused: ASGIApp,
        foreign: ASGIApp,
        one_click: Collection[str] = (),
        open_pages: Collection[str] = (),
        free: Collection[str] = (),
    ) -> None:
        self._app, self._refused, self._foreign = app, refused, foreign
        self._hosts, self._origins, self._proxies = place.hosts(), place.origins(), place.proxies
        self._one_click, self._open, self._free = tuple(one_click), frozenset(open_pages), frozenset(free)
        self._headers = [*_HEADERS]
        if place.secure:
            self._headers.append((b"strict-transport-security", _TWO_YEARS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, and pass on or refuse."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        # With "no-referrer" a form's POST would carry the Origin "null", which tells old browsers' forms from nobody's.
        policy = b"same-origin" if path in self._open else b"no-referrer"
        headers = [*self._headers, (b"referrer-policy", policy)]

        reads = scope["method"] in ("GET", "HEAD", "OPTIONS")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                # What of a refused body is still to come is not to be waited for.
                close = [] if reads or message["status"] < 400 else [(b"connection", b"close")]
                message["headers"] = [*message["headers"], *headers, *close]
            await send(message)

        given = _first(scope["headers"])
        app = self._app
        if path not in self._free and given.get(b"host", "").lower() not in self._hosts:
            app = self._refused
        elif (
            scope["method"] == "POST"  # no other method changes anything anywhere
            and not path.startswith(self._one_click)
            # A page with a token in its address says "null", to us as to everybody; the token is what counts there.
            and not is_ours(given, self._origins, null_is_ours=path not in self._open)
        ):
            app = self._foreign
        peer = scope["client"][0] if scope.get("client") else ""
        scope["newsletter.ip"] = visitor(peer, given.get(b"x-forwarded-for", ""), self._proxies)
        await app(scope, receive, with_headers)


def is_ours(headers: dict[bytes, str], origins: Collection[str], null_is_ours: bool = False) -> bool:
    """Whether a form was sent from a page of this site, by what the browser says of it.

    Sec-Fetch-Site (all browsers since 2023) decides; older ones say Origin; who says neither is no browser.
    """
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None:
        return site in ("same-origin", "none")
    return origin in origins or (origin == "null" and null_is_ours)


def visitor(peer: str, forwarded: str, proxies: int) -> str:
    """The visitor's IP address: the peer's, or what the outermost of `proxies` trusted proxies saw; "" if unknown.

    Each proxy appends the address it was called from to X-Forwarded-For. What stands further left than the trusted
    ones reach, the visitor may have written.
    """
    hops: Sequence[str] = [hop.strip() for hop in forwarded.split(",")] if forwarded else []
    said = hops[-proxies] if 0 < proxies <= len(hops) else peer
    for text in (said, peer):
        try:
            ip = ipaddress.ip_address(
                text.partition("%")[0]
            )  # a zone's name is any text, and nobody's address
        except ValueError:
            continue
        mapped = getattr(ip, "ipv4_mapped", None)
        return str(mapped or ip)
    return ""


def _first(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """The headers this looks at, by name. X-Forwarded-For may stand in several lines, which count as one."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in (b"host", b"origin", b"sec-fetch-site"):
            found.setdefault(name, value.decode("latin-1"))
        elif name == b"x-forwarded-for":
            found[name] = ",".join(filter(None, (found.get(name), value.decode("latin-1"))))
    return found
