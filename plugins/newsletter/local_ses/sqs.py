"""The SQS operations that readers of events and workers need, in the JSON protocol that boto3 speaks.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from newsletter.local_ses.api_error import ApiError
from newsletter.local_ses.config import ACCOUNT_ID
from newsletter.local_ses.queue import Message, Queues
from newsletter.local_ses.shapes import check, service
from newsletter.local_ses.state import queue_arn

Params = Mapping[str, Any]
MAX_BODY = 1024 * 1024  # API_SendMessage: 1 MiB

# SQS was a "query" service; botocore still translates these names from a header (awsQueryCompatible).
QUERY_ERRORS = {
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    "EmptyBatchRequest": "AWS.SimpleQueueService.EmptyBatchRequest",
    "TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    "BatchEntryIdsNotDistinct": "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
    "MessageNotInflight": "AWS.SimpleQueueService.MessageNotInflight",
    "UnsupportedOperation": "AWS.SimpleQueueService.UnsupportedOperation",
}


class Sqs:
    """Answers every SQS operation but ReceiveMessage's waiting, which the server does."""

    def __init__(self, queues: Queues, region: str) -> None:
        self._queues, self._region = queues, region

    def perform(self, operation: str, params: Params, url: str) -> dict[str, Any]:
        """Do a call; `url` is the server's own address, from which queue addresses are made.

        Raises ApiError.
        """
        if operation not in service("sqs").operation_names:
            raise ApiError("UnsupportedOperation", f"SQS has no operation {operation}.")
        shape = service("sqs").operation_model(operation).input_shape
        if shape is not None:
            try:
                check(shape, dict(params))
            except ApiError as error:
                code = "MissingParameter" if "must not be null" in error.message else "InvalidParameterValue"
                raise ApiError(code, error.message) from None
        match operation:
            case "CreateQueue":
                self._queues.create(params["QueueName"], params.get("Attributes") or {})
                return {"QueueUrl": queue_url(url, params["QueueName"])}
            case "GetQueueUrl":
                self._queues.attributes(params["QueueName"])
                return {"QueueUrl": queue_url(url, params["QueueName"])}
            case "ListQueues":
                names = self._queues.names(params.get("QueueNamePrefix") or "")
                return {"QueueUrls": [queue_url(url, name) for name in names]}
        name = queue_name(params)
        match operation:
            case "GetQueueAttributes":
                return self._attributes(name, params)
            case "SendMessage":
                return self._send(name, params)
            case "SendMessageBatch":
                return self._batch(params["Entries"], lambda entry: self._send(name, entry))
            case "ReceiveMessage":
                return self._receive(name, params)
            case "DeleteMessage":
                self._queues.delete(name, params["ReceiptHandle"])
                return {}
            case "DeleteMessageBatch":

                def delete(entry: Params) -> dict[str, Any]:
                    self._queues.delete(name, entry["ReceiptHandle"])
                    return {}

                return self._batch(params["Entries"], delete)
            case "ChangeMessageVisibility":
                seconds = params["VisibilityTimeout"]
                _between("VisibilityTimeout", seconds, 0, 43_200)
                self._queues.change_visibility(name, params["ReceiptHandle"], seconds)
                return {}
            case "PurgeQueue":
                self._queues.purge(name)
                return {}
        raise ApiError("UnsupportedOperation", f"{operation} is not implemented in the local SES.")

    def _attributes(self, name: str, params: Params) -> dict[str, Any]:
        asked = params.get("AttributeNames") or []
        known = self._queues.attributes(name) | {"QueueArn": queue_arn(name, self._region)}
        return {"Attributes": {key: value for key, value in known.items() if "All" in asked or key in asked}}

    def _send(self, name: str, params: Params) -> dict[str, Any]:
        body = params["MessageBody"]
        if not body:
            raise ApiError("InvalidParameterValue", "The request must contain the parameter MessageBody.")
        if len(body.encode("utf-8", "replace")) > MAX_BODY:
            raise ApiError(
                "InvalidParameterValue",
                f"One or more parameters are invalid. Reason: Message must be shorter than {MAX_BODY} bytes.",
            )
        if params.get("MessageAttributes"):
            raise ApiError("UnsupportedOperation", "Message attributes are not implemented in the local SES.")
        delay = params.get("DelaySeconds") or 0
        _between("DelaySeconds", delay, 0, 900)
        return {"MessageId": self._queues.send(name, body, delay), "MD5OfMessageBody": _md5(body)}

    def _receive(self, name: str, params: Params) -> dict[str, Any]:
        most = params.get("MaxNumberOfMessages")
        _between("MaxNumberOfMessages", 1 if most is None else most, 1, 10)
        _between("WaitTimeSeconds", params.get("WaitTimeSeconds") or 0, 0, 20)
        visibility = params.get("VisibilityTimeout")
        _between("VisibilityTimeout", visibility or 0, 0, 43_200)
        asked = [*(params.get("AttributeNames") or []), *(params.get("MessageSystemAttributeNames") or [])]
        found = self._queues.receive(name, most or 1, visibility)
        return {"Messages": [_shown(message, asked) for message in found]} if found else {}

    def _batch(self, entries: list[Params], do: Callable[[Params], dict[str, Any]]) -> dict[str, Any]:
        """Do each entry of a batch by itself, as SQS does."""
        if not entries:
            raise ApiError("EmptyBatchRequest", "There should be at least one entry in the request.")
        if len(entries) > 10:
            raise ApiError("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10.")
        if len({entry["Id"] for entry in entries}) < len(entries):
            raise ApiError("BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.")
        done, failed = [], []
        for entry in entries:
            try:
                done.append({"Id": entry["Id"], **do(entry)})
            except ApiError as error:
                failed.append(
                    {"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message}
                )
        return {"Successful": done, "Failed": failed}


def queue_url(url: str, name: str) -> str:
    """Return a queue's address below the server's address."""
    return f"{url}/{ACCOUNT_ID}/{name}"


def queue_name(params: Params) -> str:
    """Return the queue's name from a call's QueueUrl. Its host does not count."""
    return urlsplit(str(params.get("QueueUrl", ""))).path.rpartition("/")[2]


def _shown(message: Message, asked: list[str]) -> dict[str, Any]:
    system = {
        "SentTimestamp": str(int(message.sent * 1000)),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(int(message.first_received * 1000)),
        "SenderId": "local-ses",
    }
    shown = {key: value for key, value in system.items() if "All" in asked or key in asked}
    answer: dict[str, Any] = {
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": _md5(message.body),
        "Body": message.body,
    }
    return answer | ({"Attributes": shown} if shown else {})


def _between(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ApiError(
            "InvalidParameterValue",
            f"Value {value} for parameter {name} is invalid. "
            f"Reason: Must be between {low} and {high}, if provided.",
        )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
