"""SES's event records, in the shapes of AWS's own examples, and the SNS envelope around them.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-examples.html
https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from newsletter.local_ses import limits
from newsletter.local_ses.config import ACCOUNT_ID
from newsletter.local_ses.message import Header

Record = dict[str, Any]
_ACCOUNT_LIST = (
    "Amazon SES did not send the message to this address because it is on the suppression list for your "
    "account. For more information about removing addresses from the suppression list, see the Amazon SES "
    "Developer Guide at "
    "https://docs.aws.amazon.com/ses/latest/DeveloperGuide/sending-email-suppression-list.html"
)
_GLOBAL_LIST = (
    "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an "
    "invalid address. For more information about how to remove an address from the suppression list, see "
    "the Amazon SES Developer Guide: "
    "http://docs.aws.amazon.com/ses/latest/DeveloperGuide/remove-from-suppressionlist.html"
)


class Outcome(StrEnum):
    """What becomes of an accepted message for one recipient."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    SOFT_BOUNCED = "soft_bounced"
    COMPLAINED = "complained"
    AUTO_REPLIED = "auto_replied"
    DELAYED = "delayed"
    REJECTED = "rejected"
    RENDERING_FAILURE = "rendering_failure"
    SUPPRESSED_BOUNCE = "suppressed_bounce"  # on the account's list because it bounced
    SUPPRESSED_COMPLAINT = "suppressed_complaint"  # ... because it complained
    SUPPRESSED_GLOBAL = "suppressed_global"  # the simulator's suppressionlist@

    @property
    def reaches_a_server(self) -> bool:
        """Whether SES hands the message to anybody, so that it has a place in the mailbox."""
        return self not in _STAYS_AT_SES


_STAYS_AT_SES = frozenset(
    {
        Outcome.REJECTED,
        Outcome.RENDERING_FAILURE,
        Outcome.SUPPRESSED_BOUNCE,
        Outcome.SUPPRESSED_COMPLAINT,
        Outcome.SUPPRESSED_GLOBAL,
    }
)

# https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html#mailbox-simulator
_SIMULATOR = {
    "success": Outcome.DELIVERED,
    "bounce": Outcome.BOUNCED,
    "complaint": Outcome.COMPLAINED,
    "ooto": Outcome.AUTO_REPLIED,
    "suppressionlist": Outcome.SUPPRESSED_GLOBAL,
}


def simulated(address: str) -> Outcome | None:
    """What the mailbox simulator does at this address ("bounce+label@…" too); None for other domains."""
    local, _, domain = address.lower().rpartition("@")
    return _SIMULATOR.get(local.partition("+")[0]) if domain == limits.SIMULATOR else None


@dataclass(frozen=True, slots=True)
class Sent:
    """One accepted message as its events describe it."""

    message_id: str
    at: datetime
    source: str
    identity_arn: str
    from_domain: str
    destination: tuple[str, ...]
    headers: tuple[Header, ...]
    subject: str
    operation: str
    configuration_set: str
    tags: tuple[Header, ...]
    template: str | None
    from_addresses: tuple[str, ...] = ()
    to_addresses: tuple[str, ...] = ()


def records(sent: Sent, outcomes: Mapping[str, Outcome], failure: str = "") -> list[tuple[str, str, Record]]:
    """Return (event type of the API, recipient, record) for everything that happens to a message, in order.

    `failure` is the sentence of a rendering failure; then there is no Send event (assumed: the message was
    never sent). A message on a suppression list has one: model documentation of EventDestination, SEND.
    """
    if Outcome.RENDERING_FAILURE in outcomes.values():
        first = next(iter(outcomes))
        return [("RENDERING_FAILURE", first, _rendering_failure(sent, failure))]
    out: list[tuple[str, str, Record]] = [
        ("SEND", next(iter(outcomes), ""), {"eventType": "Send", "mail": _mail(sent), "send": {}})
    ]
    for address, outcome in outcomes.items():
        out.extend((kind, address, record) for kind, record in _of(sent, address, outcome))
    return out


def _of(sent: Sent, address: str, outcome: Outcome) -> list[tuple[str, Record]]:
    match outcome:
        case Outcome.DELIVERED:
            return [_delivery(sent, address)]
        case Outcome.BOUNCED:
            return [_bounce(sent, address, "Permanent", "General", "5.1.1", "smtp; 550 5.1.1 user unknown")]
        case Outcome.SOFT_BOUNCED:
            return [
                _bounce(sent, address, "Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 mailbox full")
            ]
        case Outcome.COMPLAINED:
            return [_delivery(sent, address), _complaint(sent, address)]
        case Outcome.AUTO_REPLIED:
            # DG notification-contents, Transient/General: "If you send an email to a recipient who has an
            # active automatic response rule ... you might receive this type of notification."
            return [_delivery(sent, address), _bounce(sent, address, "Transient", "General", "", "")]
        case Outcome.DELAYED:
            return [_delay(sent, address), _delivery(sent, address)]
        case Outcome.REJECTED:
            return [
                ("REJECT", {"eventType": "Reject", "mail": _mail(sent), "reject": {"reason": "Bad content"}})
            ]
        case Outcome.SUPPRESSED_BOUNCE:
            return [_bounce(sent, address, "Permanent", "OnAccountSuppressionList", "5.1.1", _ACCOUNT_LIST)]
        case Outcome.SUPPRESSED_COMPLAINT:
            return [_complaint(sent, address, "OnAccountSuppressionList")]
        case Outcome.SUPPRESSED_GLOBAL:
            return [_bounce(sent, address, "Permanent", "Suppressed", "5.1.1", _GLOBAL_LIST)]
        case Outcome.RENDERING_FAILURE:
            return []


def _mail(sent: Sent, *, delivered: bool = False) -> Record:
    tags: dict[str, list[str]] = {
        "ses:source-tls-version": ["TLSv1.3"],
        "ses:operation": [sent.operation],
        "ses:configuration-set": [sent.configuration_set],
        "ses:source-ip": ["127.0.0.1"],
        "ses:from-domain": [sent.from_domain],
        "ses:caller-identity": ["local-ses"],
    }
    for name, value in sent.tags:
        tags.setdefault(name, []).append(value)
    if delivered:
        tags["ses:outgoing-ip"] = ["192.0.2.1"]
    return {
        **_mail_head(sent),
        "headers": [{"name": name, "value": value} for name, value in sent.headers],
        "commonHeaders": {
            "from": list(sent.from_addresses),
            "to": list(sent.to_addresses),
            "messageId": sent.message_id,
            "subject": sent.subject,
        },
        "tags": tags,
    }


def _mail_head(sent: Sent) -> Record:
    return {
        "timestamp": stamp(sent.at),
        "source": sent.source,
        "sourceArn": sent.identity_arn,
        "sendingAccountId": ACCOUNT_ID,
        "messageId": sent.message_id,
        "destination": list(sent.destination),
        "headersTruncated": False,
    }


def _rendering_failure(sent: Sent, failure: str) -> Record:
    # AWS's example of this event, unlike all others, has neither headers nor the message's own tags.
    return {
        "eventType": "Rendering Failure",
        "mail": {**_mail_head(sent), "tags": {"ses:configuration-set": [sent.configuration_set]}},
        "failure": {"errorMessage": failure, "templateName": sent.template or ""},
    }


def _delivery(sent: Sent, address: str) -> tuple[str, Record]:
    return "DELIVERY", {
        "eventType": "Delivery",
        "mail": _mail(sent, delivered=True),
        "delivery": {
            "timestamp": stamp(sent.at),
            "processingTimeMillis": 12,
            "recipients": [address],
            "smtpResponse": "250 2.6.0 Message received",
            "reportingMTA": "local.smtp-out.amazonses.com",
        },
    }


def _bounce(sent: Sent, address: str, kind: str, subtype: str, status: str, text: str) -> tuple[str, Record]:
    recipient = {"emailAddress": address}
    if status:
        recipient |= {"action": "failed", "status": status, "diagnosticCode": text}
    bounce = {
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": [recipient],
        "timestamp": stamp(sent.at),
        "feedbackId": feedback_id(),
    }
    if subtype not in ("Suppressed", "OnAccountSuppressionList"):
        bounce["reportingMTA"] = "dsn; local.smtp-out.amazonses.com"
    else:
        bounce["reportingMTA"] = "dns; amazonses.com"
    return "BOUNCE", {"eventType": "Bounce", "bounce": bounce, "mail": _mail(sent)}


def _complaint(sent: Sent, address: str, subtype: str | None = None) -> tuple[str, Record]:
    complaint: Record = {
        "feedbackId": feedback_id(),
        "complaintSubType": subtype,
        "complainedRecipients": [{"emailAddress": address}],
        "timestamp": stamp(sent.at),
    }
    if subtype is None:
        complaint |= {
            "userAgent": "Amazon SES Mailbox Simulator",
            "complaintFeedbackType": "abuse",
            "arrivalDate": stamp(sent.at),
        }
    return "COMPLAINT", {"eventType": "Complaint", "complaint": complaint, "mail": _mail(sent)}


def _delay(sent: Sent, address: str) -> tuple[str, Record]:
    return "DELIVERY_DELAY", {
        "eventType": "DeliveryDelay",
        "mail": _mail(sent),
        "deliveryDelay": {
            "timestamp": stamp(sent.at),
            "delayType": "TransientCommunicationFailure",
            "expirationTime": stamp(sent.at),
            "delayedRecipients": [
                {
                    "emailAddress": address,
                    "status": "4.4.1",
                    "diagnosticCode": "smtp; 421 4.4.1 Unable to connect to remote host",
                }
            ],
        },
    }


def envelope(message: str, topic_arn: str, at: datetime, region: str) -> str:
    """Wrap a text as SNS wraps it for an SQS queue without RawMessageDelivery.

    The signature is a stub: a receiver that reads SQS trusts the queue's policy and checks the TopicArn.
    """
    notification_id = str(uuid.uuid4())
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": notification_id,
            "TopicArn": topic_arn,
            "Subject": "Amazon SES Email Event Notification",
            "Message": message,
            "Timestamp": stamp(at),
            "SignatureVersion": "1",
            "Signature": "bG9jYWwtc2VzIGRvZXMgbm90IHNpZ24=",
            "SigningCertURL": f"https://sns.{region}.amazonaws.com/SimpleNotificationService-local.pem",
            "UnsubscribeURL": f"https://sns.{region}.amazonaws.com/?Action=Unsubscribe",
        }
    )


def stamp(at: datetime) -> str:
    """Write a moment as AWS does: UTC with milliseconds and a Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def feedback_id() -> str:
    """Make an id of SES's form for a bounce or complaint."""
    return new_id(datetime.now(UTC))


def new_id(at: datetime) -> str:
    """Make a message id of SES's form: 16 hexadecimal digits of time, a UUID, six digits."""
    return f"0100{int(at.timestamp() * 1000) & 0xFFFFFFFFFFFF:012x}-{uuid.uuid4()}-000000"
