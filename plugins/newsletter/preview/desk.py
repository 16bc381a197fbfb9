"""What the editor's preview shows: one state of the site after another, each complete.

A saved piece is turned alone first, in milliseconds; the rest (lists, related pieces, links to it) follows a little
later. One thread reads, and nobody is answered from a state that is half made.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from pelican.generators import StaticGenerator

from newsletter import search
from newsletter.compiled import Compiled
from newsletter.editions import EditionWriter
from newsletter.errors import Finding, NewsletterError, Severity
from newsletter.feed import FeedWriter
from newsletter.pictures import PictureWriter
from newsletter.preview.book import Book
from newsletter.preview.examiner import Examiner
from newsletter.preview.reading import Reading, findings_of
from newsletter.signposts import SignpostWriter

FOLDER = Path("build/preview")
_OUTPUT = FOLDER / "site"
# These write files of their own; they are called when such a file is asked for.
_COPIERS, _WRITERS = (StaticGenerator, PictureWriter), (FeedWriter, SignpostWriter)


@dataclass(frozen=True, slots=True)
class Held:
    """A piece that the public does not see yet, at which address the preview has it, and `why` in words."""

    title: str
    address: str
    source: str
    why: str


@dataclass(frozen=True, slots=True)
class State:
    """The site as it stands. `look` tells one theme from the one before, `refused` is what stops a build, `checked`
    what `newsletter check` says besides, None until it was asked.
    """

    look: int = 0
    refused: tuple[Finding, ...] = ()
    checked: tuple[Finding, ...] | None = None
    held: tuple[Held, ...] = ()
    months: tuple[str, ...] = ()  # of the briefings and errata, the newest first

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of it, the errors first; what a build refuses is said once."""
        said = {(finding.path, finding.line) for finding in self.errors}
        also = (each for each in self.refused if (each.path, each.line) not in said)
        warnings = (each for each in self.checked or () if each.severity is not Severity.ERROR)
        return (*self.errors, *also, *warnings)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What `newsletter check` calls an error."""
        return tuple(each for each in self.checked or () if each.severity is Severity.ERROR)


class Desk:
    """The site half, kept in memory. Every method may be called from any thread; they take turns."""

    def __init__(self, content: str | None = None) -> None:
        self._content = content
        self.lock = threading.RLock()  # whoever reads content holds it: one build at a time
        self._examining = threading.Lock()
        self._reading: Reading | None = None
        self._examiner: Examiner | None = None
        self._book: Book | None = None
        self._done: set[type] = set()
        self._was: dict[str, str] = {}  # place of a page → the file it was made of, also of former states
        self.asked_at = 0.0  # when a page was last asked for, in the seconds of time.monotonic
        self._seen: dict[str, str] = {}  # every page that was looked at, as it last was
        self._compiled = Compiled()
        self.state = State()
        shutil.rmtree(_OUTPUT, ignore_errors=True)
        _OUTPUT.mkdir(parents=True)

    def read(self) -> State:
        """Read what has changed and work everything out. Never raises for what an editor wrote: it is in the state."""
        with self.lock:
            refused: Sequence[Finding]
            try:
                if self._reading is None:
                    self._reading = Reading(self._settings())
                    publication = self._reading.settings["PUBLICATION"]
                    self._examiner = Examiner(Path(self._reading.settings["PATH"]), publication)
                refused = self._reading.read()
                refused = (*refused, *self._note())
            except Exception as error:  # whatever it is, the preview goes on and says it
                refused = findings_of(error)
            held = self._held() if self._book else ()
            self.state = replace(self.state, refused=tuple(refused), held=held, months=self._months())
            return self.state

    def examine(self) -> State:
        """Hold the content against the rules of `newsletter check`; what was examined before and is the same is not."""
        with self._examining:  # not the lock: the first time takes long, and pages can be looked at meanwhile
            findings = self._examiner.examine() if self._examiner else None
            with self.lock:
                self.state = replace(self.state, checked=findings)
                return self.state

    def forget(self) -> None:
        """Begin from the beginning: the configuration or the theme has changed."""
        with self.lock:
            self._reading = None
            self._compiled.clear()
            self.state = replace(self.state, look=self.state.look + 1)

    def turn(self, path: str) -> bool:
        """Show one saved analysis as it is now, and leave the rest for later. Whether that could be done."""
        with self.lock:
            if self._reading is None or self._book is None or not self._reading.generators:
                return False
            try:
                old, new, findings = self._reading.again(path)
            except Exception:  # the full reading says what is wrong
                return False
            order = self._book.orders.get(old.save_as) if old else None
            if old is None or order is None or order.piece is not old:
                return False
            if new is not None:
                order.facts["article"] = new
                self._reading.context["generated_content"][path] = new
                self._done.discard(type(self))  # the search finds what the page says now
            source = os.path.relpath(old.source_path)
            others = (each for each in self.state.refused if each.path != source)
            self.state = replace(self.state, refused=(*findings, *others), held=self._held())
            return bool(new or findings)

    def page(self, place: str) -> str | None:
        """The page at that place below the output folder, or None. Raises TemplateError, NewsletterError.

        The page of a piece that cannot be published at the moment stays as it was.
        """
        self.asked_at = time.monotonic()
        with self.lock:
            page = self._book.page(place) if self._book else None
            if page is not None:
                self._seen[place] = page
            elif source := self._was.get(place):
                shown = os.path.relpath(source)
                wrong = any(finding.path == shown for finding in self.state.refused)
                return self._seen.get(place) if wrong else None
            return page

    def source(self, place: str) -> str:
        """The file that the page at `place` is made of; "" for a list, or where there is no page."""
        with self.lock:
            source = self._was.get(place)
            return os.path.relpath(source) if source else ""

    def file(self, place: str) -> Path | None:
        """Any other file of the site: copied, drawn or written now if need be. Raises NewsletterError."""
        with self.lock:
            if self._reading is None or not self._reading.generators:
                return None
            target = _OUTPUT / place
            self._make(_COPIERS)
            if place.startswith(f"{search.FOLDER}/"):
                self._index()
            elif place.endswith((".pdf", "card.png")):
                self._set_in_type(place)
            elif not target.is_file():
                self._make(_WRITERS)
            inside = target.resolve().is_relative_to(_OUTPUT.resolve())
            return target if inside and target.is_file() else None

    def moved(self, place: str) -> str | None:
        """Where the piece is now whose page was at `place` in a former state; None if it is nowhere else."""
        with self.lock:
            source = self._was.get(place)
            return next(
                (at for at, order in (self._book.orders if self._book else {}).items()
                 if at != place and order.piece is not None and order.piece.source_path == source),
                None,
            ) if source else None  # fmt: skip

    def _settings(self) -> dict[str, Any]:
        return {
            "PATH": self._content,
            "OUTPUT_PATH": str(_OUTPUT),
            "BRIEFING_PACKAGES": str(FOLDER / "briefings"),
            "NEWSLETTER_EDITIONS": str(FOLDER / "editions"),
            "NEWSLETTER_CARDS": str(FOLDER / "cards"),
            "NEWSLETTER_PICTURES_STOCK": str(FOLDER / "pictures"),
            "DOOR_FRAME": "",
            "NEWSLETTER_DRAFTS": True,
            "NEWSLETTER_PACKAGES": (),
            "NEWSLETTER_GO_ON": True,
            "WITH_FUTURE_DATES": True,
            "STATIC_CHECK_IF_MODIFIED": True,
            "JINJA_ENVIRONMENT": self.templates,
        }

    @property
    def templates(self) -> dict[str, Any]:
        """How Pelican sets up Jinja, with what was compiled kept from reading to reading."""
        return {"trim_blocks": True, "lstrip_blocks": True, "bytecode_cache": self._compiled}

    def _note(self) -> tuple[Finding, ...]:
        """Note every page of the state that was just read; answers with what is wrong with the templates."""
        assert self._reading is not None  # noqa: S101 - called after a reading
        book, findings = note(self._reading, _OUTPUT)
        self._book, self._done = book, set()
        pieces = {place: order.piece for place, order in book.orders.items() if order.piece is not None}
        self._was.update({place: piece.source_path for place, piece in pieces.items()})
        return tuple(findings)

    def _make(self, kinds: Sequence[type]) -> None:
        assert self._reading is not None  # noqa: S101 - called after a reading
        for generator in self._reading.generators:
            if type(generator) in kinds and type(generator) not in self._done:
                generator.generate_output(self._book)
                self._done.add(type(generator))

    def _set_in_type(self, place: str) -> None:
        assert self._reading is not None  # noqa: S101 - called after a reading
        for generator in self._reading.generators:
            if isinstance(generator, EditionWriter):
                generator.generate_output(self._book, only=place)

    def _index(self) -> None:
        """The index of the search page, over all pages, which therefore are written now."""
        if type(self) in self._done or self._book is None:
            return
        for place in self._was.keys() - self._book.orders.keys():
            (_OUTPUT / place).unlink(missing_ok=True)
        for place in self._book.orders:
            self._book.page(place)
        search.index(_OUTPUT)
        self._done.add(type(self))

    def _held(self) -> tuple[Held, ...]:
        assert self._book is not None  # noqa: S101 - called with pages
        pieces = (order.piece for order in self._book.orders.values())
        return tuple(
            Held(str(piece.title), f"/{piece.url}", os.path.relpath(piece.source_path), piece.held)
            for piece in pieces
            if getattr(piece, "held", "")
        )

    def _months(self) -> tuple[str, ...]:
        if self._reading is None or not self._reading.generators:
            return ()
        context = self._reading.context
        letters = (*context.get("briefings", ()), *context.get("errata", ()))
        return tuple(sorted((letter.issue.id for letter in letters), reverse=True))


def note(reading: Reading, output: Path) -> tuple[Book, list[Finding]]:
    """Every page of what was read, noted and not written, and what is wrong with the templates."""
    book, findings = Book(output, reading.settings), list[Finding]()
    for generator in reading.generators:
        if isinstance(generator, (*_COPIERS, *_WRITERS, EditionWriter)):
            continue
        try:
            generator.generate_output(book)
        except (TemplateError, NewsletterError, OSError) as error:
            findings.extend(findings_of(error))
    return book, findings
