"""From one store into another: everything, compared row by row, and begun again where it was cut off.

    for each kind, and for recipients each sending:   equal sums ─► nothing to do
                                                      otherwise  ─► take all of it over, and compare again

What is there already is not trusted but added up, so an interrupted move goes on by being asked for again. The SES's
turns (turn.py) go along: whichever of the two stores mails first shuts the other out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from newsletter.errors import StoreError
from newsletter.states import OPEN
from newsletter.store import Store
from newsletter.store.moving import OF_A_SENDING, Kind, Sum, Summing

# Which rows of a target would show that it is somebody else's: each with what makes it the same here and there.
_IDENTITY = {Kind.SUBSCRIBER: "public_id", Kind.SEND: "briefing"}


@dataclass(frozen=True, slots=True)
class Moved:
    """A kind (of a sending, where `briefing` is named): how much there is of it, and whether it was there already."""

    kind: Kind
    briefing: str
    sum: Sum
    already: bool


def move(
    source: Store,
    target: Store,
    told: Callable[[Moved], None] = lambda moved: None,
    at: datetime | None = None,
) -> list[Moved]:
    """Take everything over from `source` into `target`, and compare both. `told` hears of each part that is done. `at` is
    the moment (None: now) as of which limits are counted, since some counts are over before the end of the move.

    Nobody else may write to either; both postmen are kept out. Raises StoreError: while a sending is open, if the
    target has what the source has not, or if they are not the same at the end.
    """
    done, at = [], at or datetime.now(UTC)
    with source.posting(), target.posting():
        _refuse_open(source, target)
        _refuse_foreign(source, target)
        for kind, briefing in _parts(source):
            moved = _move(source, target, kind, briefing, at)
            told(moved)
            done.append(moved)
        for moved in done:
            if _sum(source, moved.kind, moved.briefing, at) != moved.sum:
                raise StoreError(
                    f"The {_words(moved.kind, moved.briefing)} have changed while they were taken over. "
                    "Stop the door and everything else that writes, and run the same command again."
                )
    return done


def _parts(source: Store) -> Iterator[tuple[Kind, str]]:
    for kind in Kind:
        if kind in OF_A_SENDING:
            yield from ((kind, send.briefing) for send in source.sends())
        else:
            yield kind, ""


def _move(source: Store, target: Store, kind: Kind, briefing: str, at: datetime) -> Moved:
    there = _sum(source, kind, briefing, at)
    if _sum(target, kind, briefing, at) == there:
        return Moved(kind, briefing, there, already=True)
    passing = Summing()
    target.take(kind, passing.passing(source.rows(kind, briefing, at)), briefing)
    here = _sum(target, kind, briefing, at)
    if here != passing.sum:
        raise _differ(kind, briefing, passing.sum, here)
    return Moved(kind, briefing, passing.sum, already=False)


def _refuse_open(*stores: Store) -> None:
    for store in stores:
        for send in store.sends():
            if count := store.counts(send.briefing).of(*OPEN):
                raise StoreError(
                    f"{send.briefing}: is being sent: {count:,} recipients are pending, claimed or in doubt. Finish it "
                    f"first (newsletter status {send.briefing}), or withdraw it. Nothing was moved."
                )


def _refuse_foreign(source: Store, target: Store) -> None:
    for kind, name in _IDENTITY.items():
        mine = {row[name] for row in source.rows(kind)}
        foreign = next((row for row in target.rows(kind) if row[name] not in mine), None)
        if foreign is not None:
            raise StoreError(
                f"The target holds {kind} that are not in the source, so it is in use, and nothing was moved. Name an "
                "empty one, or one that an interrupted move of this source has begun."
            )


def _sum(store: Store, kind: Kind, briefing: str, at: datetime) -> Sum:
    summing = Summing()
    for _ in summing.passing(store.rows(kind, briefing, at)):
        pass
    return summing.sum


def _differ(kind: Kind, briefing: str, there: Sum, here: Sum) -> StoreError:
    return StoreError(
        f"The {_words(kind, briefing)} are not the same: {there.count:,} rows in the source ({there.digest[:12]}…), "
        f"{here.count:,} in the target ({here.digest[:12]}…). Stop everything that writes to either and run the same "
        "command again; if that does not help, begin with an empty target."
    )


def _words(kind: Kind, briefing: str) -> str:
    return f"{kind} of {briefing}" if briefing else str(kind)
