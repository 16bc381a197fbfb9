"""An error of the API, as SES or SQS would answer it."""

from __future__ import annotations

# The HTTP status of each error name, https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html
# and the `error` traits of botocore's model. Anything not listed is a 400.
_STATUS = {
    "NotFoundException": 404,
    "TooManyRequestsException": 429,
    "MissingAuthenticationTokenException": 403,
    "ConcurrentModificationException": 500,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}


class ApiError(Exception):
    """A call that is answered with an error: `code` is AWS's name of it, `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        self.code = code
        self.message = message
        self.status = status if status is not None else _STATUS.get(code, 400)
        super().__init__(f"{code}: {message}")


class BadRequestError(ApiError):
    """The call is malformed or breaks a limit."""

    def __init__(self, message: str) -> None:
        super().__init__("BadRequestException", message)


class NotFoundError(ApiError):
    """The call names a thing that is not there."""

    def __init__(self, message: str) -> None:
        super().__init__("NotFoundException", message)


class AlreadyExistsError(ApiError):
    """The call would make a thing that is there."""

    def __init__(self, message: str) -> None:
        super().__init__("AlreadyExistsException", message)
