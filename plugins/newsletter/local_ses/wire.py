"""What HTTP libraries do not let one do on purpose: resets, and answers that break off."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_KEY = "newsletter.local_ses.transport"


class WireProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 that hands its transport to the application."""

    # uvicorn narrows the type of asyncio's own method in the same way, with the same ignore.
    # asyncio declares BaseTransport; for a stream server it is always this one, and uvicorn says so too.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the application of this one connection, so that each request's scope has the transport."""
        super().connection_made(transport)
        application = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            scope[_KEY] = transport
            await application(scope, receive, send)

        self.app = with_transport


class Wire:
    """The connection under one request. After any of its methods nothing more may be sent."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._transport: asyncio.Transport = scope[_KEY]
        self._receive, self._send = receive, send

    async def reset(self) -> None:
        """End the connection with a TCP reset."""
        if not self._transport.is_closing():
            # SO_LINGER with 0 seconds makes the kernel send RST instead of FIN on close.
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self._transport.abort()
        await self._gone()

    async def close(self) -> None:
        """End the connection without an answer."""
        self._transport.close()
        await self._gone()

    async def raw(self, data: bytes) -> None:
        """Write bytes as they are and end the connection."""
        self._transport.write(data)
        await self.close()

    async def _gone(self) -> None:
        # uvicorn answers 500 for an application that returns in silence, unless it knows of the disconnect.
        while (await self._receive())["type"] != "http.disconnect":
            pass
