"""One POST, and what its answer proves: boto3 over HTTP to a server that answers whatever a test wants."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from newsletter import tokens
from newsletter.delivery import Delivery, Links, Report, template_name
from newsletter.errors import Ambiguous, Refused, SesError, Throttled
from newsletter.ses.submit import Entry, Quota, Ses
from newsletter.states import State
from newsletter.store import Store, open_store
from tests.conftest import Clock
from tests.store_contract import PACKAGE, fill

KEYS = (b"k" * 32,)
BULK = "/v2/email/outbound-bulk-emails"
TAGS = {"briefing": "2020-10", "attempt": "a" * 32}
ENTRIES = [
    Entry(
        f"reader{n}@example.org",
        {"unsubscribe_url": f"https://x.example/{n}"},
        {"X-N": str(n)},
        {"n": str(n)},
    )
    for n in range(2)
]
GOOD = {"Status": "SUCCESS", "MessageId": "0102-0"}


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(frozen=True)
class Answer:
    """One answer as it goes out. `hangs`: after it, nothing, and the connection stays open."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    hangs: bool = False

    def written(self) -> bytes:
        if self.raw is not None:
            return self.raw
        length = {
            "Content-Type": "application/json",
            "Content-Length": str(len(self.body)),
            "Connection": "close",
        }
        lines = [f"{name}: {value}" for name, value in {**length, **self.headers}.items()]
        head = "\r\n".join([f"HTTP/1.1 {self.status} Whatever", *lines, "", ""])
        return head.encode() + self.body


def said(answer: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(answer).encode(), headers)


def error(status: int, code: str, message: str = "what SES said") -> Answer:
    """An error as SES writes one."""
    return said({"message": message}, status, **{"x-amzn-ErrorType": code, "x-amzn-RequestId": "1"})


class StandIn(ThreadingHTTPServer):
    """A server on loopback that notes what it was asked and answers what `answer` says."""

    block_on_close = True
    daemon_threads = False

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer] = lambda asked: Answer()
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def posts(self, path: str = BULK) -> list[dict[str, Any]]:
        return [asked.json for asked in self.asked if (asked.method, asked.path) == ("POST", path)]

    def always(self, answer: Answer) -> None:
        self.answer = lambda asked: answer


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.command, self.path, body)
        self.server.asked.append(asked)
        self.close_connection = True
        answer = self.server.answer(asked)
        self.wfile.write(answer.written())
        self.wfile.flush()
        if answer.hangs:
            # Then let go: a client without a timeout is told something else, and does not hang.
            self.server.over.wait(30)

    do_GET = do_POST = _handle  # noqa: N815 - the names that http.server wants

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
        pass


class Quick(Ses):
    """Waits a second for an answer, not a minute."""

    read_seconds = 1


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The stand-in, and an environment that leads to it and would repeat calls if it were let."""
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    for name in ("AWS_PROFILE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL_SESV2": server.url,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "stand-in",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_MAX_ATTEMPTS": "5",
        "AWS_RETRY_MODE": "legacy",
    }.items():
        monkeypatch.setenv(name, value)
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def submit(ses: Ses) -> Any:
    return ses.submit("template-1", PACKAGE, ENTRIES, TAGS)


def working(aws: StandIn, bulk: Callable[[Asked], Answer] | None = None) -> None:
    """Let the stand-in do all that a delivery needs; `bulk` answers the mailing itself."""

    def answer(asked: Asked) -> Answer:
        if asked.path == BULK:
            return bulk(asked) if bulk else accepted(asked)
        return said({"SendQuota": {"MaxSendRate": 10_000, "Max24HourSend": 50_000, "SentLast24Hours": 0}})

    aws.answer = answer


def accepted(asked: Asked) -> Answer:
    count = len(asked.json["BulkEmailEntries"])
    return said({"BulkEmailEntryResults": [{**GOOD, "MessageId": f"0102-{n}"} for n in range(count)]})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'newsletter.db'}")
    fill(opened, 3)
    yield opened
    opened.close()


def deliver(store: Store, clock: Clock) -> Report:
    links = Links("https://briefing.example.org", KEYS)
    return Delivery(store, Ses("events-1"), links, clock, clock.pause).run(PACKAGE)


# -- no answer


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"], ids=["silence", "half"]
)
def test_an_ses_that_does_not_answer_is_given_up_in_time_in_doubt_and_not_asked_again(
    aws: StandIn, begun: bytes
) -> None:
    aws.always(Answer(raw=begun, hangs=True))
    ses = Quick()
    with pytest.raises(Ambiguous, match="ReadTimeout"):
        submit(ses)
    assert len(aws.posts()) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["closed", "no http", "half a head", "no chunks"],
)
def test_a_connection_that_ends_without_an_answer_is_in_doubt(aws: StandIn, raw: bytes) -> None:
    aws.always(Answer(raw=raw))
    with pytest.raises(Ambiguous):
        submit(Ses())
    assert len(aws.posts()) == 1


def test_where_nobody_listens_nobody_was_mailed(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and not listened on: a connection is refused
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(Refused, match="AWS_ENDPOINT_URL_SESV2"):
            submit(Ses())


# -- errors


@pytest.mark.parametrize("status", [400, 403, 404, 407, 408, 413, 429, 500, 502, 503, 504])
def test_a_proxy_s_page_says_nothing_of_what_ses_did(aws: StandIn, status: int) -> None:
    """A page with an error is not SES's word: it may have accepted before the proxy lost its answer."""
    aws.always(Answer(status, b"<html><title>Blocked</title></html>", {"Content-Type": "text/html"}))
    with pytest.raises(Ambiguous, match=str(status)):
        submit(Ses())
    assert len(aws.posts()) == 1


@pytest.mark.parametrize("status", [408, 499, 500, 502, 503, 504])
def test_a_time_out_in_words_is_in_doubt_all_the_same(aws: StandIn, status: int) -> None:
    """Whoever gave up waiting does not know whether SES went on."""
    aws.always(error(status, "RequestTimeoutException"))
    with pytest.raises(Ambiguous):
        submit(Ses())
    assert len(aws.posts()) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(400, "BadRequestException"), Refused),
        (error(400, "BadRequestException:http://internal.amazon.com/x"), Refused),
        (said({"__type": "BadRequestException", "message": "what SES said"}, 400), Refused),
        (error(400, "LimitExceededException"), Throttled),
        (error(403, "ExpiredTokenException"), Refused),
        (error(404, "NotFoundException"), Refused),
        (error(429, "TooManyRequestsException"), Throttled),
    ],
    ids=lambda value: value.headers.get("x-amzn-ErrorType", "__type") if isinstance(value, Answer) else None,
)
def test_ses_s_own_no_means_that_nobody_was_mailed(
    aws: StandIn, answer: Answer, kind: type[SesError]
) -> None:
    aws.always(answer)
    with pytest.raises(Refused, match="what SES said") as caught:
        submit(Ses())
    assert type(caught.value) is kind
    assert caught.value.code.endswith("Exception")
    assert len(aws.posts()) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'["x"]',
        b'"text"',
        b"7",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"__type": 7}',
        b'{"message": {}}',
    ],
    ids=lambda body: repr(body[:12]),
)
@pytest.mark.parametrize("status", [400, 429, 503])
def test_a_nonsensical_error_is_in_doubt_and_no_traceback(aws: StandIn, status: int, body: bytes) -> None:
    aws.always(Answer(status, body))
    with pytest.raises(Ambiguous):
        submit(Ses())
    assert len(aws.posts()) == 1


# -- answers


def results(*entries: object) -> bytes:
    return json.dumps({"BulkEmailEntryResults": entries}).encode()


DEEP = 100_000
NONSENSE: dict[str, Answer] = {
    "nothing": Answer(body=b""),
    "null": Answer(body=b"null"),
    "a list": Answer(body=b"[]"),
    "a number": Answer(body=b"7"),
    "a text": Answer(body=b'"fine"'),
    "an empty object": Answer(body=b"{}"),
    "a page": Answer(body=b"<html>Log in</html>", headers={"Content-Type": "text/html"}),
    "results are null": Answer(body=b'{"BulkEmailEntryResults": null}'),
    "results are an object": Answer(body=b'{"BulkEmailEntryResults": {"0": {}, "1": {}}}'),
    "results are a text": Answer(body=b'{"BulkEmailEntryResults": "ok"}'),
    "results are a number": Answer(body=b'{"BulkEmailEntryResults": 2}'),
    "entries are texts": Answer(body=results("SUCCESS", "SUCCESS")),
    "entries are numbers": Answer(body=results(1, 2)),
    "entries are lists": Answer(body=results([], [])),
    "entries are null": Answer(body=results(None, None)),
    "one entry is null": Answer(body=results(GOOD, None)),
    "one too few": Answer(body=results(GOOD)),
    "one too many": Answer(body=results(GOOD, GOOD, GOOD)),
    "a message id is an object": Answer(body=results(GOOD, {**GOOD, "MessageId": {"Id": "x"}})),
    "a message id is a list": Answer(body=results(GOOD, {**GOOD, "MessageId": ["x"]})),
    "a message id is true": Answer(body=results(GOOD, {**GOOD, "MessageId": True})),
    "a status is an object": Answer(body=results(GOOD, {**GOOD, "Status": {"SUCCESS": 1}})),
    "an error is an object": Answer(body=results(GOOD, {**GOOD, "Error": {"x": 1}})),
    "half of a gzip": Answer(
        body=gzip.compress(results(GOOD, GOOD))[:-9], headers={"Content-Encoding": "gzip"}
    ),
    "no utf-8": Answer(body=results(GOOD, GOOD).replace(b"0102", b"\xff\xfe")),
    "deep": Answer(body=b"[" * DEEP + b"]" * DEEP),
    "deep results": Answer(body=b'{"BulkEmailEntryResults": ' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "half of it": Answer(body=results(GOOD, GOOD)[:-9]),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_a_nonsensical_answer_is_in_doubt_and_no_traceback(aws: StandIn, name: str) -> None:
    aws.always(NONSENSE[name])
    with pytest.raises(Ambiguous):
        submit(Ses())
    assert len(aws.posts()) == 1


@pytest.mark.parametrize(
    "name", ["results are an object", "a message id is an object", "no utf-8", "half of a gzip"]
)
def test_after_a_nonsensical_answer_everybody_is_held_and_nobody_mailed_again(
    aws: StandIn, store: Store, clock: Clock, name: str
) -> None:
    if "message id" in name:
        three = Answer(body=results(GOOD, GOOD, {**GOOD, "MessageId": {"Id": "x"}}))
    else:
        three = NONSENSE[name]
    working(aws, lambda asked: three)
    assert deliver(store, clock).counts.of(State.IN_DOUBT) > 0
    assert store.counts("2020-10").of(State.PENDING, State.CLAIMED, State.FAILED) == 0
    working(aws)
    deliver(store, clock)
    assert len(aws.posts()) == 1


@pytest.mark.parametrize(
    "body",
    [
        *(b"null", b"[]", b"7", b'"x"', b"\xff", b'{"SendQuota": []}', b'{"SendQuota": "much"}'),
        *(b'{"SendQuota": {"MaxSendRate": "fast"}}', b'{"SendQuota": {"MaxSendRate": {}}}', b"[" * DEEP),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_nonsensical_account_is_told_in_words_and_freezes_nobody(
    aws: StandIn, store: Store, clock: Clock, body: bytes
) -> None:
    aws.always(Answer(body=body))
    with pytest.raises(SesError):
        deliver(store, clock)
    assert store.frozen("2020-10") is None
    assert aws.posts() == []


def test_what_is_posted_is_what_botocore_would_write_itself(aws: StandIn) -> None:
    """The entries pass its model of the API by, for speed; it still has to find nothing wrong with them."""
    aws.always(Answer(body=results(GOOD, GOOD)))
    Ses("events-1").submit("template-1", PACKAGE, ENTRIES, TAGS)
    (posted,) = aws.posts()
    boto3.client("sesv2").send_bulk_email(**posted)
    assert aws.posts() == [posted, posted]
    assert [entry["Destination"]["ToAddresses"] for entry in posted["BulkEmailEntries"]] == [
        ["reader0@example.org"],
        ["reader1@example.org"],
    ]


def test_each_entry_s_result_is_its_own(aws: StandIn) -> None:
    aws.always(Answer(body=results(GOOD, {"Status": "MESSAGE_REJECTED", "Error": "a virus"})))
    first, second = submit(Ses())
    assert (first.status, first.message_id, first.error) == ("SUCCESS", "0102-0", "")
    assert (second.status, second.message_id, second.error) == ("MESSAGE_REJECTED", "", "a virus")


@pytest.mark.parametrize("entry", [{"Status": "SUCCESS"}, {"Status": "SUCCESS", "MessageId": ""}], ids=str)
def test_a_success_that_names_no_message_is_in_doubt(
    aws: StandIn, store: Store, clock: Clock, entry: dict[str, str]
) -> None:
    working(aws, lambda asked: Answer(body=results(GOOD, entry, GOOD)))
    assert deliver(store, clock).counts.states == {State.SUBMITTED: 2, State.IN_DOUBT: 1}
    deliver(store, clock)
    assert len(aws.posts()) == 1


def test_a_failure_that_names_a_message_is_in_doubt_and_not_tried_again(
    aws: StandIn, store: Store, clock: Clock
) -> None:
    """SES names a message only when it has accepted one: the two words contradict each other."""
    odd = {"Status": "TRANSIENT_FAILURE", "MessageId": "0102-1"}
    working(
        aws, lambda asked: Answer(body=results(GOOD, odd, GOOD)) if len(aws.posts()) == 1 else accepted(asked)
    )
    assert deliver(store, clock).counts.states == {State.SUBMITTED: 2, State.IN_DOUBT: 1}
    assert len(aws.posts()) == 1


# -- what is asked


def test_a_call_asks_for_exactly_the_mails_that_are_meant(aws: StandIn, store: Store, clock: Clock) -> None:
    working(aws)
    assert deliver(store, clock).counts.states == {State.SUBMITTED: 3}
    (call,) = aws.posts()
    assert call["FromEmailAddress"] == "A <a@example.org>"
    assert call["ReplyToAddresses"] == ["r@example.org"]
    assert call["ConfigurationSetName"] == "events-1"
    template = call["DefaultContent"]["Template"]
    assert template["TemplateName"] == template_name(PACKAGE)
    assert template["Headers"] == [{"Name": "List-Id", "Value": "<l.example.org>"}]
    assert json.loads(template["TemplateData"]) == {"unsubscribe_url": ""}
    common = {tag["Name"]: tag["Value"] for tag in call["DefaultEmailTags"]}
    assert common["briefing"] == "2020-10"
    assert len(common["attempt"]) == 32
    assert set(common["attempt"]) <= set("0123456789abcdef")
    links = set()
    for number, entry in enumerate(call["BulkEmailEntries"]):
        assert entry["Destination"] == {"ToAddresses": [f"reader{number:04d}@example.org"]}
        assert {"Name": "recipient", "Value": str(number + 1)} in entry["ReplacementTags"]
        headers = {header["Name"]: header["Value"] for header in entry["ReplacementHeaders"]}
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        link = headers["List-Unsubscribe"].removeprefix("<").removesuffix(">")
        assert headers["List-Unsubscribe"] == f"<{link}>"
        data = entry["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"]
        assert json.loads(data) == {"unsubscribe_url": link}
        place, _, token = link.rpartition("/")
        assert place == "https://briefing.example.org/u"
        links.add(tokens.verify(token, tokens.Purpose.UNSUBSCRIBE, KEYS))
    assert None not in links
    assert len(links) == 3


def test_the_template_in_ses_is_stored_before_the_first_mail_and_is_what_was_composed(
    aws: StandIn, store: Store, clock: Clock
) -> None:
    working(aws)
    deliver(store, clock)
    paths = [asked.path for asked in aws.asked]
    assert paths.index("/v2/email/templates") < paths.index(BULK)
    (made,) = [made for made in aws.posts("/v2/email/templates") if "-turn-" not in made["TemplateName"]]
    assert made["TemplateName"] == template_name(PACKAGE)
    assert made["TemplateContent"] == {"Subject": "S", "Html": PACKAGE.html, "Text": PACKAGE.text}


def test_without_a_configuration_set_none_is_named(aws: StandIn) -> None:
    aws.always(Answer(body=results(GOOD, GOOD)))
    submit(Ses())
    assert "ConfigurationSetName" not in aws.posts()[0]


def test_each_call_of_a_mailing_has_a_tag_of_its_own(aws: StandIn, store: Store, clock: Clock) -> None:
    """SES's events name the call by it; two calls with one name could not be told apart."""
    fill(store, 120)
    working(aws)
    deliver(store, clock)
    attempts = [
        tag["Value"] for call in aws.posts() for tag in call["DefaultEmailTags"] if tag["Name"] == "attempt"
    ]
    assert len(attempts) == len(set(attempts)) == 3


# -- what the account may do


@pytest.mark.parametrize(
    ("rate", "batch"), [(0.5, 1), (1, 1), (14, 14), (14.9, 14), (49, 49), (50, 50), (1000, 50)]
)
def test_no_call_is_larger_than_a_second_of_the_account_s_rate(aws: StandIn, rate: float, batch: int) -> None:
    aws.always(said({"SendQuota": {"MaxSendRate": rate, "Max24HourSend": 200, "SentLast24Hours": 150}}))
    quota = Ses().quota()
    assert (quota.batch, quota.left_today) == (batch, 50)


@pytest.mark.parametrize(("per_day", "used", "left"), [(-1, 9, float("inf")), (200, 300, 0), (0, 0, 0)])
def test_a_day_s_quota_is_never_less_than_nothing_and_may_be_without_end(
    per_day: float, used: float, left: float
) -> None:
    assert Quota(1, per_day, used, enabled=True, production=True).left_today == left
