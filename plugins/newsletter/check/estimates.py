"""Rules of estimative language: a judgement says how likely, by the publication's yardstick, and by when.

Sources: ICD 203 (2015), D.6.e.(2): words of the two rows are not mixed, likelihood and confidence are not in one
sentence. Explaining Uncertainty in UK Intelligence Assessment (2025): the same separation. Why it matters: Wintle et
al. 2019, PLoS ONE 14(4): e0213522.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache

from newsletter.check.document import Document, Passage
from newsletter.check.house import House
from newsletter.check.rule import rule
from newsletter.errors import Finding, Fix, Severity
from newsletter.yardstick import Band, Yardstick, load, names

_HEDGE = re.compile(
    r"(?<![\w-])(?:may|could|might|May(?= (?:be|not|have|well|still|yet)\b))(?![\w-])", re.IGNORECASE
)
# "military might", "the might of the army": no verb.
_STRENGTH = re.compile(
    r"(?:\b(?:the|its|their|his|her|our|own|full|military|economic|financial|political)\s+)\Z", re.IGNORECASE
)
_CONFIDENCE = re.compile(r"(?<![\w-])(?:(?:very )?(?:high|moderate|medium|low) confidence|(?:we|is|are) (?:very |quite )?confident)(?![\w-])", re.IGNORECASE)  # fmt: skip
_VAGUE = re.compile(
    r"(?<![\w-])(?:possibly|perhaps|conceivably|maybe|cannot be (?:ruled out|excluded)"
    r"|an? (?:good|fair|strong|serious|real|slim|slight) (?:chance|possibility|likelihood)"
    r"|(?:highly|extremely|quite|fairly|rather|somewhat|reasonably|very) (?:likely|unlikely|probable|improbable)"
    r"|more likely than not|realistic possibility|remote chance)(?![\w-])",
    re.IGNORECASE,
)
# Not a probability but a comparison of two: "makes a deal more likely".
_COMPARED = re.compile(r"\b(?:more|less|most|least|increasingly|equally|as|so|too|how|not|highly|extremely|quite|fairly|rather|somewhat|reasonably)\s+\Z", re.IGNORECASE)  # fmt: skip
_SENTENCE_END = re.compile(r"(?<=[.!?])[”\"’)]*\s+(?=[A-Z“\"(])")
_RANGE = r"\s*\(\s*(\d{1,3})\s*(?:%|per cent)?\s*(?:[–-]|to)\s*(\d{1,3})\s*(?:%|per cent)\s*\)"
_FIGURES = re.compile(r"\(\s*\d{1,3}\s*(?:%|per cent)?\s*(?:[–-]|to)\s*\d")
GRADES = ("low", "moderate", "high")
_DAY = re.compile(
    r"\b(?:by|before|until|on)\s+(?:the end of\s+)?(\d{1,2}\s+)?(January|February|March|April|May|June|July|August"
    r"|September|October|November|December)\s+(\d{4})\b"
)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the yardstick in a text, with its step and its row."""

    text: str
    band: Band
    row: int
    start: int
    end: int


@cache
def _pattern(yardstick: Yardstick) -> re.Pattern[str]:
    words = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in yardstick.words())
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)


@cache
def _rows(yardstick: Yardstick) -> dict[str, tuple[Band, int]]:
    return {word: (band, row) for band in yardstick.bands for word, row in band.words()}


@lru_cache(maxsize=256)
def _words(text: str, yardstick: Yardstick) -> list[_Word]:
    found = []
    for match in _pattern(yardstick).finditer(text):
        word = " ".join(match[0].lower().split())
        if word == "remote" and not re.search(r"\b(?:is|are|seems?|remains?)\s+\Z", text[: match.start()]):
            continue  # "a remote province"
        if _COMPARED.search(text[: match.start()]):
            continue
        band, row = _rows(yardstick)[word]
        found.append(_Word(match[0], band, row, match.start(), match.end()))
    return found


def _entry(document: Document, passage: Passage) -> dict[str, str]:
    """The judgement's fields; of one that is a plain sentence none but the text."""
    entry = document.front.fields["key_judgements"][int(passage.name[len("key_judgements[") : -1]) - 1]
    return (
        {k: v for k, v in entry.items() if isinstance(v, str)} if isinstance(entry, dict) else {"text": entry}
    )


@rule("E401", "bare hedge", Severity.ERROR)
def bare_hedges(document: Document, house: House) -> Iterator[Finding]:
    """A key judgement that says may, could or might, and so says nothing that can be wrong."""
    for passage in document.judgements:
        for match in _HEDGE.finditer(passage.text):
            if match[0] == "May" and match.start() > 0:
                continue  # the month
            if match[0].lower() == "might" and (
                _STRENGTH.search(passage.text[: match.start()])
                or passage.text[match.end() :].startswith(" of ")
            ):
                continue
            yield document.within(
                passage,
                match.start(),
                match.end(),
                f"“{match[0]}” does not say how likely it is.",
                f"Say it in a word of the yardstick ({', '.join(band.word for band in house.yardstick.bands)}).",
            )


@rule("E402", "both rows of the yardstick", Severity.ERROR)
def mixed_rows(document: Document, house: House) -> Iterator[Finding]:
    """Words of both rows in one piece's judgements ("likely" here, "probable" there)."""
    if not house.yardstick.rows or not document.judgements:
        return
    found: list[tuple[int, str, Band, Finding]] = []
    for passage in document.judgements:
        for word in _words(passage.text, house.yardstick):
            found.append((word.row, word.text, word.band, document.within(passage, word.start, word.end, "")))
        likelihood = _entry(document, passage).get("likelihood", "")
        if known := _rows(house.yardstick).get(" ".join(likelihood.lower().split())):
            band, row = known
            other = band.synonym if row == 1 else band.word
            name = f"{passage.name}.likelihood"
            found.append((row, likelihood, band, document.field(name, likelihood, "", "", other)))
    counted = [sum(row == number for row, *_ in found) for number in (1, 2)]
    if not all(counted):
        return
    kept = 1 if counted[0] >= counted[1] else 2
    for row, text, band, finding in found:
        if row != kept:
            other = band.word if kept == 1 else band.synonym
            yield Finding(
                finding.path, finding.line, finding.field,
                f"“{text}” is of the {'second' if kept == 1 else 'first'} row of {house.yardstick.name}; the other "
                "judgements keep to the other one.",
                finding.column, words=finding.words, mend=f"Write {other}.", fix=finding.fix,
            )  # fmt: skip


@rule("E403", "likelihood and confidence in one sentence", Severity.ERROR)
def mingled(document: Document, house: House) -> Iterator[Finding]:
    """A sentence that says how likely something is and how sure the desk is of that: readers take one for the other."""
    for passage in document.judgements:
        start = 0
        for sentence in _SENTENCE_END.split(passage.text):
            start = passage.text.index(sentence, start)
            said = _CONFIDENCE.search(sentence)
            if said and _words(sentence, house.yardstick):
                yield document.within(
                    passage,
                    start + said.start(),
                    start + said.end(),
                    "Likelihood and confidence stand in one sentence.",
                    "Take the confidence out of it; its place is the field: confidence.",
                )
            start += len(sentence)


@rule("E404", "likelihood without its term", Severity.ERROR)
def without_term(document: Document, house: House) -> Iterator[Finding]:
    """A judgement whose text says how likely, and whose field does not: it is printed without its range."""
    for passage in document.judgements:
        entry = _entry(document, passage)
        words = _words(passage.text, house.yardstick)
        if entry.get("likelihood") or not words:
            continue
        word = words[0]
        term = word.band.synonym if word.row == 2 else word.band.word
        finding = document.within(
            passage,
            word.start,
            word.end,
            f"“{word.text}” says how likely, and the range ({word.band.bracket}) will not be printed beside it.",
            f"Add to this judgement: likelihood: {term}",
        )
        fix = _line_after(document, passage, f"likelihood: {term}") if len(words) == 1 else None
        yield Finding(
            finding.path, finding.line, finding.field, finding.reason, finding.column, words=finding.words,
            mend=finding.mend, fix=fix,
        )  # fmt: skip


def _line_after(document: Document, passage: Passage, words: str) -> Fix | None:
    """How to put a line of the same mapping after the judgement's text, if that is one line of its own."""
    lines = document.text.split("\n")
    line = lines[passage.line - 1]
    match = re.match(r"(\s*(?:- )?\s*)text:\s+(?:\"[^\"\\]*\"|'[^']*'|[^\"'|>{\[&*!%#][^#]*)\s*$", line)
    following = lines[passage.line] if passage.line < len(lines) else ""
    if not match:
        return None
    indent = len(match[1].replace("-", " "))
    deeper = len(following) - len(following.lstrip()) > indent and following.strip()
    return None if deeper else Fix(passage.line, len(line) + 1, "", f"\n{' ' * indent}{words}")


@rule("E405", "word that is not of the yardstick", Severity.ERROR)
def foreign_terms(document: Document, house: House) -> Iterator[Finding]:
    """A likelihood that the yardstick does not know, and so has no range."""
    for passage in document.judgements:
        term = _entry(document, passage).get("likelihood", "")
        if not term or house.yardstick.band(term):
            continue
        near = _nearest(term, house.yardstick)
        said = ", ".join(band.word for band in house.yardstick.bands)
        yield document.field(
            f"{passage.name}.likelihood",
            term,
            f"“{term}” is no word of {house.yardstick.name}.",
            f"Did you mean {near}? It has: {said}." if near else f"It has: {said}.",
        )


def _nearest(term: str, yardstick: Yardstick) -> str:
    """The word for what another yardstick calls `term`, or one that is spelled much like it."""
    for name in names():
        if other := load(name).band(term):
            middle = (other.low + other.high) / 2
            return min(yardstick.bands, key=lambda band: abs((band.low + band.high) / 2 - middle)).word
    near = get_close_matches(term.lower(), yardstick.words(), n=1, cutoff=0.6)
    return near[0] if near else ""


@rule("E406", "text and term disagree", Severity.ERROR)
def disagreeing(document: Document, house: House) -> Iterator[Finding]:
    """A judgement that says one likelihood in its sentence and another in its field."""
    for passage in document.judgements:
        term = _entry(document, passage).get("likelihood", "")
        band = house.yardstick.band(term)
        words = _words(passage.text, house.yardstick)
        if band and words and all(word.band is not band for word in words):
            word = words[0]
            yield document.within(
                passage,
                word.start,
                word.end,
                f"The text says “{word.text}” ({word.band.bracket}) and the field “{term}” ({band.bracket}).",
                "Make them one.",
            )


@rule("E407", "forecast without a horizon", Severity.ERROR)
def without_horizon(document: Document, house: House) -> Iterator[Finding]:
    """A judgement that says how likely and not by when: it can never be wrong."""
    for passage in document.judgements:
        entry = _entry(document, passage)
        words = _words(passage.text, house.yardstick)
        if entry.get("horizon") or not (entry.get("likelihood") or words):
            continue
        date = _DAY.search(passage.text)
        mend = f"Add to this judgement: horizon: … (the text says {date[0]})" if date else (
            "Add to this judgement: horizon: 2021-03-31 (a date, or an event that will be known)"
        )  # fmt: skip
        reason = "This says how likely, and not by when."
        if words:
            yield document.within(passage, words[0].start, words[0].end, reason, mend)
        else:
            yield document.field(f"{passage.name}.likelihood", entry["likelihood"], reason, mend)


@rule("E408", "unknown confidence", Severity.ERROR)
def unknown_confidence(document: Document, house: House) -> Iterator[Finding]:
    """A confidence that is not low, moderate or high."""
    for passage in document.judgements:
        grade = _entry(document, passage).get("confidence", "")
        if grade and grade.lower() not in GRADES:
            meant = "moderate" if grade.lower() in ("medium", "middle", "mid") else None
            mend = f"Write {meant}." if meant else "Write low, moderate or high."
            name = f"{passage.name}.confidence"
            yield document.field(name, grade, f"“{grade}” is no grade of confidence.", mend, meant)


@rule("E409", "range that is not the word's", Severity.ERROR)
def wrong_ranges(document: Document, house: House) -> Iterator[Finding]:
    """A range written beside a word of the yardstick that is not that word's."""
    for passage in document.passages:
        if not _FIGURES.search(passage.text):
            continue
        for match in re.finditer(
            rf"(?:{_pattern(house.yardstick).pattern}){_RANGE}", passage.text, re.IGNORECASE
        ):
            word = re.match(_pattern(house.yardstick), match[0])
            band = house.yardstick.band(word[0]) if word else None
            if band and (int(match[1]), int(match[2])) != (band.low, band.high):
                yield document.within(
                    passage,
                    match.start(),
                    match.end(),
                    f"“{band.word}” is {band.bracket} in {house.yardstick.name}.",
                    "Mend the range or the word; beside a judgement the range is printed by itself.",
                )


@rule("E410", "vague likelihood", Severity.WARNING)
def vague(document: Document, house: House) -> Iterator[Finding]:
    """A key judgement that says how likely in a word that no yardstick measures."""
    for passage in document.judgements:
        for match in _VAGUE.finditer(passage.text):
            if house.yardstick.band(match[0]):
                continue
            near = (
                _nearest(match[0], house.yardstick)
                if match[0].lower().split()[-1].endswith(("ly", "ble"))
                else ""
            )
            said = f"Did you mean {near}?" if near else "Say it in a word of the yardstick."
            yield document.within(
                passage,
                match.start(),
                match.end(),
                f"“{match[0]}” has no range in {house.yardstick.name}.",
                said,
            )
