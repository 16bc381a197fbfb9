"""SES's events into the ledger, and out of it what they settle.

    queue ─► parse ─► store.apply ─► delete        a message that is no event goes to the quarantine
    doubts ─► settle.judge ─► store.release        what a person must decide stays

A message is deleted after its events are in the store, never before; reading it twice changes nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from newsletter import settle
from newsletter.ses.events import Event, Kind, Poison
from newsletter.ses.queue import EventQueue, Message
from newsletter.settle import Stream, Verdict
from newsletter.states import Evidence, State
from newsletter.store import Sighting, Store

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
    """What reading the queue brought: messages, sightings that were about our mails and new, poison."""

    messages: int
    fresh: int
    poison: int


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
        kind, event.message_id, event.at, event.briefing, event.attempt, event.number, event.detail
    )


class Aftermath:
    """Reads the queue into one store."""

    def __init__(
        self, store: Store, queue: EventQueue, quarantine: Path, clock: Callable[[], datetime]
    ) -> None:
        """`quarantine` is a folder for messages that are no events."""
        self._store, self._queue, self._quarantine, self._clock = store, queue, quarantine, clock

    def read(self, wait: int = 0, most: int | None = None) -> Read:
        """Read until the queue gives nothing (or `most` messages, about), waiting up to `wait` seconds for the first.

        Raises SesError, StoreError; what was read is in the store then, and what was not is still in the queue.
        """
        messages = fresh = poison = 0
        while (most is None or messages < most) and (batch := self._queue.receive(wait)):
            sightings: list[Sighting] = []
            for message in batch:
                try:
                    sightings += self._sightings(message)
                except Poison as reason:
                    poison += 1
                    self._put_aside(message, reason)
            fresh += self._store.apply(sightings, self._clock())
            self._queue.delete(batch)
            messages += len(batch)
            wait = 0
        return Read(messages, fresh, poison)

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
