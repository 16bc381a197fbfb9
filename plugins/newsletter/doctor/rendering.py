"""SES itself fills in the package for two made-up recipients: what comes out is what would be mailed.

A mail whose data lacks a name is accepted by SES and then not mailed (developer guide, "Using templates to send
personalized email"); filled in on trial, it is an error at once.
"""

from __future__ import annotations

import email
import email.policy
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage

from newsletter.delivery import Links
from newsletter.doctor.account import unread
from newsletter.finding import Finding, broken, sound, warning
from newsletter.models import Package
from newsletter.ses.account import A_SECOND, Account, Hindrance, Unread

_NAME = "rendering"
_SAMPLES = 2  # one could be the other's


@dataclass(frozen=True, slots=True)
class Rendering:
    """A mail as SES filled it in, and the address that was to be put in."""

    link: str
    subject: str
    html: str
    text: str


def examine(account: Account, package: Package, links: Links, practice: bool) -> Finding:
    """Have SES fill in the package for made-up recipients, and judge what comes of it."""
    samples = [links.unsubscribe(secrets.token_bytes(16)) for _ in range(_SAMPLES)]
    template = f"doctor-{package.content_hash[:32]}"
    mails = account.trial(
        template,
        package,
        [{"unsubscribe_url": link} for link in samples],
        pace=0.0 if practice else A_SECOND,
    )
    if isinstance(mails, Unread):
        return hindered(mails, template, package.month)
    return judge(package, [_read(mail, link) for mail, link in zip(mails, samples, strict=True)])


def hindered(unread_: Unread, template: str, month: str) -> Finding:
    """Why SES has not filled the package in."""
    if unread_.why is Hindrance.FAILED:
        return broken(
            _NAME,
            f"SES does not fill it in: {unread_.said}",
            f"Mend theme/templates/email/briefing/ and package it anew: newsletter briefing {month}",
        )
    if unread_.why is Hindrance.DENIED and unread_.action == "ses:CreateEmailTemplate":
        return broken(
            _NAME,
            f"these credentials are denied {unread_.action}, without which nobody is mailed",
            f"Allow them {unread_.action} in their IAM policy.",
        )
    if unread_.why is Hindrance.DENIED and unread_.action == "ses:DeleteEmailTemplate":
        return warning(
            _NAME,
            f"SES fills it in, and the template {template} stays there: {unread_.action} is denied",
            f"Allow them {unread_.action} in their IAM policy, and delete {template}.",
        )
    return unread(_NAME, unread_)


def judge(package: Package, renderings: Sequence[Rendering]) -> Finding:
    """Whether each mail has the package's subject, its own address in both halves, and no brace that was not filled."""
    again = f"Mend theme/templates/email/briefing/ and package it anew: newsletter briefing {package.month}"
    for one in renderings:
        halves = {"the HTML half": one.html, "the text half": one.text}
        if _words(one.subject) != _words(package.subject):
            return broken(
                _NAME,
                f"SES makes the subject “{one.subject}” of “{package.subject}”",
                f"Mend the subject in content/briefings/{package.month}.md: newsletter briefing {package.month}",
            )
        for half, words in {"the subject": one.subject, **halves}.items():
            if "{{" in words:
                near = _words(words[max(0, words.index("{{") - 20) :][:60])
                return broken(_NAME, f"{half} still holds {{{{ after SES has filled it in: “{near}”", again)
        for half, words in halves.items():
            if one.link not in words:
                return broken(_NAME, f"{half} lacks the recipient's own unsubscribe_url", again)
    return sound(
        _NAME, f"SES filled it in for {len(renderings)} made-up recipients, each with a link of its own"
    )


def _read(mime: str, link: str) -> Rendering:
    message = email.message_from_string(mime, _class=EmailMessage, policy=email.policy.default)
    halves = {"text/html": "", "text/plain": ""}
    for part in message.walk():
        kind = part.get_content_type()
        if not part.is_multipart() and not halves.get(kind, "x"):
            halves[kind] = str(part.get_content())
    return Rendering(link, str(message["Subject"] or ""), halves["text/html"], halves["text/plain"])


def _words(text: str) -> str:
    return " ".join(text.split())
