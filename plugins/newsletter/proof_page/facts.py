"""All that a proof shows, gathered; deciding and drawing are elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from newsletter import issue
from newsletter.approval import Proposal, former
from newsletter.errors import Finding, Severity
from newsletter.mail_lint import BUDGET, size
from newsletter.models import Package
from newsletter.proof_page.links import Link, Status
from newsletter.ses.submit import PRACTICE
from newsletter.states import State
from newsletter.store import Store, open_store

SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Proof:
    """One mailing before it goes. `proposal` is None where no list of subscribers can be reached; `begun` is the hash
    of what was frozen, "" if nothing was.
    """

    package: Package
    links: tuple[Link, ...]
    findings: tuple[Finding, ...]
    proposal: Proposal | None
    begun: str = ""

    @property
    def bytes(self) -> int:
        """Of the HTML half, once it is filled for a recipient."""
        return size(self.package.html, self.package.placeholders)

    @property
    def budget(self) -> int:
        """What it may have: Gmail cuts a mail off not far beyond."""
        return BUDGET

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What stands in the way, broken links included."""
        broken = tuple(
            Finding(self.package.url, 0, "", f"{link.address}: {link.note}")
            for link in self.links
            if link.status is Status.BROKEN
        )
        return (*(each for each in self.findings if each.severity is Severity.ERROR), *broken)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What should be looked at."""
        return tuple(each for each in self.findings if each.severity is not Severity.ERROR)

    @property
    def command(self) -> str:
        """What approves and mails it; "" while something is in the way."""
        named = issue.of_id(self.package.month)
        if self.errors or named is None:
            return ""
        words = [named.command]
        if self.proposal and self.proposal.surprising:
            words.append(f"--expect {self.proposal.audience}")
        return " ".join([*words, f"--approve {self.package.content_hash}"])


def concerned(package: Package, findings: Sequence[Finding], letter: str) -> tuple[Finding, ...]:
    """Of all findings those that concern a mailing: every error, and what is said of its own files.

    `letter` is the letter's file. An error anywhere stops the build, and with it the mailing.
    """
    own = {letter, *(str(item.get("source", "")) for item in package.items)}
    return tuple(each for each in findings if each.severity is Severity.ERROR or each.path in own)


def propose(store_url: str, package: Package, at: datetime) -> tuple[Proposal | None, str]:
    """To how many it would go from that store, without an address; and the hash of what is frozen, if it has begun.

    None where there is no store: a machine that builds the site need not have the list. Raises StoreError.
    """
    if store_url.startswith(SQLITE) and not Path(store_url.removeprefix(SQLITE)).is_file():
        return None, ""
    named = issue.of_id(package.month)
    store: Store = open_store(store_url, make=False)
    try:
        frozen = store.frozen(package.month)
        corrects = named.corrects if named else ""
        audience = store.audience(at, corrects)
        proposal = Proposal(
            named.command if named else "",
            package.content_hash,
            audience.of(State.PENDING),
            audience.exclusions,
            former(store.sends(), package.month, corrects, PRACTICE),
        )
        return proposal, frozen.content_hash if frozen else ""
    finally:
        store.close()
