"""The letters of the door to their readers: claimed durably, judged, mailed once.

    next_letter ─► judge ─► one POST ─► letter_done

Once a day it throws away what is too old to be kept. There is one postman on a machine at a time. What it claimed and did not answer for when it died is in doubt, and is
not mailed again: the visitor may ask once more, a day later. Nothing it says to anybody but the mailbox's owner
depends on who is on the list.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from newsletter.correspondence import Correspondence
from newsletter.errors import Ambiguous, Refused, SesError, StoreBusy, StoreError, Throttled
from newsletter.limits import USUAL
from newsletter.pace import Every, Pace
from newsletter.ses.post import Mail
from newsletter.ses.submit import PRACTICE, Quota
from newsletter.store.door import (
    KEPT,
    LIFETIMES,
    TAG,
    Digests,
    Door,
    Letter,
    LetterKind,
    LetterState,
    Standing,
)

# How many confirmation letters an address may have unanswered; they are mailed a day apart at least.
MOST_UNANSWERED = 3
# How many links to its own page, or for a change, an address is mailed in a day.
_MOST_A_DAY = 3
_DAY = timedelta(days=1)
# The refusals that one letter can have caused; every other one is about the account or the sender.
_BLAMES_THE_LETTER = {
    "BadRequestException",
    "InvalidParameterValue",
    "ValidationException",
    "ParamValidationError",
}
# Seconds between two looks for letters, and between two tries to become the postman.
_IDLE, _QUEUE = 1.0, 10.0


class Mailer(Protocol):
    """What the postman needs of SES; `ses.post.Post` is it."""

    @property
    def place(self) -> str:
        """Which SES it is."""
        ...

    def quota(self) -> Quota:
        """What the account may send."""
        ...

    def mail(self, mail: Mail, tags: Mapping[str, str]) -> str:
        """One POST; SES's name for the mail."""
        ...


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did: letters by what became of them, and why it stopped early ("" if not)."""

    counts: Mapping[LetterState, int]
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one call means for its letter, and the reason to make no more of them for now ("" if there is none)."""

    state: LetterState
    evidence: str
    message_id: str = ""
    stop: str = ""


def judge(letter: Letter, standing: Standing, now: datetime) -> str:
    """Why a letter must not be mailed, or "".

    The house is always written to. Nobody else is who complained or cannot be reached, nor more often than a
    mailbox's owner would want of a stranger; and a letter whose link is half through its time is of little use.
    """
    if letter.kind is LetterKind.CONTACT:
        return ""
    if "=?" in letter.to.text:
        return "an address that a mail program may decode to something else"
    if standing.suppressed:
        return f"suppressed: {standing.suppressed}"
    if now - letter.at > LIFETIMES[letter.kind] / 2:
        return "asked for too long ago"
    if letter.kind is LetterKind.CONFIRM:
        if standing.newest is not None and now - standing.newest < _DAY:
            return "had a confirmation letter within 24 hours"
        if standing.unanswered >= MOST_UNANSWERED:
            return f"has {standing.unanswered} confirmation letters unanswered"
        return ""
    if standing.subscription is None:
        return "nobody's"
    # A form's version is in sign-ups alone: this one was typed by anybody, the others by somebody who wants the page.
    if standing.today >= (1 if letter.form else _MOST_A_DAY):
        return f"had {standing.today} such letters within 24 hours"
    return ""


def in_earnest(store: Door, place: str) -> str:
    """Why the letters of this store must not go through the SES `place`, or "".

    Through the local SES they land in a mailbox on this machine: who signed up in earnest would wait for ever.
    """
    others = sorted(store.mailed_through() - {PRACTICE})
    if place != PRACTICE or not others:
        return ""
    return (
        f"This store's mail goes through {others[-1]}, and this SES is practice: it delivers nothing, and whoever "
        "signs up in earnest would never have the letter. Practise with a store of its own: "
        "STORE_URL=sqlite:///var/practice.db"
    )


class Postman:
    """Mails what is asked for. Whoever runs it holds `store.posting()`."""

    # How often in a row SES may refuse a letter for the moment, or not answer, before the round ends.
    patience = 5
    most_unanswered = 2
    # How many confirmation letters are mailed within an hour; the other sign-ups wait their turn.
    most_an_hour = USUAL.mailed_hour
    # How often to try to write down an answer while another process holds the database, half a minute each.
    record_tries = 20

    def __init__(
        self,
        store: Door,
        mailer: Mailer,
        correspondence: Correspondence,
        digests: Digests,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
    ) -> None:
        """`digests` are those of erased addresses (tokens.digests); `pause` waits seconds."""
        self._store, self._mailer, self._correspondence = store, mailer, correspondence
        self._digests, self._clock, self._pause = digests, clock, pause
        self._pace: Pace | None = None
        self._pruned = Every(_DAY.total_seconds(), clock)

    def attend(self, over: Callable[[], bool], tell: Callable[[str], None]) -> None:
        """Mail letters as they come until it is over. `tell` is told what an operator should know, once each time."""
        told = ""
        while not over():
            try:
                with self._store.posting():
                    self.begin()
                    told = ""
                    self._attend(over, tell)
            except StoreError as error:
                if str(error) != told:
                    tell(told := str(error))
                self._pause(_QUEUE)

    def _attend(self, over: Callable[[], bool], tell: Callable[[str], None]) -> None:
        stops = 0
        while not over():
            if self._pruned.due():
                self._prune()
            done = self.round()
            if not done.stopped:
                stops = 0
                self._pause(_IDLE)
                continue
            stops += 1
            if stops == 1:
                tell(f"The letters wait: {done.stopped}")
            self._pause(Pace.backoff(stops, 1.0))

    def begin(self) -> int:
        """Put in doubt what a postman before this one left behind; how many letters. Raises StoreError where this
        would be practice with a store that is none.
        """
        if reason := in_earnest(self._store, self._mailer.place):
            raise StoreError(reason)
        self._prune()
        return self._store.hold_letters(self._clock())

    def _prune(self) -> None:
        self._pruned = Every(_DAY.total_seconds(), self._clock)
        self._store.prune(self._clock() - KEPT)

    def round(self) -> Round:
        """Mail every letter that is asked for. Ends early when SES takes none for now; what is left waits, and so do the
        sign-ups of an hour that has had its number.
        """
        counts: Counter[LetterState] = Counter()
        in_vain = unanswered = 0
        place, most = self._mailer.place, self.most_an_hour
        while taken := self._store.next_letter(self._clock(), self._digests, place, most):
            letter, standing = taken
            if reason := judge(letter, standing, self._clock()):
                answer = _Answer(LetterState.DROPPED, reason)
            else:
                answer = self._ask(letter)
                in_vain = in_vain + 1 if answer.state is LetterState.ASKED else 0
                unanswered = unanswered + 1 if answer.state is LetterState.IN_DOUBT else 0
            self._note(letter, answer)
            counts[answer.state] += 1
            if answer.stop:
                return Round(counts, answer.stop)
            if unanswered >= self.most_unanswered:
                return Round(
                    counts, f"{unanswered} calls in a row went unanswered: {_blotted(letter, answer)}"
                )
            if in_vain > self.patience:
                return Round(counts, f"SES keeps refusing: {_blotted(letter, answer)}")
            if in_vain:
                self._pause(Pace.backoff(in_vain, secrets.SystemRandom().random()))
            elif answer.state is not LetterState.DROPPED and self._pace:
                self._pause(self._pace.wait(1))
        return Round(counts)

    def _ask(self, letter: Letter) -> _Answer:
        """The one POST of a letter."""
        try:
            if self._pace is None:
                self._pace = Pace(self._mailer.quota().per_second)
                self._pace.wait(1)
        except SesError as error:
            return _Answer(LetterState.ASKED, str(error), stop=str(error))
        tags = {"briefing": TAG, "attempt": letter.id.hex()}
        try:
            message_id = self._mailer.mail(self._correspondence.mail(letter), tags)
        except Throttled as refusal:
            answer = _Answer(LetterState.ASKED, str(refusal))
            daily = "daily" in refusal.message.lower()
            return replace(answer, stop=_blotted(letter, answer)) if daily else answer
        except Refused as refusal:
            if refusal.code in _BLAMES_THE_LETTER:
                return _Answer(LetterState.FAILED, str(refusal))
            answer = _Answer(LetterState.ASKED, str(refusal))
            return replace(answer, stop=_blotted(letter, answer))
        except Ambiguous as doubt:
            return _Answer(LetterState.IN_DOUBT, str(doubt))
        return _Answer(LetterState.SUBMITTED, "accepted by SES", message_id)

    def _note(self, letter: Letter, answer: _Answer) -> None:
        """Write it down; a database that another process holds is waited for, since SES will not say it again."""
        what = (letter.id, answer.state, answer.evidence)
        for _ in range(self.record_tries):
            try:
                self._store.letter_done(*what, self._clock(), answer.message_id)
                return
            except StoreBusy:
                self._pause(1.0)
        self._store.letter_done(*what, self._clock(), answer.message_id)


def _blotted(letter: Letter, answer: _Answer) -> str:
    """SES's words without the reader's address, which no log may hold."""
    words = answer.evidence
    for address in filter(None, (letter.to.text, letter.words.get("email", ""))):
        words = re.sub(re.escape(address), "(the address)", words, flags=re.IGNORECASE)
    return words
