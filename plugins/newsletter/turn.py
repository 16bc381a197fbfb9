"""The fence: whoever has an old copy of the ledger does not get a turn, and mails nobody.

A ledger can be restored from a backup, and it can be copied to a second machine; such a copy holds people as
pending who have been mailed since. Nothing in the copy says so, but SES can: each run of the sender takes the next
*turn* at SES, by making a template that can be made only once, with a random owner in it.

    ledger: turn 3, owner 5f0c…, not taken ─► SES: make briefing-2020-10-turn-3 ─► made: ours
                                                                                 └► there already: whose?

The owner is written down before SES is asked, so an answer that was lost is found again. At the end of a run one
more turn is taken, so that a copy made in its middle comes too late as well.

A turn that a dead sender had begun is settled first, and then a new one is taken with a new owner: two copies of a
ledger share what was begun in it, and must not share a turn.

Where several workers mail (worker.py), they act under the turn of the run that handed out their work, and only while
that run says every few seconds that they may; a copy of the ledger says so to nobody for longer than a minute.

What is left: a run that *crashed* takes no last turn. If then an older copy, made during that very run, goes on in
place of the crashed ledger, the fence cannot tell, and those mailed between the copy and the crash are pending in
it. So a sender that goes on reads SES's events first (vigil.py): they show those mails, and take their recipients
out of pending. It reads them after it has its turn, and not before: what an old copy takes out of the queue, the
newest ledger never learns. The fence also needs its templates: they must not be deleted while the briefing may still be mailed.

AWS does not say that CreateEmailTemplate is atomic; that two calls with one name do not both succeed is assumed.
Source: API reference V2, CreateEmailTemplate.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from newsletter import issue
from newsletter.errors import Ambiguous, NewsletterError, SesError, StoreError
from newsletter.issue import Issue
from newsletter.pace import patiently
from newsletter.states import State
from newsletter.store import Store, Turn

# So long after a claim a worker has its answer: SES is given a minute, and five seconds to be reached.
ANSWERED = timedelta(seconds=90)


class TurnMaker(Protocol):
    """Whoever can keep a turn; `ses.submit.Ses` can."""

    def create_turn(self, name: str, owner: str) -> str | None:
        """Whose turn it is after this call; None where turns are not known."""
        ...


class TurnReader(Protocol):
    """Whoever can look at a turn; `ses.submit.Ses` can."""

    def turn_holder(self, name: str) -> str:
        """Whose turn it is, "" for nobody's."""
        ...


def overtaken(store: Store, ses: TurnReader, briefing: str, through: str) -> StoreError | None:
    """What is wrong if SES has a turn of this briefing that is not this ledger's; it takes none, so it is for whoever
    is about to read events: an old copy must not take them from the newest. Raises SesError.
    """
    newest = store.turn(book(briefing, through))
    if (
        newest
        and not newest.taken
        and ses.turn_holder(_name(briefing, newest.number)) not in ("", newest.owner)
    ):
        return _overtaken(briefing, newest.number)
    number = newest.number + 1 if newest else 1
    return _overtaken(briefing, number) if ses.turn_holder(_name(briefing, number)) else None


def recall(
    store: Store,
    briefing: str,
    clock: Callable[[], datetime],
    pause: Callable[[float], None],
    answered: timedelta = ANSWERED,
) -> int:
    """Before anybody else acts on a briefing: have its workers end, wait for what they have asked SES, and hold in doubt
    whatever a dead one (or a dead sender) had claimed; how many. Whoever calls it holds `store.sending(briefing)`.
    """
    own = book(briefing, store.through(briefing))
    turn = store.turn(own)
    if turn and turn.open_until:
        store.stop_turn(own, turn.number, "its sender has ended")
        latest = min(clock(), turn.open_until) + answered  # the last claim was made no later than that
        while store.counts(briefing).of(State.CLAIMED) and clock() < latest:
            pause(0.5)
    return store.hold_orphans(briefing, clock())


class Turns:
    """The turns of one briefing at one SES. Whoever takes one holds `store.sending(briefing)`."""

    def __init__(
        self,
        store: Store,
        ses: TurnMaker,
        briefing: str,
        through: str,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
    ) -> None:
        """`through` names the SES: each counts from one, so that practice does not use up the real one's numbers."""
        self._store, self._ses, self._briefing = store, ses, briefing
        self._book = book(briefing, through)
        self._clock, self._pause = clock, pause
        self._number = 0

    def take(self, takeover: bool = False) -> None:
        """Take the next turn. With `takeover`, the next that is free, whoever had those before.

        Raises StoreError if another ledger has had it, SesError if that cannot be found out. Nobody was mailed then.
        """
        number = 1
        if newest := self._store.turn(self._book):
            number = newest.number + 1
            if not newest.taken and not self._ask(newest) and not takeover:
                raise _overtaken(self._briefing, newest.number)
        while not self._take(number):
            if not takeover:
                raise _overtaken(self._briefing, number)
            number += 1

    @property
    def number(self) -> int:
        """The turn that was taken last."""
        return self._number

    def open(self, until: datetime) -> bool:
        """Let workers act under it until then; False if it is over: stopped, or another run has a newer one."""
        return self._store.open_turn(self._book, self._number, until)

    def stop(self, reason: str) -> str:
        """Let no worker act under it any more; the first reason that was given for that."""
        self._store.stop_turn(self._book, self._number, reason)
        turn = self._store.turn(self._book)
        if turn and turn.number == self._number:
            return turn.stopped
        return "another run of the sender has begun"

    def close(self) -> str:
        """Take the last turn of a run; what is wrong in words, or "". It raises nothing: what was mailed is mailed."""
        try:
            self.take()
        except NewsletterError as error:
            return f"The last turn of this run could not be taken: {error}"
        return ""

    def _take(self, number: int) -> bool:
        turn = Turn(number, secrets.token_hex(16), taken=False)
        self._store.take_turn(self._book, turn.number, turn.owner, self._clock())
        return self._ask(turn)

    def _ask(self, turn: Turn) -> bool:
        """Whether SES gives us this turn, which the ledger holds already."""
        name = _name(self._briefing, turn.number)
        try:
            owner = patiently(lambda: self._ses.create_turn(name, turn.owner), self._pause)
        except Ambiguous as doubt:
            raise SesError(
                f"SES did not say whether it has made the template {name}, which marks this run's turn: {doubt}. "
                "Run the same command again."
            ) from doubt
        if owner == turn.owner:
            self._store.turn_taken(self._book, turn.number, self._clock())
            self._number = turn.number
            return True
        self._store.drop_turn(self._book, turn.number)
        return owner is None  # an SES without turns has no fence


def _overtaken(briefing: str, number: int) -> StoreError:
    command = (issue.of_id(briefing) or Issue(briefing)).command
    return StoreError(
        f"{briefing}: another ledger has mailed it, or begun to: SES has turn {number} of it (the template "
        f"{_name(briefing, number)}), and this ledger does not know of it. So this one was restored from a backup, or "
        "another machine sends the same briefing; whoever is pending here may have been mailed from there. Nobody "
        "was mailed now. Send with the newest ledger. If this is the only one left, see who has it according to "
        f"this one (newsletter audit {briefing}); {command} --takeover reads what SES still tells of it, and then "
        "mails all who are pending here, whatever the other ledger did."
    )


def _name(briefing: str, number: int) -> str:
    return f"briefing-{briefing}-turn-{number}"


def book(briefing: str, through: str) -> str:
    """Under which name the ledger keeps the turns."""
    return f"{briefing} {through}".rstrip()
