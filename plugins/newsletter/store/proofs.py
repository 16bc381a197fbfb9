"""What a ledger can be examined by, without reading all of it into memory: what every store lends an examiner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from newsletter.states import Evidence, State

# How the words begin on which a state rests that a person has decided.
DECIDED = "the operator decided"


class Suppressed(StrEnum):
    """Whether the address of a recipient is suppressed, and since when."""

    NEVER = "never"
    SINCE = "since"  # since the call it was last claimed for, or it was never claimed
    BEFORE = "before"  # before that call was made


@dataclass(frozen=True, slots=True)
class Shape:
    """What is kept of a recipient, without who it is: `count` recipients of a briefing look so, `example` is one's number.

    `claimed` is whether a call is noted for it, `called` whether that call itself is in the ledger, `named` whether SES's
    name of the mail is, `decided` whether a person has decided its state; `evidence` has the kinds of what SES told of it, and `another` says that some of that is about
    a second mail. `left` is whether it had unsubscribed, at the door, before that call; `excluded` is whether it was left out of the same briefing.
    """

    state: State
    claimed: bool
    called: bool
    named: bool
    decided: bool
    evidence: frozenset[Evidence]
    another: bool
    suppressed: Suppressed
    left: bool
    excluded: bool
    count: int
    example: int


@dataclass(frozen=True, slots=True)
class Some:
    """How many there are of something, and the number of one of them (0 where there is none)."""

    count: int
    example: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What the ledger keeps of one recipient, to compare with SES's own books."""

    number: int
    address: str
    state: State
    attempt: str
    message_id: str


class Proofs(Protocol):
    """Looks at the ledger and changes nothing. Counting is the store's work, judging is not."""

    def shapes(self, briefing: str) -> list[Shape]:
        """The recipients, counted by what is kept of them: a few dozen shapes, however many recipients there are."""
        ...

    def doubled(self, briefing: str) -> Some:
        """Recipients whose address stands in the briefing more than once."""
        ...

    def unaccounted(self, briefing: str) -> Some:
        """Subscribers of the time of the freeze who are neither recipients nor exclusions; none for an erratum."""
        ...

    def uncorrected(self, briefing: str) -> Some:
        """Recipients of an erratum who are no recipients of what it corrects; none for a briefing."""
        ...

    def kept(self, briefing: str) -> Iterator[Kept]:
        """Each recipient, in the order of the numbers."""
        ...

    def unsafe(self) -> list[str]:
        """What is wrong with how the database is opened, in words; [] if it keeps what it is given."""
        ...
