"""Pelican plugin: the glossary at work. Abbreviations are marked up at their first use in each piece, and a page tells
what each piece says of an actor or a place: its link, with the sentence that first names it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

from pelican import signals
from pelican.generators import ArticlesGenerator, Generator
from pelican.utils import slugify

from newsletter import glossary
from newsletter.errors import ContentError
from newsletter.glossary import Glossary, Kind, Term, Use, marked, unmarked
from newsletter.reader import FINDINGS

# Where a build keeps its glossary among Pelican's settings.
SETTING = "NEWSLETTER_GLOSSARY"
# How many pieces a term's entry lists, the newest; of the others it tells the number.
MOST = 30
# In how many of a term's places in one piece a whole sentence is looked for.
_LOOKED_AT = 5
_WHOLE = re.compile(r"[.!?…][”’\")\]]*$")
_EDGE = re.compile(
    r"</?(?:p|li|td|th|tr|table|h[1-6]|dd|dt|dl|ul|ol|blockquote|div|section|pre|figcaption)\b[^>]*>"
)
_TAG = re.compile(r"<[^>]*>")
_SENTENCE_END = re.compile(r"[.!?…][”’\")\]]*\s+(?=[“‘(\[]?[A-Z0-9])")


@dataclass(frozen=True, slots=True)
class Mention:
    """A piece (Pelican's article) that names a term, and the sentence in which it first does."""

    piece: Any
    sentence: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A term with those of the pieces that name it which are listed, the newest first; `more` counts the others."""

    term: Term
    slug: str
    mentions: Sequence[Mention]
    more: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A piece with the terms it uses: in each of its `texts` (HTML, the body last), in their order."""

    piece: Any
    texts: Sequence[tuple[str, Sequence[Use]]]


def read(article: Any, words: Glossary) -> Reading:
    """Look for the terms in a piece: in its standfirst, its judgements, and its text."""
    analysis = article.analysis
    short = (analysis.summary, *(judgement.text for judgement in analysis.key_judgements))
    texts = (*(escape(each, quote=False) for each in short), article._content or "")
    return Reading(article, [(text, words.uses(text)) for text in texts])


def entries(terms: Iterable[Term], readings: Iterable[Reading]) -> list[Entry]:
    """What the glossary's page shows: every term in the order of its title, with the pieces that name it.

    `readings` are of the pieces a reader may see, the newest first.
    """
    found: dict[str, list[Mention]] = {}
    counts: dict[str, int] = {}
    for reading in readings:
        places: dict[str, list[tuple[str, Use]]] = {}
        for text, uses in reading.texts:
            for use in uses:
                places.setdefault(use.term.name, []).append((text, use))
        for name, where in places.items():
            counts[name] = counts.get(name, 0) + 1
            if counts[name] <= MOST:
                found.setdefault(name, []).append(Mention(reading.piece, _first_sentence(where)))
    slugs: dict[str, int] = {}
    listed = []
    for term in sorted(terms, key=lambda term: (term.title.casefold(), term.name)):
        slug = slugify(term.name, regex_subs=[(r"[^\w\s-]", ""), (r"[-\s]+", "-")]) or "term"
        slugs[slug] = slugs.get(slug, 0) + 1
        slug = slug if slugs[slug] == 1 else f"{slug}-{slugs[slug]}"
        listed.append(Entry(term, slug, found.get(term.name, []), max(0, counts.get(term.name, 0) - MOST)))
    return listed


def _first_sentence(where: Sequence[tuple[str, Use]]) -> str:
    """The first that is one; "" if there is none, but words in a table or a heading of their own."""
    said = [sentence(text, use) for text, use in where[:_LOOKED_AT]]
    return next((words for words in said if _WHOLE.search(words)), "")


def sentence(html: str, use: Use) -> str:
    """The sentence in which a term is used, as plain text."""
    start = max((match.end() for match in _EDGE.finditer(html, 0, use.start)), default=0)
    edge = _EDGE.search(html, use.end)
    block = html[start : edge.start() if edge else len(html)]
    before = len(unescape(_TAG.sub("", html[start : use.start])))
    text = unescape(_TAG.sub("", block))
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    first = max((end for end in ends if end <= before), default=0)
    last = min((end for end in ends if end > before), default=len(text))
    return " ".join(text[first:last].split())


def _begin(pelican: Any) -> None:
    settings = pelican.settings
    if not Path(settings["PATH"], glossary.FILE).is_file() and "glossary" in settings["DIRECT_TEMPLATES"]:
        settings["DIRECT_TEMPLATES"] = [name for name in settings["DIRECT_TEMPLATES"] if name != "glossary"]


def _set_up(generator: Generator) -> None:
    """Give every template the filter `gloss`, and the glossary to whoever else asks for it."""
    settings = generator.settings
    if SETTING not in settings or isinstance(
        generator, ArticlesGenerator
    ):  # Pelican's first; a preview reads again
        path = Path(settings["PATH"], glossary.FILE)
        try:
            settings[SETTING] = glossary.load(path, os.path.relpath(path))
        except ContentError as error:
            settings[SETTING] = Glossary()
            generator.context.setdefault(FINDINGS, []).extend(error.findings)
    generator.env.filters["gloss"] = settings[SETTING].mark
    generator.env.globals["has_glossary"] = "glossary" in settings["DIRECT_TEMPLATES"]


def _mark(generator: ArticlesGenerator) -> None:
    """Mark up the pieces, and note who is named where."""
    words: Glossary = generator.settings[SETTING]
    articles = [article for article in generator.articles if hasattr(article, "analysis")]
    listed = entries(words.terms.values(), _marked(articles, words))
    generator.context["glossary"] = [
        (kind, [entry for entry in listed if entry.term.kind is kind]) for kind in Kind
    ]


def _marked(articles: Iterable[Any], words: Glossary) -> Iterator[Reading]:
    """Mark up one piece after another; yields what was read in it."""
    for article in articles:
        if not words.terms and not getattr(article, "marks", ()):
            continue
        # A preview keeps its pieces from one reading to the next.
        article._content = unmarked(article._content or "", getattr(article, "marks", ()))
        reading = read(article, words)
        *short, (body, uses) = reading.texts
        said = {use.term.name for _, some in short for use in some if use.short}
        article._content, article.marks = marked(body, uses, said)
        yield reading


def register() -> None:
    """Called by Pelican."""
    signals.initialized.connect(_begin)
    signals.generator_init.connect(_set_up)
    signals.article_generator_finalized.connect(_mark)
