"""What becomes of a call that nobody answered: decided from SES's own events, or left to a person.

SES cannot be asked whether it took a call. But it publishes a Send event for each mail it takes, so the events
of the call itself settle it, and their absence settles it too, under three conditions: enough time has passed,
a canary mailed after the call has come back through the same stream, and the stream has been complete (SES has
told of every mail it accepted since). Without them nobody knows, and a mail too few is better than a mail too
many: the recipients stay in doubt until a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.store import Doubt

# AWS states no bound for how late an event can be.
QUIET = timedelta(minutes=15)


class Verdict(StrEnum):
    """What to do with the recipients that an unanswered call holds."""

    WAIT = "wait"  # it is too early to tell
    RELEASE = "release"  # SES never took the call: they can be mailed
    HOLD = "hold"  # only a person can tell


@dataclass(frozen=True, slots=True)
class Stream:
    """How the event stream does: when the newest canary that has come back was mailed, how many messages are
    still unread or being read, and of how many accepted mails SES has told nothing.
    """

    canary_mailed_at: datetime | None
    unread: int
    blind: int


def judge(doubt: Doubt, stream: Stream, now: datetime, quiet: timedelta = QUIET) -> tuple[Verdict, str]:
    """What to do with an unanswered call, and why in words. Pure: the same facts give the same verdict."""
    if doubt.seen:
        # Some of the call's mails are proven, so SES took the call; the rest of them it may have refused or not.
        return (
            Verdict.HOLD,
            f"SES took this call: it has told of {doubt.seen} of its mails, and nothing of these",
        )
    if now - doubt.since < quiet:
        return Verdict.WAIT, f"the call is younger than {quiet.total_seconds() / 60:.0f} minutes"
    if stream.unread:
        return Verdict.WAIT, f"{stream.unread} events are still unread"
    if stream.canary_mailed_at is None or stream.canary_mailed_at < doubt.since:
        return Verdict.HOLD, "no canary mailed after the call has come back, so the events may have stopped"
    if stream.blind:
        return Verdict.HOLD, f"SES has told nothing of {stream.blind} mails it accepted, so events get lost"
    return Verdict.RELEASE, "SES has told of every other mail and of a canary, and nothing of this call"
