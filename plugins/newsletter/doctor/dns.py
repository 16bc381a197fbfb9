"""The DNS records that the sender's domain needs, as one types them into a provider's form or a zone file.

Sources: SES developer guide, "Managing Easy DKIM", "Using a custom MAIL FROM domain", "Complying with DMARC"; RFC 7489
(DMARC), RFC 8659 (CAA). The DKIM records lead into the zone that GetEmailIdentity names; where it names none, into the
one that all regions once had.
"""

from __future__ import annotations

from dataclasses import dataclass

from newsletter.ses.account import IdentityFacts

_ZONE = "dkim.amazonses.com"


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `name` is whole, without a dot at its end; `value` is as a zone file has it; `why` is for people."""

    name: str
    type: str
    value: str
    why: str


def records(identity: IdentityFacts, region: str, reports: str, site_host: str) -> list[Record]:
    """All records, DKIM first; only the site's for an identity that is a single address, which needs none.

    `reports` is the address that DMARC's daily reports go to, `site_host` the site's.
    """
    return [*_mail(identity, region, reports), *_site(site_host)]


def zone_line(record: Record) -> str:
    """A record as a line of a zone file (RFC 1035 section 5), its names whole."""
    value = f"{record.value}." if record.type in {"CNAME", "MX"} else record.value
    return f"{record.name}. 3600 IN {record.type} {value}"


def _mail(identity: IdentityFacts, region: str, reports: str) -> list[Record]:
    domain = identity.name
    if "@" in domain:
        return []
    mail_from = identity.mail_from or f"bounce.{domain}"
    zone = identity.zone or _ZONE
    dkim = [
        Record(f"{token}._domainkey.{domain}", "CNAME", f"{token}.{zone}", "DKIM: SES signs the mail")
        for token in identity.tokens
    ]
    return [
        *dkim,
        Record(mail_from, "MX", f"10 feedback-smtp.{region}.amazonses.com", "MAIL FROM: bounces reach SES"),
        Record(mail_from, "TXT", '"v=spf1 include:amazonses.com ~all"', "MAIL FROM: SPF agrees with From"),
        # "none" first: it lets mail be judged as before, and reports show who else mails in this name.
        Record(
            f"_dmarc.{domain}",
            "TXT",
            f'"v=DMARC1; p=none; rua=mailto:{reports}"',
            "DMARC: what Gmail asks for",
        ),
    ]


def _site(host: str) -> list[Record]:
    # Without any CAA record every authority may make certificates; with one, AWS's must be among them.
    return [Record(host, "CAA", '0 issue "amazon.com"', "the site's certificate, if you have CAA records")]
