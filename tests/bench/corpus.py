"""Made-up content in any number, the same every time: what `make bench` builds with this system and with Hugo.

The pieces have what the real ones have: a head with judgements, headings, quotations, links to each other, a
footnote, now and then a table or a list. `convert_all` says the same in Hugo's words.
"""

from __future__ import annotations

import json
import random
import re
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

REGIONS = ["Iraq", "Gulf", "Levant", "Eastern Mediterranean", "North Africa", "Eastern Europe",
           "South Caucasus", "Horn of Africa", "Sahel", "Central Asia"]  # fmt: skip
TOPICS = [f"Topic {number:02d}" for number in range(60)]
DESKS = [f"{region} desk" for region in REGIONS]
LIKELIHOODS = ["very unlikely", "unlikely", "roughly even chance", "likely", "very likely"]
# For the glossary: every piece names it.
TERM = 'PRF: {expansion: Provincial Reserve Force, kind: actor, note: "A force of some province."}\n'
WORDS = [
    "government",
    "coalition",
    "parliament",
    "minister",
    "army",
    "border",
    "pipeline",
    "ceasefire",
    "budget",
    "reserve",
    "currency",
    "vote",
    "province",
    "governor",
    "militia",
    "embassy",
    "sanction",
    "tariff",
    "export",
    "revenue",
    "salary",
    "protest",
    "opposition",
    "court",
    "ruling",
    "mandate",
    "treaty",
    "corridor",
    "airspace",
    "envoy",
    "summit",
    "deadline",
    "threat",
    "withdrawal",
    "deployment",
    "escalation",
    "talks",
    "however",
    "although",
    "because",
    "while",
    "during",
    "against",
    "within",
    "beyond",
    "early",
    "late",
    "major",
    "minor",
    "public",
    "private",
    "the",
    "the",
    "the",
    "a",
    "a",
    "of",
    "of",
    "in",
    "in",
    "to",
    "to",
    "and",
    "and",
    "is",
    "was",
    "has",
    "had",
    "will",
    "its",
    "their",
    "this",
    "that",
    "by",
    "on",
    "for",
    "with",
    "from",
]
NEWEST = datetime(2020, 10, 31, 21, 0)
# Eighty pieces a month; counted back from NEWEST no hour is one that a change of the clocks leaves out.
APART = timedelta(hours=9)
BRIEFINGS, IN_A_BRIEFING = 12, 8
_HEAD_WORDS = {"region": "regions", "authors": "desks", "summary": "description", "preheader": "description"}


def write(folder: Path, count: int, seed: int = 1, words: int = 1_000) -> None:
    """Write `count` analyses of about `words` words each, and the last months' briefings, below `folder`."""
    random_ = random.Random(seed)  # noqa: S311 - not for secrets
    months: dict[str, list[str]] = {}
    for number in range(count):
        date = NEWEST - (count - 1 - number) * APART
        name = f"analyses/{date.year}/piece-{number:05d}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        earlier = months[random_.choice(list(months))] if months else []
        link = random_.choice(earlier) if earlier else name
        (folder / f"{name}.md").write_text(_piece(random_, number, date, words, link), encoding="utf-8")
        months.setdefault(f"{date:%Y-%m}", []).append(name)
    (folder / "briefings").mkdir(exist_ok=True)
    for month in sorted(months)[-BRIEFINGS:]:
        text = _letter(random_, month, months[month][:IN_A_BRIEFING])
        (folder / f"briefings/{month}.md").write_text(text, encoding="utf-8")


def publication(text: str) -> str:
    """publication.toml with the regions and topics of these pieces."""
    for key, words in (("regions", REGIONS), ("topics", TOPICS)):
        text = re.sub(rf"^{key} = .*$", f"{key} = {json.dumps(words)}", text, flags=re.MULTILINE)
    return text


def convert_all(ours: Path, hugos: Path) -> None:
    """Write the files below `ours` anew below `hugos`, as Hugo wants them; there a year is a section."""
    for path in sorted(ours.rglob("*.md")):
        place = path.relative_to(ours)
        target = hugos / (place.name if place.parts[0] == "pages" else place)
        if not target.parent.exists():
            target.parent.mkdir(parents=True)
            if place.parts[0] == "analyses":
                year = f'---\ntitle: "{target.parent.name}"\nlayout: year\n---\n'
                (target.parent / "_index.md").write_text(year, encoding="utf-8")
        month = path.stem if place.parts[0] == "briefings" else ""
        target.write_text(convert(path.read_text(encoding="utf-8"), month), encoding="utf-8")


def convert(text: str, month: str = "") -> str:
    """A file of ours (of a month's briefing, if `month` is given) as Hugo has it.

    Fields get the names of Hugo's taxonomies; their quotes come as typographic ones, because Hugo would have
    to treat each field as Markdown for that; links to files become the addresses they stand for.
    """
    _, head, body = text.split("---\n", 2)
    for ours, hugos in _HEAD_WORDS.items():
        head = re.sub(rf"^{ours}: ", f"{hugos}: ", head, flags=re.MULTILINE)
    head = re.sub(r"^regions: (.*)$", r"regions: [\1]", head, flags=re.MULTILINE).replace("'", "’")
    if month:
        head += f"date: {month}-01\n"
    body = re.sub(r"\{filename\}/analyses/([\w/-]+)\.md", r"https://briefing.example.org/analyses/\1/", body)
    body = re.sub(r"\{filename\}/pages/([\w-]+)\.md", r"https://briefing.example.org/\1/", body)
    return f"---\n{head}---\n{body}"


def _piece(random_: random.Random, number: int, date: datetime, words: int, link: str) -> str:
    region = random_.randrange(len(REGIONS))
    topics = ", ".join(random_.sample(TOPICS, 3))
    judgements = "\n".join(
        f'  - text: "{_sentence(random_, 16)}"\n    likelihood: {random_.choice(LIKELIHOODS)}\n'
        f"    confidence: moderate\n    horizon: {(date + timedelta(days=120)):%Y-%m-%d}"
        for _ in range(3)
    )
    head = (
        f'---\ntitle: "Piece {number}: {_sentence(random_, 7)}"\ndate: {date:%Y-%m-%d %H:%M:%S}\n'
        f'summary: "The region\'s {_sentence(random_, 25)}"\nregion: {REGIONS[region]}\ntopics: [{topics}]\n'
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
        paragraphs[2] += f' The minister\'s words -- "{_sentence(random_, 6)}" -- were **his own**...'
        if not sections:
            paragraphs.append(_dated(random_, date))
        sections.append(f"## {_sentence(random_, 4)[:-1]}\n\n" + "\n\n".join(paragraphs))
    sections[0] += f"[^note]\n\nWe said so [at the time]({{filename}}/{link}.md)."
    if number % 3 == 0:
        sections[1] += "\n\n" + "\n".join(f"- {_sentence(random_, 8)}" for _ in range(4))
    if number % 4 == 0:
        rows = "".join(f"| {_sentence(random_, 3)} | {random_.randrange(100)} |\n" for _ in range(5))
        sections[-1] += f"\n\n| Province | Seats |\n|---|---:|\n{rows}"
    return head + "\n\n".join(sections) + f"\n\n[^note]: {_sentence(random_, 20)}\n"


def _letter(random_: random.Random, month: str, names: list[str]) -> str:
    chosen = "".join(f"  - {name}.md\n" for name in names)
    body = "\n\n".join(" ".join(_sentence(random_, 15) for _ in range(4)) for _ in range(4))
    return (
        f'---\ntitle: "Monthly Briefing, {month}"\nsubject: "{_sentence(random_, 8)}"\n'
        f'preheader: "{_sentence(random_, 12)}"\nanalyses:\n{chosen}---\nDear reader,\n\n{body}\n\nThe editors\n'
    )


def _sentence(random_: random.Random, words: int) -> str:
    chosen = random_.choices(WORDS, k=words)
    # No word twice in a row: few analysts write so, and all of them would be findings.
    kept = [word for before, word in pairwise(["", *chosen]) if word != before]
    return " ".join(kept).capitalize() + "."


def _dated(random_: random.Random, date: datetime) -> str:
    """Sentences with what a check looks at: a weekday, an abbreviation, how long ago, a change. A few of them are wrong."""
    day = date - timedelta(days=random_.randrange(2, 25))
    weekday = day if random_.random() < 0.98 else day + timedelta(days=1)
    before, after = sorted(random_.sample(range(10, 90), 2))
    return (
        f"The Provincial Reserve Force (PRF) said on {weekday:%A}, {day.day} {day:%B %Y}, that exports rose from {before}% "
        f"to {after}%. {_sentence(random_, 8)} The PRF denied it a week later."
    )
