"""What an examination found: a verdict in one of four words, what was seen, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from newsletter.errors import NewsletterError


class Verdict(StrEnum):
    """How it stands with one thing."""

    SOUND = "sound"
    WARNING = "warning"  # a briefing can be mailed, and something should be seen to
    BROKEN = "broken"  # no briefing must be mailed before this is mended
    SKIPPED = "skipped"  # not asked


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` is what was looked at, `words` what was seen or why it was not asked, `mend` what to do: "" where there
    is nothing to do. Made by the four functions below, so that no red line comes without its mend.
    """

    name: str
    verdict: Verdict
    words: str
    mend: str = ""


def sound(name: str, words: str) -> Finding:
    """It is as it should be."""
    return Finding(name, Verdict.SOUND, words)


def warning(name: str, words: str, mend: str) -> Finding:
    """It should be seen to."""
    return Finding(name, Verdict.WARNING, words, mend)


def broken(name: str, words: str, mend: str) -> Finding:
    """Nobody must be mailed before it is mended."""
    return Finding(name, Verdict.BROKEN, words, mend)


def skipped(name: str, why: str) -> Finding:
    """It was not asked."""
    return Finding(name, Verdict.SKIPPED, why)


def broken_by(name: str, error: NewsletterError, mend: str) -> Finding:
    """An error's sentences as a finding: the first says what is wrong, the others how to mend it, or else `mend`."""
    words, _, rest = str(error).partition(". ")
    return broken(name, words.rstrip("."), rest or mend)


def worst(findings: Iterable[Finding]) -> Verdict:
    """The gravest verdict among them; what was not asked says nothing."""
    verdicts = {finding.verdict for finding in findings}
    return next((one for one in (Verdict.BROKEN, Verdict.WARNING) if one in verdicts), Verdict.SOUND)
