"""What can become of a recipient: one enum, one table of the steps between.

pending ─► claimed ─► submitted ─► delivered ─► bounced | complained
   │          ├─► pending     SES said no, and it may be tried again
   │          ├─► failed      SES said no for good
   │          └─► in_doubt    nobody knows whether SES accepted ─► submitted | pending | failed
   └─► skipped                no longer subscribed, or suppressed, when the turn came
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of one recipient of one briefing. Submitted means accepted by SES; it is not delivered."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SUBMITTED = "submitted"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    FAILED = "failed"
    SKIPPED = "skipped"
    IN_DOUBT = "in_doubt"


STEPS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.CLAIMED, State.SKIPPED}),
    State.CLAIMED: frozenset({State.SUBMITTED, State.PENDING, State.FAILED, State.IN_DOUBT}),
    State.IN_DOUBT: frozenset({State.SUBMITTED, State.PENDING, State.FAILED}),
    State.SUBMITTED: frozenset({State.DELIVERED, State.BOUNCED, State.COMPLAINED, State.FAILED}),
    State.DELIVERED: frozenset({State.BOUNCED, State.COMPLAINED}),
    State.BOUNCED: frozenset({State.COMPLAINED}),
    State.COMPLAINED: frozenset(),
    State.FAILED: frozenset(),
    State.SKIPPED: frozenset(),
}
# SES has accepted a mail to these; whatever comes later, they must never be mailed the same briefing again.
ACCEPTED = frozenset({State.SUBMITTED, State.DELIVERED, State.BOUNCED, State.COMPLAINED})
# A send with none of these is closed.
OPEN = frozenset({State.PENDING, State.CLAIMED, State.IN_DOUBT})


def may(before: State, after: State) -> bool:
    """Whether a recipient can go from one state to the other in one step."""
    return after in STEPS[before]
