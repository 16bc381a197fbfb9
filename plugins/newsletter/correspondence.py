"""The mails that are no briefing: each letter of the door as it is mailed.

Their words are the theme's (letters.toml), in two frames (letter.html, letter.txt) that look like the briefing.
No word of a visitor is in a mail to anybody but the house, and there only in the body, marked as typed.
"""

from __future__ import annotations

import re
import string
import textwrap
import tomllib
from collections.abc import Sequence
from email.utils import formataddr, parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from newsletter import looks
from newsletter.errors import ContentError, Finding
from newsletter.publication import Publication
from newsletter.ses.post import Mail
from newsletter.store.door import LIFETIMES, Letter, LetterKind
from newsletter.tokens import Purpose, mint

TEMPLATES = Path("theme/templates/email/letters")
_WIDTH = 72
_LINKS = {
    LetterKind.CONFIRM: ("confirm", Purpose.CONFIRM),
    LetterKind.MY_PAGE: ("me", Purpose.MY_PAGE),
    LetterKind.CHANGE: ("change", Purpose.CHANGE),
}
# What a visitor's message may have, in the order in which the house reads it.
_TYPED = {
    "name": "Name",
    "email": "Address",
    "desk": "To",
    "region": "Region",
    "article": "About",
    "page": "Written on the page",
    "message": "Message",
}
_LIST_FIELDS, _TEXT_FIELDS = ("before", "after"), ("subject", "heading")
# Unseen characters, and those that turn the direction of writing.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_LINE_ENDS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_RIGHT_TO_LEFT = ("ar", "fa", "he", "ur")


class Correspondence:
    """Writes the letters out."""

    def __init__(self, facts: Publication, keys: Sequence[bytes], templates: Path = TEMPLATES) -> None:
        """`keys` sign the links, newest first; `templates` is the theme's folder, with the briefing's beside it.

        Raises ContentError, naming the file, for a template that is missing or malformed.
        """
        self._facts, self._keys, self._folder = facts, keys, templates
        self._words = _words(templates / "letters.toml")
        self._looks = looks.read(templates.parent / "briefing" / "style.toml")
        environment = SandboxedEnvironment(
            loader=jinja2.FileSystemLoader(templates),
            autoescape=lambda name: name is not None and not name.endswith(".txt"),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["fill"] = lambda text: textwrap.fill(text, _WIDTH, break_long_words=False)
        environment.filters["quote"] = _quote
        self._environment = environment
        for kind in LetterKind:
            self._print(
                kind, "", []
            )  # a fault of the theme shows when the door opens, not at the first visitor

    def mail(self, letter: Letter) -> Mail:
        """The mail of one letter. A visitor's message goes to the house, whatever `letter.to` says."""
        if letter.kind is LetterKind.CONTACT:
            typed = [
                (label, self._whole(name, _clean(letter.words[name])))
                for name, label in _TYPED.items()
                if letter.words.get(name)
            ]
            subject, text, html = self._print(letter.kind, "", typed)
            # Our own number: with one subject for all, mail programs would show strangers as one conversation.
            subject = f"{subject} ({letter.id.hex()[:8]})"
            return self._addressed(self._facts.contact, self._answerable(letter), subject, text, html)
        path, purpose = _LINKS[letter.kind]
        url = f"{self._facts.site_url}/{path}/{mint(purpose, letter.id, self._keys)}"
        return self._addressed(letter.to.text, self._facts.contact, *self._print(letter.kind, url, []))

    def _whole(self, name: str, words: str) -> str:
        """What was typed; of a piece its address on our site, so that the house need not look for it."""
        return f"{self._facts.site_url}/{words}" if name == "article" else words

    def _addressed(self, to: str, reply_to: str, subject: str, text: str, html: str) -> Mail:
        name, address = parseaddr(self._facts.sender)
        sender = self._facts.sender if self._facts.sender.isascii() else formataddr((name, address))
        return Mail(sender, to, reply_to, subject, text, html)

    def _answerable(self, letter: Letter) -> str:
        """The visitor's address, if an answer to it goes to a visitor: not in a circle, and not through a header."""
        address = letter.words.get("email", "")
        ours = {self._facts.contact, self._facts.reply_to, parseaddr(self._facts.sender)[1]}
        unfit = not address.isascii() or "=?" in address or any(sign in address for sign in ' \t\r\n<>,;"')
        return "" if unfit or address.lower() in {one.lower() for one in ours} else address

    def _print(self, kind: LetterKind, url: str, typed: list[tuple[str, str]]) -> tuple[str, str, str]:
        """Subject, text and HTML."""
        days = LIFETIMES[kind].days
        facts = {
            "house": self._facts.house,
            "name": self._facts.name,
            "site": urlsplit(self._facts.site_url).netloc,
            "contact": self._facts.contact,
            "lifetime": "one day" if days == 1 else f"{days} days",
        }
        try:
            words = {key: _filled(value, facts) for key, value in self._words[kind].items()}
        except (KeyError, ValueError) as error:
            known = ", ".join(f"${name}" for name in facts)
            place = str(self._folder / "letters.toml")
            raise ContentError(
                [Finding(place, 0, str(kind), f"{error}: only {known} are known here.")]
            ) from None
        values = {
            **self._looks,
            **words,
            "house": self._facts.house,
            "url": url,
            "typed": typed,
            "language": self._facts.language,
            "direction": "rtl" if self._facts.language.partition("-")[0].lower() in _RIGHT_TO_LEFT else "ltr",
            "postal_address": self._facts.postal_address,
        }
        try:
            text, html = (
                self._environment.get_template(name).render(values).strip() + "\n"
                for name in ("letter.txt", "letter.html")
            )
        except jinja2.TemplateError as error:
            line = getattr(error, "lineno", 0) or 0
            raise ContentError([Finding(str(self._folder), line, str(kind), f"{error}")]) from None
        return str(words["subject"]), re.sub(r"\n{4,}", "\n\n\n", text), html


def _words(path: Path) -> dict[LetterKind, dict[str, Any]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ContentError([Finding(str(path), 0, "", "not found; the theme must have it.")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContentError([Finding(str(path), 0, "", f"{error}. Its form is TOML.")]) from None
    found: dict[LetterKind, dict[str, Any]] = {}
    for kind in LetterKind:
        table = tables.get(kind)
        wanted = (*_TEXT_FIELDS, *(("button",) if kind in _LINKS else ()))
        if not (
            isinstance(table, dict)
            and all(isinstance(table.get(name), str) for name in wanted)
            and all(_is_texts(table.get(name)) for name in _LIST_FIELDS)
        ):
            reason = f"needs the texts {', '.join(wanted)} and the lists of texts {', '.join(_LIST_FIELDS)}."
            raise ContentError([Finding(str(path), 0, str(kind), reason)])
        found[kind] = {"button": "", **table}
    return found


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _filled(value: str | list[str], facts: dict[str, str]) -> str | list[str]:
    if isinstance(value, str):
        return string.Template(value).substitute(facts)
    return [string.Template(one).substitute(facts) for one in value]


def _clean(typed: str) -> str:
    """A visitor's text as it can be printed: no unseen signs, and line ends of one kind."""
    return _UNFIT.sub("", _LINE_ENDS.sub("\n", typed)).strip()


def _quote(typed: str) -> str:
    lines = [
        part
        for line in typed.split("\n")
        for part in textwrap.wrap(line, _WIDTH - 2, break_long_words=False, break_on_hyphens=False) or [""]
    ]
    return "\n".join(f"| {line}".rstrip() for line in lines)
