"""What SES says of an account, its identities and its configuration sets: reads that change nothing, and one trial
rendering of a template.

Whatever cannot be read comes back as `Unread`, with the reason: credentials that may not ask one thing may ask the
others. Sources: API reference v2 of GetAccount, GetEmailIdentity, GetConfigurationSet,
GetConfigurationSetEventDestinations, TestRenderEmailTemplate and TrackingConfigurationOverrides (docs.aws.amazon.com/
ses/latest/APIReference-V2), which also says that some of them may be asked once a second.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parseaddr
from enum import StrEnum
from typing import Any, TypeVar

from newsletter.errors import Refused, SesError, Throttled
from newsletter.models import Package
from newsletter.ses import submit
from newsletter.ses.submit import Quota, Ses

# AWS lets some operations be asked once a second.
A_SECOND = 1.1
_TRIES = 4
_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "ExpiredToken",
    "ExpiredTokenException",
}
_OUT_OF_REACH = {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"}
_DENIED = {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized"}


class Hindrance(StrEnum):
    """Why something could not be read."""

    ABSENT = "absent"  # SES has nothing of that name
    DENIED = "denied"  # these credentials may not ask
    UNSUPPORTED = "unsupported"  # an endpoint that stands in for SES and lacks the operation
    CREDENTIALS = "credentials"
    OUT_OF_REACH = "out of reach"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read: by which action, as IAM names it ("ses:GetAccount"), why, and SES's own words."""

    action: str
    why: Hindrance
    said: str


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """GetAccount: `enforcement` is "HEALTHY", "PROBATION" or "SHUTDOWN", `suppressed` the reasons for which SES itself
    stops mailing an address, `engagement` whether opens and clicks are tracked unless a configuration set says no.
    """

    quota: Quota
    enforcement: str
    suppressed: frozenset[str]
    engagement: bool = False


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """GetEmailIdentity. `dkim` and `mail_from_status` are SES's words ("SUCCESS"), "" where it says nothing;
    `rejects` says that SES refuses the mail where the MAIL FROM domain fails, and does not fall back to its own.
    `tokens` name the three DKIM records, which lead into `zone` ("dkim.amazonses.com").
    """

    name: str
    verified: bool
    status: str
    dkim: str
    signing: bool
    mail_from: str = ""
    mail_from_status: str = ""
    rejects: bool = False
    tokens: tuple[str, ...] = ()
    zone: str = ""


@dataclass(frozen=True, slots=True)
class SetFacts:
    """GetConfigurationSet. `suppressed` and `engagement` are None where the account's own hold."""

    name: str
    sending: bool
    suppressed: frozenset[str] | None = None
    engagement: bool | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a configuration set's events go: which `types`, and to which SNS `topic` ("" if to anything else)."""

    name: str
    enabled: bool
    types: frozenset[str]
    topic: str


_T = TypeVar("_T")


class Account(Ses):
    """The operations an examination needs; what was asked too fast is asked again after a pause."""

    def __init__(
        self, configuration_set: str = "", region: str = "", pause: Callable[[float], None] = time.sleep
    ) -> None:
        """As Ses; `pause` waits seconds."""
        super().__init__(configuration_set, region)
        self._pause = pause

    @property
    def region(self) -> str:
        """The region that SES is used in, such as eu-west-1."""
        return str(self._client.meta.region_name)

    def facts(self) -> AccountFacts | Unread:
        """GetAccount."""
        return self._read("GetAccount", lambda: _account(self._call(self._client.get_account)))

    def identity(self, sender: str) -> IdentityFacts | Unread:
        """The identity that lets `sender` (a mailbox) mail: its address, its domain or one above it.

        What is set for an address goes before what is set for its domain, and what is not set for it it has from
        there (SES developer guide, "Creating and verifying identities"). A policy may name identities: denied for
        one name and allowed for another, the other one counts.
        """
        address = parseaddr(sender)[1].lower()
        labels = address.rpartition("@")[2].split(".")
        found: list[IdentityFacts] = []
        hindered: list[Unread] = []
        for name in [address, *(".".join(labels[start:]) for start in range(len(labels) - 1))]:
            one = self._identity(name)
            if isinstance(one, IdentityFacts):
                found.append(one)
                if one.verified and name != address:
                    break
            elif one.why is not Hindrance.ABSENT:
                hindered.append(one)
                if one.why is not Hindrance.DENIED:
                    break
        if found:
            return _with_inherited(found)
        return hindered[0] if hindered else Unread("ses:GetEmailIdentity", Hindrance.ABSENT, address)

    def configuration_set(self, name: str) -> SetFacts | Unread:
        """GetConfigurationSet."""
        return self._read(
            "GetConfigurationSet",
            lambda: _set(self._call(self._client.get_configuration_set, ConfigurationSetName=name)),
        )

    def destinations(self, name: str) -> tuple[Destination, ...] | Unread:
        """GetConfigurationSetEventDestinations."""
        ask = self._client.get_configuration_set_event_destinations
        return self._read(
            "GetConfigurationSetEventDestinations",
            lambda: _destinations(self._call(ask, ConfigurationSetName=name)),
        )

    def trial(
        self, name: str, package: Package, samples: Sequence[Mapping[str, str]], pace: float = A_SECOND
    ) -> list[str] | Unread:
        """Store the package as the template `name`, let SES fill it in with each sample, and delete it again.

        Returns the MIME messages. `pace` is how many seconds lie between two of them.
        """
        stored = self._read("CreateEmailTemplate", lambda: self.store_template(name, package))
        if isinstance(stored, Unread):
            return stored
        filled: list[str] = []
        hindered: Unread | None = None
        for number, sample in enumerate(samples):
            if number:
                self._pause(pace)
            one = self._filled(name, sample)
            if isinstance(one, Unread):
                hindered = one
                break
            filled.append(one)
        deleted = self._read(
            "DeleteEmailTemplate",
            lambda: self._call(self._client.delete_email_template, TemplateName=name),
        )
        # Absent: another examination of the same package was quicker.
        if isinstance(deleted, Unread) and deleted.why is not Hindrance.ABSENT:
            hindered = hindered or deleted
        return hindered or filled

    def _filled(self, name: str, sample: Mapping[str, str]) -> str | Unread:
        ask, data = self._client.test_render_email_template, json.dumps(dict(sample))
        return self._read(
            "TestRenderEmailTemplate",
            lambda: str(self._call(ask, TemplateName=name, TemplateData=data).get("RenderedTemplate") or ""),
        )

    def _identity(self, name: str) -> IdentityFacts | Unread:
        ask = self._client.get_email_identity
        return self._read("GetEmailIdentity", lambda: _identity(name, self._call(ask, EmailIdentity=name)))

    def _read(self, action: str, ask: Callable[[], _T]) -> _T | Unread:
        for _ in range(_TRIES):
            try:
                return ask()
            except Throttled as refusal:
                hindered = Unread(f"ses:{action}", Hindrance.FAILED, str(refusal))
                self._pause(A_SECOND)
            except SesError as error:
                return Unread(f"ses:{action}", _hindrance(error), _said(error))
        return hindered


def _hindrance(error: SesError) -> Hindrance:
    if submit._is_unknown(error):
        return Hindrance.UNSUPPORTED
    if not isinstance(error, Refused):
        return Hindrance.FAILED
    for codes, why in (
        ({"NotFoundException"}, Hindrance.ABSENT),
        (_CREDENTIALS, Hindrance.CREDENTIALS),
        (_OUT_OF_REACH, Hindrance.OUT_OF_REACH),
        (_DENIED, Hindrance.DENIED),
    ):
        if error.code in codes:
            return why
    return Hindrance.FAILED


def _said(error: SesError) -> str:
    """SES's words without what the sender says to mend it: a finding has its own."""
    if not isinstance(error, Refused):
        return str(error).rstrip(".")
    words = error.message.removesuffix(submit._MEND.get(error.code, "")).strip(" .")
    return words if error.code.endswith("Error") else f"{error.code}: {words}".rstrip(": ")


def _account(answer: Mapping[str, Any]) -> AccountFacts:
    quota = answer.get("SendQuota") or {}
    dashboard = (answer.get("VdmAttributes") or {}).get("DashboardAttributes") or {}
    return AccountFacts(
        quota=Quota(
            per_second=float(quota.get("MaxSendRate", 0)),
            per_day=float(quota.get("Max24HourSend", 0)),
            used=float(quota.get("SentLast24Hours", 0)),
            enabled=bool(answer.get("SendingEnabled", False)),
            production=bool(answer.get("ProductionAccessEnabled", False)),
        ),
        enforcement=str(answer.get("EnforcementStatus") or ""),
        suppressed=frozenset((answer.get("SuppressionAttributes") or {}).get("SuppressedReasons") or ()),
        engagement=dashboard.get("EngagementMetrics") == "ENABLED",
    )


def _identity(name: str, answer: Mapping[str, Any]) -> IdentityFacts:
    dkim, mail_from = answer.get("DkimAttributes") or {}, answer.get("MailFromAttributes") or {}
    return IdentityFacts(
        name=name,
        verified=bool(answer.get("VerifiedForSendingStatus", False)),
        status=str(answer.get("VerificationStatus") or ""),
        dkim=str(dkim.get("Status") or ""),
        signing=bool(dkim.get("SigningEnabled", False)),
        mail_from=str(mail_from.get("MailFromDomain") or ""),
        mail_from_status=str(mail_from.get("MailFromDomainStatus") or ""),
        rejects=mail_from.get("BehaviorOnMxFailure") == "REJECT_MESSAGE",
        tokens=tuple(map(str, dkim.get("Tokens") or ())),
        zone=str(dkim.get("SigningHostedZone") or ""),
    )


def _with_inherited(found: Sequence[IdentityFacts]) -> IdentityFacts:
    """The first verified one (else the first), with the DKIM and MAIL FROM of the one above where it has none."""
    own = next((one for one in found if one.verified), found[0])
    above = found[-1]
    if own.dkim in {"", "NOT_STARTED"}:
        own = replace(own, dkim=above.dkim, signing=above.signing)
    if not own.mail_from:
        own = replace(
            own,
            mail_from=above.mail_from,
            mail_from_status=above.mail_from_status,
            rejects=above.rejects,
        )
    return own


def _set(answer: Mapping[str, Any]) -> SetFacts:
    suppression = answer.get("SuppressionOptions") or {}
    engagement = ((answer.get("VdmOptions") or {}).get("DashboardOptions") or {}).get("EngagementMetrics")
    reasons = suppression.get("SuppressedReasons")
    return SetFacts(
        name=str(answer.get("ConfigurationSetName") or ""),
        sending=bool((answer.get("SendingOptions") or {}).get("SendingEnabled", True)),
        suppressed=None if reasons is None else frozenset(reasons),
        engagement=None if engagement is None else engagement == "ENABLED",
    )


def _destinations(answer: Mapping[str, Any]) -> tuple[Destination, ...]:
    return tuple(
        Destination(
            name=str(one.get("Name") or ""),
            enabled=bool(one.get("Enabled", False)),
            types=frozenset(one.get("MatchingEventTypes") or ()),
            topic=str((one.get("SnsDestination") or {}).get("TopicArn") or ""),
        )
        for one in answer.get("EventDestinations") or ()
    )
