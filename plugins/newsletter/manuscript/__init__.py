"""A text that was written elsewhere, and how it becomes one of ours: `newsletter import`.

    .docx ─word─┐
    .html ─web──┼► HTML ─layout─► Manuscript ─filed─► content/analyses/YYYY/slug.md, content/images/
    .txt ─plain─┘                    ▲
    .md ─moved───────────────────────┘

Nothing is invented and no word is lost: what has no place in a piece (a page's furniture, a comment in the margin)
stands as a comment in the front matter, and the words of the result are counted against those of the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that came with a text: its file's name below content/images/, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Sheet:
    """A text as HTML, before anybody has looked for its headline.

    `source` is all it says, read in another way than `html` was made; `left_out` are the parts that are not its text
    (a page's header, a comment), `notes` what the person who imports it should know.
    """

    html: str
    source: str
    pictures: tuple[Picture, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manuscript:
    """A text with its parts told apart. `body` is Markdown; `fields` are those of our front matter that it states."""

    title: str
    summary: str
    judgements: tuple[str, ...]
    body: str
    source: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
