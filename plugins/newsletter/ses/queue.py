"""The SQS queue through which SES's events come back, long-polled.

Source: API reference of SQS (docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference).
"""

from __future__ import annotations

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
_DELETE_TRIES = 3
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
_NO_QUEUE = "There is no such queue in this account and region: compare EVENTS_QUEUE_URL and AWS_REGION."
_NOT_ALLOWED = (
    "These credentials may not read the queue: allow them sqs:ReceiveMessage, sqs:DeleteMessage and "
    "sqs:GetQueueAttributes on it."
)
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


class EventQueue:
    """The SQS queue that the events arrive in. Region, credentials and endpoint are boto3's own settings.

    boto3 may repeat these calls as it likes: to receive again or to delete again harms nothing.
    """

    def __init__(self, queue_url: str, topic_arn: str, region: str = "") -> None:
        """Raises SettingsError for what cannot be a queue's address or a topic's ARN. Asks nobody yet."""
        if not re.fullmatch(r"https?://[^/\s]+/\S+", queue_url):
            raise SettingsError(
                f"EVENTS_QUEUE_URL: {queue_url!r} is no queue's address. Copy it from the queue's page in the AWS "
                "console: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME."
            )
        if not re.fullmatch(r"arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}", topic_arn):
            raise SettingsError(
                f"EVENTS_TOPIC_ARN: {topic_arn!r} is no topic's ARN. Copy it from the topic's page in the AWS "
                "console: arn:aws:sns:REGION:ACCOUNT:NAME."
            )
        self.queue_url, self.topic_arn, self._region = queue_url, topic_arn, region
        self._made: SQSClient | None = None

    def receive(self, wait: int) -> list[Message]:
        """Take up to ten messages, waiting up to `wait` (at most 20) seconds for the first.

        What is not deleted comes again after the queue's visibility timeout. [] does not mean that nothing is
        left: see `backlog`. Raises SesError.
        """
        answer = self._call(
            "receive_message",
            MaxNumberOfMessages=_BATCH,
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

    def parse(self, message: Message) -> list[Event]:
        """`parse` of its body, with this queue's topic. Raises Poison."""
        return parse(message.body, self.topic_arn)

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete what has been dealt with durably. Raises SesError if some of them could not be deleted.

        What was received longer ago than the visibility timeout may come again all the same.
        """
        left = [messages[first : first + _BATCH] for first in range(0, len(messages), _BATCH)]
        for batch in left:
            self._delete(batch)

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

    def _delete(self, batch: Sequence[Message]) -> None:
        remaining = {str(number): message for number, message in enumerate(batch)}
        said = "no answer"
        for _ in range(_DELETE_TRIES):
            answer = self._call(
                "delete_message_batch",
                Entries=[{"Id": key, "ReceiptHandle": one.receipt} for key, one in remaining.items()],
            )
            for done in answer.get("Successful") or []:
                remaining.pop(str(done.get("Id")), None)
            if not remaining:
                return
            for failure in answer.get("Failed") or []:
                said = f"{failure.get('Code', '')}: {failure.get('Message', '')}".strip(": ")
                if failure.get("SenderFault"):
                    raise Refused(str(failure.get("Code", "")), f"SQS would not delete a message. {said}")
        raise SesError(
            f"SQS: {len(remaining)} of {len(batch)} messages could not be deleted ({said}). They will come again; "
            "reading an event twice changes nothing."
        )

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make a call and say in our words how it failed."""
        from botocore import exceptions as boto

        client = self._client()
        try:
            answer: dict[str, Any] = getattr(client, operation)(QueueUrl=self.queue_url, **parameters)
        except boto.ClientError as error:
            raise _refusal(error) from error
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


def _refusal(error: Any) -> SesError:
    """A ClientError in our words, with what to do about it."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = str(error.response.get("Error", {}).get("Message", ""))
    name = code.rpartition(".")[2]
    if name in _THROTTLES:
        return Throttled(code, message)
    if not 400 <= status < 500 or not code or code == str(status):
        return SesError(f"SQS: HTTP {status} {message}. Nothing is lost: run the command again.")
    return Refused(code, " ".join(filter(None, (message, _MEND.get(name, "")))))
