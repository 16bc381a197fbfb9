"""The functions of AWS Lambda, given what AWS gives them: a visitor comes through, and nobody passes CloudFront by."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cfnlint.decode import decode

from newsletter.aftermath import CANARY
from newsletter.aws import door, events, ground, schedule
from newsletter.errors import SettingsError
from newsletter.store import open_store
from newsletter.tokens import Purpose, mint
from tests.conftest import NOON, ROOT, Project
from tests.local_ses_world import World, world
from tests.ministack_world import Ministack

HOST = "briefing.example.org"
ORIGIN_KEY = "an-origin-key-of-this-test"
VISITOR = "203.0.113.7"
KEY = b"s" * 40


class Context:
    """What Lambda tells a function of itself."""

    def __init__(self, milliseconds: int = 50_000) -> None:
        self._left = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._left


def request(method: str, path: str, body: bytes = b"", **headers: str) -> dict[str, Any]:
    """A request as the HTTP API hands it over (payload 2.0), come through CloudFront."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "host": "abc123.execute-api.eu-west-1.amazonaws.com",
            "x-origin-key": ORIGIN_KEY,
            "cloudfront-viewer-address": f"{VISITOR}:46532",
            "x-forwarded-for": "10.9.9.9, 130.176.1.1",
            "x-forwarded-proto": "https",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "130.176.1.1", "protocol": "HTTP/1.1"},
            "domainName": "abc123.execute-api.eu-west-1.amazonaws.com",
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def form(path: str, **fields: str) -> dict[str, Any]:
    """A form sent from a page of the site."""
    return request(
        "POST",
        path,
        urlencode(fields).encode(),
        content_type="application/x-www-form-urlencoded",
        sec_fetch_site="same-origin",
        origin=f"https://{HOST}",
    )


def in_lambda(handler: Callable[..., Any], event: dict[str, Any]) -> Any:
    """What a function answers in a thread that has an event loop to itself, as Lambda's has: a browser test of the same
    process leaves its own running in this one.
    """
    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(1, initializer=lambda: asyncio.set_event_loop(loop)) as thread:
        answer = thread.submit(handler, event, Context()).result()
    loop.close()
    return answer


@dataclass
class House:
    """A project's folder as the archive has it, and its store."""

    store_url: str

    def ask(self, event: dict[str, Any]) -> tuple[int, str]:
        answer = in_lambda(door.handler, event)
        body = answer.get("body", "")
        return answer["statusCode"], base64.b64decode(body).decode() if answer.get(
            "isBase64Encoded"
        ) else body


def _forget() -> None:
    for cached in (ground.settings, ground.facts, door._application):
        cached.cache_clear()


@pytest.fixture
def house(built: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.chdir(built.path)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    for name, text in {
        "STORE_URL": url,
        "SECRET_KEY": KEY.decode(),
        "ORIGIN_KEY": ORIGIN_KEY,
        "SES_CONFIGURATION_SET": "newsletter",
    }.items():
        monkeypatch.setenv(name, text)
    _forget()
    yield House(url)
    _forget()


@pytest.fixture
def ses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path, identities=("example.org",)) as served:
        for name, text in served.server.environment.items():
            monkeypatch.setenv(name, text)
        yield served


def test_whoever_has_not_come_through_cloudfront_is_not_let_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert house.ask(request("GET", "/health")) == (200, "ok\n")
    for key in ("", "another"):
        assert house.ask(request("GET", "/health", x_origin_key=key))[0] == 403
    monkeypatch.delenv("ORIGIN_KEY")
    _forget()
    assert house.ask(request("GET", "/health", x_origin_key=""))[0] == 403


def test_what_a_visitor_says_of_its_own_address_is_not_believed(house: House) -> None:
    """The limits count by address: whoever could choose one would have none."""
    assert house.ask(form("/subscribe", email="reader@example.com"))[0] == 200
    taken = open_store(house.store_url).next_letter(datetime.now(UTC), lambda key: (), "a test", 100)
    assert taken
    assert taken[0].ip == VISITOR
    assert door._viewer("2001:db8::1:46532") == "2001:db8::1"
    assert door._viewer("[2001:db8::1]:46532") == "2001:db8::1"


def test_a_refusal_is_not_taken_for_a_missing_page(house: House) -> None:
    """CloudFront puts the site's page for "not found" in the place of every 403."""
    foreign = form("/subscribe", email="reader@example.com")
    foreign["headers"] |= {"sec-fetch-site": "cross-site", "origin": "https://elsewhere.example"}
    status, body = house.ask(foreign)
    assert status == 400
    assert "did not come from our page" in body
    assert house.ask(request("GET", "/u/no-token"))[0] == 404


def test_a_visitor_signs_up_has_a_letter_and_confirms_and_leaves(house: House, ses: World) -> None:
    """The door, then the postman's minute, then the door again; at last the one click of a mail program."""
    status, page = house.ask(form("/subscribe", email="reader@example.com"))
    assert status == 200, page
    assert schedule.handler({}, Context()) == {"submitted": 1}
    assert schedule.handler({}, Context()) == {}
    [mail] = ses.mails()
    assert mail["To"] == "reader@example.com"
    found = re.search(rf"https://{HOST}(/confirm/[A-Za-z0-9_.~-]+)", mail.get_body(("plain",)).get_content())
    assert found
    assert house.ask(request("GET", found[1]))[0] == 200
    assert house.ask(form(found[1]))[0] == 200
    [reader] = open_store(house.store_url).listed()
    assert reader.status == "confirmed"
    left = request(
        "POST",
        f"/u/{mint(Purpose.UNSUBSCRIBE, bytes.fromhex(reader.id), [KEY])}",
        b"List-Unsubscribe=One-Click",
    )
    left["headers"]["content-type"] = "application/x-www-form-urlencoded"
    assert house.ask(left)[0] == 200
    [reader] = open_store(house.store_url).listed()
    assert reader.status == "unsubscribed"


def test_a_letter_waits_when_the_minute_is_over(house: House, ses: World) -> None:
    house.ask(form("/subscribe", email="reader@example.com"))
    assert schedule.handler({}, Context(10_000)) == {}
    assert not ses.mails()
    assert schedule.handler({}, Context()) == {"submitted": 1}


def test_events_are_taken_in_and_what_is_none_is_handed_back(
    house: House, ses: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(house.store_url)
    canary = "c" * 32
    store.canary_mailed(canary, NOON)
    ses.simple(
        "success@simulator.amazonses.com",
        FromEmailAddress="briefing@example.org",
        EmailTags=[{"Name": "briefing", "Value": CANARY}, {"Name": "attempt", "Value": canary}],
    )
    bodies = [json.dumps(envelope) for envelope in ses.envelopes(wait=10)]
    assert bodies
    records = [
        {
            "messageId": f"message-{number}",
            "receiptHandle": "handle",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for number, body in enumerate([*bodies, "not an event", '{"Type": "Notification"}'])
    ]
    answer = events.handler({"Records": records}, Context())
    poison = [one["itemIdentifier"] for one in answer["batchItemFailures"]]
    assert poison == [f"message-{len(bodies)}", f"message-{len(bodies) + 1}"]
    assert store.newest_canary() == NOON
    assert events.handler({"Records": records[:-2]}, Context()) == {"batchItemFailures": []}


def test_the_key_is_read_from_its_secret(
    house: House, ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ministack.client("secretsmanager")
    arn = secrets.create_secret(Name="link-key", SecretString="n" * 40 + "," + "o" * 40)["ARN"]
    for name, text in {**ministack.environment, "SECRET_KEY_ARN": arn}.items():
        monkeypatch.setenv(name, text)
    _forget()
    assert ground.settings().secret_keys() == (b"n" * 40, b"o" * 40)
    monkeypatch.setenv("SECRET_KEY_ARN", arn.replace("link-key", "another"))
    _forget()
    with pytest.raises(SettingsError, match="secretsmanager:GetSecretValue"):
        ground.settings()


@pytest.mark.parametrize("name", ["door", "events", "schedule", "worker"])
def test_a_cold_start_pays_for_nothing_it_does_not_need(name: str) -> None:
    code = f"import newsletter.aws.{name}, sys; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "plugins")},
    )
    loaded = set(done.stdout.split())
    assert "newsletter" in loaded
    # Clients are made when they are first asked; the site half, the web server and the command line never.
    assert not loaded & {
        "boto3", "botocore", "pelican", "feedgen", "lxml", "mjml", "comrak", "nh3", "yaml", "PIL", "click", "rich",
        "uvicorn", "email_validator",
    }  # fmt: skip
    if name != "door":
        assert not loaded & {"starlette", "anyio", "mangum"}


def test_a_mail_program_that_unsubscribes_somebody_waits_for_no_page_to_be_made_ready(house: House) -> None:
    event = form(f"/u/{mint(Purpose.UNSUBSCRIBE, bytes(16), (KEY,))}", **{"List-Unsubscribe": "One-Click"})
    code = (
        "import json, sys; from newsletter.aws.door import handler; event = json.loads(sys.argv[1]); "
        "print(handler(event, None)['statusCode'], 'jinja2' in sys.modules, 'email_validator' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(event)],
        capture_output=True,
        text=True,
        check=True,
        env={
            "PYTHONPATH": str(ROOT / "plugins"),
            "STORE_URL": house.store_url,
            "SECRET_KEY": KEY.decode(),
            "ORIGIN_KEY": ORIGIN_KEY,
        },
    )
    assert done.stdout.split() == ["200", "False", "False"]


def test_every_function_of_the_template_has_its_handler() -> None:
    template, _ = decode(str(ROOT / "infra/template.yaml"))
    for one in template["Resources"].values():
        if one["Type"] == "AWS::Lambda::Function":
            module, _, name = one["Properties"]["Handler"].rpartition(".")
            assert callable(getattr(importlib.import_module(module), name)), module
