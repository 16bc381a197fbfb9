"""How far short texts say the same: by the rare words they share, weighed as TF-IDF weighs them.

SQLite's FTS5 splits the texts into words and takes their endings off ("militias" and "militia" are one); what is
left is to count in how many texts each stands. A word that stands in many texts says little of any and is left
out, which is also what keeps the work small.
Source: Spärck Jones, "A statistical interpretation of term specificity and its application in retrieval" (1972).
"""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Sequence

# A word of more texts than this, or of more than a third of them, tells them apart no longer.
_COMMON = 40
# How many words, the rarest, stand for a text.
_WORDS = 24


def alike(texts: Sequence[str]) -> list[dict[int, float]]:
    """For each text, by index, the others that share rare words with it: 0 (nothing) to 1 (all of them).

    Deterministic, and symmetric: a is as like b as b is like a.
    """
    words = _rare_words(texts)
    having: defaultdict[str, list[int]] = defaultdict(list)
    for index, own in enumerate(words):
        for word in own:
            having[word].append(index)
    lengths = [math.sqrt(sum(weight * weight for weight in own.values())) for own in words]
    answer = []
    for index, own in enumerate(words):
        shared: defaultdict[int, float] = defaultdict(float)
        for word, weight in own.items():
            for other in having[word]:
                shared[other] += weight * weight
        shared.pop(index, None)
        answer.append({other: dot / (lengths[index] * lengths[other]) for other, dot in shared.items()})
    return answer


def _rare_words(texts: Sequence[str]) -> list[dict[str, float]]:
    """The rarest words of each text with their weight (inverse document frequency)."""
    most = min(_COMMON, max(2, len(texts) // 3), len(texts) - 1)  # what stands in all of them weighs nothing
    database = sqlite3.connect(":memory:")
    try:
        database.execute("CREATE VIRTUAL TABLE piece USING fts5(text, tokenize = 'porter unicode61')")
        database.executemany(
            "INSERT INTO piece (rowid, text) VALUES (?, ?)", enumerate(_plain(text) for text in texts)
        )
        database.execute("CREATE VIRTUAL TABLE word USING fts5vocab(piece, row)")
        database.execute("CREATE VIRTUAL TABLE place USING fts5vocab(piece, instance)")
        # In this order: of the words that stand in many texts, which are most of what is said, no place is looked at.
        places = database.execute(
            "SELECT word.term, word.doc, place.doc FROM word CROSS JOIN place ON place.term = word.term "
            "WHERE word.doc BETWEEN 2 AND ?",
            (most,),
        )
        found: list[dict[str, float]] = [{} for _ in texts]
        for word, count, index in places:
            found[index][word] = math.log(len(texts) / count)
    finally:
        database.close()
    return [
        dict(sorted(own.items(), key=lambda item: (-item[1], item[0]))[:_WORDS]) if len(own) > _WORDS else own
        for own in found
    ]


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # SQLite takes no lone surrogates
