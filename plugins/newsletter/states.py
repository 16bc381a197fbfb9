"""What can become of a recipient: one enum, one table of the steps between, one order of the evidence.

    pending ─► claimed ─► submitted ─► delivered ─► bounced | complained
       │          ├─► pending     SES said no, and it may be tried again
       │          ├─► failed      SES said no for good
       │          └─► in_doubt    nobody knows whether SES accepted ─► submitted … | pending | failed
       └─► skipped                no longer subscribed, or suppressed, when the turn came

SES's events come late, twice and in any order (AWS promises none). So a state is not moved from event to event:
it follows from the strongest of all the evidence there is, and that is the same in whatever order it came.
"""

from __future__ import annotations

from collections.abc import Iterable
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


class Evidence(StrEnum):
    """What SES told of a mail, weakest first: each proves all that the ones before it prove, and more."""

    DELIVERY_DELAY = "delivery_delay"
    SEND = "send"
    REJECT = "reject"  # accepted, then not mailed: a virus
    RENDERING_FAILURE = "rendering_failure"  # accepted, then not mailed: a value for the template was missing
    SOFT_BOUNCE = (
        "soft_bounce"  # below delivery: an out-of-office answer comes as one, after the mail has arrived
    )
    DELIVERY = "delivery"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"


# What evidence alone can show of a mail that SES has accepted.
_SHOWN = frozenset({State.SUBMITTED, State.DELIVERED, State.BOUNCED, State.COMPLAINED, State.FAILED})

STEPS: dict[State, frozenset[State]] = {
    # Evidence of an earlier, unanswered call can come when its recipients are pending again: then they stay unmailed.
    State.PENDING: frozenset({State.CLAIMED, State.SKIPPED}) | _SHOWN,
    State.CLAIMED: frozenset({State.PENDING, State.IN_DOUBT}) | _SHOWN,
    State.IN_DOUBT: frozenset({State.PENDING}) | _SHOWN,
    State.SUBMITTED: frozenset({State.DELIVERED, State.BOUNCED, State.COMPLAINED, State.FAILED}),
    State.DELIVERED: frozenset({State.BOUNCED, State.COMPLAINED}),
    State.BOUNCED: frozenset({State.DELIVERED, State.COMPLAINED}),
    State.COMPLAINED: frozenset(),
    # Here too: who was given up, or left, may have had the mail of the earlier call all the same.
    State.FAILED: _SHOWN - {State.FAILED},
    State.SKIPPED: _SHOWN,
}
# What a call's own answer, or its absence, can make of a claimed recipient; the rest only evidence shows.
ANSWERS = frozenset({State.SUBMITTED, State.PENDING, State.FAILED, State.IN_DOUBT})
# SES has accepted a mail to these; whatever comes later, they must never be mailed the same briefing again.
ACCEPTED = frozenset({State.SUBMITTED, State.DELIVERED, State.BOUNCED, State.COMPLAINED})
# A send with none of these is closed.
OPEN = frozenset({State.PENDING, State.CLAIMED, State.IN_DOUBT})

_PROVES = {
    Evidence.DELIVERY_DELAY: State.SUBMITTED,
    Evidence.SEND: State.SUBMITTED,
    Evidence.REJECT: State.FAILED,
    Evidence.RENDERING_FAILURE: State.FAILED,
    Evidence.SOFT_BOUNCE: State.BOUNCED,
    Evidence.DELIVERY: State.DELIVERED,
    Evidence.HARD_BOUNCE: State.BOUNCED,
    Evidence.COMPLAINT: State.COMPLAINED,
}
_STRENGTH = {kind: strength for strength, kind in enumerate(Evidence)}


def may(before: State, after: State) -> bool:
    """Whether a recipient can go from one state to the other in one step."""
    return after in STEPS[before]


def proven(evidence: Iterable[Evidence]) -> State | None:
    """The state that the evidence proves, whatever its order and however often it came; None without any."""
    strongest = max(evidence, key=_STRENGTH.__getitem__, default=None)
    return None if strongest is None else _PROVES[strongest]
