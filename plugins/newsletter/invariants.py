"""What must be true of every sending at every moment, checked against the ledger and, where there is one, SES's own log.

    1  at most once             no address has a briefing twice
    2  no silent loss           whoever was there at the freeze is a recipient or an exclusion, and every mail has a row
    3  no false claim           no state says more than what was answered or seen
    4  only consenting people   nobody was called for whom mail had ended
    7  monotone suppression     a bounce or a complaint ends all mail; a state is what its evidence proves
    8  one content              what is mailed is what was frozen, complete
    10 settings                 the database keeps what it is given

The numbers are those of the list this was written from. Its 5 (safe methods), 6 (unsubscribing works) and 9 (a
visitor's text is data) are about pages, not about the ledger: the tests of the web door hold them, and that part of
10 which is about consent. Of 4, what has a moment is compared with the moment of a call: suppressions, and leaving by
the door. An import that says somebody has left gives no moment; the next claim heeds it all the same.

A ledger is counted by the store, and judged here by what the counts show: the memory it takes does not grow with the
recipients. Comparing with a log keeps a line for each mail.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.message import EmailMessage
from functools import cache

from newsletter import package as packages
from newsletter.models import Package
from newsletter.states import ACCEPTED, Evidence, State, proven
from newsletter.store import Store
from newsletter.store.proofs import Kept, Shape, Some, Suppressed

NAMES = {
    1: "at most once",
    2: "no silent loss",
    3: "no false claim",
    4: "only consenting people",
    7: "monotone suppression",
    8: "one content",
    10: "settings",
}
_SUPPRESSING = frozenset({Evidence.HARD_BOUNCE, Evidence.COMPLAINT})
_PLACEHOLDER = re.compile(r"\{\{\s*\w+\s*\}\}")


@dataclass(frozen=True, slots=True)
class Accept:
    """One mail that SES has accepted, from its own log. `raw` is the mail itself, b"" where it was not kept."""

    address: str
    tags: Mapping[str, str]
    message_id: str
    template: str = ""
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Broken:
    """One invariant that does not hold: its number and name, what is wrong in words, and where."""

    number: int
    name: str
    words: str
    where: str

    def __str__(self) -> str:
        return f"{self.number} ({self.name}): {self.where}: {self.words}"


def check(store: Store, briefing: str, accepts: Iterable[Accept] | None = None) -> list[Broken]:
    """What is not as it must be with one briefing's sending; [] if all of it is sound.

    It may be asked at any time, during a mailing too, and changes nothing. With `accepts`, all that SES has accepted
    so far, the ledger is compared with that: then nobody may be mailing, and mails of other briefings are passed over.
    """
    found = [Broken(10, NAMES[10], words, "the database") for words in store.unsafe()]
    frozen = store.frozen(briefing)
    if frozen is not None:
        found += _content(briefing, frozen, store)
    found += _counted(briefing, 1, store.doubled(briefing), "an address stands in the briefing twice")
    found += _counted(
        briefing, 2, store.unaccounted(briefing), "neither a recipient nor an exclusion", "subscriber"
    )
    found += _counted(
        briefing, 4, store.uncorrected(briefing), "gets a correction of what it was never mailed"
    )
    for shape in store.shapes(briefing):
        for number, words in judge(shape):
            found += _counted(briefing, number, Some(shape.count, shape.example), words)
    return found if accepts is None else [*found, *_compared(store, briefing, frozen, accepts)]


def judge(shape: Shape) -> Iterator[tuple[int, str]]:
    """Each invariant that recipients of this shape break: its number, and how. Pure."""
    state, evidence = shape.state, shape.evidence
    if shape.another:
        yield 1, "SES has told of more than one mail"
    if state not in {State.PENDING, State.SKIPPED} and not shape.claimed:
        yield 3, f"{state}, and no call was made for it"
    if shape.claimed and not shape.called:
        yield 3, f"{state} by a call that was not written down"
    if evidence and not shape.claimed:
        yield 3, "SES has told of a mail, and no call was made for it"
    shown = proven(evidence)
    if state is State.SUBMITTED and shown is None and not (shape.named or shape.decided):
        yield 3, "submitted, and nobody has said so"
    if shown is None and state in ACCEPTED - {State.SUBMITTED}:
        yield 3, f"{state}, and SES has told nothing of it"
    if shown is not None and state is not shown:
        yield 7, f"{state}, and what SES has told shows {shown}"
    if shape.excluded:
        yield 4, "was left out of this briefing, and is a recipient of it"
    if shape.suppressed is Suppressed.BEFORE and state is not State.SKIPPED:
        yield 4, f"{state} by a call that was made after its address had been suppressed"
    if shape.left and state is not State.SKIPPED:
        yield 4, f"{state} by a call that was made after it had unsubscribed"
    if evidence & _SUPPRESSING and shape.suppressed is Suppressed.NEVER:
        yield 7, f"{' and '.join(sorted(evidence & _SUPPRESSING))}, and its address is not suppressed"


def _content(briefing: str, frozen: Package, store: Store) -> Iterator[Broken]:
    made = packages.content_hash(frozen)
    (kept,) = (send.content_hash for send in store.sends() if send.briefing == briefing)
    if not made == frozen.content_hash == kept:
        words = f"what was frozen makes the hash {made[:12]}…, and was frozen as {kept[:12]}…"
        yield Broken(8, NAMES[8], words, briefing)
    if frozen.month != briefing:
        yield Broken(8, NAMES[8], f"holds what was packaged as {frozen.month}", briefing)


def _compared(
    store: Store, briefing: str, frozen: Package | None, accepts: Iterable[Accept]
) -> Iterator[Broken]:
    """The ledger beside SES's own log, recipient by recipient."""
    mails: dict[int, Accept] = {}
    for accept in accepts:
        if accept.tags.get("briefing") != briefing:
            continue
        where = f"{briefing}, mail {accept.message_id}"
        tag = accept.tags.get("recipient", "")
        if not re.fullmatch(r"[0-9]+", tag):
            yield Broken(3, NAMES[3], f"SES has accepted it for recipient {tag!r}", where)
            continue
        number = int(tag)
        if frozen is not None:
            for words in _unlike(accept, frozen):
                yield Broken(8, NAMES[8], words, where)
        if number in mails:
            yield Broken(
                1, NAMES[1], "SES has accepted more than one mail", f"{briefing}, recipient {number}"
            )
        mails[number] = replace(accept, raw=b"")
    for kept in store.kept(briefing):
        for wrong, words in _against(kept, mails.pop(kept.number, None)):
            yield Broken(wrong, NAMES[wrong], words, f"{briefing}, recipient {kept.number}")
    for number in sorted(mails):
        yield Broken(
            3, NAMES[3], "SES has accepted a mail for it, and it is no recipient", f"{briefing}, {number}"
        )


def _against(kept: Kept, mail: Accept | None) -> Iterator[tuple[int, str]]:
    """What the ledger keeps of a recipient beside the mail that SES has accepted for it, or None."""
    if mail is None:
        if kept.state in ACCEPTED:
            yield 3, f"{kept.state}, and SES has accepted no mail for it"
        return
    if mail.address != kept.address:
        yield 4, "SES has accepted its mail for another address"
    if mail.tags.get("attempt") != kept.attempt:
        yield 3, "SES has accepted its mail for another call than the ledger has"
    if kept.message_id not in ("", mail.message_id):
        yield 3, f"{kept.state} by another mail than SES has accepted"
    # What SES told of can have failed after it was accepted; then its name is known. Refused means not accepted.
    refused = kept.state is State.FAILED and not kept.message_id
    if refused or kept.state in {State.PENDING, State.SKIPPED}:
        yield 3, f"{kept.state}, and SES has accepted its mail"


def _unlike(accept: Accept, frozen: Package) -> Iterator[str]:
    """How a mail differs from what was frozen for everyone."""
    if accept.template and frozen.content_hash[:16] not in accept.template:
        yield f"is made from the template {accept.template}, whose name has not the frozen hash"
    if not accept.raw:
        return
    mail: EmailMessage = email.message_from_bytes(accept.raw, policy=email.policy.default)
    if [str(to) for to in mail.get_all("To", [])] != [accept.address]:
        yield "is not addressed to its recipient alone"
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post"):
        if len(mail.get_all(name, [])) != 1:
            yield f"has not one header {name}"
    if mail["Subject"] != frozen.subject:
        yield "has another subject than was frozen"
    for kind, template in (("plain", frozen.text), ("html", frozen.html)):
        part = mail.get_body((kind,))
        content = part.get_content() if part else ""
        if not content.strip():
            yield f"has no {kind} part"
        elif "{{" in content:
            yield f"has an unfilled place in its {kind} part"
        elif not _filled(template).fullmatch(_joined(content)):
            yield f"says something else than was frozen, in its {kind} part"


@cache
def _filled(template: str) -> re.Pattern[str]:
    """What a template can look like when its places are filled: each with something without blanks, or nothing."""
    return re.compile(r"\S*?".join(re.escape(part) for part in _PLACEHOLDER.split(_joined(template))))


def _joined(text: str) -> str:
    return "\n".join(text.splitlines())  # how lines end is not content


def _counted(briefing: str, number: int, some: Some, words: str, who: str = "recipient") -> Iterator[Broken]:
    if some.count:
        others = f" and {some.count - 1:,} more" if some.count > 1 else ""
        yield Broken(number, NAMES[number], words, f"{briefing}, {who} {some.example}{others}")
