"""Pelican plugin: what each piece said before, on a page of its own beside it, from the content's git repository.

    analyses/2020/baghdad-embassy/history/   only for a piece of which readers saw more than one version

Nothing of a draft or of the time before publication is in it (versions.py). A field `history: no` in a piece's front
matter leaves its page out, for words that must not be shown again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pelican import signals
from pelican.generators import Generator

from newsletter import past, versions, wording
from newsletter.models import Change
from newsletter.versions import Version
from newsletter.wording import Paragraph

TEMPLATE = "history"
# Where a build leaves what it wants to say to whoever started it.
NOTES = "NEWSLETTER_NOTES"


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to the next: when, what was told of it, and the paragraphs that differ.

    `kept` counts the paragraphs that stayed as they were. The first version has nothing before it, and `dated` says
    which day the piece bore then.
    """

    since: datetime
    told: tuple[Change, ...] = ()
    differences: tuple[Paragraph, ...] = ()
    kept: int = 0
    dated: str = ""


def steps(seen: Sequence[Version]) -> list[Step]:
    """The history of a piece as its page tells it, the newest step first, the first publication last."""
    found = [Step(seen[0].since, dated=seen[0].paragraphs[0])]
    for before, after in pairwise(seen):
        told = tuple(change for change in after.changes if change not in before.changes)
        old, new = before.paragraphs + before.outcomes, after.paragraphs + after.outcomes
        differences = tuple(wording.compare(old, new))
        changed = sum(any(piece.mark is not wording.Mark.OUT for piece in each) for each in differences)
        found.append(Step(after.since, told, differences, len(new) - changed))
    return found[::-1]


def _read(generators: Sequence[Generator]) -> None:
    """Give each article with more than one version its `history`; one `git log` for all of them."""
    context, settings = generators[0].context, generators[0].settings
    if not settings.get("NEWSLETTER_HISTORY"):
        return
    known = settings["NEWSLETTER_PAST"] = past.read(Path(settings["PATH"]), settings.get("NEWSLETTER_PAST"))
    if known is None:
        return
    if known.shallow:
        note = (
            "this clone has no past (it is shallow), so no piece gets its history page. "
            "Fetch it: git fetch --unshallow"
        )
        context.setdefault(NOTES, []).append(("history", note))
        return
    pieces = [
        (article, stages)
        for article in context["articles"]
        if (analysis := getattr(article, "analysis", None))
        and analysis.history
        and len(stages := known.stages.get(analysis.source, ())) > 1
    ]
    # A preview keeps its pieces from one reading to the next, each with its history.
    pieces = [(article, stages) for article, stages in pieces if getattr(article, "stages", ()) != stages]
    texts = known.texts(stage.blob for _, stages in pieces for stage in stages)
    zone, now = settings["PUBLICATION"].zone, datetime.now(UTC)
    for article, stages in pieces:
        seen = versions.seen(stages, texts, zone, now)
        article.stages, article.history = stages, steps(seen) if len(seen) > 1 else []


class HistoryWriter(Generator):  # type: ignore[misc]  # pelican has no types
    """Writes the pages."""

    def generate_output(self, writer: Any) -> None:
        """Called by Pelican after every piece has been read."""
        if f"{TEMPLATE}.html" not in self.env.list_templates():
            return  # another theme than ours
        template = self.get_template(TEMPLATE)
        for article in self._articles():
            url = f"{article.url}history/"
            writer.write_file(
                os.path.join(url, "index.html"),
                template,
                self.context,
                article=article,
                url=url,
                relative_urls=self.settings["RELATIVE_URLS"],
            )

    def _articles(self) -> Iterator[Any]:
        return (article for article in self.context["articles"] if getattr(article, "history", None))


def register() -> None:
    """Called by Pelican."""
    signals.get_generators.connect(_generators)
    signals.all_generators_finalized.connect(_read)


def _generators(_pelican: Any) -> type[Generator]:
    return HistoryWriter
