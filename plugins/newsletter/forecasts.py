"""Pelican plugin: the judgements that fall due, by their day, so that readers can hold the house to them.

A page of its own lists them: what is still open, the soonest first, and what has fallen due, the newest first, with
its outcome where the desk has written one. A horizon that is an event and no date is on its piece alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pelican import signals
from pelican.generators import Generator

from newsletter.models import KeyJudgement


@dataclass(frozen=True, slots=True)
class Forecast:
    """One judgement that falls due on `due`, and the piece (Pelican's article) that it is from."""

    due: date
    judgement: KeyJudgement
    piece: Any


@dataclass(frozen=True, slots=True)
class Forecasts:
    """All of them: those not due yet, the soonest first, and those that have fallen due, the newest first."""

    open: Sequence[Forecast]
    past: Sequence[Forecast]

    def __len__(self) -> int:
        return len(self.open) + len(self.past)


def forecasts(articles: Iterable[Any], today: date) -> Forecasts:
    """The dated judgements of `articles`. On its day a judgement is still open; at equal days the pieces' order decides."""
    all_of_them = [
        Forecast(judgement.due, judgement, article)
        for article in articles
        if (analysis := getattr(article, "analysis", None))
        for judgement in analysis.key_judgements
        if judgement.due
    ]
    return Forecasts(
        sorted((f for f in all_of_them if f.due >= today), key=lambda f: f.due),
        sorted((f for f in all_of_them if f.due < today), key=lambda f: f.due, reverse=True),
    )


def _gather(generators: Sequence[Generator]) -> None:
    context, settings = generators[0].context, generators[0].settings
    today = datetime.now(settings["PUBLICATION"].zone).date()
    context["forecasts"] = forecasts(context["articles"], today)


def register() -> None:
    """Called by Pelican."""
    signals.all_generators_finalized.connect(_gather)
