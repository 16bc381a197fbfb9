"""Between a store and DynamoDB, over HTTP: counts what it costs, and makes it as bad as AWS can be.

The servers that run on this machine look at no signature, so a request can be changed on its way.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from tests.capacity import Capacity

_BUSY = json.dumps(
    {
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": "The level of configured provisioned throughput for the table was exceeded.",
    }
).encode()
_DENIED = json.dumps(
    {"__type": "com.amazon.coral.service#AccessDeniedException", "message": "not authorized"}
).encode()


@dataclass
class Proxy:
    """What has gone through. Every n-th call is `throttled` (refused), of every n-th the answer is `lost`: 0 for none.

    With `page`, a page of a query has one item, and a batch is answered in part. `before` hears of each call that is
    about to go through; what it answers True to is refused for good, and so is what is not `allowed`.
    """

    url: str = ""
    throttled: int = 0
    lost: int = 0
    page: bool = False
    before: Callable[[str], bool | None] = lambda operation: None
    allowed: Callable[[str, Mapping[str, Any]], bool] = lambda operation, asked: True
    calls: Counter[str] = field(default_factory=Counter)
    written: int = 0  # units, as tests/capacity.py counts them
    read: int = 0
    refused: int = 0
    _capacity: Capacity = field(default_factory=Capacity)
    _number: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fresh(self) -> None:
        """Forget what was counted."""
        self.calls.clear()
        self.written = self.read = self.refused = 0

    def next(self) -> int:
        """The how-manieth call this is."""
        with self._lock:
            return next(self._number)

    def note(self, operation: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Count a call that was done."""
        with self._lock:
            self.calls[operation] += 1
            units = self._capacity.of(operation, asked, answer)
            self.written += units.written
            self.read += units.read


@contextmanager
def between(endpoint: str, **how: Any) -> Iterator[Proxy]:
    """Serve on a port of its own, in front of `endpoint`."""
    proxy = Proxy(**how)
    host = urlsplit(endpoint).netloc

    class Handler(_Handler):
        at, behind = proxy, host

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever asked may have been killed: that is no error of ours."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection; the one behind it is kept as long."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    at: Proxy
    behind: str

    def setup(self) -> None:
        super().setup()
        self.onward = HTTPConnection(self.behind, timeout=60)

    def finish(self) -> None:
        self.onward.close()
        super().finish()

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if len(said := self.rfile.read(length)) < length:  # whoever asks was killed meanwhile
            self.close_connection = True
            return
        asked = json.loads(said)
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        number = self.at.next()
        if self.at.throttled and number % self.at.throttled == 0 and "Table" not in operation:
            self.at.refused += 1
            self._answer(400, _BUSY)
            return
        if self.at.before(operation) or not self.at.allowed(operation, asked):
            self._answer(400, _DENIED)
            return
        left = self._lessen(operation, asked) if self.at.page else {}
        headers = {
            name: text
            for name, text in self.headers.items()
            if name.lower() not in ("host", "content-length", "expect")
        }
        self.onward.request("POST", "/", json.dumps(asked), headers)
        with self.onward.getresponse() as got:
            body = got.read()
        if got.status == 200:
            answer = json.loads(body)
            self.at.note(operation, asked, answer)
            if left:
                answer |= left
                body = json.dumps(answer).encode()
        if self.at.lost and number % self.at.lost == 0 and operation != "CreateTable":
            self.at.refused += 1
            self.close_connection = True  # it was done, and nobody learns of it
            return
        self._answer(got.status, body)

    def _lessen(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Make a page of one item, or do half of a batch; what to answer of the other half."""
        if operation == "Query":
            asked["Limit"] = 1
        if operation in ("BatchGetItem", "BatchWriteItem"):
            ((table, work),) = asked["RequestItems"].items()
            parts = work["Keys"] if operation == "BatchGetItem" else work
            half = math.ceil(len(parts) / 2)
            now, later = parts[:half], parts[half:]
            if operation == "BatchGetItem":
                asked["RequestItems"] = {table: {**work, "Keys": now}}
                return {"UnprocessedKeys": {table: {**work, "Keys": later}} if later else {}}
            asked["RequestItems"] = {table: now}
            return {"UnprocessedItems": {table: later} if later else {}}
        return {}

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        """Say nothing."""
