"""The account: whether SES answers, out of the sandbox, sending, in good standing, with quota for the audience."""

from __future__ import annotations

from newsletter.finding import Finding, broken, skipped, sound, warning
from newsletter.pace import estimate
from newsletter.ses.account import AccountFacts, Hindrance, Unread
from newsletter.ses.submit import Quota
from newsletter.show import duration
from newsletter.states import State
from newsletter.store import Counts

_WITHOUT_AWS = "or try everything without AWS: newsletter local-ses -- newsletter doctor"
_CREDENTIALS = f"Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and renew what has expired; {_WITHOUT_AWS}."
_REASONS = frozenset({"BOUNCE", "COMPLAINT"})
_QUOTAS = "AWS console, Service Quotas, Amazon SES"
_DAY = 86_400  # seconds


def unread(name: str, hindered: Unread) -> Finding:
    """What it means for one line that SES would not say."""
    if hindered.why is Hindrance.DENIED:
        return warning(
            name,
            f"cannot be looked at: these credentials are denied {hindered.action}",
            f"Allow them {hindered.action} in their IAM policy.",
        )
    if hindered.why is Hindrance.UNSUPPORTED:
        return skipped(name, f"what answers here is not SES itself and has no {hindered.action[4:]}")
    return broken(
        name,
        hindered.said,
        f"Run newsletter doctor again; if {hindered.action} keeps failing, see health.aws.amazon.com.",
    )


def reach(endpoint: str, account: AccountFacts | Unread) -> Finding:
    """Whether SES answers, and to these credentials."""
    name = "SES"
    if isinstance(account, AccountFacts):
        return sound(name, f"answers at {endpoint}")
    match account.why:
        case Hindrance.UNSUPPORTED:
            return sound(name, f"something that stands in for it answers at {endpoint}")
        case Hindrance.CREDENTIALS:
            return broken(name, account.said, _CREDENTIALS)
        case Hindrance.DENIED:
            return broken(
                name,
                "these credentials are denied ses:GetAccount, without which nobody is mailed",
                "Allow them ses:GetAccount in their IAM policy.",
            )
        case Hindrance.OUT_OF_REACH:
            return broken(
                name,
                account.said,
                "Compare AWS_REGION and AWS_ENDPOINT_URL_SESV2, and see whether this machine reaches that address.",
            )
        case _:
            return unread(name, account)


def production(quota: Quota) -> Finding:
    """In the sandbox SES mails to verified addresses alone."""
    if quota.production:
        return sound("production", "the account is out of the sandbox")
    return broken(
        "production",
        "the account is in the sandbox: SES mails to verified addresses alone",
        "Request production access: AWS console, Amazon SES, Account dashboard; AWS answers within a day or so.",
    )


def sending(quota: Quota) -> Finding:
    """Whether the account's sending is switched on."""
    if quota.enabled:
        return sound("sending", "is switched on")
    return broken(
        "sending",
        "is switched off for the whole account",
        "If you paused it: aws sesv2 put-account-sending-attributes --sending-enabled. If AWS did: answer its mail.",
    )


def reputation(account: AccountFacts) -> Finding:
    """GetAccount's EnforcementStatus."""
    name, status = "reputation", account.enforcement
    mend = "AWS console, Amazon SES, Reputation metrics: see why, mend it, and answer AWS's mail."
    match status:
        case "HEALTHY":
            return sound(name, "AWS has no complaint")
        case "SHUTDOWN":
            return broken(name, "AWS has shut down the account's sending (SHUTDOWN)", mend)
        case "PROBATION":
            return warning(name, "AWS has the account under review (PROBATION)", mend)
        case _:
            return warning(name, f"AWS says {status or 'nothing'}, which this program does not know", mend)


def audience(counts: Counts, begun: bool) -> Finding:
    """How many are still to be mailed; `begun` says that they are frozen already."""
    name, waiting = "audience", counts.of(State.PENDING)
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in counts.exclusions.items())
    words = f" (left out: {left_out})" if left_out else ""
    if begun:
        return sound(name, f"{waiting:,} of {counts.recipients:,} recipients are still to be mailed{words}")
    if waiting:
        return sound(name, f"{waiting:,} confirmed{words}")
    return warning(
        name,
        f"nobody is confirmed{words}",
        "Import those who have agreed: newsletter subscribers import FILE.csv",
    )


def today(quota: Quota, waiting: int) -> Finding:
    """Whether the quota is enough for so many recipients. It counts any 24 hours, not the day."""
    name = "quota"
    if quota.per_day < 0:
        return sound(name, "without limit")
    left = int(quota.left_today)
    words = f"{left:,} of {quota.per_day:,.0f} are left in these 24 hours"
    if left < 1:
        return broken(
            name,
            words,
            f"Wait: what was mailed a day ago no longer counts. For more, ask for a higher Sending quota: {_QUOTAS}.",
        )
    if waiting > left:
        return warning(
            name,
            f"{words}, and {waiting:,} are to be mailed: that takes {estimate(quota, waiting).days:.0f} days",
            f"Run the same newsletter send each day, or ask for a higher Sending quota first: {_QUOTAS}.",
        )
    return sound(name, words)


def rate(quota: Quota, waiting: int) -> Finding:
    """How long so many recipients take at the pace that is kept (pace.py)."""
    name, mend = "rate", f"Ask for a higher Sending rate: {_QUOTAS}."
    if quota.per_second <= 0:
        return broken(name, f"MaxSendRate is {quota.per_second:g} recipients a second", mend)
    seconds = estimate(quota, waiting).seconds
    words = f"{quota.per_second:,g} a second"
    if waiting:
        words += f": {waiting:,} take {duration(seconds)}"
    return sound(name, words) if seconds <= _DAY else warning(name, words, mend)


def suppression(account: AccountFacts, own: frozenset[str] | None) -> Finding:
    """Whether SES itself stops mailing addresses that bounced or complained; `own` is the configuration set's rule."""
    name = "suppression"
    lacking = sorted(_REASONS - (account.suppressed if own is None else own))
    if not lacking:
        return sound(name, "SES itself stops at addresses that bounced or complained")
    where = (
        "put-account-suppression-attributes" if own is None else "put-configuration-set-suppression-options"
    )
    return warning(
        name,
        f"SES itself does not stop at addresses with {' or '.join(lacking)}",
        f"aws sesv2 {where} --suppressed-reasons BOUNCE COMPLAINT",
    )
