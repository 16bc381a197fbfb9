"""The house as the rules know it: its yardstick, its lists, its words. Read once, handed to every rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from newsletter import glossary
from newsletter.errors import ContentError
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


def house_of(publication: Publication, content: Path) -> House:
    """The house of a publication, with the glossary in its content folder. A glossary that cannot be read counts as
    none: the build names what is wrong with it.
    """
    try:
        expansions = glossary.load(content / glossary.FILE).expansions
    except ContentError:
        expansions = {}
    return House(
        zone=publication.zone,
        site_url=publication.site_url,
        yardstick=publication.yardstick,
        regions=publication.regions,
        topics=publication.topics,
        abbreviations=frozenset(publication.abbreviations),
        fields=frozenset(publication.fields),
        glossary=expansions,
    )
