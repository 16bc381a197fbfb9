"""Every fault of the plan is real on the wire, and is before or after the accept as it says."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from newsletter.errors import SettingsError
from newsletter.local_ses.faults import FaultPlan, Target
from tests.local_ses_world import World, entry, session, world


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ses"), max_send_rate=10_000) as one:
        yield one


@pytest.fixture
def own(server: World) -> World:
    server.fresh().template()
    return server


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", ["drop", "reset"])
def test_a_connection_ends_before_or_after_the_accept(own: World, action: str, when: str) -> None:
    """One POST, ConnectionClosedError for the client; the log alone knows whether it was accepted."""
    own.plan(calls=[{"operation": "SendBulkEmail", "action": action, "when": when}])
    with pytest.raises(ConnectionClosedError):
        own.bulk("a@x.org")
    assert own.bulk_calls() == 1
    assert len(own.accepts()) == (when == "after")


def test_a_reset_is_a_tcp_reset_and_a_drop_is_not(own: World) -> None:
    own.plan(calls=[{"action": "reset", "call": 1}, {"action": "drop", "call": 2}])
    assert isinstance(_raw_post(own), ConnectionResetError)
    assert _raw_post(own) == b""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_call_hangs_before_or_after_the_accept(own: World, when: str) -> None:
    own.plan(calls=[{"action": "hang", "when": when, "seconds": 60}])
    with pytest.raises(ReadTimeoutError):
        _impatient(own)
    assert len(own.accepts()) == (when == "after")


@pytest.mark.parametrize("close", [False, True])
def test_a_late_accept_comes_after_the_client_has_given_up(own: World, close: bool) -> None:
    """The hazard of settling too early: nothing is accepted when the client fails, and later it is."""
    own.plan(calls=[{"action": "late", "seconds": 0.6, "close": close}])
    with pytest.raises((ReadTimeoutError, ConnectionClosedError)):
        _impatient(own)
    assert own.accepts() == []
    assert [event["eventType"] for event in own.events(wait=5)] == ["Send", "Delivery"]
    assert len(own.accepts()) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("rule", "code", "status"),
    [
        ({"action": "error"}, "InternalFailure", 500),
        (
            {"action": "error", "status": 403, "code": "ExpiredTokenException", "message": "m"},
            "ExpiredTokenException",
            403,
        ),
        ({"action": "throttle"}, "TooManyRequestsException", 429),
        ({"action": "unavailable"}, "ServiceUnavailable", 503),
    ],
)
def test_an_error_is_answered_before_or_after_the_accept(
    own: World, rule: dict[str, Any], code: str, status: int, when: str
) -> None:
    own.plan(calls=[rule | {"when": when}])
    with pytest.raises(ClientError) as caught:
        own.bulk("a@x.org")
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert len(own.accepts()) == (when == "after")


def test_an_answer_of_html_parses_to_nothing(own: World) -> None:
    """botocore raises nothing for it (ses.md §7.1): the sender must count results."""
    own.plan(calls=[{"action": "html"}])
    assert own.bulk("a@x.org") is None
    assert len(own.accepts()) == 1


def test_an_answer_breaks_off(own: World) -> None:
    own.plan(calls=[{"action": "truncated", "call": 1}, {"action": "broken_json", "call": 2}])
    assert own.bulk("a@x.org") is None, "botocore takes a body that ends early for no body (ses.md §7.1)"
    assert own.bulk("b@x.org") is None
    assert len(own.accepts()) == 2


@pytest.mark.parametrize(("change", "count"), [(-1, 2), (1, 4), (-3, 0)])
def test_the_number_of_results_is_wrong(own: World, change: int, count: int) -> None:
    own.plan(calls=[{"action": "results", "change": change}])
    assert len(own.bulk("a@x.org", "b@x.org", "c@x.org")) == count
    assert len(own.accepts()) == 3


def test_entries_get_a_status_of_their_own(own: World) -> None:
    """Refused ones are not accepted, unless the plan says so; a word AWS does not have yet is possible."""
    own.plan(
        calls=[
            {"action": "entry_status", "status": "ACCOUNT_THROTTLED", "to": "b@*"},
            {
                "action": "entry_status",
                "status": "NEW_THING",
                "tag": {"rcpt": "3"},
                "accept": True,
                "error": "e",
            },
        ]
    )
    results = own.bulk(
        BulkEmailEntries=[entry("a@x.org"), entry("b@x.org"), entry("c@x.org", tags={"rcpt": "3"})]
    )
    assert [result["Status"] for result in results] == ["SUCCESS", "ACCOUNT_THROTTLED", "NEW_THING"]
    assert results[2]["Error"] == "e"
    assert [line["to"] for line in own.accepts()] == ["a@x.org", "c@x.org"]


def test_latency_delays_and_adds_to_another_action(own: World) -> None:
    own.plan(calls=[{"action": "latency", "seconds": 0.15}, {"action": "throttle"}])
    begun = time.monotonic()
    with pytest.raises(own.ses.exceptions.TooManyRequestsException):
        own.bulk("a@x.org")
    assert time.monotonic() - begun >= 0.15


def test_a_fault_can_meet_the_queue(own: World) -> None:
    own.plan(calls=[{"operation": "ReceiveMessage", "call": 1, "action": "error"}])
    with pytest.raises(ClientError):
        own.events()
    assert own.events() == []


def test_outcomes_are_planned_and_suppress_as_in_aws(own: World) -> None:
    own.plan(
        outcomes=[
            {"to": "a@x.org", "outcome": "bounced"},
            {"tag": {"rcpt": "2"}, "outcome": "complained"},
            {"to": "c@*", "outcome": "rejected"},
            {"to": "d@*", "outcome": "delayed"},
            {"to": "e@*", "outcome": "soft_bounced"},
        ]
    )
    entries = [entry(f"{name}@x.org", tags={"rcpt": str(n)}) for n, name in enumerate("abcde", 1)]
    own.bulk(BulkEmailEntries=entries)
    kinds: dict[str, list[str]] = {}
    for event in own.events():
        kinds.setdefault(event["mail"]["destination"][0], []).append(event["eventType"])
    assert kinds == {
        "a@x.org": ["Send", "Bounce"],
        "b@x.org": ["Send", "Delivery", "Complaint"],
        "c@x.org": ["Send", "Reject"],
        "d@x.org": ["Send", "DeliveryDelay", "Delivery"],
        "e@x.org": ["Send", "Bounce"],
    }
    listed = own.ses.list_suppressed_destinations()["SuppressedDestinationSummaries"]
    assert {one["EmailAddress"]: one["Reason"] for one in listed} == {
        "a@x.org": "BOUNCE",
        "b@x.org": "COMPLAINT",
    }
    assert {mail["To"] for mail in own.mails()} == {"a@x.org", "b@x.org", "d@x.org", "e@x.org"}


def test_events_are_lost_doubled_and_delayed(tmp_path: Path) -> None:
    clock = [1_600_000_000.0]
    with world(tmp_path, now=lambda: clock[0]) as own:
        own.template()
        own.plan(
            events=[
                {"event": "SEND", "to": "a@*", "action": "lose"},
                {"event": "SEND", "to": "b@*", "action": "duplicate", "copies": 2},
                {"event": "SEND", "to": "c@*", "action": "delay", "seconds": 60},
                {"event": "DELIVERY", "action": "lose"},
            ]
        )
        own.bulk("a@x.org", "b@x.org", "c@x.org")
        assert [event["mail"]["destination"][0][0] for event in own.events()] == ["b", "b", "b"]
        clock[0] += 61
        assert [event["mail"]["destination"][0][0] for event in own.events()] == ["c"]


def test_events_are_reordered(tmp_path: Path) -> None:
    clock = [1_600_000_000.0]
    with world(tmp_path, now=lambda: clock[0]) as own:
        own.template()
        own.plan(events=[{"action": "reorder", "seconds": 10}])
        own.bulk(*(f"a{number:02}@x.org" for number in range(20)))
        clock[0] += 11
        order = [event["mail"]["destination"][0] for event in own.events()]
        assert len(order) == 40
        assert order != sorted(order)


def test_the_call_log_has_every_call_that_came_in(own: World) -> None:
    own.plan(calls=[{"action": "reset"}])
    with pytest.raises(ConnectionClosedError):
        own.bulk("a@x.org")
    log = own.config.call_log
    assert log is not None
    line = json.loads(log.read_text().splitlines()[-1])
    assert (line["operation"], line["fault"]) == ("SendBulkEmail", "reset")
    assert line["call"] == own.server.calls("SendBulkEmail")


class TestWhichCalls:
    @pytest.mark.parametrize(
        ("which", "hit"),
        [
            ({"call": 2}, [2]),
            ({"call": [1, 3]}, [1, 3]),
            ({"from": 5}, [5, 6, 7, 8]),
            ({"from": 2, "to_call": 3}, [2, 3]),
            ({"every": 3}, [3, 6]),
            ({"from": 2, "every": 3}, [2, 5, 8]),
            ({"times": 2}, [1, 2]),
            ({"to": "*@b.org"}, []),
            ({"to": ["x@y.org", "A@*.org"]}, list(range(1, 9))),
            ({"tag": {"batch": "b?"}}, list(range(1, 9))),
            ({"tag": {"batch": "c"}}, []),
            ({"operation": "SendEmail"}, []),
            ({"share": 0}, []),
            ({"share": 1}, list(range(1, 9))),
        ],
    )
    def test_selects(self, tmp_path: Path, which: dict[str, Any], hit: list[int]) -> None:
        path = tmp_path / "plan.json"
        path.write_text(json.dumps({"calls": [which | {"action": "drop"}]}))
        plan = FaultPlan(path)
        target = Target(("a@a.org",), {"batch": "b1"})
        assert [n for n in range(1, 9) if plan.call("SendBulkEmail", [target]).action] == hit

    def test_the_same_seed_draws_the_same(self, tmp_path: Path) -> None:
        def draws(seed: int) -> list[str]:
            path = tmp_path / "plan.json"
            path.write_text(json.dumps({"seed": seed, "calls": [{"share": 0.5, "action": "drop"}]}))
            plan = FaultPlan(path)
            return [plan.call("SendEmail", []).action for _ in range(50)]

        assert draws(1) == draws(1) != draws(2)
        assert 10 < draws(1).count("drop") < 40

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("{", "not JSON"),
            ("[]", "not a JSON object"),
            ('{"call": []}', "unknown key 'call'"),
            ('{"calls": [{"action": "explode"}]}', r"calls\[0\]: action must be one of latency, drop"),
            ('{"calls": [{"action": "drop", "secnods": 1}]}', "'secnods' has no meaning here"),
            ('{"calls": [{"action": "drop", "when": "during"}]}', "when must be"),
            ('{"calls": [{"action": "drop", "share": 2}]}', "share must be"),
            ('{"calls": [{"action": "drop", "every": 0}]}', "every must be"),
            ('{"outcomes": [{"outcome": "eaten"}]}', r"outcomes\[0\]: outcome must be one of delivered"),
            ('{"events": [{"action": "drop"}]}', r"events\[0\]: action must be one of lose"),
        ],
    )
    def test_a_mistake_is_named_at_the_start(self, tmp_path: Path, text: str, words: str) -> None:
        path = tmp_path / "plan.json"
        path.write_text(text)
        with pytest.raises(SettingsError, match=words):
            FaultPlan(path)

    def test_a_mistake_made_while_running_is_answered(self, own: World) -> None:
        own.plan(calls=[{"action": "explode"}])
        with pytest.raises(ClientError, match="action must be one of") as caught:
            own.bulk("a@x.org")
        assert caught.value.response["Error"]["Code"] == "FaultPlanError"
        assert own.accepts() == []


def _impatient(own: World) -> None:
    """SendBulkEmail by a client that waits a fifth of a second."""
    from botocore.config import Config

    once = Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=0.2)
    client = session().client("sesv2", endpoint_url=own.server.url, config=once)
    try:
        World(own.server, own.config, client, own.sqs).bulk("a@x.org")
    finally:
        client.close()


def _raw_post(own: World) -> bytes | ConnectionResetError:
    address = urlsplit(own.server.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as connection:
        connection.sendall(
            b"POST /v2/email/outbound-emails HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: x\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
        try:
            return connection.recv(1000)
        except ConnectionResetError as error:
            return error


def test_a_fault_does_not_hurt_the_next_connection(own: World) -> None:
    own.plan(calls=[{"action": "reset", "call": 1}])
    assert isinstance(_raw_post(own), ConnectionResetError)
    connection = http.client.HTTPConnection(urlsplit(own.server.url).netloc, timeout=5)
    connection.request("GET", "/v2/email/account", headers={"Authorization": "x"})
    assert connection.getresponse().status == 200
    connection.close()
