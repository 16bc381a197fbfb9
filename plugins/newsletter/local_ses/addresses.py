"""Email addresses as SES reads them in a request: `local@domain` or `Name <local@domain>`.

The sentences are those of JavaMail's InternetAddress, which SES shows to its callers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMED = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^<>"]*))\s*<(?P<address>[^<>]*)>\s*', re.DOTALL
)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SPECIAL = set('()<>,;:\\"[]@')


class BadAddressError(ValueError):
    """SES would refuse the address; `str()` is the reason."""


@dataclass(frozen=True, slots=True)
class MailAddress:
    """An address as given: `shown` for the header, `local` and `domain` as written."""

    shown: str
    local: str
    domain: str

    @property
    def bare(self) -> str:
        """The address without a name, its spelling kept."""
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """What the suppression list compares: case does not count (DG sending-email-suppression-list)."""
        return self.bare.lower()


def read(text: str) -> MailAddress:
    """Read one address. Raises BadAddressError.

    Names and addresses are ASCII: SES has no SMTPUTF8, a name outside ASCII must come as RFC 2047 encoded
    words and a domain in Punycode (API_SendEmail, FromEmailAddress; API_Destination).
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise BadAddressError("Local address contains control or whitespace")
    named = _NAMED.fullmatch(text)
    address = named["address"] if named else text.strip()
    if named and not text.isascii():
        name = named["quoted"] or named["plain"] or ""
        if not name.isascii():
            raise BadAddressError(
                "The display name contains non-ASCII characters: encode it as RFC 2047 says"
            )
    local, at, domain = address.rpartition("@")
    if not at:
        raise BadAddressError("Missing final '@domain'")
    _check_local(local)
    _check_domain(domain)
    return MailAddress(text.strip(), local, domain)


def _check_local(local: str) -> None:
    if not local:
        raise BadAddressError("Missing local name")
    if not local.isascii():
        raise BadAddressError(
            "Local address contains non-ASCII characters; Amazon SES does not support SMTPUTF8"
        )
    if len(local) > 64:
        raise BadAddressError("Local address is longer than 64 characters")
    if len(local) > 2 and local[0] == local[-1] == '"':
        return
    if local.startswith("."):
        raise BadAddressError("Local address starts with dot")
    if local.endswith("."):
        raise BadAddressError("Local address ends with dot")
    if ".." in local:
        raise BadAddressError("Local address contains dot-dot")
    if " " in local:
        raise BadAddressError("Local address contains control or whitespace")
    if set(local) & _SPECIAL:
        raise BadAddressError("Local address contains illegal character")


def _check_domain(domain: str) -> None:
    if not domain:
        raise BadAddressError("Missing domain")
    if not domain.isascii():
        raise BadAddressError("Domain contains non-ASCII characters: encode it with Punycode")
    if domain.startswith("."):
        raise BadAddressError("Domain starts with dot")
    if domain.endswith("."):
        raise BadAddressError("Domain ends with dot")
    if ".." in domain:
        raise BadAddressError("Domain contains dot-dot")
    if len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise BadAddressError("Domain contains illegal character")
    if "." not in domain:
        raise BadAddressError("Domain has no dot")  # assumed: SES delivers to the public DNS only
