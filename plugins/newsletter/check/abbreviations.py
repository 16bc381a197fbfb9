"""Rules of abbreviations: said in full where they first stand, and always written alike.

A definition is "Kataib Hizbullah (KH)", also with more in the brackets ("(RSGs – anti-US militias)"), "KH (Kataib
Hizbullah)", "Islamic State, or IS,", `<abbr title="…">`, or an entry of the glossary. What the abbreviation stands
for is found as in Schwartz and Hearst, "A simple algorithm for identifying abbreviation definitions in biomedical
text" (Pacific Symposium on Biocomputing 2003): its letters, from the last to the first, in the words before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from newsletter.analysis import PLACEHOLDER
from newsletter.check.document import Document, Passage
from newsletter.check.house import House
from newsletter.check.rule import rule
from newsletter.errors import Finding, Severity

# Words of capitals, with their plural: "PMUs", "RSGS"; with a figure in it ("F-35", "MH17") it is a name.
_TOKEN = re.compile(r"[A-Z][A-Z]+(?:&[A-Z]+)*s?(?![\w&]|-\d)")
_OF_A_WORD = re.compile(
    r"[\w’'.&-]"
)  # what no abbreviation begins behind; asked after, for a look back is slow
_BRACKET = re.compile(r"\((?:the |[A-Z][a-z]+ )?([A-Z][\w&/-]*[A-Z0-9]s?)(?=\)|\s?[,;:–—]|\s-\s)")
_REVERSED = re.compile(r"([A-Z][A-Z0-9]*[A-Z]s?) \(([^()]{4,80})\)")
_OR = re.compile(r", or (?:the )?([A-Z][A-Z0-9]*[A-Z]s?)(?=[,.;)])")
_CALLED = re.compile(r"(?:known|abbreviated|referred to) (?:simply )?(?:as|to) (?:the )?([A-Z]{2,}s?)(?!\w)")
_CALLED_SO = ("known", "abbreviated", "referred to")
_ABBR = re.compile(r"<abbr\b[^>]*>([^<]+)</abbr>", re.IGNORECASE)
_ROMAN = re.compile(r"(?=[IVXLC])(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\Z")
# A title or a ship: "*PLoS ONE*", "*USS Cole*".
_EMPHASIS = re.compile(r"[*_][^*_\n]+[*_](?![\w*])")
# What every reader knows; publication.toml adds what this house's readers know.
KNOWN = frozenset({
    "AD", "AIDS", "AM", "BBC", "BC", "BST", "CEO", "CET", "CIA", "CNN", "COVID", "DNA", "EST", "EU",
    "FBI", "GDP", "GMT", "HIV", "HMS", "ID", "IP", "IT", "KGB", "MP", "NATO", "NGO", "OK", "PDF", "PM",
    "TV", "UAE", "UK", "UN", "US", "USA", "USS", "USSR", "UTC",
})  # fmt: skip
_SHOUTED = 3  # so many words of capitals in a row are a shouted line, and no abbreviations


@dataclass(frozen=True, slots=True)
class _Use:
    """An abbreviation where it stands: in the passage of that number, from `start` to `end`."""

    token: str
    number: int
    start: int
    end: int

    @property
    def at(self) -> tuple[int, int]:
        return self.number, self.start


@dataclass(frozen=True, slots=True)
class _Definition:
    """`long` is what it stands for, as written; `sure` that its letters are those of the abbreviation."""

    use: _Use
    long: str
    sure: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """All of a document, by the abbreviation without its plural."""

    uses: Mapping[str, list[_Use]]
    definitions: Mapping[str, list[_Definition]]


@rule("A301", "used before it is defined", Severity.WARNING)
def before_defined(document: Document, house: House) -> Iterator[Finding]:
    """An abbreviation that stands before the words that say what it means."""
    found = _found(document)
    for base, definitions in found.definitions.items():
        uses = found.uses.get(base, [])
        if not uses or _is_known(base, house):
            continue
        first, defined = min(uses, key=lambda use: use.at), min(definitions, key=lambda each: each.use.at)
        if first.at < defined.use.at:
            passage = document.passages[defined.use.number]
            line, _ = _place(document, passage, defined.use)
            reason = f"“{first.token}” stands here before it is said what it means (“{defined.long} ({defined.use.token})”, line {line})."
            yield _finding(
                document,
                first,
                reason,
                f"Write {defined.long} ({first.token}) here, and {first.token} after.",
            )


@rule("A302", "defined twice, differently", Severity.WARNING)
def defined_differently(document: Document, house: House) -> Iterator[Finding]:
    """One abbreviation for two things, or two for one."""
    definitions = _found(document).definitions
    long_forms: dict[str, _Definition] = {}
    for base, each in definitions.items():
        first, *others = sorted(each, key=lambda definition: definition.use.at)
        said = _explained(base, house)
        if said and not _alike(said, first.long):
            reason = f"“{base}” is “{first.long}” here and “{said}” in the glossary."
            yield _finding(document, first.use, reason, "Write the one or mend the other.")
        for other in others:
            if not _alike(first.long, other.long):
                reason = f"“{base}” is “{other.long}” here and “{first.long}” before."
                yield _finding(document, other.use, reason, "One abbreviation means one thing.")
        if first.sure:
            known = long_forms.setdefault(_plain(first.long), first)
            if known is not first:
                one, two = sorted((known, first), key=lambda definition: definition.use.at)
                reason = f"“{two.long}” is “{two.use.token}” here and “{one.use.token}” before."
                yield _finding(document, two.use, reason, "Keep to one abbreviation.")


@rule("A303", "almost an abbreviation", Severity.WARNING)
def near_misses(document: Document, house: House) -> Iterator[Finding]:
    """An abbreviation that is one of the piece's own, but for a letter or its case."""
    found = _found(document)
    for base, uses in found.uses.items():
        if base in found.definitions or _is_known(base, house) or _explained(base, house):
            continue
        if near := _near(base, found, house):
            meant, certain = near
            for use in uses:
                reason = f"“{use.token}” is not said what it is; “{meant}” is."
                yield _finding(document, use, reason, f"Did you mean {meant}?", meant if certain else None)


@rule("A304", "never defined", Severity.WARNING)
def never_defined(document: Document, house: House) -> Iterator[Finding]:
    """An abbreviation of which nothing says what it means."""
    if document.front.classic:
        return  # a site that has moved in has its own readers, and thousands of pieces
    found = _found(document)
    for base, uses in found.uses.items():
        if base in found.definitions or _is_known(base, house) or _explained(base, house):
            continue
        if _near(base, found, house):
            continue
        first = min(uses, key=lambda use: use.at)
        mend = (
            f"Write it in full, the abbreviation in brackets: … ({first.token}). What every reader knows is listed in "
            "publication.toml under [desk]: abbreviations."
        )
        yield _finding(document, first, f"“{first.token}”: nothing says what it means.", mend)


def _finding(document: Document, use: _Use, reason: str, mend: str, new: str | None = None) -> Finding:
    return document.within(document.passages[use.number], use.start, use.end, reason, mend, new)


def _place(document: Document, passage: Passage, use: _Use) -> tuple[int, int]:
    return document.place(passage.offset + use.start) if passage.offset >= 0 else (passage.line, 0)


def _is_known(base: str, house: House) -> bool:
    return (
        base == PLACEHOLDER or base in KNOWN or base in house.abbreviations or _ROMAN.match(base) is not None
    )


def _explained(base: str, house: House) -> str:
    """What the glossary says it stands for; "" if it does not."""
    return house.glossary.get(base) or house.glossary.get(f"{base}s", "")


def _base(token: str) -> str:
    """Without the s of its plural: "PMUs" is "PMU"; "RSGS" stays."""
    return token[:-1] if token[-1] == "s" else token


def _near(base: str, found: _Found, house: House) -> tuple[str, bool] | None:
    """The defined abbreviation that is meant, with the plural it should have, and whether that is certain."""
    defined = set(found.definitions)
    if base.endswith("S") and (base[:-1] in defined or _explained(base[:-1], house)):
        return f"{base[:-1]}s", True
    for other in sorted(defined):
        if other.casefold() == base.casefold():  # "MOWR" for "MoWR"
            return other, True
    if len(base) > 2:
        for other in sorted(defined):
            if (len(other) > 2 and _one_letter_more(base, other)) or (
                sorted(base) == sorted(other) and sum(a != b for a, b in zip(base, other, strict=True)) == 2
            ):
                return other, False
    return None


def _one_letter_more(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(long) == len(short) + 1 and any(long[:n] + long[n + 1 :] == short for n in range(len(long)))


@lru_cache(maxsize=1)
def _found(document: Document) -> _Found:
    """All abbreviations of a document and their definitions; worked out once for the four rules."""
    uses: dict[str, list[_Use]] = {}
    definitions: dict[str, list[_Definition]] = {}
    for number, passage in enumerate(document.passages):
        text = passage.text
        tokens = [
            _Use(match[0], number, *match.span())
            for match in _TOKEN.finditer(text)
            if not match.start() or not _OF_A_WORD.match(text, match.start() - 1)
        ]
        if tokens and ("*" in text or "_" in text):
            titles = [match.span() for match in _EMPHASIS.finditer(text)]
            tokens = [use for use in tokens if not any(start <= use.start < end for start, end in titles)]
        for use in tokens if len(tokens) < _SHOUTED else _unshouted(text, tokens):
            uses.setdefault(_base(use.token), []).append(use)
        for definition in _definitions(text, number) if tokens else ():
            definitions.setdefault(_base(definition.use.token), []).append(definition)
            # A mixed word such as "MoD" is an abbreviation once it is defined.
    if "<abbr" in document.front.body.lower():
        for match in _ABBR.finditer(document.front.body):
            use = _Use(match[1].strip(), len(document.passages) - 1, match.start(1), match.end(1))
            definitions.setdefault(_base(use.token or "?"), []).append(_Definition(use, match[1], False))
    return _Found(uses, definitions)


def _unshouted(text: str, tokens: list[_Use]) -> Iterator[_Use]:
    """Without the runs of words of capitals that are a line in capitals."""
    run: list[_Use] = []
    for use in [*tokens, _Use("", 0, len(text) + 9, 0)]:
        if run and text[run[-1].end : use.start].strip(" ,"):
            yield from run if len(run) < _SHOUTED else ()
            run = []
        run.append(use)


def _definitions(text: str, number: int) -> Iterator[_Definition]:
    for match in _BRACKET.finditer(text):
        use = _Use(match[1], number, match.start(1), match.end(1))
        before = text[max(0, match.start() - 120) : match.start()].rstrip()
        if long := _long_form(_base(match[1]), before):
            yield _Definition(use, long, True)
        elif long := _name_before(before):
            yield _Definition(use, long, False)
    for match in _REVERSED.finditer(text):
        if match.start() and _OF_A_WORD.match(text, match.start() - 1):
            continue
        if long := _long_form(_base(match[1]), match[2]):
            yield _Definition(_Use(match[1], number, match.start(1), match.end(1)), long, True)
    for match in _CALLED.finditer(text) if any(words in text for words in _CALLED_SO) else ():
        long = _name_before(text[max(0, match.start() - 120) : match.start()].rstrip(" ,"))
        yield _Definition(_Use(match[1], number, match.start(1), match.end(1)), long or match[1], False)
    for match in _OR.finditer(text):
        if long := _long_form(_base(match[1]), text[max(0, match.start() - 120) : match.start()]):
            yield _Definition(_Use(match[1], number, match.start(1), match.end(1)), long, True)


def _long_form(short: str, before: str) -> str:
    """The words at the end of `before` whose letters give `short`; "" if there are none (Schwartz and Hearst)."""
    words = re.split(r"(?<=[.;!?])\s", before)[-1].split()
    before = " ".join(words[-min(len(short) + 5, 2 * len(short)) :])
    letters = [letter for letter in short.lower() if letter.isalnum()]
    at = len(before)
    for number, letter in enumerate(reversed(letters), start=1):
        first = number == len(letters)
        at -= 1
        while at >= 0 and (before[at].lower() != letter or (first and at > 0 and before[at - 1].isalnum())):
            at -= 1
        if at < 0:
            return ""
    if _SMALL.intersection(
        (before[at:].split()[0],)
    ):  # "of the Petroleum …" is "Organisation of the Petroleum …"
        initial = re.search(rf"\b{letters[0]}[^\s]+\s+(?:\S+\s+)?\Z", before[:at], re.IGNORECASE)
        at = initial.start() if initial else at
    long = before[at:]
    # Too many words for so few letters is chance.
    return (
        long.strip(" “”\"'*_") if len(long.split()) <= len(letters) + 3 and len(long) > len(short) + 1 else ""
    )


def _name_before(before: str) -> str:
    """The name that ends `before`: words with capitals and the small ones between; "" if there is none.

    "the Kurdistan Workers' Party (PKK)": the letters are those of another language.
    """
    words = re.split(r"[,.;:!?(]\s", before)[-1].split()
    name: list[str] = []
    for word in reversed(words):
        if not (word.strip("“”\"'*_")[:1].isupper() or (name and word.lower() in _SMALL)):
            break
        name.insert(0, word)
    while name and name[0].lower() in _SMALL:
        name.pop(0)
    return " ".join(name).strip(" “”\"'*_") if len(name) > 1 else ""


_SMALL = {
    "of",
    "the",
    "for",
    "and",
    "de",
    "des",
    "du",
    "del",
    "la",
    "le",
    "al",
    "el",
    "in",
    "on",
    "to",
    "y",
    "und",
    "für",
}


def _alike(one: str, other: str) -> bool:
    one, other = _plain(one), _plain(other)
    return one == other or one.endswith(other) or other.endswith(one)


def _plain(long: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", long.lower()).removesuffix("s").split())
