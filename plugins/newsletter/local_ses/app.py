"""The HTTP side: SES v2 (REST-JSON), SQS (JSON 1.0), the mailbox, and the faults on the wire."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from newsletter.local_ses import shapes
from newsletter.local_ses.api_error import ApiError
from newsletter.local_ses.core import LocalSes
from newsletter.local_ses.hosts import LOOPBACK, OnlyHosts
from newsletter.local_ses.pages import mailbox_app
from newsletter.local_ses.sending import Call
from newsletter.local_ses.sqs import QUERY_ERRORS, Sqs, queue_name
from newsletter.local_ses.wire import Wire

_MAX_BODY = 60 * 1024 * 1024  # a 40 MB message in base64, with room
_HTML_FAULT = "<!doctype html><title>Service</title><h1>We will be back shortly</h1>\n"


class Waker:
    """Tells long polls that something may have arrived, and everybody that the server is closing."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Let all long polls look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """End every wait, for good."""
        self.closing.set()
        self.wake()

    async def changed(self, seconds: float) -> None:
        """Wait for a change, at most `seconds`."""
        if not self.closing.is_set():
            await _within(self._changed, seconds)

    async def pause(self, seconds: float) -> bool:
        """Wait `seconds`; False if the server closed meanwhile."""
        return not await _within(self.closing, seconds)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


class Api:
    """The ASGI application of both services."""

    def __init__(self, ses: LocalSes, waker: Waker) -> None:
        self._ses, self._waker = ses, waker
        self._sqs = Sqs(ses.queues, ses.config.region)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            body = await _read(request)
        except ClientDisconnect:
            return  # whoever asked was killed in the middle of it
        if body is None:
            await _error(ApiError("RequestEntityTooLargeException", "The request is too large.", 413))(
                scope, receive, send
            )
            return
        target = request.headers.get("x-amz-target", "")
        if "authorization" not in request.headers:
            # What AWS answers to an unsigned request; it also keeps forms on web pages out.
            error = ApiError("MissingAuthenticationTokenException", "Missing Authentication Token")
            await _error(error, query=target.startswith("AmazonSQS."))(scope, receive, send)
            return
        wire = Wire(scope, receive, send)
        if target.startswith("AmazonSQS."):
            response = await self._queue_call(request, target.partition(".")[2], body, wire)
        else:
            response = await self._mail_call(request, body, wire)
        if response is not None:
            response.headers["x-amzn-requestid"] = str(uuid.uuid4())
            await response(scope, receive, send)

    async def _mail_call(self, request: Request, body: bytes, wire: Wire) -> Response | None:
        raw_path = request.scope.get("raw_path", b"").decode("ascii", "replace")
        try:
            operation, in_path = shapes.route(request.method, raw_path)
            call = await run_in_threadpool(self._ses.begin, operation, _loose(body))
        except ApiError as error:
            return _error(error)

        def answer() -> Response:
            try:
                params = shapes.read(operation, in_path, request.url.query, body)
                return _json(self._ses.perform(call, params))
            except ApiError as error:
                return _error(error)

        return await self._with_faults(call, answer, wire)

    async def _queue_call(self, request: Request, operation: str, body: bytes, wire: Wire) -> Response | None:
        url = f"{request.url.scheme}://{request.headers['host']}"
        try:
            params = shapes.json_object(body)
            call = await run_in_threadpool(self._ses.begin, operation, {})
        except ApiError as error:
            return _error(error, query=True)
        if operation == "ReceiveMessage":
            await self._wait_for_message(params)

        def answer() -> Response:
            try:
                return _json(self._sqs.perform(operation, params, url), "application/x-amz-json-1.0")
            except ApiError as error:
                return _error(error, query=True)

        return await self._with_faults(call, answer, wire)

    async def _wait_for_message(self, params: Mapping[str, Any]) -> None:
        """Hold a long poll until a message is visible or its time is over."""
        wait = params.get("WaitTimeSeconds")
        if not isinstance(wait, int) or not 0 < wait <= 20:
            return
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0 and not self._waker.closing.is_set():
            until = await run_in_threadpool(self._ses.queues.next_visible, queue_name(params))
            if until is not None and until <= 0:
                return
            # A second at most: the clock of the queue may be moved by a test, or another process may write.
            await self._waker.changed(min(left, 1.0 if until is None else max(until, 0.005), 1.0))

    async def _with_faults(self, call: Call, answer: Any, wire: Wire) -> Response | None:
        """Do the call in the way the plan says; None: the connection was ended instead of an answer."""
        faults, pause = call.faults, self._waker.pause
        if faults.latency:
            await pause(faults.latency)
        if faults.action == "late":
            if faults.given.get("close"):
                await wire.reset()
            if await pause(faults.given.get("seconds", 1)):
                await self._done(answer)
            await wire.reset()
            return None
        if (planned := await self._fault(call, wire, "before", None)) is not None:
            return planned or None
        response = await self._done(answer)
        if (planned := await self._fault(call, wire, "after", response)) is not None:
            return planned or None
        return response

    async def _done(self, answer: Any) -> Response:
        response: Response = await run_in_threadpool(answer)
        self._waker.wake()
        return response

    async def _fault(
        self, call: Call, wire: Wire, when: str, response: Response | None
    ) -> Response | Any | None:
        """Do the plan's action of this moment. None: there is none; False: the connection is ended."""
        faults, given = call.faults, call.faults.given
        if faults.does("drop", when):
            await wire.close()
            return False
        if faults.does("reset", when):
            await wire.reset()
            return False
        if faults.does("hang", when):
            await self._waker.pause(given.get("seconds", 3600))
            await wire.close()
            return False
        if faults.does("error", when):
            code, text = (
                given.get("code", "InternalFailure"),
                given.get("message", "Planned by the fault plan."),
            )
            return _error(ApiError(code, text, given.get("status", 500)))
        if faults.does("throttle", when):
            return _error(ApiError("TooManyRequestsException", "Maximum sending rate exceeded."))
        if faults.does("unavailable", when):
            return _error(ApiError("ServiceUnavailable", "Service is temporarily unavailable.", 503))
        if faults.does("html", when):
            return Response(_HTML_FAULT, media_type="text/html")
        if response is None:
            return None
        body = bytes(response.body)
        if faults.action == "truncated":
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            await wire.raw(head.encode() + body[: len(body) // 2])
            return False
        if faults.action == "broken_json":
            return Response(body[: len(body) // 2], media_type="application/json")
        if faults.action == "results" and response.status_code == 200:
            return _json(_with_results(json.loads(body), given.get("change", -1)))
        return None


def _with_results(answer: dict[str, Any], change: int) -> dict[str, Any]:
    results = answer.get("BulkEmailEntryResults", [])
    kept = results[:change] if change < 0 else results + results[-1:] * change
    return {**answer, "BulkEmailEntryResults": kept}


def _loose(body: bytes) -> dict[str, Any]:
    try:
        return shapes.json_object(body) if body else {}
    except ApiError:
        return {}  # the call is counted all the same and refused when it is read in earnest


async def _read(request: Request) -> bytes | None:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MAX_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _json(answer: Mapping[str, Any], media_type: str = "application/json") -> Response:
    return Response(json.dumps(answer), media_type=media_type)


def _error(error: ApiError, *, query: bool = False) -> Response:
    """Write an error as the service would: REST-JSON for SES, JSON 1.0 with the old query name for SQS."""
    if query:
        body = {"__type": f"com.amazonaws.sqs#{error.code}", "message": error.message}
        headers = {"x-amzn-query-error": f"{QUERY_ERRORS.get(error.code, error.code)};Sender"}
        return Response(json.dumps(body), error.status, headers, "application/x-amz-json-1.0")
    headers = {"x-amzn-errortype": error.code}
    return Response(json.dumps({"message": error.message}), error.status, headers, "application/json")


def create_app(ses: LocalSes, waker: Waker, host: str, site: ASGIApp | None = None) -> Starlette:
    """Return the whole application: the API, the mailbox at /mailbox/, and beside them a site, if one is given.

    A call of the API carries an Authorization header or goes to /v2/; everything else is the site's.
    """
    hosts = LOOPBACK | {host} | set(ses.config.hosts)
    api = Api(ses, waker)

    async def home(request: Request) -> Response:
        return RedirectResponse("/mailbox/")

    async def beside(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        is_call = "authorization" in request.headers or request.url.path.startswith("/v2/")
        await (api if is_call or site is None else site)(scope, receive, send)

    return Starlette(
        routes=[
            *([Route("/", home, methods=["GET"])] if site is None else []),
            Mount("/mailbox", mailbox_app(ses.config.mailbox, hosts)),
            Mount("/", beside),
        ],
        middleware=[Middleware(OnlyHosts, hosts=hosts)],
    )
