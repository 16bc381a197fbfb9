"""What a sending says of itself: while it goes on, and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from newsletter.show import Tally, say, say_error

if TYPE_CHECKING:
    from newsletter.delivery import Report
    from newsletter.store import Store


def tally(store: Store, briefing: str, corrects: str) -> Tally:
    """How many there are, how many are done, and what became of them; for the bar."""
    from newsletter.states import ACCEPTED, State

    counts = store.counts(briefing)
    if not counts.recipients:  # not frozen yet
        counts = store.audience(datetime.now(UTC), corrects)
    states = (
        ("submitted", counts.of(*ACCEPTED)),
        ("in doubt", counts.of(State.IN_DOUBT)),
        ("failed", counts.of(State.FAILED)),
        ("skipped", counts.of(State.SKIPPED)),
    )
    return Tally(counts.recipients, counts.recipients - counts.of(State.PENDING, State.CLAIMED), states)


def tell_report(
    command: str, briefing: str, report: Report, seconds: float, quiet: float, events: bool
) -> None:
    """How it ended, and what to type next. `events` says whether SES's events can settle what is in doubt."""
    from newsletter.states import ACCEPTED, State

    counts = report.counts
    since = [
        f"{counts.of(state):,} {state}"
        for state in (State.DELIVERED, State.BOUNCED, State.COMPLAINED)
        if counts.of(state)
    ]
    parts = [f"{counts.of(*ACCEPTED):,} submitted" + (f" ({', '.join(since)} so far)" if since else "")]
    parts += [
        f"{counts.of(state):,} {state.replace('_', ' ')}"
        for state in (State.IN_DOUBT, State.FAILED, State.SKIPPED, State.PENDING)
        if counts.of(state)
    ]
    say("mail", f"{briefing}: {', '.join(parts)}", seconds)
    if in_doubt := counts.of(State.IN_DOUBT):
        how = (
            f"Send again after {quiet:g} minutes: SES's events mostly tell. What they leave open, you decide: newsletter resolve "
            f"{briefing}"
            if events
            else f"Without EVENTS_QUEUE_URL only you can tell: newsletter resolve {briefing}"
        )
        say_error(
            f"{in_doubt:,} in doubt: the call ended without an answer, so SES may or may not have their mail. "
            f"They are held and not mailed blindly. {how}"
        )
    if report.warning:
        say_error(report.warning)
    if report.stopped:
        say_error(
            f"Stopped: {report.stopped.rstrip('.')}. {counts.of(State.PENDING):,} are pending, and nobody of "
            f"them was mailed. {_way_on(command, report.stopped)}"
        )


def _way_on(command: str, stopped: str) -> str:
    if "bounce" in stopped or "complaint" in stopped:
        return f"See newsletter audit, and why; if it should go on all the same: {command} --no-brakes"
    if "not known to be sound" in stopped:
        return f"Do SES's events arrive (newsletter doctor)? If the rest should follow all the same: {command} --canary 0"
    return f"The same command goes on: {command}"
