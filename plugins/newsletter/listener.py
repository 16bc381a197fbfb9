"""An address to listen on."""

from __future__ import annotations

import socket

from newsletter.errors import SettingsError


def listen(host: str, port: int, remedy: str) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises SettingsError, which ends with `remedy`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, because asyncio sets TCP_NODELAY only on sockets that say TCP; without it each answer, which
    # uvicorn writes in two pieces, waits 40 ms for the client's delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)  # from here on a connection waits rather than fails
    except OSError as error:
        listener.close()
        raise SettingsError(f"{host}:{port}: cannot be served: {error.strerror}. {remedy}") from None
    return listener


def address(host: str, listener: socket.socket) -> str:
    """What to type into a browser: "http://127.0.0.1:8000"."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"
