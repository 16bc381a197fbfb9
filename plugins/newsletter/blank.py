"""A blank analysis and a blank briefing: front matter filled in as far as it is known, the desk's conventions beside it.

Both are drafts. What is left to write begins with TODO (analysis.PLACEHOLDER), which no build lets out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pelican.settings import DEFAULT_CONFIG
from pelican.utils import slugify

from newsletter.analysis import PLACEHOLDER, SLUG
from newsletter.errors import ContentError, Finding, SettingsError
from newsletter.publication import Publication

_LONGEST_SLUG = 60
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def slug_of(title: str) -> str:
    """A headline as the last word of an address: "Iraq’s long summer" is "iraqs-long-summer". Long ones are cut
    between words. Raises SettingsError if nothing is left of it.
    """
    plain = slugify(title, regex_subs=DEFAULT_CONFIG["SLUG_REGEX_SUBSTITUTIONS"])
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(slug) > _LONGEST_SLUG:
        slug = slug[: _LONGEST_SLUG + 1].rpartition("-")[0] or slug[:_LONGEST_SLUG]
    if not SLUG.match(slug):
        raise SettingsError(
            f'"{title}" gives no address: it has neither letters nor digits. Say one: --slug iraq-vote'
        )
    return slug


def analysis(
    title: str,
    day: date,
    publication: Publication,
    *,
    region: str = "",
    desk: str = "",
    regions: Sequence[str] = (),
) -> str:
    """A blank analysis. `regions` are the words to choose one from, if the house has no list of its own."""
    words = ", ".join(band.word for band in publication.yardstick.bands)
    choice = ", ".join(publication.regions or regions)
    topics = f"  # of: {', '.join(publication.topics)}" if publication.topics else ""
    return f"""\
---
# What the piece claims, in one line: "Iraq is unlikely to vote by June", not "Elections in Iraq".
title: {quoted(title)}
# When it goes out ({publication.time_zone}). With a date to come it is held back until then.
date: {day} 07:00
# draft: the desk alone sees it, in the preview. published: it goes out at its date.
status: draft
# One or two sentences: what will happen, and to whom. They stand under the headline and in the email.
summary: {quoted(f"{PLACEHOLDER}: what will happen, and to whom")}
region: {quoted(region or f"{PLACEHOLDER}: one region")}{f"  # of: {choice}" if choice else ""}
topics: []{topics}
authors: [{quoted(desk) if desk else ""}]
# What the house will be held to, the weightiest first. In each sentence one word of likelihood, never a bare may,
# could or might; confidence apart from it (low, moderate, high); by when, so that it can be judged.
#   {words}
key_judgements:
  - text: {quoted(f"{PLACEHOLDER}: one sentence with its word of likelihood")}
    likelihood:
    confidence:
    horizon:  # a day, 2021-03-31, or an event, "the vote"
# A picture: image: {{path: images/map.png, alt: "What it shows to one who cannot see it"}}
# Once it is out, say what you change:
#   corrections: [{{date: {day}, text: "An earlier version gave the wrong year."}}]
#   updates: [{{date: {day}, text: "Adds the result."}}]
---
"""


def briefing(month: str, publication: Publication, pieces: Sequence[str] = ()) -> str:
    """A blank briefing of a month ("2020-11"). `pieces` are the slugs of those that would be in it, in their order."""
    named = f"{_MONTHS[int(month[5:]) - 1]} {month[:4]}"
    carried = ", ".join(pieces) or "none yet"
    return f"""\
---
title: {quoted(f"{publication.name}, {named}")}
# draft: nobody can mail it. published: `newsletter send {month}` can.
status: draft
# What an inbox shows: the month's news in at most 60 characters, and no "newsletter" or "update".
subject: {quoted(f"{PLACEHOLDER}: the month in a line")}
# What an inbox shows after the subject: one line that makes it worth opening.
preheader: {quoted(f"{PLACEHOLDER}: one line more")}
# Every analysis dated in the month, by its weight, then by its date; now: {carried}.
# To choose others, or another order: analyses: [slug, slug]. For a letter alone: analyses: [].
---
Dear reader,

"""


def write(path: Path, text: str) -> None:
    """Write a new file. Raises ContentError if there is one already: nothing that is written is ever written over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        reason = "is there already, and stays as it is. Choose another title, or say an address: --slug another-one"
        raise ContentError([Finding(str(path), 0, "", reason)]) from None


def quoted(text: str) -> str:
    """A text as a value of front matter, whatever stands in it."""
    return json.dumps(text, ensure_ascii=False)


_REGION = re.compile(rb"^region:[ \t]*[\"']?([^\"'\n#]+?)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)
_LOOKED_AT = 500  # files; a house has a handful of regions


def regions_in(content: Path) -> list[str]:
    """The regions that a content folder's latest pieces name."""
    files = sorted((content / "analyses").glob("*/*.md"), reverse=True)[:_LOOKED_AT]
    found = (
        match[1].decode("utf-8", "replace") for file in files for match in _REGION.finditer(file.read_bytes())
    )
    return sorted({region for region in found if not region.startswith(PLACEHOLDER)})


_DATED = re.compile(rb"^date:[ \t]*[\"']?(\d{4}-\d{2})", re.MULTILINE)


def pieces_of(content: Path, month: str) -> list[str]:
    """The names of the pieces that are dated in a month."""
    found = []
    for file in sorted((content / "analyses" / month[:4]).glob("*.md")):
        match = _DATED.search(file.read_bytes())
        if match and match[1].decode() == month:
            found.append(file.stem)
    return found
