"""The preview as a server on this machine, for as long as the editor writes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import uvicorn

from newsletter.listener import address, listen
from newsletter.preview.app import Preview
from newsletter.preview.desk import Desk, State
from newsletter.preview.proofs import Proofs
from newsletter.preview.watcher import Watcher
from newsletter.publication import Publication

HOST = "127.0.0.1"
"""Drafts are for nobody else: no option leads to another address."""


def serve(
    publication: Publication,
    content: Path,
    theme: Path,
    store_url: str,
    port: int,
    ready: Callable[[str, State], None],
    told: Callable[[State, Iterable[str], float], None],
) -> None:
    """Serve until interrupted. In the store at `store_url` the recipients of a proof are counted. `ready` is told where, and what was read; `told` what was saved, and how long it took.

    Raises SettingsError if the address is taken.
    """
    with listen(HOST, port, "Choose another with --port (make preview PREVIEW_PORT=8002).") as listener:
        desk = Desk(str(content))
        preview = Preview(desk, Proofs(desk, str(content), store_url), publication.site_url)
        ready(address(HOST, listener), desk.read())

        def tell(state: State, saved: Iterable[str], seconds: float) -> None:
            preview.changed()
            told(state, saved, seconds)

        watcher = Watcher(desk, content, theme, tell)
        watcher.start()
        try:
            _Server(preview).run(sockets=[listener])
        finally:
            watcher.stop()


class _Server(uvicorn.Server):
    """uvicorn, which lets go of the pages that listen for changes before it waits for them."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        super().__init__(
            uvicorn.Config(
                preview.app(),
                lifespan="off",
                ws="none",
                loop="asyncio",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn when it is to end."""
        self._preview.end()
        await super().shutdown(sockets)
