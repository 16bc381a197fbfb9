"""The door's web server: uvicorn, with patience for ten seconds and no longer."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_PATIENCE = (
    20.0  # seconds in which a request must have come, head and body; forms.py answers a slow body before
)
_LONGEST_HEAD = 16 * 1024
_MOST_CONNECTIONS = 1000


class Patient(H11Protocol):
    """uvicorn's HTTP/1.1, which by itself waits for a request for ever, however slowly it comes."""

    _deadline: asyncio.TimerHandle | None = None

    # uvicorn narrows the type of asyncio's own method in the same way, with the same ignore.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on, unless this was the end of a request."""
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._wait()
        else:
            self._cease()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._cease()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(_PATIENCE, self._leave)

    def _cease(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _leave(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def server(app: ASGIApp, **more: Any) -> uvicorn.Server:
    """A web server for the door. It writes no access log: addresses and tokens stand in none."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Patient,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # guard.py knows how many proxies to believe
            limit_concurrency=_MOST_CONNECTIONS,
            h11_max_incomplete_event_size=_LONGEST_HEAD,
            timeout_graceful_shutdown=10,
            **more,
        )
    )


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until interrupted."""
    server(app).run(sockets=[listener])
