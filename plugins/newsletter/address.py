"""Email addresses: which can be mailed, and when two of them are the same person's.

The address is kept as typed (its domain in ASCII); the key decides sameness. Dots and +tags are left alone:
what they mean is the business of whoever runs the mailbox.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from newsletter.errors import AddressError

_LONGEST_LOCAL = 64  # RFC 5321 section 4.5.3.1.1
# What most addresses are, short enough for any limit: a dot-atom (RFC 5322 section 3.2.3) before the @-sign, after it
# letters, digits, dots and hyphens, of which email-validator judges each combination once.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN = re.compile(rf"(?=.{{1,200}}\Z)({_ATOM}(?:\.{_ATOM})*)@([A-Za-z0-9.-]+)")
# Domains that need no email-validator: it takes these as they are, except below the names that nobody can be reached at.
_HOST = re.compile(r"(?!.*--)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+([a-z]{2,63})")
_NOWHERE = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})  # RFC 6761, RFC 6762
_DOMAINS = 100_000  # some 20 MB


class Address(NamedTuple):
    """`text` is what mail is sent to, `key` what must be unique: all of it in small letters."""

    text: str
    key: str


def parse(text: str) -> Address:
    """Check an address by RFC 5322 and by what SES can mail. Raises AddressError with the reason.

    SES has no SMTPUTF8 (AWS, SES developer guide, "Email format": the local part must be ASCII), so a local
    part with other letters is refused; a domain with them is mailed in its ASCII form (IDNA).
    """
    stripped = text.strip()
    if "=?" in stripped:
        raise AddressError(
            "An address with =? in it can be taken for something else on its way, so we do not mail it."
        )
    if plain := _PLAIN.fullmatch(stripped):
        local, typed = plain.groups()
        # A local part of letters alone may be one that email-validator puts in small letters: Postmaster (RFC 2142).
        if (
            (domain := _judged(typed))
            and len(local) <= _LONGEST_LOCAL
            and (local.islower() or not local.isalpha())
        ):
            return Address(f"{local}@{domain}", f"{local.lower()}@{domain}")
    return _parse(stripped)


@lru_cache(_DOMAINS)
def _judged(domain: str) -> str:
    """A domain as email-validator writes it, "" where it refuses it or knows another form of it in other letters."""
    if (host := _HOST.fullmatch(lower := domain.lower())) and host[1] not in _NOWHERE:
        return lower
    # Compiling its patterns takes a fifth of what a function imports cold, and an unsubscribe needs none of them.
    from email_validator import EmailNotValidError, validate_email

    try:
        valid = validate_email(f"a@{domain}", check_deliverability=False)
    except EmailNotValidError:
        return ""
    return valid.ascii_domain if valid.ascii_domain == valid.domain.lower() else ""


def _parse(stripped: str) -> Address:
    """Any address, by the book."""
    from email_validator import EmailNotValidError, validate_email

    try:
        valid = validate_email(stripped, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        if foreign := [sign for sign in stripped.rpartition("@")[0] if not sign.isascii()]:
            sign = foreign[0] if foreign[0].isprintable() else f"U+{ord(foreign[0]):04X}"
            raise AddressError(
                f"{sign} stands before the @-sign, and Amazon SES, which mails for us, can write only to plain letters "
                "there (a to z)."
            ) from None
        raise AddressError(str(error)) from None
    local, domain = valid.local_part, valid.ascii_domain
    if len(local) > _LONGEST_LOCAL:
        raise AddressError(f"The part before the @-sign is longer than {_LONGEST_LOCAL} characters.")
    # Both parts are ASCII here, so lower() is one to one; on other letters it is not ('İ' becomes two).
    return Address(f"{local}@{domain}", f"{local.lower()}@{domain.lower()}")
