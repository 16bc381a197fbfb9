"""Starting and stopping the local SES."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from newsletter.errors import SettingsError
from newsletter.listener import address, listen
from newsletter.local_ses.config import QUEUE, WORK_QUEUE, LocalSesConfig, RunningSes, environment

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_REMEDY = "Choose another with --port (make serve PORT=8001)."


def serve(
    config: LocalSesConfig,
    host: str = "127.0.0.1",
    port: int = 8025,
    site: ASGIApp | None = None,
    ready: Callable[[RunningSes], None] = lambda running: None,
) -> None:
    """Serve until interrupted, with `site` beside the API and the mailbox if one is given.

    `ready` is told where, once the address is ours. Raises SettingsError if the address is taken, StoreError
    for the state.
    """
    with listen(host, port, _REMEDY) as listener:
        server = _Server(config, host, listener, site)
        ready(server.described)
        server.run()


@contextmanager
def running(
    config: LocalSesConfig, host: str = "127.0.0.1", port: int = 0, site: ASGIApp | None = None
) -> Iterator[RunningSes]:
    """Serve in a thread for as long as the block lasts; port 0 takes a free one.

    It answers when the block begins, and when the block ends the port is free and the state written.
    Raises SettingsError if the address is taken, StoreError for the state.
    """
    with listen(host, port, _REMEDY) as listener:
        server = _Server(config, host, listener, site)
        thread = threading.Thread(target=server.run, name="local-ses", daemon=True)
        thread.start()
        try:
            server.wait_until_started(thread)
            yield server.described
        finally:
            server.stop()
            thread.join()


class _Server:
    """uvicorn with our application, stoppable from another thread."""

    def __init__(
        self, config: LocalSesConfig, host: str, listener: socket.socket, site: ASGIApp | None
    ) -> None:
        # Imported here, so that importing newsletter.local_ses costs no command the web server.
        import uvicorn

        from newsletter.local_ses.app import Waker, create_app
        from newsletter.local_ses.core import LocalSes
        from newsletter.local_ses.sqs import queue_url
        from newsletter.local_ses.wire import WireProtocol

        self._ses = ses = LocalSes(config)
        self._listener = listener
        self._waker = waker = Waker()

        class Server(uvicorn.Server):
            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                waker.close()  # ends long polls and hanging calls, for which uvicorn would wait
                await super().shutdown(sockets)

        self._uvicorn = Server(
            uvicorn.Config(
                create_app(ses, waker, host, site),
                http=WireProtocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        url = address(host, listener)
        self.described = RunningSes(
            url=url,
            queue_url=queue_url(url, QUEUE),
            topic_arn=config.topic_arn,
            environment=environment(url, queue_url(url, QUEUE), queue_url(url, WORK_QUEUE), config),
            calls=ses.calls,
            busy=lambda: len(self._uvicorn.server_state.tasks),
        )

    def run(self) -> None:
        try:
            self._uvicorn.run(sockets=[self._listener])
        finally:
            self._ses.close()

    def wait_until_started(self, thread: threading.Thread) -> None:
        # The socket is bound; once uvicorn listens on it a connection waits rather than fails.
        while not self._uvicorn.started:
            thread.join(0.005)
            if not thread.is_alive():
                raise SettingsError("The local SES did not start; see the messages above.")

    def stop(self) -> None:
        self._uvicorn.should_exit = True
