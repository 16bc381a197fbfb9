"""What strangers and subscribers ask for at the door: what every store keeps of it.

    a visitor asks ─► Letter (asked) ─► claimed ─► submitted | failed | in_doubt | dropped
                          the postman judges it, mails it once, and notes what became of it

Whatever is typed into a form, the door does one thing: it counts, and writes one letter down. Whether the address
is new, known, suppressed or over its limit is judged later, by the postman, so neither the answer nor the time
it takes tells a stranger anything.

Nobody becomes a subscriber on a stranger's word: until its link is used, a sign-up is a letter and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

from newsletter.address import Address
from newsletter.store.people import Subscription


class LetterKind(StrEnum):
    """What a letter is for. Only CONTACT carries a visitor's words, and it goes to the house alone."""

    CONFIRM = "confirm"  # to whoever's address was typed into the sign-up form
    MY_PAGE = "my_page"  # the link to a subscriber's own page
    CHANGE = "change"  # to the new address of a subscriber who changes it
    CONTACT = "contact"  # to the house


class LetterState(StrEnum):
    """What became of a letter; LETTER_STEPS has the ways between."""

    ASKED = "asked"
    CLAIMED = "claimed"
    SUBMITTED = "submitted"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    DROPPED = "dropped"  # not to be mailed: suppressed, over the limit, nobody's
    ANSWERED = "answered"  # its link was used


LETTER_STEPS: dict[LetterState, frozenset[LetterState]] = {
    LetterState.ASKED: frozenset({LetterState.CLAIMED, LetterState.DROPPED}),
    # A link can be used before SES's answer to its mail is written down.
    LetterState.CLAIMED: frozenset(LetterState) - {LetterState.CLAIMED},
    # SES may have taken it: whoever uses its link has had it. Dropped once another letter's link was used, or the
    # subscriber has left since.
    LetterState.IN_DOUBT: frozenset({LetterState.ANSWERED, LetterState.DROPPED}),
    LetterState.SUBMITTED: frozenset({LetterState.ANSWERED, LetterState.DROPPED}),
    LetterState.ANSWERED: frozenset(),
    LetterState.FAILED: frozenset(),
    LetterState.DROPPED: frozenset(),
}
# Letters of these states may be in somebody's inbox, so their links work.
OUT = frozenset({LetterState.CLAIMED, LetterState.SUBMITTED, LetterState.IN_DOUBT})
# How long a letter's link works, from when it was asked for.
LIFETIMES = {
    LetterKind.CONFIRM: timedelta(days=7),
    LetterKind.MY_PAGE: timedelta(days=1),
    LetterKind.CHANGE: timedelta(days=1),
    LetterKind.CONTACT: timedelta(0),  # it has none
}
# How long a letter is kept, and whoever has not confirmed.
KEPT = timedelta(days=30)
# The tag `briefing` of a letter's mail, which is like no month; its tag `attempt` is the letter's id in hex.
TAG = "letter"

Digests = Callable[[str], Sequence[bytes]]
"""The keyed hashes of an address key, one for each secret key, the newest key's first (`tokens.digests`)."""


ERASED = "erased:"


def stand_in(digest: bytes) -> str:
    """What stands where the key of an erased address stood; no address is written like it."""
    return f"{ERASED}{digest.hex()}"


def form_version(text: str) -> str:
    """The version of a form's text: 16 hex digits that change with any of its words."""
    return sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one person that is not a briefing. `id` (16 random bytes) is what its link's token carries.

    `to` is where it goes. `subscriber` is the public id it is about: for CHANGE whoever asked; for CONFIRM and
    MY_PAGE whoever has the address at the moment, which the store fills in; b"" where there is nobody. `ip` is the
    address the request came from and `form` the version of the form's text, for the consent record. `words` are
    the visitor's own, for the house (CONTACT: "email" is the visitor's address as `address.parse` has it), or the
    facts of the request ("page": where the form was filled in). `mailbox` is a keyed hash that all spellings of the
    reader's mailbox have in common, "" where nobody has worked it out.
    """

    id: bytes
    kind: LetterKind
    to: Address
    at: datetime
    ip: str = ""
    form: str = ""
    subscriber: bytes = b""
    words: Mapping[str, str] = field(default_factory=dict)
    state: LetterState = LetterState.ASKED
    mailbox: str = ""

    def usable(self, at: datetime) -> bool:
        """Whether its link works at that moment; it was mailed, not used up, and not too long ago."""
        return self.state in OUT and at < self.at + LIFETIMES[self.kind]


@dataclass(frozen=True, slots=True)
class Limit:
    """How often something may happen: at most `most` times in each `window` (they follow each other on the clock).

    `key` names it without an address: a keyed hash, or a word such as "all". Where a `quiet` one is reached the
    letter is not kept, the other limits count all the same, and nobody is told.
    """

    key: str
    most: int
    window: timedelta
    quiet: bool = False

    def stretch(self, at: datetime) -> int:
        """In the how-manieth of its windows since 1970 a moment is."""
        return int(at.timestamp()) // int(self.window.total_seconds())


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an address when a letter to it is judged.

    `unanswered` is how many confirmation letters it has had without an answer, `newest` when the last one was
    mailed, `suppressed` the reason or "". `today` is how many letters of the kind to be judged were mailed to it
    in the 24 hours before. `subscription` is that of whom the letter is about; None where there is nobody.
    """

    subscription: Subscription | None
    suppressed: str
    unanswered: int
    newest: datetime | None
    today: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """One subscriber as its own page shows it. Moments are ISO 8601 texts in UTC, "" where there is none."""

    public_id: bytes
    address: str
    subscription: Subscription
    name: str
    subscribed_at: str
    confirmed_at: str
    paused_until: str
    source: str


class Used(StrEnum):
    """What using the link of a letter did."""

    DONE = "done"
    ALREADY = "already"  # it had been used before, and what it did still holds
    GONE = "gone"  # no such letter (any more), or what it would do is no longer possible
    TAKEN = "taken"  # the new address belongs to another subscriber


class Door(Protocol):
    """What the door and its postman need of a store."""

    def together(self) -> AbstractContextManager[None]:
        """Everything written within is durable when the block ends, by one transaction instead of many: for whoever
        has several visitors to answer at once. A step that fails within is undone by itself; StoreError at the end
        says that nothing was kept. Nobody is erased within.
        """
        ...

    def ask(self, letter: Letter, limits: Sequence[Limit], form_text: str = "") -> bool:
        """Count against every limit and keep the letter: one durable transaction, alike for every address.

        False, and neither letter nor count, if a limit is reached. If only a quiet one is, True: the others have
        counted, and a dropped letter of nobody's stands where the letter would. `form_text` is kept once under `letter.form`,
        so that what a subscriber agreed to can be read years later.
        """
        ...

    def counted(self, limit: Limit, at: datetime) -> int:
        """How often that limit has been counted in the window of that moment."""
        ...

    def letter(self, letter_id: bytes) -> Letter | None:
        """The letter of that id, or None."""
        ...

    def letter_counts(self) -> Mapping[tuple[LetterKind, LetterState], int]:
        """How many letters there are of each kind in each state."""
        ...

    def next_letter(
        self, at: datetime, digests: Digests = ..., through: str = "", most: int | None = None
    ) -> tuple[Letter, Standing] | None:
        """The oldest letter asked for, claimed durably for one call of the SES `through`, with what is known of its
        address.

        `digests` finds the suppression of an address that was erased. The sign-up of somebody who is confirmed
        already is claimed as MY_PAGE: only the owner of the mailbox learns of it. Sign-ups wait while `most`
        confirmation letters were mailed in the hour before. What an address was mailed is what any spelling of its
        mailbox was.
        """
        ...

    def letter_done(
        self, letter_id: bytes, state: LetterState, evidence: str, at: datetime, message_id: str = ""
    ) -> None:
        """Note what became of a claimed letter, by a step of LETTER_STEPS. What was answered, dropped or erased
        meanwhile stays so. Raises StoreError for any other step.
        """
        ...

    def mailed_through(self) -> set[str]:
        """Through which SES letters and briefings have gone so far, as far as that is still known."""
        ...

    def hold_letters(self, at: datetime) -> int:
        """Put in doubt what a postman that died had claimed; how many. Only the one postman may call it."""
        ...

    def posting(self) -> AbstractContextManager[None]:
        """Hold the right to be the one postman on this machine. StoreError if another process has it."""
        ...

    def confirm(self, letter_id: bytes, at: datetime, ip: str) -> Used:
        """A sign-up's link was used: the address becomes a confirmed subscriber, with the consent record."""
        ...

    def change_address(self, letter_id: bytes, at: datetime) -> Used:
        """A change's link was used at the new address: the subscriber has it from now on."""
        ...

    def person(self, public_id: bytes) -> Person | None:
        """The subscriber of that public id, or None."""
        ...

    def unsubscribe(self, public_id: bytes, at: datetime, how: str = "") -> bool:
        """Never mail this subscriber again until a fresh confirmation. Idempotent; False if there is no such one.

        Confirmation letters that are still out are void from then on. `how` is the way it came ("one-click",
        "page"), for the history. Noted outside the database too, even of a subscriber it does not know.
        """
        ...

    def pause(self, public_id: bytes, until: datetime | None, at: datetime) -> bool:
        """No briefing before `until`; None ends a pause. False if there is no such confirmed subscriber."""
        ...

    def data_of(self, public_id: bytes) -> Mapping[str, Any]:
        """All that is kept of one subscriber, table by table, fit for JSON."""
        ...

    def erase(self, public_id: bytes, digests: Digests, at: datetime) -> bool:
        """Forget a subscriber: no byte of any address it had stays in the database's files. The digests stay, so
        that no import brings the address back and a suppression goes on. False if there is no such one.
        """
        ...

    def erase_address(self, address_key: str, digests: Digests, at: datetime) -> bool:
        """The same by address: for whoever never became a subscriber too. False if nothing was kept of it."""
        ...

    def erased(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the digests whose addresses were erased; where nobody ever was, none is made."""
        ...

    def lagging(self, digests: Digests | None = None) -> int:
        """How many who left, had themselves erased or were suppressed this database has forgotten: more than 0 only
        after an older one was restored. Suppressed addresses are recognised by their `digests`, and not without.
        """
        ...

    def replay(self, at: datetime, digests: Digests | None = None) -> int:
        """Let all of those leave again; how many. An address that the database does not know is remembered by its
        digest, so that no import brings it back.
        """
        ...

    def stood_in(self, digests: Iterable[bytes]) -> Mapping[bytes, str]:
        """Those of the digests that are suppressed without their address being known, and why."""
        ...

    def prune(self, before: datetime) -> int:
        """Delete letters, counts and unconfirmed sign-ups older than `before`; how many. Messages that have not been
        mailed to the house stay.
        """
        ...
