"""Which Host headers are answered: a page in the operator's browser must not reach us by DNS rebinding."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class OnlyHosts:
    """ASGI middleware: 403 for a request whose Host is not one of `hosts` (names without port)."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] = LOOPBACK) -> None:
        self._app, self._hosts = app, frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check and pass on."""
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "").lower()
            name = host if host.endswith("]") else host.rsplit(":", 1)[0] if ":" in host else host
            if name not in self._hosts:
                answer = PlainTextResponse("This address is not served under that name.\n", 403)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
