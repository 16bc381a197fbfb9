"""The local SES publishes the events AWS documents, through an SNS envelope on an SQS queue."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_ses_world import World, entry, world


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ses"), max_send_rate=10_000) as one:
        yield one


@pytest.fixture
def own(server: World) -> World:
    return server.fresh()


def test_an_accepted_mail_is_sent_and_delivered_with_its_tags(own: World) -> None:
    """The record is AWS's example of a Send event, tags of the call and the entry merged, ses:* ones added."""
    own.template()
    (result,) = own.bulk(
        DefaultEmailTags=[{"Name": "briefing", "Value": "2026-11"}, {"Name": "attempt", "Value": "0"}],
        BulkEmailEntries=[entry("Reader@x.org", tags={"recipient": "r1", "attempt": "1"})],
    )
    send, delivery = own.events()
    assert send["eventType"] == "Send"
    assert send["send"] == {}
    mail = send["mail"]
    assert mail["messageId"] == result["MessageId"] == mail["commonHeaders"]["messageId"]
    assert mail["destination"] == ["Reader@x.org"]
    assert mail["source"] == "Monthly Briefing <briefing@example.com>"
    assert mail["sendingAccountId"] == "000000000000"
    assert mail["headersTruncated"] is False
    assert {"name": "Subject", "value": "For reader"} in mail["headers"]
    assert mail["commonHeaders"]["subject"] == "For reader"
    tags = mail["tags"]
    assert (tags["briefing"], tags["recipient"], tags["attempt"]) == (["2026-11"], ["r1"], ["1"])
    assert tags["ses:configuration-set"] == ["newsletter"]
    assert tags["ses:operation"] == ["SendBulkEmail"]
    assert tags["ses:from-domain"] == ["example.com"]
    assert set(tags) >= {"ses:source-ip", "ses:caller-identity"}
    assert delivery["eventType"] == "Delivery"
    assert delivery["delivery"]["recipients"] == ["Reader@x.org"]
    assert "ses:outgoing-ip" in delivery["mail"]["tags"]


def test_the_envelope_is_sns_s(own: World) -> None:
    own.simple("a@x.org")
    envelope = own.envelopes()[0]
    assert envelope["Type"] == "Notification"
    assert (
        envelope["TopicArn"] == own.server.topic_arn == "arn:aws:sns:eu-west-1:000000000000:newsletter-events"
    )
    assert set(envelope) == {
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp",
        "SignatureVersion", "Signature", "SigningCertURL", "UnsubscribeURL",
    }  # fmt: skip
    assert envelope["Message"].endswith("\n")


SIMULATOR: list[tuple[str, list[str], dict[str, Any]]] = [
    ("success@simulator.amazonses.com", ["Send", "Delivery"], {}),
    (
        "bounce+a1@simulator.amazonses.com",
        ["Send", "Bounce"],
        {"bounceType": "Permanent", "bounceSubType": "General"},
    ),
    (
        "Complaint@simulator.amazonses.com",
        ["Send", "Delivery", "Complaint"],
        {"complaintFeedbackType": "abuse"},
    ),
    (
        "ooto@simulator.amazonses.com",
        ["Send", "Delivery", "Bounce"],
        {"bounceType": "Transient", "bounceSubType": "General"},
    ),
    (
        "suppressionlist@simulator.amazonses.com",
        ["Send", "Bounce"],
        {"bounceType": "Permanent", "bounceSubType": "Suppressed"},
    ),
]


@pytest.mark.parametrize(("address", "kinds", "facts"), SIMULATOR)
def test_the_mailbox_simulator(own: World, address: str, kinds: list[str], facts: dict[str, Any]) -> None:
    """Each simulator address, with a label or in capitals too, produces the events AWS documents."""
    own.simple(address)
    events = own.events()
    assert [event["eventType"] for event in events] == kinds
    last = events[-1]
    body = last.get("bounce") or last.get("complaint") or {}
    assert {key: body[key] for key in facts} == facts
    for recipient in body.get("bouncedRecipients", []) + body.get("complainedRecipients", []):
        assert recipient["emailAddress"] == address
    with pytest.raises(own.ses.exceptions.NotFoundException):
        own.ses.get_suppressed_destination(EmailAddress=address)


@pytest.mark.parametrize(("reason", "kind"), [("BOUNCE", "bounce"), ("COMPLAINT", "complaint")])
def test_a_suppressed_address_is_accepted_and_gets_nothing(own: World, reason: str, kind: str) -> None:
    """SUCCESS and a Send event, no mail, and then an event of the kind for which it is on the list."""
    own.ses.put_suppressed_destination(EmailAddress="Gone@x.org", Reason=reason)
    own.template()
    before = own.ses.get_account()["SendQuota"]["SentLast24Hours"]
    assert own.bulk("gone@X.org")[0]["Status"] == "SUCCESS"
    assert own.files() == []
    send, last = own.events()
    assert send["eventType"] == "Send"
    assert last["eventType"].lower() == kind
    assert last[kind][f"{kind}SubType"] == "OnAccountSuppressionList"
    assert own.ses.get_account()["SendQuota"]["SentLast24Hours"] == before + 1


def test_without_a_configuration_set_there_are_no_events(own: World) -> None:
    own.ses.send_email(
        FromEmailAddress="a@example.com",
        Destination={"ToAddresses": ["a@x.org"]},
        Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
    )
    assert own.events() == []


def test_a_destination_gets_only_the_types_it_asks_for(own: World) -> None:
    """A destination of another topic reaches the queue of the same name, after SES's plain-text greeting."""
    url = own.sqs.create_queue(QueueName="other")["QueueUrl"]
    own.ses.create_configuration_set(ConfigurationSetName="other")
    destination = {"ConfigurationSetName": "other", "EventDestinationName": "sns"}
    definition = {
        "Enabled": True,
        "MatchingEventTypes": ["DELIVERY"],
        "SnsDestination": {"TopicArn": "arn:aws:sns:eu-west-1:000000000000:other"},
    }
    own.ses.create_configuration_set_event_destination(**destination, EventDestination=definition)
    own.simple("a@x.org", ConfigurationSetName="other")
    own.ses.update_configuration_set_event_destination(
        **destination, EventDestination=definition | {"Enabled": False}
    )
    own.simple("a@x.org", ConfigurationSetName="other")
    bodies = own.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    texts = [json.loads(message["Body"])["Message"] for message in bodies]
    assert texts[0] == "Successfully validated SNS topic for Amazon SES event publishing."
    assert [json.loads(text)["eventType"] for text in texts[1:]] == ["Delivery"]
    assert own.events() == []


class TestQueue:
    def test_a_long_poll_returns_as_soon_as_an_event_comes(self, own: World) -> None:
        got: list[float] = []

        def poll() -> None:
            own.events(wait=20)
            got.append(time.monotonic())

        thread = threading.Thread(target=poll)
        polled = own.server.calls("ReceiveMessage")
        thread.start()
        while own.server.calls("ReceiveMessage") == polled:
            assert thread.is_alive()
        own.simple("a@x.org")
        thread.join(15)
        assert got, "it is still polling"

    def test_a_received_message_is_hidden_until_its_time_and_then_comes_again(self, tmp_path: Path) -> None:
        clock = [1_600_000_000.0]
        with world(tmp_path, now=lambda: clock[0]) as own:
            queue = {"QueueUrl": own.server.queue_url}
            own.sqs.send_message(**queue, MessageBody="one")
            assert _counts(own) == (1, 0)
            first = own.sqs.receive_message(**queue, VisibilityTimeout=30)["Messages"][0]
            assert _counts(own) == (0, 1)
            assert "Messages" not in own.sqs.receive_message(**queue)
            clock[0] += 31
            assert _counts(own) == (1, 0)
            second = own.sqs.receive_message(
                **queue, VisibilityTimeout=30, MessageSystemAttributeNames=["ApproximateReceiveCount"]
            )["Messages"][0]
            assert second["Attributes"]["ApproximateReceiveCount"] == "2"
            own.sqs.delete_message(**queue, ReceiptHandle=first["ReceiptHandle"])
            assert _counts(own) == (0, 1), "an outdated receipt deletes nothing"
            own.sqs.change_message_visibility(
                **queue, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0
            )
            assert _counts(own) == (1, 0)
            third = own.sqs.receive_message(**queue)["Messages"][0]
            own.sqs.delete_message(**queue, ReceiptHandle=third["ReceiptHandle"])
            assert _counts(own) == (0, 0)

    def test_at_most_ten_messages_at_once(self, own: World) -> None:
        for number in range(12):
            own.sqs.send_message(QueueUrl=own.server.queue_url, MessageBody=str(number))
        queue = {"QueueUrl": own.server.queue_url}
        assert len(own.sqs.receive_message(**queue, MaxNumberOfMessages=10)["Messages"]) == 10
        with pytest.raises(ClientError, match="MaxNumberOfMessages"):
            own.sqs.receive_message(**queue, MaxNumberOfMessages=11)

    def test_errors_have_the_names_of_the_model(self, own: World) -> None:
        gone = own.server.queue_url + "-gone"
        with pytest.raises(own.sqs.exceptions.QueueDoesNotExist):
            own.sqs.receive_message(QueueUrl=gone)
        with pytest.raises(own.sqs.exceptions.QueueDoesNotExist):
            own.sqs.get_queue_url(QueueName="none")
        with pytest.raises(own.sqs.exceptions.ReceiptHandleIsInvalid):
            own.sqs.delete_message(QueueUrl=own.server.queue_url, ReceiptHandle="nonsense")
        with pytest.raises(own.sqs.exceptions.UnsupportedOperation, match="not implemented"):
            own.sqs.tag_queue(QueueUrl=own.server.queue_url, Tags={"a": "b"})
        assert own.sqs.get_queue_url(QueueName="newsletter-events")["QueueUrl"] == own.server.queue_url


def _counts(own: World) -> tuple[int, int]:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = own.sqs.get_queue_attributes(QueueUrl=own.server.queue_url, AttributeNames=names)["Attributes"]
    return int(answer[names[0]]), int(answer[names[1]])
