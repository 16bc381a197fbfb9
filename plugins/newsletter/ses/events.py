"""The way back from SES: what an event says of a mail, read with distrust.

    configuration set ─► event destination ─► SNS topic ─► SQS queue (queue.py) ─► parse ─► Event

There is no HTTP endpoint, and so no signature whose certificate would have to be fetched. Who may write into
the queue is the queue's own policy: it must allow sqs:SendMessage to sns.amazonaws.com alone, and only where
aws:SourceArn is the topic. `parse` checks what can be checked on top of that: that the envelope names the same
topic. With RawMessageDelivery there is no envelope, and the policy is all there is.

Events come at least once, in any order, and may be lost. Whoever reads them keys on (message_id, kind,
recipient) and lets none undo a stronger one; settles by `briefing`, `attempt` and `number`, or by `message_id`
where there are no tags; and never by the address alone, for another mail may have gone to it.

Sources: docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html (and -examples.html),
docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html, API reference of SQS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from newsletter.errors import NewsletterError

if TYPE_CHECKING:
    pass

_LARGEST_BODY = 256 * 1024  # bytes: the most SNS carries. SES cuts a mail's headers at 10 KB.
_DEEPEST = 32
_MOST_RECIPIENTS = 100  # SES takes 50 for one message
_GREETING = "Successfully validated SNS topic"  # a new event destination's first words; not JSON
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})"
)
_MESSAGE_ID = re.compile(r"[!-~]{1,256}")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")  # the only values SES takes for a tag
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_HARD_STATUS = re.compile(r"5\.[0-9]{1,3}\.[0-9]{1,3}")
# SES did not even try, because the address is on its list or on the account's: as hard as a bounce can be.
_SUPPRESSED = {"Suppressed", "OnAccountSuppressionList"}
_T = TypeVar("_T")


class Kind(StrEnum):
    """What an event says of a mail. `other` is everything a briefing has no use for (Open, Click …)."""

    SEND = "send"
    DELIVERY = "delivery"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    REJECT = "reject"
    RENDERING_FAILURE = "rendering_failure"
    DELIVERY_DELAY = "delivery_delay"
    OTHER = "other"


# AWS writes "Rendering Failure" with a space in the records and without one in its lists: compared without.
_KINDS = {
    "Send": Kind.SEND,
    "Delivery": Kind.DELIVERY,
    "Bounce": Kind.BOUNCE,
    "Complaint": Kind.COMPLAINT,
    "Reject": Kind.REJECT,
    "RenderingFailure": Kind.RENDERING_FAILURE,
    "DeliveryDelay": Kind.DELIVERY_DELAY,
}
# The member of the record that tells the particulars of a kind, and the list of recipients in it.
_PARTICULARS = {
    Kind.SEND: ("send", ""),
    Kind.DELIVERY: ("delivery", "recipients"),
    Kind.BOUNCE: ("bounce", "bouncedRecipients"),
    Kind.COMPLAINT: ("complaint", "complainedRecipients"),
    Kind.REJECT: ("reject", ""),
    Kind.RENDERING_FAILURE: ("failure", ""),
    Kind.DELIVERY_DELAY: ("deliveryDelay", "delayedRecipients"),
    Kind.OTHER: ("", ""),
}


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to one mail for one recipient.

    `message_id` is the one SES answered the call with. `recipient` is the address as SES writes it, "" where
    the event names none. `at` is when it happened, in UTC. `briefing`, `attempt` and `number` are the mail's
    tags ("briefing", "attempt", "recipient"): "" and None where it has none or they are not of our sender's
    form; a rendering failure never has them. `permanent` is true of a hard bounce only. `detail` is SES's own
    words, made fit to print: "Permanent/General 5.1.1: smtp; 550 user unknown", "abuse", "Bad content".
    """

    kind: Kind
    message_id: str
    recipient: str
    at: datetime
    briefing: str
    attempt: str
    number: int | None
    permanent: bool
    detail: str


class Poison(NewsletterError):
    """A message that is no event of SES's: put it aside, tell somebody, go on. `reason` says what is wrong."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Not an event of SES: {reason}")


class Foreign(Poison):
    """A message of another topic than the one that was agreed on; nothing in it is believed."""


def parse(body: str, topic_arn: str) -> list[Event]:
    """Read one SQS message's body: one Event for each recipient concerned.

    [] for what SES sends besides events: the greeting of a new event destination, and the notifications of an
    identity, which carry no tags. Raises Foreign if the envelope names another topic than `topic_arn`, Poison
    for all else; nothing else, whatever the body.
    """
    if len(body) > _LARGEST_BODY or len(body.encode("utf-8", "surrogatepass")) > _LARGEST_BODY:
        raise Poison(f"it has more than {_LARGEST_BODY // 1024} KB")
    if body.startswith(_GREETING):
        return []
    record = _object(body, "the body")
    if "Type" in record:
        text = _opened(record, topic_arn)
        if text.startswith(_GREETING):
            return []
        record = _object(text, "the envelope's Message")
    if "eventType" not in record:
        if isinstance(record.get("notificationType"), str):
            return []
        raise Poison("it has neither eventType nor notificationType")
    return list(_events(record))


def _opened(envelope: Mapping[str, Any], topic_arn: str) -> str:
    """What an SNS envelope carries, if it is of our topic."""
    topic = _printable(_required(envelope, "TopicArn", str), 256)
    if not topic_arn or envelope["TopicArn"] != topic_arn:
        raise Foreign(f"it comes from the topic {topic!r}, and only {topic_arn!r} is believed")
    kind = _required(envelope, "Type", str)
    if kind != "Notification":
        raise Poison(f"SNS calls it {_printable(kind, 64)!r}, not 'Notification'")
    return _required(envelope, "Message", str)


def _events(record: Mapping[str, Any]) -> Iterator[Event]:
    told = _required(record, "eventType", str)
    kind = _KINDS.get(told.replace(" ", ""), Kind.OTHER)
    mail = _required(record, "mail", dict)
    member, recipients = _PARTICULARS[kind]
    particulars = (_optional(record, member, dict) if member else None) or {}
    if recipients and not particulars:
        raise Poison(f"a {kind} without {member!r}")
    message_id = _required(mail, "messageId", str)
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Poison("mail.messageId is not of SES's form")
    sent = _moment(_required(mail, "timestamp", str))
    happened = _optional(particulars, "timestamp", str)
    tags = _optional(mail, "tags", dict) or {}
    number = _tag(tags, "recipient")
    found: dict[str, tuple[bool, str]] = {}
    for address, facts in _concerned(mail, particulars, recipients):
        permanent = kind is Kind.BOUNCE and _is_hard(particulars, facts)
        # Named twice, the harder word counts: the order of a list must not decide.
        if address not in found or (permanent and not found[address][0]):
            found[address] = permanent, _detail(kind, told, particulars, facts)
    for address, (permanent, detail) in found.items():
        yield Event(
            kind=kind,
            message_id=message_id,
            recipient=address,
            at=sent if happened is None else _moment(happened),
            briefing=_tag(tags, "briefing"),
            attempt=_tag(tags, "attempt"),
            number=int(number) if _NUMBER.fullmatch(number) else None,
            permanent=permanent,
            detail=detail,
        )


def _concerned(
    mail: Mapping[str, Any], particulars: Mapping[str, Any], recipients: str
) -> list[tuple[str, Mapping[str, Any]]]:
    """Whom the event is about, each with what it says of this one alone.

    A bounce that names nobody is about the mail's only recipient; if the mail had several, nobody can tell.
    """
    if recipients and (named := _list(particulars, recipients)):
        return [
            (_address(one), {}) if isinstance(one, str) else (_address(_emailed(one)), one) for one in named
        ]
    destination = [_address(one) for one in _list(mail, "destination")]
    if not destination or (recipients and len(destination) > 1):
        return [("", {})]
    return [(address, {}) for address in destination]


def _emailed(one: object) -> object:
    if not isinstance(one, dict):
        raise Poison("a recipient is neither an address nor an object")
    return one.get("emailAddress")


def _is_hard(bounce: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether mailing the address again is pointless.

    SES has been seen to label a 5.x.x refusal "Transient"; the mail server's own number is the better witness.
    """
    return (
        _optional(bounce, "bounceType", str) == "Permanent"
        or _optional(bounce, "bounceSubType", str) in _SUPPRESSED
        or bool(_HARD_STATUS.fullmatch((_optional(facts, "status", str) or "").strip()))
    )


def _detail(kind: Kind, told: str, particulars: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    def word(name: str, source: Mapping[str, Any] = particulars, most: int = 300) -> str:
        return _printable(_optional(source, name, str) or "", most)

    match kind:
        case Kind.BOUNCE:
            label = "/".join(filter(None, (word("bounceType", most=64), word("bounceSubType", most=64))))
        case Kind.COMPLAINT:
            label = " ".join(
                filter(None, (word("complaintFeedbackType", most=64), word("complaintSubType", most=64)))
            )
        case Kind.DELIVERY_DELAY:
            label = word("delayType", most=64)
        case Kind.DELIVERY:
            label = word("smtpResponse")
        case Kind.REJECT:
            label = word("reason")
        case Kind.RENDERING_FAILURE:
            label = ": ".join(filter(None, (word("templateName", most=64), word("errorMessage"))))
        case Kind.SEND:
            label = ""
        case Kind.OTHER:
            label = _printable(told, 64)
    head = " ".join(filter(None, (label, word("status", facts, 16))))
    return ": ".join(filter(None, (head, word("diagnosticCode", facts))))


def _tag(tags: Mapping[str, Any], name: str) -> str:
    """A tag's one value, "" if it has none that our sender can have written."""
    values = tags.get(name)
    if values is None:
        return ""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Poison(f"mail.tags.{name} is not a list of texts")
    return values[0] if len(set(values)) == 1 and _TAG.fullmatch(values[0]) else ""


def _moment(text: str) -> datetime:
    if not _MOMENT.fullmatch(text):
        raise Poison(f"{_printable(text, 40)!r} is no date and time")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Poison(f"{text!r} is no date and time") from None


def _address(value: object) -> str:
    if not isinstance(value, str):
        raise Poison("a recipient's address is not a text")
    return "".join(filter(str.isprintable, value[:1000])).strip()[:320]


def _printable(text: str, most: int) -> str:
    """One line without control characters, at most so long; what others wrote ends in our logs and terminals."""
    words = "".join(one if one.isprintable() else " " for one in text[: 4 * most]).split()
    line = " ".join(words)
    return line if len(line) <= most else line[: most - 1] + "…"


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Poison(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise Poison(f"{what} is not a JSON object")
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return value
    raise Poison(f"{what} is nested more than {_DEEPEST} deep")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _optional(source: Mapping[str, Any], name: str, kind: type[_T]) -> _T | None:
    """A member of that type, None where it is missing or null. Raises Poison."""
    value = source.get(name)
    if value is not None and not isinstance(value, kind):
        raise Poison(f"{name!r} is of the wrong type")
    return value


def _required(source: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    value = _optional(source, name, kind)
    if value is None:
        raise Poison(f"{name!r} is missing")
    return value


def _list(source: Mapping[str, Any], name: str) -> list[Any]:
    value = _optional(source, name, list) or []
    if len(value) > _MOST_RECIPIENTS:
        raise Poison(f"{name!r} names {len(value)} recipients; one mail has at most {_MOST_RECIPIENTS}")
    return value
