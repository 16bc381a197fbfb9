"""Mail out through SES v2, by boto3: a stored template, then SendBulkEmail for up to fifty at a time.

One call is one POST. boto3's own retries would mail the same fifty again when an answer is lost (its default
makes three POSTs), and SES has no key to tell a repetition from a new mail; so the client makes one attempt,
and whoever calls decides what an answer means:

    an error of SES's own, or no connection      -> Refused (nothing was accepted)
    anything after the request may have arrived  -> Ambiguous
    an answer                                    -> one EntryResult for each entry

Sources: API reference of SendBulkEmail, CreateEmailTemplate and GetAccount (docs.aws.amazon.com/ses/latest/
APIReference-V2); boto3 guide, "Retries".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from newsletter.errors import Ambiguous, Refused, SesError, SettingsError, Throttled
from newsletter.models import Package

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

# The place of an SES that delivers nothing: what was submitted to it is practice.
PRACTICE = "this machine"
# Recipients per second where an endpoint does not say: what a new account commonly has.
_MODEST_RATE = 14.0
# SendBulkEmail takes at most 50 destinations a call, and no more than the account's sending rate.
LARGEST_BATCH = 50
_SIMULATOR = "success@simulator.amazonses.com"
# What whoever finds such a template in the console reads.
_TURN = (
    "A mark of the newsletter's sender, never mailed. Without it, an old copy of its ledger could mail again."
)
_CREDENTIALS = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
_MEND = {
    "NoCredentialsError": _CREDENTIALS,
    "PartialCredentialsError": _CREDENTIALS,
    "EndpointConnectionError": "Is AWS_ENDPOINT_URL_SESV2 right, and is something answering there?",
}
_LONGEST_MESSAGE = 300
# Not SES's own words but a proxy's: the request may have gone through.
_TIMEOUTS = {408, 499}
_THROTTLES = {"TooManyRequestsException", "ThrottlingException", "Throttling", "LimitExceededException"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One recipient of a call: where to, what fills the placeholders, the headers and tags of its own."""

    to: str
    data: Mapping[str, str]
    headers: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EntryResult:
    """SES's word on one entry: its status ("SUCCESS" is the good one), the message id or the error."""

    status: str
    message_id: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """What the account may do: recipients per second and per 24 hours (-1 is without limit), used of those."""

    per_second: float
    per_day: float
    used: float
    enabled: bool
    production: bool

    @property
    def batch(self) -> int:
        """The largest call the account can take."""
        return max(1, min(LARGEST_BATCH, int(self.per_second)))

    @property
    def left_today(self) -> float:
        """How many recipients may still be mailed in these 24 hours."""
        return float("inf") if self.per_day < 0 else max(0.0, self.per_day - self.used)


class Ses:
    """The operations the sender needs. Region, credentials and endpoint are boto3's own settings."""

    connect_seconds = 5.0
    # Long: whoever gives up early knows nothing, and fifty recipients are in doubt.
    read_seconds = 60.0

    def __init__(self, configuration_set: str = "", region: str = "") -> None:
        """`configuration_set` is whose events are wanted, `region` AWS's, "" where boto3 is to find it.

        Raises SettingsError where boto3 has no region, or settings that cannot be.
        """
        import boto3  # half a second that a command without mail need not pay
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, NoRegionError

        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=self.connect_seconds,
            read_timeout=self.read_seconds,
            user_agent_extra="monthly-briefing",
        )
        try:
            self._client: SESV2Client = boto3.client("sesv2", region_name=region or None, config=config)
        except NoRegionError:
            raise SettingsError(
                "AWS_REGION: not set. Name the region SES is used in (AWS_REGION=eu-west-1), or try everything "
                "without AWS: newsletter local-ses -- newsletter send YYYY-MM"
            ) from None
        except (BotoCoreError, ValueError) as error:
            raise SettingsError(f"AWS: the settings for SES cannot be used: {error}") from error
        _spare_the_entries(self._client)
        self._configuration_set = configuration_set

    @property
    def endpoint(self) -> str:
        """The address the mails go to, for people to see."""
        return str(self._client.meta.endpoint_url)

    @property
    def place(self) -> str:
        """Which SES that is, for the ledger: "this machine" for any on a loopback address, else its host."""
        host = urlsplit(self.endpoint).hostname or ""
        return PRACTICE if host in {"localhost", "127.0.0.1", "::1"} else host

    def quota(self) -> Quota:
        """Ask GetAccount. Raises SesError.

        An endpoint that stands in for SES and does not know the operation is taken to be as slow as a new account.
        """
        try:
            answer = self._call(self._client.get_account)
        except SesError as error:
            if not _is_unknown(error):
                raise
            answer = {"SendQuota": {"MaxSendRate": _MODEST_RATE, "Max24HourSend": -1}}
        quota = answer.get("SendQuota", {})
        return Quota(
            per_second=float(quota.get("MaxSendRate", 1.0)),
            per_day=float(quota.get("Max24HourSend", 200.0)),
            used=float(quota.get("SentLast24Hours", 0.0)),
            enabled=bool(answer.get("SendingEnabled", True)),
            production=bool(answer.get("ProductionAccessEnabled", True)),
        )

    def store_template(self, name: str, package: Package) -> None:
        """Store what is mailed under `name`; a template of that name with other content is a SesError."""
        content = {"Subject": package.subject, "Html": package.html, "Text": package.text}
        try:
            self._call(self._client.create_email_template, TemplateName=name, TemplateContent=content)
        except Refused as refusal:
            if refusal.code != "AlreadyExistsException":
                raise
            if not self._is_stored(name, content):
                raise SesError(
                    f"The template {name} is in SES with other content than this briefing's. "
                    "Delete it there if nothing is being sent with it."
                ) from None

    def _is_stored(self, name: str, content: Mapping[str, str]) -> bool:
        """Whether the template of that name has this content. Where that cannot be asked, its name says it: it is
        made of the content's hash.
        """
        try:
            stored = self._call(self._client.get_email_template, TemplateName=name).get("TemplateContent", {})
        except SesError as error:
            if not _is_unknown(error):
                raise
            return True
        return all(_lines(stored.get(part, "")) == _lines(text) for part, text in content.items())

    def create_turn(self, name: str, owner: str) -> str | None:
        """Make the template `name` with `owner` in it unless it is there; the owner that it has then (turn.py).

        None where an endpoint that stands in for SES does not know the operations. May be called again without
        harm. Raises Refused (Throttled), or Ambiguous when nobody can tell.
        """
        content = {"Subject": owner, "Text": _TURN}
        try:
            self._call(self._client.create_email_template, TemplateName=name, TemplateContent=content)
            return owner
        except SesError as error:
            if _is_unknown(error):
                return None
            if isinstance(error, Refused) and error.code != "AlreadyExistsException":
                raise
            refusal = error
        # It is there, or the answer was lost: what it holds tells whose it is.
        try:
            stored = self._call(self._client.get_email_template, TemplateName=name)
        except SesError as error:
            if isinstance(refusal, Ambiguous):
                raise refusal from error
            if _is_unknown(error):
                return None
            raise
        holder = stored.get("TemplateContent", {}).get("Subject")
        if not isinstance(holder, str) or not holder:
            raise Ambiguous(f"SES did not say what the template {name} holds.")
        return holder

    def turn_holder(self, name: str) -> str:
        """The owner in the template `name`, "" where there is none, or where an endpoint that stands in for SES does
        not know the operation. Changes nothing. Raises SesError.
        """
        try:
            stored = self._call(self._client.get_email_template, TemplateName=name)
        except SesError as error:
            if _is_unknown(error) or (isinstance(error, Refused) and error.code == "NotFoundException"):
                return ""
            raise
        return str(stored.get("TemplateContent", {}).get("Subject") or name)

    def submit(
        self, template: str, package: Package, entries: Sequence[Entry], tags: Mapping[str, str]
    ) -> list[EntryResult]:
        """Ask SES, once, to mail `template` to each entry. One result for each entry, in their order.

        Raises Refused (Throttled) when nothing was accepted, Ambiguous when that cannot be known.
        """
        defaults = dict.fromkeys(package.placeholders, "")
        request: dict[str, Any] = {
            "FromEmailAddress": package.sender,
            "ReplyToAddresses": [package.reply_to],
            "DefaultEmailTags": _pairs(tags),
            "DefaultContent": {
                "Template": {
                    "TemplateName": template,
                    "TemplateData": json.dumps(defaults),
                    "Headers": _pairs(package.headers),
                }
            },
            "BulkEmailEntries": [
                {
                    "Destination": {"ToAddresses": [entry.to]},
                    "ReplacementTags": _pairs(entry.tags),
                    "ReplacementEmailContent": {
                        "ReplacementTemplate": {"ReplacementTemplateData": json.dumps(dict(entry.data))}
                    },
                    "ReplacementHeaders": _pairs(entry.headers),
                }
                for entry in entries
            ],
        }
        if self._configuration_set:
            request["ConfigurationSetName"] = self._configuration_set
        answer = self._call(self._client.send_bulk_email, **request)
        # A broken body with status 200 raises nothing in botocore: it comes out as no results.
        results = answer.get("BulkEmailEntryResults")
        if not isinstance(results, list) or len(results) != len(entries):
            count = len(results) if isinstance(results, list) else "no"
            raise Ambiguous(f"SES answered with {count} results for {len(entries)} mails.")
        return [_entry_result(result) for result in results]

    def canary(self, sender: str, tags: Mapping[str, str]) -> None:
        """Mail one line to SES's own mailbox simulator (AWS, "Using the mailbox simulator"). Raises SesError."""
        request: dict[str, Any] = {
            "FromEmailAddress": sender,
            "Destination": {"ToAddresses": [_SIMULATOR]},
            "Content": {"Simple": {"Subject": {"Data": "canary"}, "Body": {"Text": {"Data": "canary"}}}},
            "EmailTags": _pairs(tags),
        }
        if self._configuration_set:
            request["ConfigurationSetName"] = self._configuration_set
        self._call(self._client.send_email, **request)

    @staticmethod
    def _call(operation: Any, **parameters: Any) -> dict[str, Any]:
        """Make a call and say in our words how it failed."""
        from botocore import exceptions as boto

        try:
            answer: dict[str, Any] = operation(**parameters)
        except boto.ClientError as error:
            raise _refusal(error) from error
        except (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
            boto.TokenRetrievalError,
            boto.EndpointConnectionError,
            boto.ConnectTimeoutError,
            boto.ProxyConnectionError,
            boto.ParamValidationError,
        ) as error:
            raise Refused(
                type(error).__name__, f"{error} {_MEND.get(type(error).__name__, '')}".strip()
            ) from error
        except Exception as error:
            # A lost answer, or one so odd that botocore itself trips over it: it may have been accepted all the same.
            raise Ambiguous(f"{type(error).__name__}: {str(error)[:_LONGEST_MESSAGE]}") from error
        if not isinstance(answer, dict):
            raise Ambiguous("SES answered with something that is no answer of its own.")
        return answer


def _spare_the_entries(client: SESV2Client) -> None:
    """Let the entries of SendBulkEmail pass botocore's model of the API by; the rest of the request goes through it.

    botocore takes each entry apart, checks it and puts the same together again, and that takes twice the time of all
    the rest of the call, its signature included. Whatever is wrong with an entry, SES says.
    """

    def put_aside(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["entries"], params["BulkEmailEntries"] = params["BulkEmailEntries"], []

    def put_back(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        body = json.loads(params["body"]) | {"BulkEmailEntries": context["entries"]}
        params["body"] = json.dumps(body, separators=(",", ":")).encode()

    client.meta.events.register("before-parameter-build.sesv2.SendBulkEmail", put_aside)
    client.meta.events.register("before-call.sesv2.SendBulkEmail", put_back)


def _refusal(error: Any) -> SesError:
    """A ClientError in our words: only an error that SES itself put into words says that nothing was accepted."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status in _TIMEOUTS:
        return Ambiguous(f"HTTP {status}: somebody on the way gave up waiting.")
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:_LONGEST_MESSAGE]
    # botocore gives an answer without an error name the bare status as its code: not SES's own words.
    if not 400 <= status < 500 or not code or code == str(status):
        return Ambiguous(f"HTTP {status} {code}: {message}".strip())
    return (Throttled if code in _THROTTLES else Refused)(code, message)


def _is_unknown(error: SesError) -> bool:
    """Whether an endpoint said that it has no such operation; AWS has them all."""
    return (isinstance(error, Refused) and error.code == "UnknownOperationException") or "HTTP 404" in str(
        error
    )


def _lines(text: str) -> list[str]:
    return text.splitlines()  # how lines end is not content


def _entry_result(result: Any) -> EntryResult:
    """One entry's answer, if it is of SES's form. Raises Ambiguous."""
    words = (
        [result.get(name) or "" for name in ("Status", "MessageId", "Error")]
        if isinstance(result, dict)
        else [None]
    )
    if not all(isinstance(word, str) for word in words):
        raise Ambiguous("SES answered with something that is no result of its own.")
    return EntryResult(*words)


def _pairs(mapping: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in mapping.items()]
