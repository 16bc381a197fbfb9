"""What the database must never break or forget: the invariants of a sending, and whoever has left."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from newsletter import invariants
from newsletter.errors import StoreError
from newsletter.finding import Finding, broken, skipped, sound
from newsletter.invariants import Broken
from newsletter.store import Store


def examine(
    store: Store, month: str, found: Callable[[Finding], None] = lambda finding: None
) -> list[Finding]:
    """Check one mailing, or all that have begun where `month` is ""; changes nothing."""
    months = [month] if month else [send.briefing for send in store.sends()]
    if not months:
        findings = [skipped("invariants", "nothing has been mailed yet")]
    else:
        findings = judge([one for each in months for one in invariants.check(store, each)], months)
    for finding in findings:
        found(finding)
    return findings


def forgotten(lagging: int) -> Finding:
    """What the journal beside the database says of it: `lagging` left, were erased or suppressed, and are
    no longer.
    """
    if not lagging:
        return sound("journal", "nobody who left is back")
    return broken(
        "journal",
        f"{lagging:,} who unsubscribed, were erased or suppressed are forgotten: this database is older than its journal",
        "Let them leave again: newsletter subscribers replay",
    )


def turn(month: str, overtaken: StoreError | None) -> Finding:
    """Whether another ledger has had a turn at this briefing: then this one is an old copy (turn.py)."""
    if overtaken is None:
        return sound("turn", f"no other ledger has mailed {month}")
    return broken(
        "turn",
        f"another ledger has mailed {month}: this one was restored from a backup, or is a copy",
        f"Mail with the newest ledger. If this is the only one left: newsletter send {month} tells what to do.",
    )


def judge(breaches: Sequence[Broken], months: Sequence[str]) -> list[Finding]:
    """A line for each invariant."""
    findings = []
    for number, name in invariants.NAMES.items():
        ours = [one for one in breaches if one.number == number]
        line = f"invariant {number}"
        if not ours:
            findings.append(sound(line, name))
            continue
        more = f" (and {len(ours) - 1} more)" if len(ours) > 1 else ""
        findings.append(
            broken(
                line,
                f"{name}: {ours[0].where}: {ours[0].words}{more}",
                "Mail nobody before it is understood: keep a copy of the database, and see newsletter audit "
                f"{months[0] if len(months) == 1 else 'YYYY-MM'}.",
            )
        )
    return findings
