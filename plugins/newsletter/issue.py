"""What a mailing is called: a briefing by its month, an erratum by the month it corrects and its number.

    content/briefings/2020-10.md             2020-10             the briefing of October 2020
    content/briefings/2020-10.erratum.md     2020-10-erratum     a correction of it
    content/briefings/2020-10.erratum-2.md   2020-10-erratum-2   another one

The id is the name of the package's folder, the key in the ledger and a tag of the mails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# SES takes these signs for a tag, and so does every file system. The first erratum has no number, so that each
# mailing has one name only.
_NAME = re.compile(r"([0-9]{4}-(?:0[1-9]|1[0-2]))(?:([.-])erratum(?:-([2-9]|[1-9][0-9]))?)?")


@dataclass(frozen=True, slots=True)
class Issue:
    """A mailing: the briefing of `month` ("2020-10"), or its erratum of that number (0: it is no erratum)."""

    month: str
    erratum: int = 0

    @property
    def id(self) -> str:
        """Its name everywhere but in content/: "2020-10-erratum-2"."""
        return self._named("-")

    @property
    def stem(self) -> str:
        """The name of its file in content/briefings/, without the ending: "2020-10.erratum-2"."""
        return self._named(".")

    @property
    def corrects(self) -> str:
        """The id of the briefing it corrects; "" for a briefing."""
        return self.month if self.erratum else ""

    @property
    def command(self) -> str:
        """What a person types to mail it."""
        if not self.erratum:
            return f"newsletter send {self.month}"
        number = f" --number {self.erratum}" if self.erratum > 1 else ""
        return f"newsletter erratum {self.month}{number}"

    def _named(self, joint: str) -> str:
        number = f"-{self.erratum}" if self.erratum > 1 else ""
        return f"{self.month}{joint}erratum{number}" if self.erratum else self.month


def of_id(text: str) -> Issue | None:
    """The mailing of that id; None if no mailing is called so."""
    return _read(text, "-")


def of_stem(text: str) -> Issue | None:
    """The mailing whose file in content/briefings/ is called so (without the ending), or None."""
    return _read(text, ".")


def _read(text: str, joint: str) -> Issue | None:
    match = _NAME.fullmatch(text)
    if match is None or match[2] not in (None, joint):
        return None
    return Issue(match[1], 0 if match[2] is None else int(match[3] or 1))
