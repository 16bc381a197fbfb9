"""What differs between two texts, as a person would mark it: paragraph by paragraph, word by word.

A text is a sequence of paragraphs as readers see them, without markup. Pure and deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

# Paragraphs less alike than this are told as one taken out and another put in.
_ALIKE = 0.4
# Comparing takes time that grows with the product of two lengths; past this, a paragraph is told as a whole.
_MOST_PAIRS = 2_000_000
# Paragraphs between which the likest pairs are looked for; past this they are taken in their order.
_MOST_NEIGHBOURS = 400


class Mark(StrEnum):
    """What became of some words."""

    KEPT = "kept"
    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words of one paragraph with the same fate; a space stands between two runs."""

    mark: Mark
    text: str


Paragraph = tuple[Piece, ...]


def compare(before: Sequence[str], after: Sequence[str]) -> list[Paragraph]:
    """The paragraphs that differ, in the order of the later text; [] for equal texts.

    A paragraph taken out or put in is one piece. White space alone is no difference.
    """
    old, new = ([" ".join(text.split()) for text in texts] for texts in (before, after))
    found: list[Paragraph] = []
    for what, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            found += [_words(one, other) for one, other in _pairs(old[i1:i2], new[j1:j2])]
    return found


def _pairs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each old paragraph beside the new one it became; "" where it became none, or came from none."""
    at = 0
    for index, text in enumerate(old):
        if len(old) * len(new) > _MOST_NEIGHBOURS:
            best = at if at < len(new) and len(old) - index <= len(new) - at + 1 else None
        else:
            likeness = [(_likeness(text, other), -number) for number, other in enumerate(new[at:], start=at)]
            top = max(likeness, default=(0.0, 0))
            best = -top[1] if top[0] >= _ALIKE else None
        if best is None:
            yield text, ""
            continue
        yield from (("", other) for other in new[at:best])
        yield text, new[best]
        at = best + 1
    yield from (("", other) for other in new[at:])


def _likeness(one: str, other: str) -> float:
    matcher = SequenceMatcher(None, one.split(), other.split(), autojunk=False)
    return matcher.ratio() if matcher.real_quick_ratio() >= _ALIKE <= matcher.quick_ratio() else 0.0


def _words(before: str, after: str) -> Paragraph:
    old, new = before.split(), after.split()
    if not old or not new or len(old) * len(new) > _MOST_PAIRS:
        return tuple(Piece(mark, text) for mark, text in ((Mark.OUT, before), (Mark.IN, after)) if text)
    pieces: list[Piece] = []
    for what, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            pieces.append(Piece(Mark.KEPT, " ".join(new[j1:j2])))
        else:
            runs = (Mark.OUT, old[i1:i2]), (Mark.IN, new[j1:j2])
            pieces += [Piece(mark, " ".join(run)) for mark, run in runs if run]
    return tuple(pieces)
