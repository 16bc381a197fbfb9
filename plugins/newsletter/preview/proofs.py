"""The proof in the preview: of the mail as it would really be, so of published pieces alone; a letter may be a draft."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from newsletter import frontmatter
from newsletter.briefing import BriefingGenerator
from newsletter.editions import EditionWriter, address
from newsletter.errors import ContentError, Finding
from newsletter.models import Package, Status
from newsletter.preview.desk import FOLDER, Desk, note
from newsletter.preview.reading import Reading
from newsletter.proof_page import facts, links
from newsletter.proof_page.facts import Proof


class Proofs:
    """Makes the proof of one mailing after another; in turn with the desk, one at a time."""

    def __init__(self, desk: Desk, content: str, store_url: str) -> None:
        self._desk, self._content, self._store_url = desk, content, store_url
        self._reading: Reading | None = None
        self._look = -1
        self._site_url = ""
        self._answers: dict[str, str] = {}  # of other houses' servers, as long as the preview runs

    def proof(self, mailing: str) -> Proof | None:
        """The proof of a briefing or an erratum; None if there is none of that name.

        Raises ContentError with what keeps the mail from being made.
        """
        if self._desk.state.checked is None:
            self._desk.examine()  # nothing is called right before it was looked at
        with self._desk.lock:
            reading, refused = self._read(mailing)
            generator = _briefings(reading)
            letters: tuple[Any, ...] = (*generator.briefings, *generator.errata)
            letter = next((each for each in letters if each.issue.id == mailing), None)
            package = next((each for each in generator.packages if each.month == mailing), None)
            if letter is None and not refused:
                return None
            if letter is None or package is None:
                raise ContentError(refused)
            state = self._desk.state
            source = os.path.relpath(letter.source_path)
            findings = [*state.findings, *(each for each in refused if each not in state.refused)]
            if getattr(letter, "held", ""):
                findings.append(_still_a_draft(source))
            proposal, begun = facts.propose(self._store_url, package, datetime.now(UTC))
            return Proof(
                package,
                self._links(package, reading),
                facts.concerned(package, findings, source),
                proposal,
                begun,
            )

    def ask(self, proof: Proof) -> None:
        """Ask other houses' servers for the links of a proof; the next one has their answers."""
        others = [link.address for link in proof.links if link.status is not links.Status.OWN]
        site = self._site_url
        self._answers |= links.ask(each for each in others if not each.startswith(f"{site}/"))

    def _read(self, mailing: str) -> tuple[Reading, tuple[Finding, ...]]:
        if self._reading is None or self._look != self._desk.state.look:
            settings = {**_settings(self._content), "JINJA_ENVIRONMENT": self._desk.templates}
            self._reading, self._look = Reading(settings), self._desk.state.look
            self._site_url = self._reading.settings["PUBLICATION"].site_url
        self._reading.settings["NEWSLETTER_PACKAGES"] = (mailing,)
        return self._reading, self._reading.read()

    def _links(self, package: Package, reading: Reading) -> tuple[links.Link, ...]:
        book, _ = note(reading, FOLDER / "proof")
        context = reading.context
        pieces = (*context["articles"], *context["briefings"])
        files = {address(piece) for piece in pieces} if _sets(reading) else set()
        files |= {static.save_as for static in context["staticfiles"]}

        def there(path: str, fragment: str) -> str:
            place = path.lstrip("/")
            place = f"{place}index.html" if path.endswith("/") else place
            if place in files or (place in book.orders and not fragment):
                return ""
            if place in book.orders:
                return links.missing_place(book.page(place) or "", fragment)
            return "The site has no such page: it is not published, or is called otherwise."

        return links.links(package.html, self._site_url, there, self._answers)


def _briefings(reading: Reading) -> BriefingGenerator:
    return next(each for each in reading.generators if isinstance(each, BriefingGenerator))


def _sets(reading: Reading) -> bool:
    return any(isinstance(each, EditionWriter) for each in reading.generators)


def _still_a_draft(source: str) -> Finding:
    line = 0
    # It may have changed meanwhile: then the next proof is on its way.
    with suppress(OSError, UnicodeDecodeError, ContentError):
        line = frontmatter.parse(Path(source).read_text(encoding="utf-8"), source).lines.get("status", 0)
    return Finding(
        source,
        line,
        "status",
        f"is {Status.DRAFT}: nothing is mailed. Take the line out when the letter is right.",
    )


def _settings(content: str) -> Mapping[str, Any]:
    return {
        "PATH": content,
        "OUTPUT_PATH": str(FOLDER / "proof"),
        "BRIEFING_PACKAGES": str(FOLDER / "proof-packages"),
        "DOOR_FRAME": "",
        "NEWSLETTER_EDITIONS": str(FOLDER / "editions"),
        "NEWSLETTER_CARDS": "",
        "NEWSLETTER_PICTURES_STOCK": str(FOLDER / "pictures"),
        "NEWSLETTER_DRAFT_LETTERS": True,
        "NEWSLETTER_GO_ON": True,
    }
