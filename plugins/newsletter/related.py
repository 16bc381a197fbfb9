"""Pelican plugin: for each analysis the few others that a reader of it is likely to want next.

Nearness is what two pieces say (likeness.py), what they are filed under (region, topics), less the time between
them. Weighed are a piece's neighbours in time of the same region and topics, and those that share its rare words:
so the work grows with the number of pieces, not with its square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pelican import signals

from newsletter.likeness import alike
from newsletter.models import Analysis

HOW_MANY = 4
# How many neighbours on either side, in one region's or topic's list by date, can be candidates.
_REACH = 6
_REGION, _TOPIC = 5.0, 2.0
# Two pieces that say the same in the same words are as near as two that share their region and a topic.
_WORDS = 7.0
# A piece this much older or newer counts as sharing one topic less.
_DAYS_PER_TOPIC = 180.0


def related(analyses: Sequence[Analysis], how_many: int = HOW_MANY) -> list[list[int]]:
    """For each analysis the indices of the nearest others, nearest first.

    `analyses` are those a reader may see, in any order; the answer does not depend on that order. Where fewer
    than `how_many` share anything, the newest pieces fill up; only a lone piece has nothing related.
    """
    newest = sorted(range(len(analyses)), key=lambda i: (-analyses[i].date.timestamp(), analyses[i].source))
    shelves: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    places: list[list[tuple[list[int], int]]] = [[] for _ in analyses]
    stamps = [analysis.date.timestamp() / 86_400 for analysis in analyses]
    topics = [frozenset(analysis.topics) for analysis in analyses]
    for index in newest:
        keys = [("region", analyses[index].region)] if analyses[index].region else []
        keys += [("topic", topic) for topic in analyses[index].topics]
        for key in keys:
            places[index].append((shelves[key], len(shelves[key])))
            shelves[key].append(index)
    rank = {index: position for position, index in enumerate(newest)}
    said = alike([_words(analysis) for analysis in analyses])
    answer = []
    for index, analysis in enumerate(analyses):
        candidates = {
            other for shelf, at in places[index] for other in shelf[max(0, at - _REACH) : at + _REACH + 1]
        }
        candidates.update(said[index])
        candidates.discard(index)
        scores = [
            (
                abs(stamps[index] - stamps[other]) * (_TOPIC / _DAYS_PER_TOPIC)
                - _TOPIC * len(topics[index] & topics[other])
                - (_REGION if analyses[other].region == analysis.region else 0.0)
                - _WORDS * said[index].get(other, 0.0),
                rank[other],
                other,
            )
            for other in candidates
        ]
        scores.sort()
        chosen = [other for _, _, other in scores[:how_many]]
        if len(chosen) < how_many:
            fill = (
                other
                for other in newest[: how_many + 1 + len(chosen)]
                if other != index and other not in chosen
            )
            chosen += [other for other, _ in zip(fill, range(how_many - len(chosen)), strict=False)]
        answer.append(chosen)
    return answer


def _words(analysis: Analysis) -> str:
    """What a piece says, in short: its headline, its standfirst and its judgements."""
    return " ".join((analysis.title, analysis.summary, *(each.text for each in analysis.key_judgements)))


def _relate(generator: Any) -> None:
    articles = [article for article in generator.articles if hasattr(article, "analysis")]
    for article, chosen in zip(articles, related([article.analysis for article in articles]), strict=True):
        article.related = [articles[index] for index in chosen]


def register() -> None:
    """Called by Pelican."""
    signals.article_generator_finalized.connect(_relate)
