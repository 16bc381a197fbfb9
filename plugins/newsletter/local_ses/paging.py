"""NextToken: the key after which the next page begins, in base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from newsletter.local_ses import limits
from newsletter.local_ses.api_error import ApiError, BadRequestError

T = TypeVar("T")


def page(
    rows: Sequence[tuple[str, T]], params: Mapping[str, Any], most: int = limits.PAGE
) -> tuple[list[T], str | None]:
    """Cut one page out of (key, value) rows that are sorted by key; return it with the next token or None."""
    size = params.get("PageSize") or min(most, 100)
    if not 1 <= size <= most:
        raise BadRequestError(f"PageSize must be between 1 and {most}.")
    after = ""
    if token := params.get("NextToken"):
        try:
            after = base64.urlsafe_b64decode(token).decode()
        except (binascii.Error, ValueError):
            raise ApiError(
                "InvalidNextTokenException", "The specified request includes an invalid token."
            ) from None
    left = [(key, value) for key, value in rows if key > after]
    shown = left[:size]
    more = base64.urlsafe_b64encode(shown[-1][0].encode()).decode() if len(left) > size else None
    return [value for _, value in shown], more
