"""Made-up analyses in any number, the same every time: what `make bench` builds with this system and with Hugo."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

REGIONS = ["Iraq", "Gulf", "Levant", "Eastern Mediterranean", "North Africa", "Eastern Europe",
           "South Caucasus", "Horn of Africa", "Sahel", "Central Asia"]  # fmt: skip
TOPICS = [f"Topic {number:02d}" for number in range(60)]
DESKS = [f"{region} desk" for region in REGIONS]
LIKELIHOODS = ["very unlikely", "unlikely", "roughly even chance", "likely", "very likely"]
WORDS = (
    "government coalition parliament minister army border pipeline ceasefire budget reserve currency vote "
    "province governor militia embassy sanction tariff export revenue salary protest opposition court ruling "
    "mandate treaty corridor airspace envoy summit deadline threat withdrawal deployment escalation talks "
    "however although because while during against within beyond likely early late major minor public private "
    "the the the a a of of in in to to and and is was has had will its their this that by on for with from"
).split()


def write(folder: Path, count: int, seed: int = 1, words: int = 1_000) -> None:
    """Write `count` analyses of about `words` words each below `folder`/analyses/YYYY/, with YAML heads."""
    random_ = random.Random(seed)  # noqa: S311 - not for secrets
    start = datetime(2011, 1, 1, 7, 0)
    for number in range(count):
        date = start + timedelta(hours=number * 8)
        path = folder / "analyses" / str(date.year) / f"piece-{number:05d}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_piece(random_, number, date, words), encoding="utf-8")


def _piece(random_: random.Random, number: int, date: datetime, words: int) -> str:
    region = random_.randrange(len(REGIONS))
    topics = ", ".join(random_.sample(TOPICS, 3))
    judgements = "\n".join(
        f'  - text: "{_sentence(random_, 16)}"\n    likelihood: {random_.choice(LIKELIHOODS)}\n'
        f"    confidence: moderate\n    horizon: {(date + timedelta(days=120)):%Y-%m-%d}"
        for _ in range(3)
    )
    head = (
        f'---\ntitle: "Piece {number}: {_sentence(random_, 7)}"\ndate: {date:%Y-%m-%d %H:%M:%S}\n'
        f'summary: "{_sentence(random_, 25)}"\nregion: {REGIONS[region]}\ntopics: [{topics}]\n'
        f"authors: [{DESKS[region]}]\nkey_judgements:\n{judgements}\n---\n"
    )
    sections = []
    left = words
    while left > 0:
        paragraphs = []
        for _ in range(3):
            size = random_.randint(50, 90)
            left -= size
            paragraphs.append(" ".join(_sentence(random_, 15) for _ in range(size // 15)))
        paragraphs[1] += f" See [the record](https://example.org/{random_.randrange(1000)}) and *the rest*."
        sections.append(f"## {_sentence(random_, 4)[:-1]}\n\n" + "\n\n".join(paragraphs))
    return head + "\n\n".join(sections) + "\n"


def _sentence(random_: random.Random, words: int) -> str:
    return " ".join(random_.choices(WORDS, k=words)).capitalize() + "."
