"""The account: identities, quotas, the suppression list, and GetAccount."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from newsletter.local_ses import events, limits
from newsletter.local_ses.addresses import MailAddress
from newsletter.local_ses.api_error import ApiError
from newsletter.local_ses.config import ACCOUNT_ID, LocalSesConfig
from newsletter.local_ses.rate import TokenBucket
from newsletter.local_ses.state import State


class Account:
    """What one AWS account may do in one Region."""

    def __init__(self, state: State, config: LocalSesConfig) -> None:
        self._state, self._config = state, config
        self._bucket = TokenBucket(config.max_send_rate)
        self._template_buckets: dict[str, TokenBucket] = {}
        self.now = config.now

    def get(self) -> dict[str, Any]:
        """API_GetAccount."""
        with self._state.transaction() as db:
            sent = self._sent(db)
        return {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": "HEALTHY",
            "ProductionAccessEnabled": self._config.production_access,
            "SendQuota": {
                "Max24HourSend": self._config.daily_quota,
                "MaxSendRate": self._config.max_send_rate,
                "SentLast24Hours": float(sent),
            },
            "SendingEnabled": self._config.sending_enabled,
            "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
            "VdmAttributes": {"VdmEnabled": "DISABLED"},
        }

    def check_sending(self) -> None:
        """Refuse if the account's sending is switched off."""
        if not self._config.sending_enabled:
            raise ApiError("SendingPausedException", f"Email sending is disabled for account {ACCOUNT_ID}.")

    def spend_rate(self, recipients: int) -> None:
        """Refuse if the maximum send rate is used up (DG manage-sending-quotas-errors' words)."""
        if not self._bucket.take(recipients):
            raise ApiError("TooManyRequestsException", "Maximum sending rate exceeded.")

    def spend_template_call(self, operation: str) -> None:
        """Refuse a template call over the rate, if one is set. AWS allows 1 a second of each operation."""
        if rate := self._config.template_calls_per_second:
            bucket = self._template_buckets.setdefault(operation, TokenBucket(rate))
            if not bucket.take(1):
                raise ApiError("TooManyRequestsException", "Rate exceeded")

    def check_quota(self) -> None:
        """Refuse if nothing is left of the daily quota.

        The sentence is DG manage-sending-quotas-errors'; that v2 names it LimitExceededException is assumed
        (its text: "There are too many instances", status 400), as TooManyRequestsException is the rate's.
        """
        with self._state.transaction() as db:
            if not self._left(db) > 0:
                raise ApiError("LimitExceededException", "Daily message quota exceeded.")

    def spend_quota(self, db: sqlite3.Connection, recipients: int) -> bool:
        """Count recipients to the daily quota; False if it is used up.

        A message goes through as long as anything is left (SES blog, quoted in django-ses#59).
        """
        if not self._left(db) > 0:
            return False
        if recipients:
            db.execute("INSERT INTO sent (at, recipients) VALUES (?, ?)", (self.now(), recipients))
        return True

    def _left(self, db: sqlite3.Connection) -> float:
        quota = self._config.daily_quota
        return 1.0 if quota < 0 else quota - self._sent(db)

    def _sent(self, db: sqlite3.Connection) -> int:
        since = self.now() - limits.DAY
        db.execute("DELETE FROM sent WHERE at <= ?", (since,))
        return int(db.execute("SELECT coalesce(sum(recipients), 0) FROM sent").fetchone()[0])

    def verified_identity(self, db: sqlite3.Connection, address: MailAddress) -> str:
        """Return the verified identity that covers a sender. Raises ApiError MessageRejected in SES's words.

        A verified domain covers its subdomains (DG creating-identities).
        """
        labels = address.domain.lower().split(".")
        candidates = [address.key, *(".".join(labels[start:]) for start in range(len(labels)))]
        for name in candidates:
            if db.execute("SELECT 1 FROM identities WHERE name = ? AND verified", (name,)).fetchone():
                return name
        raise self._not_verified(address.bare)

    def check_recipients(self, recipients: Sequence[MailAddress]) -> None:
        """In the sandbox (no production access) refuse recipients that are not verified."""
        if self._config.production_access:
            return
        with self._state.transaction() as db:
            for one in recipients:
                if events.simulated(one.bare) is None:
                    self.verified_identity(db, one)

    def _not_verified(self, address: str) -> ApiError:
        region = self._config.region.upper()
        return ApiError(
            "MessageRejected",
            "Email address is not verified. The following identities failed the check in region "
            f"{region}: {address}",
        )

    def identity_arn(self, identity: str) -> str:
        """Return an identity's ARN."""
        return f"arn:aws:ses:{self._config.region}:{ACCOUNT_ID}:identity/{identity}"

    def suppression(self, db: sqlite3.Connection, key: str) -> str | None:
        """Return why an address (in lower case) is on the suppression list, or None."""
        row = db.execute("SELECT reason FROM suppressed WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def suppress(
        self, db: sqlite3.Connection, address: str, reason: str, message_id: str | None = None
    ) -> None:
        """Put an address on the suppression list, or change its reason."""
        db.execute(
            "INSERT INTO suppressed VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
            " reason = excluded.reason, updated = excluded.updated, message_id = excluded.message_id",
            (
                address.lower(),
                address,
                reason,
                self.now(),
                message_id,
                events.feedback_id() if message_id else None,
            ),
        )
