"""The sender's identity in SES: verified, signed with DKIM, with a MAIL FROM domain of its own.

Gmail, Yahoo and Outlook want bulk mail signed for the domain in From; a MAIL FROM domain of one's own makes SPF
agree with it too (SES developer guide, "Using a custom MAIL FROM domain").
"""

from __future__ import annotations

from newsletter.doctor.account import unread
from newsletter.finding import Finding, broken, sound, warning
from newsletter.ses.account import Hindrance, IdentityFacts, Unread


def findings(identity: IdentityFacts | Unread) -> list[Finding]:
    """All that is said of the sender's identity."""
    if isinstance(identity, Unread):
        if identity.why is not Hindrance.ABSENT:
            return [unread("identity", identity)]
        domain = identity.said.rpartition("@")[2]
        return [
            broken(
                "identity",
                f"SES knows neither {identity.said} nor its domain, so it refuses the mail",
                f"aws sesv2 create-email-identity --email-identity {domain}, and set the CNAME records it answers "
                "with. Is AWS_REGION the right one? Each has its own identities.",
            )
        ]
    return [verified(identity), dkim(identity), mail_from(identity)]


def verified(identity: IdentityFacts) -> Finding:
    """Whether SES lets the identity mail."""
    if identity.verified:
        return sound("identity", f"{identity.name} is verified")
    how = (
        "Follow the link that AWS mailed to it."
        if "@" in identity.name
        else f"Set the CNAME records that aws sesv2 get-email-identity --email-identity {identity.name} shows."
    )
    return broken("identity", f"{identity.name} is not verified ({identity.status or 'no status'})", how)


def dkim(identity: IdentityFacts) -> Finding:
    """Whether SES signs its mails."""
    name = "DKIM"
    if identity.dkim != "SUCCESS":
        return broken(
            name,
            f"the mails of {identity.name} are not signed: its DKIM is {identity.dkim or 'not set up'}",
            "Set the three CNAME records (name._domainkey) that aws sesv2 get-email-identity --email-identity "
            f"{identity.name} shows, and wait until SES has seen them.",
        )
    if not identity.signing:
        return broken(
            name,
            f"signing is switched off for {identity.name}",
            f"aws sesv2 put-email-identity-dkim-attributes --email-identity {identity.name} --signing-enabled",
        )
    return sound(name, f"the mails of {identity.name} are signed")


def mail_from(identity: IdentityFacts) -> Finding:
    """Whether bounces go to a domain of one's own, so that SPF agrees with From."""
    name = "MAIL FROM"
    if not identity.mail_from:
        return warning(
            name,
            "is amazonses.com, so SPF does not agree with From and DMARC stands on DKIM alone",
            f"aws sesv2 put-email-identity-mail-from-attributes --email-identity {identity.name} "
            f"--mail-from-domain bounce.{identity.name.rpartition('@')[2]}, and set its MX and TXT records.",
        )
    if identity.mail_from_status == "SUCCESS":
        return sound(name, f"is {identity.mail_from}")
    words = f"{identity.mail_from} is {identity.mail_from_status or 'without a status'}"
    mend = f"Set the MX and TXT records of {identity.mail_from} that the SES console shows."
    if identity.rejects:
        return broken(name, f"{words}, and SES refuses mail until it is found", mend)
    return warning(name, f"{words}; SES uses amazonses.com in its place", mend)
