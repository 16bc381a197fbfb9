"""A local SES for a test, with real boto3 clients over HTTP and the folder where its mail arrives."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from newsletter.local_ses.config import LocalSesConfig, RunningSes
from newsletter.local_ses.server import running

SENDER = "Monthly Briefing <briefing@example.com>"
TEMPLATE = {"Subject": "For {{name}}", "Text": "Dear {{name}},\n{{url}}\n", "Html": "<p>Dear {{name}}</p>"}


@cache
def session() -> boto3.Session:
    return boto3.Session(
        aws_access_key_id="local-ses", aws_secret_access_key="not-a-secret", region_name="eu-west-1"
    )


@dataclass
class World:
    """A running local SES and what a test asks of it."""

    server: RunningSes
    config: LocalSesConfig
    ses: Any
    sqs: Any
    logged: int = 0  # lines of the accept log that earlier tests wrote
    called: int = 0  # SendBulkEmail calls that earlier tests made

    def fresh(self) -> World:
        """Forget what earlier tests on this server left: mail, events, templates, suppressions, faults."""
        self.plan()
        self.sqs.purge_queue(QueueUrl=self.server.queue_url)
        for one in self.ses.list_email_templates()["TemplatesMetadata"]:
            self.ses.delete_email_template(TemplateName=one["TemplateName"])
        for one in self.ses.list_suppressed_destinations()["SuppressedDestinationSummaries"]:
            self.ses.delete_suppressed_destination(EmailAddress=one["EmailAddress"])
        for path in self.files():
            path.unlink()
        self.logged = 0
        self.logged, self.called = len(self.accepts()), self.server.calls("SendBulkEmail")
        return self

    def bulk_calls(self) -> int:
        return self.server.calls("SendBulkEmail") - self.called

    def template(self, name: str = "t", **parts: str) -> str:
        self.ses.create_email_template(TemplateName=name, TemplateContent=parts or TEMPLATE)
        return name

    def bulk(self, *addresses: str, **changes: Any) -> list[dict[str, str]]:
        """SendBulkEmail of the template "t" to one entry for each address; returns the results."""
        entries = [entry(address) for address in addresses]
        call = {
            "FromEmailAddress": SENDER,
            "ConfigurationSetName": "newsletter",
            "DefaultContent": {
                "Template": {"TemplateName": "t", "TemplateData": '{"name": "reader", "url": "-"}'}
            },
            "BulkEmailEntries": entries,
        }
        answer = self.ses.send_bulk_email(**(call | changes))
        results: list[dict[str, str]] = answer.get("BulkEmailEntryResults")
        return results

    def simple(self, *to: str, **changes: Any) -> str:
        """SendEmail of a short mail; returns the message id."""
        call = {
            "FromEmailAddress": SENDER,
            "Destination": {"ToAddresses": list(to)},
            "ConfigurationSetName": "newsletter",
            "Content": {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Text."}}}},
        }
        message_id: str = self.ses.send_email(**(call | changes))["MessageId"]
        return message_id

    def files(self) -> list[Path]:
        return sorted(self.config.mailbox.glob("[!.]*.eml"))

    def mails(self) -> list[EmailMessage]:
        return [
            email.message_from_bytes(path.read_bytes(), policy=email.policy.default)  # type: ignore[misc]
            for path in self.files()
        ]

    def accepts(self) -> list[dict[str, Any]]:
        log = self.config.accept_log
        assert log is not None
        return (
            [json.loads(line) for line in log.read_text().splitlines()[self.logged :]] if log.exists() else []
        )

    def mailed(self) -> list[str]:
        """To whom mail was accepted, in order; the canaries apart, which go to SES's own simulator."""
        return [one["to"] for one in self.accepts() if not one["to"].startswith("success@simulator.")]

    def envelopes(self, wait: int = 0, visibility: int = 60) -> list[dict[str, Any]]:
        """Receive and delete everything that is on the queue."""
        found: list[dict[str, Any]] = []
        while True:
            messages = self.sqs.receive_message(
                QueueUrl=self.server.queue_url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=0 if found else wait,
                VisibilityTimeout=visibility,
            ).get("Messages", [])
            if not messages:
                return found
            found += [json.loads(message["Body"]) for message in messages]
            self.sqs.delete_message_batch(
                QueueUrl=self.server.queue_url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ],
            )

    def events(self, wait: int = 0) -> list[dict[str, Any]]:
        return [json.loads(envelope["Message"]) for envelope in self.envelopes(wait)]

    def plan(self, **plan: Any) -> None:
        """Replace the fault plan of the running server."""
        path = self.config.faults
        assert path is not None
        new = path.with_suffix(".new")
        new.write_text(json.dumps(plan))
        new.replace(path)


def entry(address: str, tags: Mapping[str, str] | None = None, **data: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"Destination": {"ToAddresses": [address]}}
    if tags:
        made["ReplacementTags"] = [{"Name": name, "Value": value} for name, value in tags.items()]
    if data:
        made["ReplacementEmailContent"] = {
            "ReplacementTemplate": {"ReplacementTemplateData": json.dumps(data)}
        }
    return made


def headers(*pairs: tuple[str, str]) -> Sequence[Mapping[str, str]]:
    return [{"Name": name, "Value": value} for name, value in pairs]


@contextmanager
def world(folder: Path, **changes: Any) -> Iterator[World]:
    """Serve with `folder` for everything it writes; `changes` are fields of LocalSesConfig."""
    faults = folder / "faults.json"
    if not faults.exists():
        faults.write_text("{}")
    settings: dict[str, Any] = {
        "mailbox": folder / "mailbox",
        "state": folder / "state.sqlite",
        "accept_log": folder / "accepts.jsonl",
        "call_log": folder / "calls.jsonl",
        "faults": faults,
        "identities": ("example.com",),
    }
    config = LocalSesConfig(**(settings | changes))
    with running(config) as server:
        once = Config(
            retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=5, connect_timeout=2
        )
        ses = session().client("sesv2", endpoint_url=server.url, config=once)
        sqs = session().client("sqs", endpoint_url=server.url, config=once)
        try:
            yield World(server, config, ses, sqs)
        finally:
            ses.close()
            sqs.close()
