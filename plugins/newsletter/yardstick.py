"""The yardstick: what a word of likelihood means in per cent.

Source: Intelligence Community Directive 203, Analytic Standards (ODNI, 2 January 2015), section D.6.e.(2)(a):
seven bands, each with two synonyms from two rows which a product must not mix.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """One step of the yardstick: its word in each of the two rows, and its range in per cent."""

    word: str
    synonym: str
    low: int
    high: int
    variants: tuple[str, ...] = ()

    @property
    def bracket(self) -> str:
        """The range as printed beside the word: "20–45 %", with a no-break space before the sign."""
        return f"{self.low}–{self.high}\u00a0%"


ICD_203 = (
    Band("almost no chance", "remote", 1, 5),
    Band("very unlikely", "highly improbable", 5, 20),
    Band("unlikely", "improbable", 20, 45, ("improbably",)),
    Band("roughly even chance", "roughly even odds", 45, 55, ("even chance", "even odds")),
    Band("likely", "probable", 55, 80, ("probably",)),
    Band("very likely", "highly probable", 80, 95),
    Band("almost certain", "nearly certain", 95, 99, ("almost certainly",)),
)
_BY_WORD = {word: band for band in ICD_203 for word in (band.word, band.synonym, *band.variants)}


def band(likelihood: str) -> Band | None:
    """The band that a likelihood word stands for, or None if it is no word of the yardstick."""
    return _BY_WORD.get(" ".join(likelihood.lower().split()))
