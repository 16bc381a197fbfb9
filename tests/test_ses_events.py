"""Reading what SES tells of a mail: every kind of record, every kind of rubbish, and the queue they come by.

The records in tests/sns have every member that AWS documents for their event type, in AWS's order and spelling,
with values of our own:

    https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
    https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-examples.html

None is a verbatim copy of AWS's example, and none was recorded from AWS; AWS's own samples of notifications are read
where moto carries them. `bounce_mislabelled` is the case of
AI-Shipping-Labs issue 827 (a 5.x.x refusal labelled Transient), `bounce_suppressed` and `complaint_suppressed`
are what the account's suppression list answers, `identity_bounce` is the notification of an identity, which
has no tags.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from hypothesis import example, given
from hypothesis import strategies as st
from moto.ses import feedback

from newsletter.errors import NewsletterError, Refused, SesError, SettingsError, Throttled
from newsletter.ses.events import Event, Foreign, Kind, Poison, parse
from newsletter.ses.queue import EventQueue, Message
from newsletter.ses.submit import Entry, Ses
from tests.local_ses_world import World, world
from tests.store_contract import PACKAGE

TOPIC = "arn:aws:sns:eu-west-1:111122223333:newsletter-events"
GREETING = "Successfully validated SNS topic for Amazon SES event publishing."
FOLDER = Path(__file__).parent / "sns"
READER = "reader.one@inbox.example"
ATTEMPT = "9f86d081884c7d659a2feaa0c55ad015"
MESSAGE_ID = "0102018f4b2c7d10-5a1e2f3c-7b64-4d1a-9c55-2f0e8d7c6b5a-000000"
Record = dict[str, Any]


def record(name: str) -> Record:
    found: Record = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def enveloped(message: str, **changes: Any) -> str:
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            "TopicArn": TOPIC,
            "Subject": "Amazon SES Email Event Notification",
            "Message": message,
            "Timestamp": "2020-11-02T06:00:10.000Z",
            "SignatureVersion": "1",
            "Signature": "c2lnbmF0dXJl",
            "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
            "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
            **changes,
        }
    )


def told(given: Record) -> list[Event]:
    return parse(enveloped(json.dumps(given) + "\n"), TOPIC)


# name: kind, permanent, detail, when
SAMPLES = {
    "send": (Kind.SEND, False, "", "06:00:04.120"),
    "delivery": (Kind.DELIVERY, False, "250 2.0.0 OK queued", "06:00:06.500"),
    "bounce": (
        Kind.BOUNCE,
        True,
        "Permanent/General 5.1.1: smtp; 550 5.1.1 no mailbox here by that name",
        "06:00:09.871",
    ),
    "bounce_soft": (
        Kind.BOUNCE,
        False,
        "Transient/MailboxFull 4.2.2: smtp; 452 4.2.2 over quota",
        "06:00:09.871",
    ),
    "bounce_mislabelled": (
        Kind.BOUNCE,
        True,
        "Transient/General 5.4.4: smtp; 550 5.4.4 invalid domain",
        "06:00:09.871",
    ),
    "bounce_suppressed": (
        Kind.BOUNCE,
        True,
        "Permanent/OnAccountSuppressionList 5.1.1: SES did not try: the address is on the account's suppression list",
        "06:00:09.871",
    ),
    "complaint": (Kind.COMPLAINT, False, "abuse", "17:41:30.000"),
    "complaint_suppressed": (Kind.COMPLAINT, False, "OnAccountSuppressionList", "06:00:05.002"),
    "reject": (Kind.REJECT, False, "Bad content", "06:00:04.120"),
    "rendering_failure": (
        Kind.RENDERING_FAILURE,
        False,
        "briefing-2020-10-0123456789abcdef: Attribute 'unsubscribe_url' is not present in the rendering data.",
        "06:00:04.120",
    ),
    "delivery_delay": (
        Kind.DELIVERY_DELAY,
        False,
        "TransientCommunicationFailure 4.4.1: smtp; 421 4.4.1 no connection to the host",
        "06:12:00.000",
    ),
    "open": (Kind.OTHER, False, "Open", "06:00:04.120"),
}


def test_every_record_in_the_folder_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*SAMPLES, "identity_bounce"}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("raw", [False, True])
def test_a_record_says_what_happened_to_whom_when_and_why(name: str, raw: bool) -> None:
    """The same in SNS's envelope, where the Message ends in a line end, and by RawMessageDelivery."""
    kind, permanent, detail, at = SAMPLES[name]
    text = json.dumps(record(name)) + "\n"
    (event,) = parse(text if raw else enveloped(text), TOPIC)
    tagged = name != "rendering_failure"
    day = "2020-11-03" if name == "complaint" else "2020-11-02"
    assert event == Event(
        kind=kind,
        message_id=MESSAGE_ID,
        recipient=READER,
        at=datetime.fromisoformat(f"{day}T{at}+00:00"),
        briefing="2020-10" if tagged else "",
        attempt=ATTEMPT if tagged else "",
        number=17 if tagged else None,
        permanent=permanent,
        detail=detail,
    )


# -- AWS's samples

# As moto has them from docs.aws.amazon.com/ses/latest/DeveloperGuide/notification-contents.html. They are an identity's
# notifications: what a configuration set publishes is the same, with tags, and with the type under `eventType`.
AWS = {
    "Bounce": (
        {"bounce": feedback.BOUNCE},
        [
            ("recipient1@example.com", True, "Permanent/General 5.0.0: smtp; 550 user unknown"),
            ("recipient2@example.com", True, "Permanent/General 4.0.0"),
        ],
    ),
    "Complaint": ({"complaint": feedback.COMPLAINT}, [("recipient1@example.com", False, "abuse")]),
    "Delivery": (
        {"delivery": feedback.DELIVERY},
        [("success@simulator.amazonses.com", False, "250 ok: Message 64111812 accepted")],
    ),
}


@pytest.mark.parametrize("kind", AWS)
def test_aws_s_own_samples_are_read(kind: str) -> None:
    particulars, expected = AWS[kind]
    mail = {
        **feedback.COMMON_MAIL["mail"],
        "timestamp": "2018-10-08T14:05:45.000Z",
    }  # moto's is in no form of AWS's
    found = told({"eventType": kind, "mail": mail, **particulars})
    assert [(one.recipient, one.permanent, one.detail) for one in found] == expected
    assert {(one.kind, one.message_id) for one in found} == {(Kind(kind.lower()), mail["messageId"])}
    assert told({"notificationType": kind, "mail": mail, **particulars}) == []  # no tags, and told once more


# -- what is no event, and is no mistake either


@pytest.mark.parametrize("text", [GREETING, GREETING + "\n"])
def test_the_greeting_of_a_new_event_destination_is_no_event(text: str) -> None:
    assert parse(enveloped(text), TOPIC) == []
    assert parse(text, TOPIC) == []


def test_the_notifications_of_an_identity_are_no_events() -> None:
    """They carry no tags, and the configuration set tells the same once more."""
    assert told(record("identity_bounce")) == []
    assert told({"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have."}) == []


# -- the topic


@pytest.mark.parametrize(
    "topic",
    [
        TOPIC + "2",
        TOPIC.upper(),
        TOPIC + " ",
        TOPIC.replace("newsletter-events", "*"),
        TOPIC.replace("111122223333", "999900001111"),
        "",
        "\x1b[31m" + TOPIC,
    ],
)
def test_another_topic_s_message_is_not_believed_whatever_it_says(topic: str) -> None:
    for text in (json.dumps(record("complaint")), GREETING, "{"):
        with pytest.raises(Foreign) as caught:
            parse(enveloped(text, TopicArn=topic), TOPIC)
        assert "\x1b" not in str(caught.value)


def test_no_topic_agreed_on_means_that_none_is_believed() -> None:
    with pytest.raises(Foreign):
        parse(enveloped(GREETING, TopicArn=""), "")


# -- recipients


def test_each_recipient_of_a_list_has_an_event_of_its_own() -> None:
    bounce = record("bounce")
    bounce["bounce"]["bouncedRecipients"] = [
        {"emailAddress": "a@x.example", "status": "5.1.1"},
        {"emailAddress": "b@x.example"},
    ]
    bounce["bounce"]["bounceType"] = "Transient"
    assert [(one.recipient, one.permanent) for one in told(bounce)] == [
        ("a@x.example", True),
        ("b@x.example", False),
    ]
    send = record("send")
    send["mail"]["destination"] = ["a@x.example", "b@x.example"]
    assert [one.recipient for one in told(send)] == ["a@x.example", "b@x.example"]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_recipient_named_twice_has_one_event_and_the_harder_word_counts(reverse: bool) -> None:
    bounce = record("bounce_soft")
    named = [{"emailAddress": READER, "status": "4.2.2"}, {"emailAddress": READER, "status": "5.1.1"}]
    bounce["bounce"]["bouncedRecipients"] = named[::-1] if reverse else named
    (event,) = told(bounce)
    assert event.permanent
    assert "5.1.1" in event.detail
    delivery = record("delivery")
    delivery["delivery"]["recipients"] *= 3
    delivery["mail"]["destination"] *= 3
    assert len(told(delivery)) == 1


def test_a_bounce_that_names_nobody_is_the_only_recipient_s_or_nobody_s() -> None:
    bounce = record("bounce")
    bounce["bounce"]["bouncedRecipients"] = []
    assert [one.recipient for one in told(bounce)] == [READER]
    bounce["mail"]["destination"] = ["a@x.example", "b@x.example"]
    assert [(one.recipient, one.number) for one in told(bounce)] == [("", 17)]
    del bounce["mail"]["destination"]
    assert [one.recipient for one in told(bounce)] == [""]


def test_an_address_comes_back_as_ses_writes_it() -> None:
    """Nothing is folded: whoever compares does so by tags and message id."""
    complaint = record("complaint")
    complaint["complaint"]["complainedRecipients"] = [{"emailAddress": "Reader.ONE@Inbox.Example"}]
    assert told(complaint)[0].recipient == "Reader.ONE@Inbox.Example"


# -- hard and soft


@pytest.mark.parametrize(
    ("kind", "subtype", "status", "permanent"),
    [
        ("Permanent", "NoEmail", "", True),
        ("Permanent", "General", "4.4.7", True),
        ("Permanent", "Suppressed", "5.1.1", True),
        ("Transient", "OnAccountSuppressionList", "", True),
        ("Transient", "General", "", False),
        ("Transient", "General", "4.4.7", False),
        ("Transient", "ContentRejected", " 5.7.1 ", True),
        ("Transient", "General", "5", False),
        ("Transient", "General", "45.1.1", False),
        ("Undetermined", "Undetermined", "", False),
        ("Undetermined", "Undetermined", "5.0.0", True),
    ],
)
def test_a_bounce_is_hard_by_its_label_or_by_the_mail_server_s_number(
    kind: str, subtype: str, status: str, permanent: bool
) -> None:
    bounce = record("bounce")
    bounce["bounce"] |= {"bounceType": kind, "bounceSubType": subtype}
    bounce["bounce"]["bouncedRecipients"] = [{"emailAddress": READER, "status": status}]
    (event,) = told(bounce)
    assert event.permanent is permanent
    assert event.detail.startswith(f"{kind}/{subtype}")


def test_only_a_bounce_is_permanent() -> None:
    delay = record("delivery_delay")
    delay["deliveryDelay"]["delayedRecipients"][0]["status"] = "5.1.1"
    assert told(delay)[0].permanent is False


# -- tags


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (None, ("", "", None)),
        ({}, ("", "", None)),
        ({"recipient": ["0"]}, ("", "", 0)),
        ({"recipient": []}, ("", "", None)),
        ({"recipient": ["7", "7"]}, ("", "", 7)),
        ({"recipient": ["7", "8"]}, ("", "", None)),
        ({"recipient": ["-7"]}, ("", "", None)),
        ({"recipient": ["07"]}, ("", "", None)),
        ({"recipient": ["²"]}, ("", "", None)),
        ({"recipient": ["٧"]}, ("", "", None)),
        ({"recipient": ["7" * 19]}, ("", "", None)),
        ({"recipient": ["7\n"]}, ("", "", None)),
        ({"briefing": ["2020-10\x00"], "attempt": ["a" * 257]}, ("", "", None)),
        ({"Briefing": ["2020-10"], "ses:attempt": ["a"]}, ("", "", None)),
        ({"briefing": ["2020-10"], "attempt": ["a1"], "recipient": ["9"]}, ("2020-10", "a1", 9)),
    ],
)
def test_tags_count_only_in_the_form_our_sender_gives_them(
    tags: Record | None, expected: tuple[str, str, int | None]
) -> None:
    """A tag is never mended: half of a tag would point at another mail."""
    send = record("send")
    send["mail"]["tags"] = tags
    (event,) = told(send)
    assert (event.briefing, event.attempt, event.number) == expected


# -- kinds


@pytest.mark.parametrize(
    "name", ["Click", "Subscription", "Something New", "bounce", "", "Rendering  Failures"]
)
def test_a_type_we_do_not_know_is_told_as_other(name: str) -> None:
    send = record("send") | {"eventType": name}
    (event,) = told(send)
    assert (event.kind, event.detail) == (Kind.OTHER, " ".join(name.split()))


def test_rendering_failure_is_known_with_its_space_and_without() -> None:
    failure = record("rendering_failure")
    assert failure["eventType"] == "Rendering Failure"
    assert told(failure | {"eventType": "RenderingFailure"}) == told(failure)


# -- times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-11-02T06:00:04Z", datetime(2020, 11, 2, 6, 0, 4, tzinfo=UTC)),
        ("2020-11-02T06:00:04.123456789Z", datetime(2020, 11, 2, 6, 0, 4, 123456, tzinfo=UTC)),
        ("2020-11-02T07:00:04.5+01:00", datetime(2020, 11, 2, 6, 0, 4, 500000, tzinfo=UTC)),
        ("2020-11-02T07:00:04+0100", datetime(2020, 11, 2, 6, 0, 4, tzinfo=UTC)),
    ],
)
def test_moments_are_in_utc(text: str, expected: datetime) -> None:
    send = record("send")
    send["mail"]["timestamp"] = text
    at = told(send)[0].at
    assert at == expected
    assert at.utcoffset() == timedelta(0)


# -- poison


def put(*path: str | int, value: Any) -> Callable[[Record], None]:
    def change(given: Record) -> None:
        inner: Any = given
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[Record], None]:
    def change(given: Record) -> None:
        inner: Any = given
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]

    return change


def nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


BAD_RECORDS = {
    "no mail": drop("mail"),
    "mail is a text": put("mail", value="mail"),
    "mail is a list": put("mail", value=[1]),
    "eventType is a number": put("eventType", value=7),
    "eventType is null": put("eventType", value=None),
    "no bounce": drop("bounce"),
    "bounce is a list": put("bounce", value=[]),
    "bounce is empty": put("bounce", value={}),
    "no message id": drop("mail", "messageId"),
    "empty message id": put("mail", "messageId", value=""),
    "message id with a line end": put("mail", "messageId", value=MESSAGE_ID + "\n"),
    "message id of 257": put("mail", "messageId", value="a" * 257),
    "message id is a number": put("mail", "messageId", value=12),
    "no timestamp": drop("mail", "timestamp"),
    "timestamp is a number": put("mail", "timestamp", value=1604296804),
    "timestamp without zone": put("mail", "timestamp", value="2020-11-02T06:00:04"),
    "30 February": put("mail", "timestamp", value="2020-02-30T06:00:04Z"),
    "61st second": put("mail", "timestamp", value="2020-11-02T06:00:61Z"),
    "year 0": put("mail", "timestamp", value="0000-11-02T06:00:04Z"),
    "before the first year": put("mail", "timestamp", value="0001-01-01T00:00:00+14:00"),
    "week date": put("mail", "timestamp", value="2020-W45-1T06:00:04Z"),
    "other digits": put("mail", "timestamp", value="٢٠٢٠-11-02T06:00:04Z"),
    "bad bounce timestamp": put("bounce", "timestamp", value="yesterday"),
    "bounceType is a list": put("bounce", "bounceType", value=["Permanent"]),
    "diagnosticCode is a number": put("bounce", "bouncedRecipients", 0, "diagnosticCode", value=550),
    "status is an object": put("bounce", "bouncedRecipients", 0, "status", value={}),
    "recipients is an object": put("bounce", "bouncedRecipients", value={"emailAddress": READER}),
    "a recipient is null": put("bounce", "bouncedRecipients", value=[None]),
    "a recipient without address": put("bounce", "bouncedRecipients", value=[{"status": "5.1.1"}]),
    "a recipient's address is a list": put("bounce", "bouncedRecipients", value=[{"emailAddress": [READER]}]),
    "a huge list": put("bounce", "bouncedRecipients", value=[{"emailAddress": READER}] * 101),
    "tags is a list": put("mail", "tags", value=["briefing"]),
    "a tag is a text": put("mail", "tags", "briefing", value="2020-10"),
    "a tag holds a number": put("mail", "tags", "recipient", value=[17]),
    "too deep": put("mail", "headers", value=nest(40)),
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_record_that_is_not_of_ses_s_form_is_poison(name: str) -> None:
    bounce = record("bounce")
    BAD_RECORDS[name](bounce)
    with pytest.raises(Poison) as caught:
        told(bounce)
    assert not isinstance(caught.value, Foreign)
    assert caught.value.reason in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "null",
        "7",
        '"text"',
        "[]",
        "{}",
        "{",
        "NaN",
        '{"eventType": NaN}',
        "{}{}",
        "\ufeff{}",
        "[" * 100_000,
        '{"a":' * 30_000,
        "[" * 900 + "]" * 900,
        "9" * 5000,
        '{"eventType": "Send", "mail": ' + "9" * 5000 + "}",
        "\ud800",
        '{"Type": null}',
        '{"Type": "Notification"}',
        '{"eventType": "Bounce"}',
        '{"notificationType": 7}',
        "Successfully stolen",
        enveloped("{", Type="Notification"),
        enveloped("", Type="Notification"),
        enveloped(enveloped(json.dumps(record("send")))),
        enveloped(json.dumps(json.dumps(record("send")))),
        enveloped("x" * 300_000),
        enveloped("é" * 140_000).replace("\\u00e9", "é"),
        enveloped(json.dumps(record("send")), Type="SubscriptionConfirmation"),
        enveloped(json.dumps(record("send")), Type=["Notification"]),
        json.dumps({"Type": "Notification", "TopicArn": TOPIC, "Message": record("send")}),
        json.dumps({"Type": "Notification", "TopicArn": [TOPIC], "Message": GREETING}),
    ],
    ids=range(33),
)
def test_what_is_no_record_at_all_is_poison(body: str) -> None:
    with pytest.raises(Poison) as caught:
        parse(body, TOPIC)
    assert isinstance(caught.value, NewsletterError)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("filling", "fits"), [("x" * 250_000, True), ("x" * 263_000, False), ("é" * 132_000, False)]
)
def test_a_message_may_have_256_kb_and_bytes_are_what_counts(filling: str, fits: bool) -> None:
    send = record("send")
    send["mail"]["commonHeaders"]["subject"] = filling
    body = json.dumps(send, ensure_ascii=False)
    if fits:
        assert len(parse(body, TOPIC)) == 1
    else:
        with pytest.raises(Poison, match="256 KB"):
            parse(body, TOPIC)


def test_what_others_wrote_is_one_short_printable_line() -> None:
    """A mail server's words end in our logs, a terminal and a database: no escapes, no half characters."""
    nasty = "\x1b]0;owned\x07 550\r\nBcc: x\u202e\ud800\x00 no" + " way" * 500
    bounce = record("bounce")
    bounce["bounce"]["bouncedRecipients"][0] |= {
        "emailAddress": "\x1b[2Jreader\u202e@x.example\n" + "x" * 900,
        "diagnosticCode": nasty,
        "status": nasty,
    }
    bounce["bounce"]["bounceSubType"] = nasty
    (event,) = told(bounce)
    for text in (event.recipient, event.detail):
        assert text.isprintable()
        text.encode()
    assert len(event.recipient) == 320
    assert len(event.detail) < 500
    assert "]0;owned 550 Bcc: x no way" in event.detail


MEMBERS = [
    "Type",
    "TopicArn",
    "Message",
    "eventType",
    "notificationType",
    "mail",
    "bounce",
    "complaint",
    "delivery",
    "deliveryDelay",
    "failure",
    "tags",
    "messageId",
    "timestamp",
    "destination",
    "recipients",
    "bouncedRecipients",
    "emailAddress",
    "status",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([TOPIC, GREETING]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(MEMBERS) | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def survives(body: str) -> None:
    """Events that hold what they promise, or Poison."""
    try:
        events = parse(body, TOPIC)
    except Poison:
        return
    for event in events:
        assert event.at.utcoffset() == timedelta(0)
        assert event.recipient.isprintable()
        assert event.detail.isprintable()
        assert event.message_id
    assert len({event.recipient for event in events}) == len(events)


@given(JSON)
@example({"Type": "Notification", "TopicArn": TOPIC, "Message": GREETING})
def test_no_json_does_harm(value: Any) -> None:
    survives(json.dumps(value))
    survives(enveloped(json.dumps(value)))


@given(st.text())
def test_no_text_does_harm(text: str) -> None:
    survives(text)
    survives(enveloped(text))


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of everything in a record but the record itself."""
    if path:
        yield path
    for step, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*path, step))


@given(st.sampled_from([*SAMPLES]), st.data())
def test_no_record_with_one_thing_changed_does_harm(name: str, data: st.DataObject) -> None:
    changed = record(name)
    put(*data.draw(st.sampled_from([*places(changed)])), value=data.draw(JSON))(changed)
    survives(enveloped(json.dumps(changed)))


@given(st.sampled_from([*SAMPLES]), st.data())
def test_half_a_record_does_no_harm(name: str, data: st.DataObject) -> None:
    text = json.dumps(record(name))
    survives(text[: data.draw(st.integers(0, len(text)))])


# -- against the local SES, over HTTP


class Skew:
    """The local SES's clock: now, and as much later as a test says."""

    later = 0.0

    def __call__(self) -> float:
        return time.time() + self.later


@pytest.fixture(scope="module")
def skew() -> Skew:
    return Skew()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, skew: Skew) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("ses")
    with world(folder, max_send_rate=10_000, identities=("example.org",), now=skew) as one:
        yield one


@pytest.fixture
def own(server: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in server.server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    return server.fresh()


@pytest.fixture
def queue(own: World) -> EventQueue:
    return EventQueue(own.server.queue_url, own.server.topic_arn)


def mail(count: int, first: int = 0) -> dict[int, str]:
    """Mail as the sender does, tags and all; the message id of each number."""
    ses = Ses("newsletter")
    ses.store_template("briefing-test", PACKAGE)
    numbers = range(first, first + count)
    entries = [
        Entry(
            to=f"reader{number}@inbox.example",
            data={"unsubscribe_url": f"https://example.org/u/{number}"},
            headers={"List-Unsubscribe": f"<https://example.org/u/{number}>"},
            tags={"recipient": str(number)},
        )
        for number in numbers
    ]
    results = ses.submit("briefing-test", PACKAGE, entries, {"briefing": "2020-10", "attempt": ATTEMPT})
    assert {result.status for result in results} == {"SUCCESS"}
    return {number: result.message_id for number, result in zip(numbers, results, strict=True)}


def drain(queue: EventQueue, wait: int = 0) -> list[Event]:
    events: list[Event] = []
    while messages := queue.receive(wait):
        for message in messages:
            events += queue.parse(message)
        queue.delete(messages)
    return events


def test_every_mail_of_a_call_is_told_of_with_its_number_and_attempt(own: World, queue: EventQueue) -> None:
    outcomes = {
        3: "bounced",
        5: "complained",
        8: "soft_bounced",
        13: "suppressed_bounce",
        21: "suppressed_complaint",
        25: "delayed",
        30: "rejected",
        35: "rendering_failure",
    }
    own.plan(
        outcomes=[{"to": f"reader{n}@*", "outcome": outcome} for n, outcome in outcomes.items()],
        events=[{"share": 0.2, "action": "duplicate"}],
    )
    ids = mail(40)
    events = drain(queue)
    kinds: dict[int, set[tuple[Kind, bool]]] = {number: set() for number in ids}
    by_id = {message_id: number for number, message_id in ids.items()}
    for event in events:
        number = by_id[event.message_id]
        assert event.recipient == f"reader{number}@inbox.example"
        if event.kind is Kind.RENDERING_FAILURE:
            assert (event.briefing, event.attempt, event.number) == ("", "", None)
            assert "briefing-test" in event.detail
        else:
            assert (event.briefing, event.attempt, event.number) == ("2020-10", ATTEMPT, number)
        assert abs(event.at.timestamp() - time.time()) < 60
        kinds[number].add((event.kind, event.permanent))
    send, delivery, complaint = (Kind.SEND, False), (Kind.DELIVERY, False), (Kind.COMPLAINT, False)
    expected = {number: {send, delivery} for number in ids} | {
        3: {send, (Kind.BOUNCE, True)},
        5: {send, delivery, complaint},
        8: {send, (Kind.BOUNCE, False)},
        13: {send, (Kind.BOUNCE, True)},
        21: {send, complaint},
        25: {send, delivery, (Kind.DELIVERY_DELAY, False)},
        30: {send, (Kind.REJECT, False)},
        35: {(Kind.RENDERING_FAILURE, False)},
    }
    assert kinds == expected
    assert len(events) > sum(len(each) for each in expected.values())  # some came twice
    details = {event.number: event.detail for event in events if event.kind in (Kind.BOUNCE, Kind.COMPLAINT)}
    assert details[5] == "abuse"
    assert "OnAccountSuppressionList" in details[13]
    assert details[21] == "OnAccountSuppressionList"


def test_a_long_poll_returns_when_the_first_event_comes(own: World, queue: EventQueue) -> None:
    own.plan(events=[{"event": "SEND", "action": "delay", "seconds": 1}, {"action": "lose"}])
    mail(1)
    assert queue.backlog() == (0, 1)  # delayed: not to be seen, and not to be taken for nothing
    asked = own.server.calls("ReceiveMessage")
    (message,) = queue.receive(wait=20)
    assert own.server.calls("ReceiveMessage") == asked + 1
    assert message.receive_count == 1
    assert queue.parse(message)[0].kind is Kind.SEND


def test_what_a_killed_reader_had_taken_is_hidden_and_comes_again(
    own: World, queue: EventQueue, skew: Skew
) -> None:
    own.plan(events=[{"event": "DELIVERY", "action": "lose"}])
    mail(12)
    assert queue.backlog() == (12, 0)
    taken = queue.receive(0)
    assert len(taken) == 10
    assert queue.backlog() == (2, 10)
    taken += queue.receive(0)
    assert queue.receive(0) == []
    assert queue.backlog() == (0, 12)  # nothing to receive, and not empty
    skew.later += 31
    assert queue.backlog() == (12, 0)
    again = queue.receive(0) + queue.receive(0)
    assert sorted(message.id for message in again) == sorted(message.id for message in taken)
    assert {message.receive_count for message in taken} == {1}
    assert {message.receive_count for message in again} == {2}
    assert not {message.receipt for message in again} & {message.receipt for message in taken}


def test_what_is_deleted_is_gone(own: World, queue: EventQueue) -> None:
    mail(17)
    messages: list[Message] = []
    while taken := queue.receive(0):
        messages += taken
    assert len({message.id for message in messages}) == len(messages) == 34
    queue.delete(messages)  # four calls of up to ten
    assert queue.backlog() == (0, 0)
    queue.delete(messages)  # once more: no error
    queue.delete([])


def test_poison_does_not_stop_the_others(own: World, queue: EventQueue) -> None:
    """In the queue with the events: rubbish, another topic's message, and the greeting of a new destination."""
    own.sqs.send_message(QueueUrl=queue.queue_url, MessageBody="rubbish")
    own.sqs.send_message(QueueUrl=queue.queue_url, MessageBody=enveloped(json.dumps(record("complaint"))))
    own.sqs.send_message(QueueUrl=queue.queue_url, MessageBody=enveloped(GREETING, TopicArn=queue.topic_arn))
    mail(1)
    seen: Counter[str] = Counter()
    for message in queue.receive(0):
        try:
            seen.update(event.kind for event in queue.parse(message))
        except Poison as poison:
            seen[type(poison).__name__] += 1
    assert seen == {"Foreign": 1, "Poison": 1, "send": 1, "delivery": 1}


# -- when the queue says no


def test_a_queue_that_is_not_there_is_named_with_what_to_compare(own: World) -> None:
    queue = EventQueue(own.server.queue_url + "-2", own.server.topic_arn)
    for call in (lambda: queue.receive(0), queue.backlog):
        with pytest.raises(Refused, match="EVENTS_QUEUE_URL and AWS_REGION"):
            call()


def test_nobody_there_is_a_ses_error_not_a_traceback(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
    with pytest.raises(SesError, match=r"no answer from http://127\.0\.0\.1:9.*run the command again"):
        EventQueue(own.server.queue_url, TOPIC).backlog()


def test_a_passing_fault_is_not_noticed_and_a_lasting_one_is_told(own: World, queue: EventQueue) -> None:
    """boto3's own retries are welcome here, unlike at the send."""
    mail(1)
    own.plan(calls=[{"operation": "ReceiveMessage", "call": 1, "action": "unavailable"}])
    assert len(queue.receive(0)) == 2
    own.plan(calls=[{"operation": "GetQueueAttributes", "action": "error"}])
    with pytest.raises(SesError, match="HTTP 500") as caught:
        queue.backlog()
    assert not isinstance(caught.value, Refused)


def test_a_wrong_receipt_is_told_and_not_tried_for_ever(own: World, queue: EventQueue) -> None:
    with pytest.raises(Refused, match="would not delete"):
        queue.delete([Message("m", "no receipt", "", 1)])


def test_no_region_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(SettingsError, match="AWS_REGION: not set"):
        EventQueue("https://sqs.eu-west-1.amazonaws.com/111122223333/events", TOPIC).receive(0)


def test_an_endpoint_that_is_none_is_a_setting_to_mend(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "not an address")
    with pytest.raises(SettingsError, match="not an address"):
        EventQueue(own.server.queue_url, TOPIC).receive(0)


@pytest.mark.parametrize(
    ("url", "topic", "name"),
    [
        ("", TOPIC, "EVENTS_QUEUE_URL"),
        ("events", TOPIC, "EVENTS_QUEUE_URL"),
        ("arn:aws:sqs:eu-west-1:111122223333:events", TOPIC, "EVENTS_QUEUE_URL"),
        ("https://sqs.eu-west-1.amazonaws.com/111122223333/events", "", "EVENTS_TOPIC_ARN"),
        ("https://sqs.eu-west-1.amazonaws.com/111122223333/events", TOPIC + "\n", "EVENTS_TOPIC_ARN"),
        ("https://sqs.eu-west-1.amazonaws.com/111122223333/events", "newsletter-events", "EVENTS_TOPIC_ARN"),
    ],
)
def test_a_wrong_setting_is_named_before_anybody_is_asked(url: str, topic: str, name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        EventQueue(url, topic)


class Scripted:
    """A real boto3 client whose answers a test writes (botocore's Stubber checks them against SQS's model)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = boto3.client(
            "sqs",
            region_name="eu-west-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.stub = Stubber(made)
        self.stub.activate()
        monkeypatch.setattr(boto3, "client", lambda *words, **named: made)
        self.queue = EventQueue("https://sqs.eu-west-1.amazonaws.com/111122223333/events", TOPIC)

    def deleted(self, *ids: str, failed: tuple[str, ...] = ()) -> None:
        failures = [
            {"Id": one, "Code": "InternalError", "SenderFault": False, "Message": "oops"} for one in failed
        ]
        self.stub.add_response(
            "delete_message_batch", {"Successful": [{"Id": one} for one in ids], "Failed": failures}
        )


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    return Scripted(monkeypatch)


THREE = [Message(str(number), f"receipt {number}", "", 1) for number in range(3)]


def test_what_could_not_be_deleted_is_tried_again_alone(scripted: Scripted) -> None:
    scripted.deleted("0", "2", failed=("1",))
    scripted.stub.add_response(
        "delete_message_batch",
        {"Successful": [{"Id": "1"}], "Failed": []},
        {"QueueUrl": scripted.queue.queue_url, "Entries": [{"Id": "1", "ReceiptHandle": "receipt 1"}]},
    )
    scripted.queue.delete(THREE)
    scripted.stub.assert_no_pending_responses()


def test_what_cannot_be_deleted_at_all_is_told(scripted: Scripted) -> None:
    scripted.deleted("0", failed=("1", "2"))
    scripted.deleted(failed=("1", "2"))
    scripted.deleted("2")  # says nothing of "1": then it is not deleted
    with pytest.raises(SesError, match=r"1 of 3 messages could not be deleted \(InternalError: oops\)"):
        scripted.queue.delete(THREE)


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("AccessDenied", 403, Refused, "sqs:ReceiveMessage"),
        ("ExpiredToken", 403, Refused, "renew"),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, Refused, "EVENTS_QUEUE_URL"),
        ("SomethingNew", 400, Refused, "SomethingNew: what AWS said"),
        ("RequestThrottled", 400, Throttled, "RequestThrottled"),
        ("OverLimit", 403, Throttled, "OverLimit"),
        ("InternalFailure", 500, SesError, "HTTP 500"),
        ("400", 400, SesError, "HTTP 400"),
    ],
)
def test_an_error_says_what_to_mend(
    scripted: Scripted, code: str, status: int, kind: type[SesError], words: str
) -> None:
    scripted.stub.add_client_error("receive_message", code, "what AWS said", http_status_code=status)
    with pytest.raises(SesError, match=words) as caught:
        scripted.queue.receive(0)
    assert type(caught.value) is kind


def test_counts_that_are_not_there_are_never_taken_for_an_empty_queue(scripted: Scripted) -> None:
    scripted.stub.add_response("get_queue_attributes", {})
    with pytest.raises(SesError, match="counts are not in its answer"):
        scripted.queue.backlog()


@pytest.mark.parametrize(("wait", "asked"), [(-1, 0), (5, 5), (60, 20)])
def test_a_wait_is_kept_within_what_sqs_allows(scripted: Scripted, wait: int, asked: int) -> None:
    scripted.stub.add_response(
        "receive_message",
        {},
        {
            "QueueUrl": scripted.queue.queue_url,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": asked,
            "MessageSystemAttributeNames": ["ApproximateReceiveCount"],
        },
    )
    assert scripted.queue.receive(wait) == []
