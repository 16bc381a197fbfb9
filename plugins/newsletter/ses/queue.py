"""SQS, long-polled: any queue, and the one through which SES's events come back.

Source: API reference of SQS (docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from newsletter.errors import Refused, SesError, SettingsError, Throttled
from newsletter.ses.events import Event, parse

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH = 10  # SQS gives and deletes at most ten messages a call
_LONGEST_WAIT = 20  # seconds: ReceiveMessage's WaitTimeSeconds
_TRIES = 3
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_THROTTLES = {
    "ThrottlingException",
    "Throttling",
    "RequestThrottled",
    "OverLimit",
    "TooManyRequestsException",
}
_NO_QUEUE = "There is no such queue in this account and region: compare {setting} and AWS_REGION."
_NOT_ALLOWED = "These credentials may not do that with the queue: allow them {actions} on it."
_RENEW = "AWS does not know these credentials any more: renew them and run the command again."
# What to do about an error's code, without the "AWS.SimpleQueueService." that some of them begin with.
_MEND = {
    "NonExistentQueue": _NO_QUEUE,
    "QueueDoesNotExist": _NO_QUEUE,
    "InvalidAddress": _NO_QUEUE,
    "AccessDenied": _NOT_ALLOWED,
    "AccessDeniedException": _NOT_ALLOWED,
    "KmsAccessDenied": "The queue is encrypted: allow these credentials kms:Decrypt on its key.",
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "InvalidClientTokenId": _RENEW,
    "UnrecognizedClientException": _RENEW,
    "SignatureDoesNotMatch": "Compare AWS_SECRET_ACCESS_KEY, and this machine's clock.",
    "RequestExpired": "Set this machine's clock.",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message as SQS gave it: `receipt` deletes it, `receive_count` says how often it has been given out."""

    id: str
    receipt: str
    body: str
    receive_count: int


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The queue into which SQS puts what was given out `after` times in vain: its address, and how many lie there (None:
    SQS does not tell us).
    """

    url: str
    after: int
    count: int | None


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """How a queue is set up: after how many seconds without a deletion a message comes `again`, and where those end that
    come too often (None: they do not).
    """

    waiting: int
    again: int
    dead: DeadLetters | None


class Queue:
    """One SQS queue. Region, credentials and endpoint are boto3's own settings.

    boto3 may repeat these calls as it likes: to receive or delete again harms nothing, and whoever reads a queue must be
    prepared for a message that comes twice.
    """

    # Which variable names it, and what one needs to be allowed: for messages.
    setting, actions = "", ""

    def __init__(self, queue_url: str, region: str = "") -> None:
        """Raises SettingsError for what cannot be a queue's address. Asks nobody yet."""
        if not re.fullmatch(r"https?://[^/\s]+/\S+", queue_url):
            raise SettingsError(
                f"{self.setting}: {queue_url!r} is no queue's address. Copy it from the queue's page in the AWS "
                "console: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME."
            )
        self.queue_url, self._region = queue_url, region
        self._made: SQSClient | None = None

    def put(self, bodies: Sequence[str]) -> None:
        """Put messages on the queue, ten a call. Raises SesError if some are not known to be on it; others may be."""
        for first in range(0, len(bodies), _BATCH):
            entries = {
                str(number): {"MessageBody": body}
                for number, body in enumerate(bodies[first : first + _BATCH])
            }
            self._until_done("send_message_batch", entries, "store", "Run the same command again.")

    def receive(self, wait: int, most: int = _BATCH) -> list[Message]:
        """Take up to `most` (at most ten) messages, waiting up to `wait` (at most 20) seconds for the first.

        What is not deleted comes again after the queue's visibility timeout. [] does not mean that nothing is
        left: see `backlog`. Raises SesError.
        """
        answer = self._call(
            "receive_message",
            MaxNumberOfMessages=most,
            WaitTimeSeconds=max(0, min(wait, _LONGEST_WAIT)),
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        try:
            return [
                Message(
                    id=str(one["MessageId"]),
                    receipt=str(one["ReceiptHandle"]),
                    body=str(one.get("Body", "")),
                    receive_count=int(one.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
                )
                for one in answer.get("Messages") or []
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SesError(f"SQS: an answer that is not SQS's ({type(error).__name__}: {error}).") from error

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete what has been dealt with durably. Raises SesError if some of them could not be deleted.

        What was received longer ago than the visibility timeout may come again all the same.
        """
        for first in range(0, len(messages), _BATCH):
            some = messages[first : first + _BATCH]
            entries = {str(number): {"ReceiptHandle": one.receipt} for number, one in enumerate(some)}
            self._until_done(
                "delete_message_batch",
                entries,
                "delete",
                "They will come again; reading one twice changes nothing.",
            )

    def give_back(self, message: Message, seconds: int) -> None:
        """Let a message that was received come again in so many seconds, to whomever asks then. Raises SesError."""
        self._call("change_message_visibility", ReceiptHandle=message.receipt, VisibilityTimeout=seconds)

    def backlog(self) -> tuple[int, int]:
        """How many messages wait, and how many are not to be seen now: given to a reader, or delayed.

        A reader that was killed leaves its messages in the second number until the visibility timeout is over,
        so only (0, 0) says that no event is left; and SQS may take a minute to count right. Raises SesError.
        """
        answer = self._call("get_queue_attributes", AttributeNames=list(_COUNTS))
        try:
            waiting, taken, delayed = (int(answer["Attributes"][name]) for name in _COUNTS)
        except (KeyError, TypeError, ValueError) as error:
            raise SesError(f"SQS: the queue's counts are not in its answer ({error}).") from error
        return waiting, taken + delayed

    def facts(self) -> QueueFacts:
        """How it is set up, and what lies among its dead letters: two calls. Raises SesError."""
        names = [*_COUNTS, "VisibilityTimeout", "RedrivePolicy"]
        found = self._call("get_queue_attributes", AttributeNames=names).get("Attributes", {})
        try:
            waiting = sum(int(found[name]) for name in _COUNTS)
            rule = json.loads(found.get("RedrivePolicy") or "null")
            dead = (
                self._dead_letters(rule["deadLetterTargetArn"], int(rule["maxReceiveCount"]))
                if rule
                else None
            )
            return QueueFacts(waiting, int(found["VisibilityTimeout"]), dead)
        except (KeyError, TypeError, ValueError) as error:
            raise SesError(f"SQS: an answer that is not SQS's ({type(error).__name__}: {error}).") from error

    def _dead_letters(self, arn: str, after: int) -> DeadLetters:
        """They lie in the same region and account (SQS developer guide, "dead-letter queues")."""
        account, name = arn.rsplit(":", 2)[1:]
        url = f"{self.queue_url.rsplit('/', 2)[0]}/{account}/{name}"
        try:
            waiting, hidden = Queue(url, self._region).backlog()
        except Refused:
            return DeadLetters(url, after, None)
        return DeadLetters(url, after, waiting + hidden)

    def _until_done(self, operation: str, entries: dict[str, dict[str, str]], do: str, then: str) -> None:
        """A call for several messages, again for those that SQS left undone. Raises SesError, Refused."""
        remaining, said = dict(entries), "no answer"
        for _ in range(_TRIES):
            answer = self._call(operation, Entries=[{"Id": key, **entry} for key, entry in remaining.items()])
            for each in answer.get("Successful") or []:
                remaining.pop(str(each.get("Id")), None)
            if not remaining:
                return
            for failure in answer.get("Failed") or []:
                said = f"{failure.get('Code', '')}: {failure.get('Message', '')}".strip(": ")
                if failure.get("SenderFault"):
                    raise Refused(str(failure.get("Code", "")), f"SQS would not {do} a message. {said}")
        raise SesError(
            f"SQS: {len(remaining)} of {len(entries)} messages could not be {do}d ({said}). {then}"
        )

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make a call and say in our words how it failed."""
        from botocore import exceptions as boto

        client = self._client()
        try:
            answer: dict[str, Any] = getattr(client, operation)(QueueUrl=self.queue_url, **parameters)
        except boto.ClientError as error:
            raise self._refusal(error) from error
        except (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
            boto.TokenRetrievalError,
        ) as error:
            raise Refused(
                type(error).__name__,
                f"{error}. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            ) from error
        except boto.BotoCoreError as error:
            raise SesError(
                f"SQS: no answer from {client.meta.endpoint_url} ({type(error).__name__}: {error}). Nothing is "
                "lost: run the command again when it can be reached."
            ) from error
        return answer

    def _client(self) -> SQSClient:
        if self._made is None:
            import boto3  # half a second that a command without events need not pay
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, NoRegionError

            config = Config(
                retries={"total_max_attempts": 3, "mode": "standard"},
                connect_timeout=5,
                read_timeout=_LONGEST_WAIT + 20,
                user_agent_extra="monthly-briefing",
            )
            try:
                self._made = boto3.client("sqs", region_name=self._region or None, config=config)
            except NoRegionError:
                raise SettingsError(
                    "AWS_REGION: not set. Name the region the queue is in (AWS_REGION=eu-west-1), or try everything "
                    "without AWS: newsletter local-ses -- newsletter events"
                ) from None
            except (BotoCoreError, ValueError) as error:
                raise SettingsError(f"AWS: the settings for SQS cannot be used: {error}") from error
        return self._made

    def _refusal(self, error: Any) -> SesError:
        """A ClientError in our words, with what to do about it."""
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = str(error.response.get("Error", {}).get("Message", ""))
        name = code.rpartition(".")[2]
        if name in _THROTTLES:
            return Throttled(code, message)
        if not 400 <= status < 500 or not code or code == str(status):
            return SesError(f"SQS: HTTP {status} {message}. Nothing is lost: run the command again.")
        mend = _MEND.get(name, "").format(setting=self.setting, actions=self.actions)
        return Refused(code, " ".join(filter(None, (message, mend))))


class EventQueue(Queue):
    """The SQS queue that the events arrive in."""

    setting = "EVENTS_QUEUE_URL"
    actions = "sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes"

    def __init__(self, queue_url: str, topic_arn: str, region: str = "") -> None:
        """Raises SettingsError for what cannot be a queue's address or a topic's ARN. Asks nobody yet."""
        super().__init__(queue_url, region)
        if not re.fullmatch(r"arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}", topic_arn):
            raise SettingsError(
                f"EVENTS_TOPIC_ARN: {topic_arn!r} is no topic's ARN. Copy it from the topic's page in the AWS "
                "console: arn:aws:sns:REGION:ACCOUNT:NAME."
            )
        self.topic_arn = topic_arn

    def parse(self, message: Message) -> list[Event]:
        """`parse` of its body, with this queue's topic. Raises Poison."""
        return parse(message.body, self.topic_arn)
