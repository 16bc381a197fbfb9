"""The account's suppression list: put, get, delete, list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from newsletter.local_ses import addresses
from newsletter.local_ses.account import Account
from newsletter.local_ses.addresses import BadAddressError
from newsletter.local_ses.api_error import BadRequestError, NotFoundError
from newsletter.local_ses.paging import page
from newsletter.local_ses.state import State

Params = Mapping[str, Any]


class SuppressionList:
    """Addresses to which SES delivers nothing."""

    def __init__(self, state: State, account: Account) -> None:
        self._state, self._account = state, account

    def put(self, params: Params) -> dict[str, Any]:
        """API_PutSuppressedDestination."""
        _no_tenant(params)
        try:
            address = addresses.read(params["EmailAddress"])
        except BadAddressError as error:
            raise BadRequestError(str(error)) from None
        with self._state.transaction() as db:
            self._account.suppress(db, address.bare, params["Reason"])
        return {}

    def get(self, params: Params) -> dict[str, Any]:
        """API_GetSuppressedDestination."""
        _no_tenant(params)
        with self._state.transaction() as db:
            row = db.execute(
                "SELECT address, reason, updated, message_id, feedback_id FROM suppressed WHERE key = ?",
                (params["EmailAddress"].lower(),),
            ).fetchone()
        if row is None:
            raise _not_listed(params)
        address, reason, updated, message_id, feedback_id = row
        found = {"EmailAddress": address, "Reason": reason, "LastUpdateTime": updated}
        if message_id:
            found["Attributes"] = {"MessageId": message_id, "FeedbackId": feedback_id}
        return {"SuppressedDestination": found}

    def delete(self, params: Params) -> dict[str, Any]:
        """API_DeleteSuppressedDestination."""
        _no_tenant(params)
        with self._state.transaction() as db:
            key = params["EmailAddress"].lower()
            if not db.execute("DELETE FROM suppressed WHERE key = ?", (key,)).rowcount:
                raise _not_listed(params)
        return {}

    def list(self, params: Params) -> dict[str, Any]:
        """API_ListSuppressedDestinations, by reason and time."""
        _no_tenant(params)
        reasons = params.get("Reasons") or ["BOUNCE", "COMPLAINT"]
        start, end = _moment(params, "StartDate", 0.0), _moment(params, "EndDate", float("inf"))
        with self._state.transaction() as db:
            rows = db.execute("SELECT key, address, reason, updated FROM suppressed ORDER BY key").fetchall()
        found, token = page(
            [
                (key, {"EmailAddress": address, "Reason": reason, "LastUpdateTime": updated})
                for key, address, reason, updated in rows
                if reason in reasons and start <= updated <= end
            ],
            params,
        )
        return {"SuppressedDestinationSummaries": found} | ({"NextToken": token} if token else {})


def _no_tenant(params: Params) -> None:
    if params.get("TenantName"):
        raise NotFoundError(f"Tenant {params['TenantName']} does not exist: the local SES has none.")


def _not_listed(params: Params) -> NotFoundError:
    return NotFoundError(f"Email address {params['EmailAddress']} does not exist on your suppression list.")


def _moment(params: Params, name: str, default: float) -> float:
    value = params.get(name)
    if value is None:
        return default
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        raise BadRequestError(f"{name} is not a time: {value}") from None
    return moment.timestamp()
