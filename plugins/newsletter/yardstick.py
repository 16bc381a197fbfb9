"""The yardstick: what a word of likelihood means in per cent.

A publication keeps to one of them, named in publication.toml. They are data, each with its source beside it:
yardsticks/icd-203.toml and yardsticks/phia.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Band:
    """One step of a yardstick: its word, the word that means the same in the other row ("" for none), and its range
    in per cent. The forms are other shapes of the two ("probably").
    """

    word: str
    synonym: str
    low: int
    high: int
    word_forms: tuple[str, ...] = ()
    synonym_forms: tuple[str, ...] = ()

    @property
    def bracket(self) -> str:
        """The range as printed beside the word: "20–45 %", with a no-break space before the sign."""
        return f"{self.low}–{self.high}\u00a0%"

    def words(self) -> Iterator[tuple[str, int]]:
        """Every word for this step, with its row: 1 or 2."""
        yield from ((word, 1) for word in (self.word, *self.word_forms))
        yield from ((word, 2) for word in (self.synonym, *self.synonym_forms) if word)


@dataclass(frozen=True, eq=False)
class Yardstick:
    """One yardstick; `load` gives the same object for the same name. `rows` says that a product must keep to one of the two rows. `title`, `publisher` and `source` cite it."""

    name: str
    title: str
    publisher: str
    source: str
    rows: bool
    bands: tuple[Band, ...]
    _by_word: dict[str, Band] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_word = {word: band for band in self.bands for word, _ in band.words()}
        object.__setattr__(self, "_by_word", by_word)

    def band(self, likelihood: str) -> Band | None:
        """The step that a likelihood word stands for, or None if it is no word of this yardstick."""
        return self._by_word.get(" ".join(likelihood.lower().split()))

    def words(self) -> list[str]:
        """Every word it knows, the longest first."""
        return sorted(self._by_word, key=len, reverse=True)


@cache
def names() -> dict[str, str]:
    """The yardsticks there are: what publication.toml calls them ("ICD 203"), and their files."""
    folder = files("newsletter") / "yardsticks"
    return {_read(file.name)["name"]: file.name for file in sorted(folder.iterdir(), key=lambda f: f.name)}


@cache
def load(name: str) -> Yardstick:
    """The yardstick of that name. Raises KeyError if there is none; `names` has them."""
    facts = _read(names()[name])
    bands = tuple(
        Band(
            word=band["word"],
            synonym=band.get("synonym", ""),
            low=band["low"],
            high=band["high"],
            word_forms=tuple(band.get("word_forms", ())),
            synonym_forms=tuple(band.get("synonym_forms", ())),
        )
        for band in facts["bands"]
    )
    return Yardstick(facts["name"], facts["title"], facts["publisher"], facts["source"], facts["rows"], bands)


def _read(file: str) -> dict[str, Any]:
    return tomllib.loads((files("newsletter") / "yardsticks" / file).read_text(encoding="utf-8"))
