"""`newsletter audit` and `resolve`: who has it, on what evidence, and what a person decides of the rest."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from newsletter.cli.words import MAILING
from newsletter.errors import AddressError, SettingsError
from newsletter.settings import Settings
from newsletter.show import fact, say, table

_COLUMNS = ("address", "state", "at", "what", "evidence")


@click.command()
@click.argument("month", type=MAILING)
@click.argument("address", required=False)
@click.option(
    "--csv", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file, a line each."
)
def audit(month: str, address: str | None, file: Path | None) -> None:
    """Answer for each recipient of a briefing, or for one ADDRESS: what happened, when, on which evidence."""
    from newsletter import address as addresses
    from newsletter.store import open_store

    try:
        key = addresses.parse(address).key if address else ""
    except AddressError as error:
        raise SettingsError(f"{address}: {error}") from None
    store = open_store(Settings.from_env().store_url, make=False)
    if store.frozen(month) is None:
        raise SettingsError(f"{month} has not been submitted for anybody, so there is nothing to answer for.")
    traces = store.trace(month, key)
    if file:
        with file.open("w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(_COLUMNS)
            count = 0
            for trace in traces:
                count += 1
                for moment, what, evidence in trace.history:
                    rows.writerow(
                        [_plain(cell) for cell in (trace.address, trace.state, moment, what, evidence)]
                    )
        say("audit", f"{count:,} addresses → {file}")
        return
    found = False
    for trace in traces:
        found = True
        say(trace.state.replace("_", " "), trace.address)
        for moment, what, evidence in trace.history:
            fact("", f"{moment}  {what.replace('_', ' ')}  {evidence}".rstrip())
    if not found:
        fact(
            "audit",
            f"{address} was neither a recipient of {month} nor left out of it: it was not on the list then",
        )


def _plain(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP, "CSV Injection")."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


@click.command()
@click.argument("month", type=MAILING)
@click.option(
    "--assume-submitted",
    "as_submitted",
    is_flag=True,
    help="Take them to have it; they are not mailed again.",
)
@click.option("--resend", is_flag=True, help="Mail them once more; whoever has it already gets it twice.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def resolve(month: str, as_submitted: bool, resend: bool, yes: bool) -> None:
    """Decide about the recipients in doubt, where SES's events could not."""
    from newsletter.states import State
    from newsletter.store import open_store
    from newsletter.store.proofs import DECIDED

    if as_submitted and resend:
        raise click.UsageError("--assume-submitted and --resend are opposites; choose one.")
    store = open_store(Settings.from_env().store_url)
    with store.sending(month):
        doubts = store.doubts(month)
        if not doubts:
            say("resolve", f"nobody of {month} is in doubt")
            return
        held = sum(doubt.held for doubt in doubts)
        table(
            f"{month}: {held:,} in doubt, by the call that SES did not answer",
            [
                (f"{doubt.since:%Y-%m-%d %H:%M:%S}  SES told of {doubt.seen}, in doubt", doubt.held)
                for doubt in doubts
            ],
        )
        if not as_submitted and not resend:
            say("", f"newsletter audit {month} names them. Decide with --assume-submitted or --resend.")
            sys.exit(1)
        taken = sum(doubt.held for doubt in doubts if doubt.seen)
        if resend:
            say("", "Whoever of them has it already gets it twice, and nobody can take that back.")
        if resend and taken:
            say("", f"SES did take the calls that hold {taken:,} of them: most of those probably have it.")
        state, words = (State.PENDING, "pending again") if resend else (State.SUBMITTED, "taken to have it")
        if not yes and not click.confirm(f"{held:,} recipients are to be {words}. Go on?"):
            sys.exit(1)
        now = datetime.now(UTC)
        done = sum(store.release(month, d.attempt, state, f"{DECIDED}: {words}", now) for d in doubts)
        closed = resend and done and not store.counts(month).of(State.PENDING)
    if closed:
        say("resolve", f"{done:,} skipped, and not mailed again: {month} was withdrawn")
    else:
        say("resolve", f"{done:,} {words}" + (f"; now: newsletter send {month}" if resend else ""))
