"""The house as the rules know it: its yardstick, its lists, its words. Read once, handed to every rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from newsletter.publication import Publication
from newsletter.yardstick import Yardstick


@dataclass(frozen=True)
class House:
    """What every rule may ask.

    `regions` and `topics` are the lists of publication.toml; empty ones allow every word. `abbreviations` need no
    definition in a piece; `glossary` maps an abbreviation to what it stands for, and counts as its definition.
    `fields` are front-matter keys of the publication's own.
    """

    zone: ZoneInfo
    site_url: str
    yardstick: Yardstick
    regions: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    abbreviations: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    glossary: Mapping[str, str] = field(default_factory=dict)


def house_of(publication: Publication, glossary: Mapping[str, str] | None = None) -> House:
    """The house of a publication; `glossary` maps its abbreviations to their expansions."""
    return House(
        zone=publication.zone,
        site_url=publication.site_url,
        yardstick=publication.yardstick,
        regions=publication.regions,
        topics=publication.topics,
        abbreviations=frozenset(publication.abbreviations),
        fields=frozenset(publication.fields),
        glossary=glossary or {},
    )
