"""The package: whole, unchanged, fit to be mailed, and not from the future."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from newsletter import errors
from newsletter.errors import PackageError
from newsletter.finding import Finding, broken, broken_by, skipped, sound
from newsletter.models import Package


def missing(error: PackageError) -> Finding:
    """There is no package, or it is not what it claims to be (package.read)."""
    return broken_by("package", error, "Package it anew: newsletter briefing YYYY-MM")


def whole(package: Package, begun: bool) -> Finding:
    """A package that has been read is complete, and its hash agrees. `begun`: it is the one frozen in the ledger."""
    count = f"{len(package.items)} {'analysis' if len(package.items) == 1 else 'analyses'}"
    words = f"{package.month}: {count}, hash {package.content_hash[:12]}"
    return sound("package", f"{words}, as frozen when its mailing began" if begun else words)


def mail(package: Package, postal_address: str) -> Finding:
    """mail_lint's word on both halves, their size included."""
    try:
        from newsletter import mail_lint
    except ImportError:  # lxml belongs to the site half
        return skipped("mail", "lxml is not installed here; the machine that packages has looked at it")
    path = f"build/briefings/{package.month}"
    found = mail_lint.lint(package.html, package.text, path, package.placeholders, postal_address)
    size = mail_lint.size(package.html, package.placeholders)
    return linted(package.month, found, size, mail_lint.BUDGET)


def linted(month: str, found: Sequence[errors.Finding], size: int, budget: int) -> Finding:
    """What the lint means. `size` and `budget` are bytes of HTML once it is filled in."""
    if not found:
        return sound("mail", f"both halves are fit, {size / 1024:.0f} KB of {budget / 1024:.0f}")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return broken(
        "mail",
        f"{str(found[0]).rstrip('.')}{more}",
        f"Mend content/briefings/{month}.md or theme/templates/email/briefing/, then: newsletter briefing {month}",
    )


def dates(package: Package, now: datetime, zone: ZoneInfo) -> Finding:
    """Whether all of it has happened: a piece from the future is not on the site yet."""
    name = "dates"
    for item in package.items:
        try:
            date = datetime.fromisoformat(str(item.get("date", "")))
        except ValueError:
            continue  # a package of an older form says no date
        if date.tzinfo is None:
            date = date.replace(tzinfo=zone)
        if date > now:
            return broken(
                name,
                f"“{item.get('title', '')}” is dated {date:%Y-%m-%d %H:%M}, which is yet to come",
                f"Wait until then, or correct its date: in content/analyses/, then: newsletter briefing {package.month}",
            )
    return sound(name, "nothing in it is from the future")
