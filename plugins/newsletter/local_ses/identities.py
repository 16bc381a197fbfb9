"""Email identities: the domains and addresses from which the account may send."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from newsletter.local_ses import addresses
from newsletter.local_ses.addresses import BadAddressError
from newsletter.local_ses.api_error import AlreadyExistsError, BadRequestError, NotFoundError
from newsletter.local_ses.paging import page
from newsletter.local_ses.state import State

Params = Mapping[str, Any]


class Identities:
    """Verified ones are named when the local SES starts; one made by a call stays unverified, as no DNS
    record and no confirmation can verify it here.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def create(self, params: Params) -> dict[str, Any]:
        """API_CreateEmailIdentity."""
        name = params["EmailIdentity"].lower()
        try:
            addresses.read(name if "@" in name else f"postmaster@{name}")
        except BadAddressError as error:
            raise BadRequestError(f"Invalid email identity <{name}>: {error}.") from None
        with self._state.transaction() as db:
            if db.execute("SELECT 1 FROM identities WHERE name = ?", (name,)).fetchone():
                raise AlreadyExistsError(f"Email identity {name} already exist.")
            db.execute("INSERT INTO identities VALUES (?, 0)", (name,))
        return {
            "IdentityType": _kind(name),
            "VerifiedForSendingStatus": False,
            "DkimAttributes": _dkim(name, verified=False),
        }

    def get(self, params: Params) -> dict[str, Any]:
        """API_GetEmailIdentity."""
        name = params["EmailIdentity"].lower()
        with self._state.transaction() as db:
            row = db.execute("SELECT verified FROM identities WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise NotFoundError(f"Email identity {name} does not exist.")
        verified = bool(row[0])
        return {
            "IdentityType": _kind(name),
            "FeedbackForwardingStatus": True,
            "VerifiedForSendingStatus": verified,
            "VerificationStatus": "SUCCESS" if verified else "PENDING",
            "DkimAttributes": _dkim(name, verified=verified),
            **({"MailFromAttributes": _mail_from(name)} if verified and "@" not in name else {}),
            "Policies": {},
            "Tags": [],
        }

    def list(self, params: Params) -> dict[str, Any]:
        """API_ListEmailIdentities."""
        with self._state.transaction() as db:
            rows = db.execute("SELECT name, verified FROM identities ORDER BY name").fetchall()
        found, token = page(
            [
                (
                    name,
                    {
                        "IdentityType": _kind(name),
                        "IdentityName": name,
                        "SendingEnabled": bool(verified),
                        "VerificationStatus": "SUCCESS" if verified else "PENDING",
                    },
                )
                for name, verified in rows
            ],
            params,
        )
        return {"EmailIdentities": found} | ({"NextToken": token} if token else {})


def _kind(name: str) -> str:
    return "EMAIL_ADDRESS" if "@" in name else "DOMAIN"


def _mail_from(domain: str) -> dict[str, Any]:
    # As at AWS once the records are set: there are none here, as for DKIM.
    return {
        "MailFromDomain": f"bounce.{domain}",
        "MailFromDomainStatus": "SUCCESS",
        "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
    }


def _dkim(name: str, *, verified: bool) -> dict[str, Any]:
    if "@" in name:
        return {"SigningEnabled": False, "Status": "NOT_STARTED"}
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {
        "SigningEnabled": True,
        "Status": "SUCCESS" if verified else "PENDING",
        "SigningHostedZone": "dkim.amazonses.com",
        "Tokens": [digest[start : start + 20] for start in (0, 20, 40)],
        "SigningAttributesOrigin": "AWS_SES",
        "NextSigningKeyLength": "RSA_2048_BIT",
        "CurrentSigningKeyLength": "RSA_2048_BIT",
    }
