"""The way back: a configuration set that publishes every event we read, the queue, and a canary that comes through.

SES ─► configuration set ─► event destination ─► SNS topic ─► SQS queue ─► ledger
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from newsletter.aftermath import Aftermath, CanaryMailer
from newsletter.doctor.account import unread
from newsletter.errors import NewsletterError, Refused, SesError, SettingsError
from newsletter.finding import Finding, broken, broken_by, sound, warning
from newsletter.ses.account import AccountFacts, Destination, Hindrance, SetFacts, Unread
from newsletter.ses.queue import QueueFacts
from newsletter.show import duration
from newsletter.store import Store

NEEDED = frozenset(
    {"SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "RENDERING_FAILURE", "DELIVERY_DELAY"}
)
_TRACKED = {"OPEN", "CLICK"}
_SET = "aws sesv2 create-configuration-set --configuration-set-name newsletter, then SES_CONFIGURATION_SET=newsletter"
_QUEUE = (
    "Compare EVENTS_QUEUE_URL and AWS_REGION, and allow these credentials sqs:GetQueueAttributes, "
    "sqs:ReceiveMessage and sqs:DeleteMessage on the queue."
)
_STEP = 2  # seconds a look into the queue waits; another reader may have found the event meanwhile


def unset(name: str, variable: str, mend: str, practice: bool) -> Finding:
    """A setting that is not made: without it nobody learns of bounces and complaints. In practice there are none."""
    words = f"{variable} is not set, so nobody learns what becomes of the mails"
    return warning(name, words, mend) if practice else broken(name, words, mend)


def configuration_set(name: str, found: SetFacts | Unread | None, practice: bool) -> Finding:
    """Whether the set is there and sends. `found` is None where none is named."""
    line = "configuration set"
    if found is None:
        return unset(line, "SES_CONFIGURATION_SET", _SET, practice)
    if isinstance(found, Unread):
        if found.why is not Hindrance.ABSENT:
            return unread(line, found)
        return broken(
            line,
            f"SES has none of the name {name}, and refuses mail that names it",
            "Correct SES_CONFIGURATION_SET or AWS_REGION, or make it: "
            f"aws sesv2 create-configuration-set --configuration-set-name {name}",
        )
    if not found.sending:
        return broken(
            line,
            f"sending is switched off for {name}",
            f"aws sesv2 put-configuration-set-sending-options --configuration-set-name {name} --sending-enabled",
        )
    return sound(line, name)


def event_types(name: str, destinations: Sequence[Destination] | Unread, topic: str) -> Finding:
    """Whether everything we read is published to `topic` ("" if EVENTS_TOPIC_ARN is not set: then any SNS topic)."""
    line = "event types"
    if isinstance(destinations, Unread):
        return unread(line, destinations)
    ours = [one for one in destinations if one.topic and topic in {"", one.topic}]
    published = frozenset().union(*(one.types for one in ours if one.enabled))
    if published >= NEEDED:
        return sound(line, "SES publishes all seven that the ledger reads")
    option = f"--configuration-set-name {name} --event-destination-name"
    if not ours:
        other = ", ".join(sorted({one.topic for one in destinations if one.topic}))
        where = f"it publishes to {other}" if other else "no event destination of it is an SNS topic"
        return broken(
            line,
            f"{name} publishes nothing to {topic or 'an SNS topic'}: {where}",
            f"aws sesv2 create-configuration-set-event-destination {option} events, or correct EVENTS_TOPIC_ARN.",
        )
    switched_off = [one.name for one in ours if not one.enabled]
    if switched_off and frozenset().union(*(one.types for one in ours)) >= NEEDED:
        return broken(
            line,
            f"the event destination {switched_off[0]} of {name} is switched off",
            f"aws sesv2 update-configuration-set-event-destination {option} {switched_off[0]} with Enabled=true",
        )
    lacking = ", ".join(sorted(NEEDED - published))
    return broken(
        line,
        f"{name} does not publish {lacking}",
        f"aws sesv2 update-configuration-set-event-destination {option} {ours[0].name} with "
        f"MatchingEventTypes={','.join(sorted(NEEDED))}",
    )


def tracking(
    account: AccountFacts | Unread | None,
    own: SetFacts | Unread,
    destinations: Sequence[Destination] | Unread,
) -> Finding:
    """Whether SES follows readers: by a picture in the mail, and by links that lead through its own servers.

    It does wherever an event destination asks for OPEN or CLICK, or engagement metrics are on for the account or
    the set (API reference, TrackingConfigurationOverrides).
    """
    line = "tracking"
    if isinstance(destinations, Unread):
        return unread(line, destinations)
    for one in destinations:
        if one.enabled and (kinds := sorted(_TRACKED & one.types)):
            return warning(
                line,
                f"the event destination {one.name} asks for {' and '.join(kinds)}: SES rewrites the mail to follow readers",
                f"Take {' and '.join(kinds)} out of the MatchingEventTypes of {one.name}.",
            )
    by_set = own.engagement if isinstance(own, SetFacts) else None
    by_account = isinstance(account, AccountFacts) and account.engagement
    if by_set or (by_set is None and by_account):
        return warning(
            line,
            "engagement metrics are on: SES rewrites the mail to follow readers",
            "aws sesv2 put-configuration-set-vdm-options with DashboardOptions EngagementMetrics=DISABLED",
        )
    return sound(line, "nobody is followed")


def queue(found: QueueFacts | SesError | SettingsError | None, practice: bool) -> Finding:
    """Whether the queue can be read. `found` is None where none is set."""
    line = "queue"
    if found is None:
        return unset(
            line,
            "EVENTS_QUEUE_URL",
            "Subscribe an SQS queue to the SNS topic of the events; set EVENTS_QUEUE_URL and EVENTS_TOPIC_ARN.",
            practice,
        )
    if isinstance(found, NewsletterError):
        words = found.code if isinstance(found, Refused) else str(found).partition(". ")[0]
        return broken(line, f"cannot be read: {words}", _QUEUE)
    return sound(
        line, f"can be read; messages waiting: {found.waiting:,}" if found.waiting else "can be read"
    )


def canary(
    aftermath: Aftermath,
    store: Store,
    mailer: CanaryMailer,
    sender: str,
    clock: Callable[[], datetime],
    patience: timedelta,
) -> Finding:
    """Mail a canary to SES's mailbox simulator and wait for what SES tells of it: the whole way, at work."""
    begun = clock()
    try:
        aftermath.mail_canary(mailer, sender)
    except SesError as error:
        return broken(
            "events",
            f"SES would not take a canary: {str(error).rstrip('.')}",
            "Mend what is red above, and allow these credentials ses:SendEmail.",
        )
    mailed = begun.replace(microsecond=begun.microsecond // 1000 * 1000)  # as finely as a store keeps moments
    while True:
        try:
            aftermath.read(wait=min(_STEP, max(1, int(patience.total_seconds()))))
        except SesError as error:
            return broken_by("events", error, _QUEUE)
        newest, now = store.newest_canary(), clock()
        if newest is not None and newest >= mailed:
            return sound("events", f"a canary's event arrived after {(now - begun).total_seconds():.1f} s")
        if now - begun >= patience:
            return lost(now - begun, newest)


def lost(waited: timedelta, newest: datetime | None) -> Finding:
    """What a canary means that has not come back; `newest` is when the last one that has was mailed."""
    last = f"; the last one that did was mailed on {newest:%Y-%m-%d %H:%M} UTC" if newest else ""
    return broken(
        "events",
        f"a canary's event has not arrived within {duration(waited.total_seconds())}{last}",
        "Follow the way: does the event destination's SNS topic have the queue of EVENTS_QUEUE_URL as a subscriber, and "
        "does the queue's policy let sns.amazonaws.com sqs:SendMessage from EVENTS_TOPIC_ARN?",
    )
