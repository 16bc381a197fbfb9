"""SES's events into the ledger, and out of it what they settle.

    queue ─► parse ─► store.apply ─► delete        a message that is no event goes to the quarantine
    doubts ─► settle.judge ─► store.release        what a person must decide stays

An event decides about a recipient only if its mail's tag is the id of a call that one of our ledgers made: that can be
told of one restored from a backup, which does not know all of its own calls, and nobody else can write such a tag.

A message is deleted after its events are in the store, never before; reading it twice changes nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from newsletter import settle, tokens
from newsletter.ses.events import Event, Kind, Poison
from newsletter.ses.queue import EventQueue, Message
from newsletter.settle import Stream, Verdict
from newsletter.states import Evidence, State
from newsletter.store import Sighting, Store
from newsletter.store.door import TAG

# The tag `briefing` of a canary; no month is written like it.
CANARY = "canary"
_EVIDENCE = {
    Kind.SEND: Evidence.SEND,
    Kind.DELIVERY: Evidence.DELIVERY,
    Kind.COMPLAINT: Evidence.COMPLAINT,
    Kind.REJECT: Evidence.REJECT,
    Kind.RENDERING_FAILURE: Evidence.RENDERING_FAILURE,
    Kind.DELIVERY_DELAY: Evidence.DELIVERY_DELAY,
}


class CanaryMailer(Protocol):
    """Whoever can mail a canary; `ses.submit.Ses` can."""

    def canary(self, sender: str, tags: dict[str, str]) -> None:
        """Mail one mail to SES's mailbox simulator."""
        ...


@dataclass(frozen=True, slots=True)
class Read:
    """What reading the queue brought: messages, sightings that were about our mails and new, poison, and events that
    name a call that we never made.
    """

    messages: int
    fresh: int
    poison: int
    foreign: int = 0


def sighting(event: Event) -> Sighting | None:
    """An event as the ledger takes it; None for a kind it has no use for."""
    kind = (
        (Evidence.HARD_BOUNCE if event.permanent else Evidence.SOFT_BOUNCE)
        if event.kind is Kind.BOUNCE
        else _EVIDENCE.get(event.kind)
    )
    if kind is None:
        return None
    return Sighting(
        kind,
        event.message_id,
        event.at,
        event.briefing,
        event.attempt,
        event.number,
        event.detail,
        event.recipient,
    )


class Aftermath:
    """Reads the queue into one store."""

    def __init__(
        self,
        store: Store,
        queue: EventQueue,
        quarantine: Path,
        clock: Callable[[], datetime],
        keys: Sequence[bytes] = (),
    ) -> None:
        """`quarantine` is a folder for messages that are no events. With the secret `keys`, newest first, an event must
        prove that the call it names was ours; without them, the store need only know its recipient.
        """
        self._store, self._queue, self._quarantine, self._clock = store, queue, quarantine, clock
        self._keys = keys

    def read(self, wait: int = 0, most: int | None = None) -> Read:
        """Read until the queue gives nothing (or `most` messages, about), waiting up to `wait` seconds for the first.

        Raises SesError, StoreError; what was read is in the store then, and what was not is still in the queue.
        """
        messages = fresh = poison = foreign = 0
        digests = partial(tokens.digests, keys=self._keys)
        while (most is None or messages < most) and (batch := self._queue.receive(wait)):
            sightings: list[Sighting] = []
            for message in batch:
                try:
                    seen = self._sightings(message)
                except Poison as reason:
                    poison += 1
                    self._put_aside(message, reason)
                    continue
                ours = [one for one in seen if self._is_ours(one)]
                sightings += ours
                foreign += len(seen) - len(ours)
            fresh += self._store.apply(sightings, self._clock(), digests)
            self._queue.delete(batch)
            messages += len(batch)
            wait = 0
        if not messages:  # what could not be told before may be known by now
            fresh = self._store.apply((), self._clock(), digests)
        return Read(messages, fresh, poison, foreign)

    def settle(self, briefing: str, quiet: timedelta = settle.QUIET) -> list[tuple[int, Verdict, str]]:
        """Judge each unanswered call of a briefing: (recipients, verdict, why). Releases those SES never took.

        Read the queue first. Only whoever holds `store.sending(briefing)` may call it.
        """
        doubts = self._store.doubts(briefing)
        if not doubts:
            return []
        waiting, hidden = self._queue.backlog()
        blind = self._store.blind(briefing, doubts[0].since)
        stream = Stream(self._store.newest_canary(), waiting + hidden, blind)
        verdicts = []
        for doubt in doubts:
            verdict, why = settle.judge(doubt, stream, self._clock(), quiet)
            if verdict is Verdict.RELEASE:
                self._store.release(briefing, doubt.attempt, State.PENDING, why, self._clock())
            verdicts.append((doubt.held, verdict, why))
        return verdicts

    def mail_canary(self, mailer: CanaryMailer, sender: str) -> None:
        """Mail a canary: one that comes back later shows that events mailed before it would have come too."""
        canary = secrets.token_hex(16)
        self._store.canary_mailed(canary, self._clock())
        mailer.canary(sender, {"briefing": CANARY, "attempt": canary})

    def _sightings(self, message: Message) -> list[Sighting]:
        found = []
        for event in self._queue.parse(message):
            if event.briefing == CANARY and event.kind is not Kind.RENDERING_FAILURE:
                self._store.canary_seen(event.attempt, self._clock())
            elif seen := sighting(event):
                found.append(seen)
        return found

    def _is_ours(self, seen: Sighting) -> bool:
        """Whether one of our ledgers can have made the call; older versions wrote ids that prove nothing. Where SES
        leaves our tags out, its own message id tells, which nobody can guess.
        """
        if not self._keys or not seen.briefing or seen.number is None or seen.briefing == TAG:
            return True
        return tokens.is_attempt(seen.attempt, seen.briefing, self._keys) or self._store.attempted(
            seen.briefing, seen.attempt
        )

    def _put_aside(self, message: Message, reason: Poison) -> None:
        self._quarantine.mkdir(parents=True, exist_ok=True)
        name = "".join(character for character in message.id if character.isalnum() or character == "-")[:80]
        document = {
            "reason": reason.reason,
            "at": self._clock().isoformat(),
            "id": message.id,
            "body": message.body,
        }
        (self._quarantine / f"{name or secrets.token_hex(8)}.json").write_text(json.dumps(document, indent=1))
