"""What can go wrong, in words a person can act on.

    NewsletterError            something the person at the keyboard can mend
    ├── ContentError           a content file says something it must not; carries every finding
    ├── SettingsError          publication.toml or the environment
    ├── PackageError           a briefing package is missing, incomplete or not what it claims
    ├── AddressError           an email address that cannot be mailed, with the reason
    ├── StoreError             the subscribers' and sends' database
    │   └── StoreBusy          ... is held by another process; the same may go later
    ├── PublishError           the bucket that the site lies in, or what is to go there
    └── SesError               the mail service
        ├── Refused            SES said no and said why: nothing was accepted
        │   └── Throttled      ... because it was asked too fast: the same call may go later
        └── Ambiguous          nobody knows whether SES accepted: never call again blindly

Every message names the file, the line and the field where there is one, and what to do next.
The command line prints it and exits 1; nothing of it reaches an editor as a traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class NewsletterError(Exception):
    """Base of all errors a person can act on. `str()` is the sentence to show."""


class Severity(StrEnum):
    """How grave a finding is. An error stops a commit and a publication; a warning is to be looked at."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Fix:
    """A certain remedy: at (line, column) of the file, both from 1, `old` becomes `new`. `old` is on one line;
    where it is "" the text is put in.
    """

    line: int
    column: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with one file.

    `path` is relative to the project or as given; `line` and `column` count from 1 (characters, not bytes), 0 is
    unknown; `field` is the front-matter key or "" for the text; `reason` says what is wrong, and how to mend it if
    `mend` does not. What `newsletter check` finds also has the rule's `code` ("T207") and `name`, the offending
    `words` as they stand at that place, and a `fix` where there is no doubt.
    """

    path: str
    line: int
    field: str
    reason: str
    column: int = 0
    code: str = ""
    severity: Severity = Severity.ERROR
    words: str = ""
    mend: str = ""
    fix: Fix | None = None
    name: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.field}: {self.reason}" if self.field else f"{place}: {self.reason}"


class ContentError(NewsletterError):
    """One or more content files cannot be published as they are."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class SettingsError(NewsletterError):
    """A fact of the publication or a variable of the environment is missing or malformed."""


class PackageError(NewsletterError):
    """A briefing package cannot be written or must not be mailed."""


class AddressError(NewsletterError, ValueError):
    """An email address that cannot be mailed. `str()` is the reason, fit to show its owner."""


class StoreError(NewsletterError):
    """The database cannot be opened, is newer than this program, or is held by another."""


class StoreBusy(StoreError):
    """Another process holds the database, and longer than it was waited for; the same may go later."""


class PublishError(NewsletterError):
    """The site cannot be published as it is, or the bucket did not do what was asked."""


class SesError(NewsletterError):
    """The mail service did not do what was asked."""


class Refused(SesError):
    """SES answered with an error of its own (a parsed 4xx) or was never reached: nothing was accepted."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}" if message else code)


class Throttled(Refused):
    """Refused for asking too fast; the same call may be made again later."""


class Ambiguous(SesError):
    """The call ended so that nobody can know whether SES accepted it: hold, and settle from evidence."""
