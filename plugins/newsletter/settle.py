"""What SES's own events decide: about a call that nobody answered, and about mailing on.

SES cannot be asked whether it took a call. But it publishes a Send event for each mail it takes, so the events
of the call itself settle it, and their absence settles it too, under three conditions: enough time has passed,
a canary mailed after the call has come back through the same stream, and the stream has been complete (SES has
told of every mail it accepted since). Without them nobody knows, and a mail too few is better than a mail too
many: the recipients stay in doubt until a person decides.

Mailing goes on while the events are sound. SES reviews an account from 5 % hard bounces or 0.1 % complaints on, and
pauses it at 10 % or 0.5 % (developer guide, "Sending review process FAQs"); the brakes stop at half of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.states import Evidence
from newsletter.store import Doubt

# AWS states no bound for how late an event can be. It is measured by this machine's clock, which may have been set
# meanwhile; but SES and SQS refuse whoever's clock is five minutes off (IAM guide, "Elements of an AWS API request
# signature"), so that of these fifteen at least five have passed.
QUIET = timedelta(minutes=15)
# Of the mails whose end SES has told, so large a part may bounce hard or be complained about; and of how many at
# least it is a part, since one in a handful says nothing.
MOST_BOUNCES, MOST_COMPLAINTS, FEWEST = 0.025, 0.0005, 200
# Of a first slice, which is too small for those: AWS reviews an account at 5 %.
MOST_BOUNCES_OF_SLICE = 0.05


class Verdict(StrEnum):
    """What to do with recipients that are held: by an unanswered call, or until the first slice is sound."""

    WAIT = "wait"  # it is too early to tell
    RELEASE = "release"  # they can be mailed
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


@dataclass(frozen=True, slots=True)
class Signs:
    """What became of the mails so far: how many SES accepted, of how many of those it has told nothing (`silent`),
    and of how many recipients it has told each thing.
    """

    accepted: int
    silent: int
    seen: Mapping[Evidence, int]


def brakes(seen: Mapping[Evidence, int]) -> str:
    """The reason for mailing nobody else, or "": too many hard bounces or complaints. `seen` is as in Signs.

    They are counted against the mails whose end SES has told, not against all: events come late, and are read late.
    """
    bounces, complaints = seen.get(Evidence.HARD_BOUNCE, 0), seen.get(Evidence.COMPLAINT, 0)
    ended = seen.get(Evidence.DELIVERY, 0) + seen.get(Evidence.SOFT_BOUNCE, 0) + bounces
    of = max(ended, FEWEST)
    if bounces > of * MOST_BOUNCES:
        what, most = f"{bounces:,} hard bounces", f"{MOST_BOUNCES:.1%}"
    elif complaints > of * MOST_COMPLAINTS:
        what, most = f"{complaints:,} complaint{'s' * (complaints != 1)}", f"{MOST_COMPLAINTS:.2%}"
    else:
        return ""
    return f"{what} among {ended:,} mails whose end SES has told: more than {most} of {of:,}, and SES may pause the account"


def judge_slice(signs: Signs, heed_brakes: bool = True) -> tuple[Verdict, str]:
    """Whether the rest may follow the first slice, and why not in words. Pure, as `judge` is."""
    seen = signs.seen
    for kind, what in ((Evidence.RENDERING_FAILURE, "could not render"), (Evidence.REJECT, "rejected")):
        if count := seen.get(kind, 0):
            return Verdict.HOLD, f"SES accepted {count:,} mails that it then {what}"
    bounces = seen.get(Evidence.HARD_BOUNCE, 0)
    if heed_brakes and bounces > max(1, signs.accepted * MOST_BOUNCES_OF_SLICE):
        return Verdict.HOLD, (
            f"{bounces:,} of the first {signs.accepted:,} mails bounced for good: more than "
            f"{MOST_BOUNCES_OF_SLICE:.0%}, so the list may be an old one"
        )
    if heed_brakes and (reason := brakes(seen)):
        return Verdict.HOLD, reason
    if not signs.accepted:
        return Verdict.WAIT, "SES has accepted none of the first mails"
    if signs.silent:
        return Verdict.WAIT, f"SES has told nothing of {signs.silent:,} of the first {signs.accepted:,} mails"
    delivered = seen.get(Evidence.DELIVERY, 0)
    if 2 * delivered < signs.accepted:
        return Verdict.WAIT, f"only {delivered:,} of the first {signs.accepted:,} mails are delivered"
    return Verdict.RELEASE, f"SES has told of all of the first {signs.accepted:,} mails"
