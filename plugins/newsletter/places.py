"""Pelican plugin: gives the templates the map of a piece's places (atlas.py), drawn from the theme's atlas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pelican import signals
from pelican.generators import Generator

from newsletter import atlas
from newsletter.models import Place

FILE = "atlas/countries-50m.json"


def chart_of(places: Sequence[Place], file: Path) -> atlas.Chart | None:
    """The map; None if the theme has no atlas. The atlas is read for the first piece that has places, and kept."""
    return atlas.chart(atlas.load(file), places) if file.is_file() else None


def _offer(generator: Generator) -> None:
    generator.env.filters["chart"] = partial(chart_of, file=Path(generator.theme, FILE))


def register() -> None:
    """Called by Pelican."""
    signals.generator_init.connect(_offer)
