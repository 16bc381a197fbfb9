"""The checks mjml-python leaves out.

It takes an unknown element for HTML, an unknown attribute for none, and crossed or mismatched tags as they
come; the mail then looks wrong in one program, months later. What elements, attributes and children exist is
in mjml_rules.json, made from npm mjml by tests/mjml_rules.mjs. Besides, this refuses what npm's mjml has and
mjml-python has not, and every `{{…}}` but the declared placeholders.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

from newsletter.errors import Finding
from newsletter.mjml_values import fits, in_words
from newsletter.placeholders import faults

_NAME = r"[A-Za-z][A-Za-z0-9:_-]*"
_ATTRIBUTE = r"""[^\s"'<>/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+))?"""
_TOKEN = re.compile(
    rf"(?P<comment><!--.*?-->)|(?P<doctype><!doctype[^>]*>)"
    rf"|</(?P<end>{_NAME})\s*>"
    rf"|<(?P<start>{_NAME})(?P<attributes>(?:\s+{_ATTRIBUTE})*)\s*(?P<empty>/?)>"
    r"|(?P<raw><)",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE_PARTS = re.compile(
    r"""([^\s"'<>/=]+)(?:(\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?""", re.DOTALL
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VOID = _names("area base br col embed hr img input link meta source track wbr")
_WORD_ELEMENTS = _names("a abbr b cite code del em i ins kbd mark q s small span strong sub sup time u var")
_HTML = (
    _VOID
    | _WORD_ELEMENTS
    | _names(
        "address article aside bdi bdo blockquote body caption center colgroup dd dfn div dl dt figcaption"
    )
    | _names(
        "figure font footer h1 h2 h3 h4 h5 h6 head header html li main nav ol p picture pre samp section"
    )
    | _names("style table tbody td tfoot th thead title tr ul")
)
_REFUSED_HTML = _names(
    "applet audio base button canvas embed form frame frameset iframe input link math noscript object script"
    " select svg template textarea video"
)
_RAW_TEXT = {"mj-style", "style", "script"}  # their content is no markup
_TEXT_ONLY = {"mj-title", "mj-preview", "title"}
_LACKING = {"mj-html-attributes", "mj-selector", "mj-html-attribute"}
_EVERYWHERE = {"css-class", "mj-class"}


@dataclass(frozen=True, slots=True)
class _Open:
    name: str
    offset: int


def lint(source: str, path: str, placeholders: Collection[str]) -> list[Finding]:
    """Check one filled MJML document.

    `path` is what the findings name; `placeholders` are the names that may stand as `{{name}}`. Returns the
    findings in the order of the text, each with line and column (from 1) and what to do; raises nothing.
    """
    return _Lint(source, path).run(frozenset(placeholders))


class _Lint:
    def __init__(self, source: str, path: str) -> None:
        self._source = source
        self._path = path
        self._lines = [0, *(match.end() for match in re.finditer("\n", source))]
        self._found: dict[tuple[int, str], None] = {}
        self._stack: list[_Open] = []
        self._seen: dict[str, int] = {}
        self._classes: set[str] = set(re.findall(r"""<mj-class\b[^>]*?\sname=["']([^"']*)["']""", source))

    def run(self, placeholders: frozenset[str]) -> list[Finding]:
        self._read()
        self._whole()
        for offset, reason in faults(self._source, placeholders):
            self._add(offset, reason)
        return [
            self._finding(offset, reason) for offset, reason in sorted(self._found, key=lambda each: each[0])
        ]

    def _add(self, offset: int, reason: str) -> None:
        self._found[offset, reason] = None

    def _finding(self, offset: int, reason: str) -> Finding:
        line = bisect_right(self._lines, offset)
        return Finding(self._path, line, "", reason, offset - self._lines[line - 1] + 1)

    def _line(self, offset: int) -> int:
        return bisect_right(self._lines, offset)

    def _read(self) -> None:
        position, before = 0, ""
        while match := _TOKEN.search(self._source, position):
            self._text(position, match.start(), before, match)
            position = match.end()
            before = ""
            if match["raw"]:
                reason = (
                    "a tag that does not end."
                    if _looks_like_tag(self._source, match.start())
                    else "a bare <."
                )
                self._add(match.start(), f"{reason} Write &lt; for the sign, or close the tag with >.")
            elif match["end"]:
                before = match["end"].lower()
                self._close(match["end"].lower(), match.start())
            elif match["start"]:
                name = match["start"].lower()
                self._start(name, match)
                if name in _RAW_TEXT and not match["empty"]:
                    position = self._skip(name, match)
        self._text(position, len(self._source), before, None)
        for left in reversed(self._stack):
            self._add(left.offset, f"<{left.name}> is never closed. Add </{left.name}>.")

    def _skip(self, name: str, match: re.Match[str]) -> int:
        end = re.compile(rf"</{re.escape(name)}\s*>", re.IGNORECASE).search(self._source, match.end())
        if not end:
            return len(self._source)
        self._close(name, end.start())
        return end.end()

    def _text(self, start: int, end: int, before: str, following: re.Match[str] | None) -> None:
        text = self._source[start:end]
        if not text.strip():
            after = (following["start"] or "").lower() if following else ""
            if text.lstrip("\r").startswith("\n") and before in _WORD_ELEMENTS and after in _WORD_ELEMENTS:
                self._add(
                    end,
                    f"mjml-python drops the line break between </{before}> and <{after}>, and the words run "
                    "together. Put both on one line with a space between.",
                )
            return
        parent = self._stack[-1].name if self._stack else ""
        offset = start + len(text) - len(text.lstrip())
        if not parent:
            self._add(offset, "text outside <mjml>. Move it into an <mj-text>.")
        elif not self._in_html() and parent in _elements():
            self._add(
                offset, f"text directly in <{parent}>. Put it into an <mj-text>, or HTML into an <mj-raw>."
            )

    def _in_html(self) -> bool:
        """Whether an open component holds HTML and not components."""
        return any(_elements()[opened.name]["html"] for opened in self._stack if opened.name in _elements())

    def _start(self, name: str, match: re.Match[str]) -> None:
        offset = match.start()
        if match["start"] != name and name.startswith("mj"):
            self._add(offset, f"<{match['start']}> must be written in small letters: <{name}>.")
        attributes = self._attributes(name, match)
        if name.startswith("mj-") or name == "mjml":
            self._component(name, attributes, offset)
        else:
            self._html(name, attributes, match)
        if not match["empty"] and name not in _VOID:
            self._stack.append(_Open(name, offset))

    def _attributes(self, name: str, match: re.Match[str]) -> dict[str, tuple[int, str]]:
        attributes: dict[str, tuple[int, str]] = {}
        base = match.start("attributes")
        for part in _ATTRIBUTE_PARTS.finditer(match["attributes"]):
            key, offset = part[1].lower(), base + part.start()
            value = next((group for group in part.groups()[2:] if group is not None), "")
            if key in attributes:
                self._add(offset, f"{key} is given twice in <{name}>. Delete one.")
            if part[5] is not None:
                self._add(offset, f'{key}={value} lacks its quotes. Write {key}="{value}".')
            if part[4] is not None and '"' in part[4]:
                # mjml-python writes double quotes around it again, and the value ends at the first.
                self._add(offset, f"{key} holds a double quote between single ones. Write &quot; for it.")
            if part[2] is None and name.startswith("mj"):
                self._add(offset, f'{key} in <{name}> has no value. Write {key}="…".')
            attributes[key] = (offset, unescape(value))
        return attributes

    def _component(self, name: str, attributes: dict[str, tuple[int, str]], offset: int) -> None:
        self._seen.setdefault(name, offset)
        in_attributes = bool(self._stack) and self._stack[-1].name == "mj-attributes"
        if name == "mj-include":
            self._add(offset, "<mj-include> is not read here. Use Jinja's {% include %}.")
            return
        if name in _LACKING:
            self._add(offset, f"<{name}> is unknown to mjml-python. Write the attributes into the elements.")
            return
        known = _elements().get(name)
        if in_attributes and name in ("mj-all", "mj-class"):
            self._types(
                name,
                attributes,
                {**_every_attribute(), "name": "string"} if name == "mj-class" else _every_attribute(),
            )
            return
        if known is None:
            self._add(offset, f"<{name}> is no element of MJML{_hint(name, _elements())}")
            return
        if not in_attributes:
            self._place(name, offset)
        if name == "mj-raw" and "position" in attributes:
            self._add(attributes["position"][0], "position is unknown to mjml-python. Delete it.")
        elif name == "mj-style" and "inline" in attributes:
            self._add(
                attributes["inline"][0],
                'mjml-python does not do that. Delete inline="…" and write the styles into the elements.',
            )
        else:
            self._types(name, attributes, known["attributes"])

    def _place(self, name: str, offset: int) -> None:
        parent = self._stack[-1].name if self._stack else ""
        if name == "mjml":
            if parent:
                self._add(offset, "<mjml> must be the outermost element.")
        elif not parent:
            self._add(offset, f"<{name}> stands outside <mjml>.")
        elif self._in_html():
            self._add(
                offset, f"<{name}> within <{parent}> stays as it is: that takes HTML only. Move it out."
            )
        elif parent in _elements():
            children = _elements()[parent].get("children") or []
            if name not in children:
                parents = sorted(
                    each for each, rules in _elements().items() if name in (rules.get("children") or [])
                )
                self._add(
                    offset, f"<{name}> may not stand in <{parent}>. It belongs in <{'>, <'.join(parents)}>."
                )

    def _types(self, name: str, attributes: dict[str, tuple[int, str]], known: dict[str, str]) -> None:
        for key, (offset, value) in attributes.items():
            if key == "mj-class":
                for each in value.split():
                    if each not in self._classes:
                        self._add(
                            offset, f'mj-class="{each}" is declared nowhere. Add it to <mj-attributes>.'
                        )
            elif key in _EVERYWHERE or (key == "name" and name == "mj-class"):
                continue
            elif key not in known:
                self._add(offset, f"{key} is no attribute of <{name}>{_hint(key, known)}")
            elif "{{" not in value and not fits(known[key], value, _rules()["colours"]):
                self._add(offset, f'{key}="{value}" in <{name}> must be {in_words(known[key])}.')

    def _html(self, name: str, attributes: dict[str, tuple[int, str]], match: re.Match[str]) -> None:
        offset = match.start()
        parent = self._stack[-1].name if self._stack else ""
        if name in _REFUSED_HTML:
            self._add(offset, f"<{name}>: mail programs strip it or refuse the mail. Take it out.")
        elif name not in _HTML and ":" not in name:  # v:rect and o:p are Outlook's
            self._add(offset, f"<{name}> is no element of HTML{_hint(name, _HTML)}")
        if not self._in_html():
            where = f"in <{parent}>" if parent else "outside <mjml>"
            self._add(offset, f"<{name}> directly {where}. Put it into an <mj-text> or an <mj-raw>.")
        elif parent in _TEXT_ONLY:
            self._add(offset, f"<{name}> in <{parent}>, which takes words only. Take it out.")
        if match["empty"] and name not in _VOID and ":" not in name:
            self._add(offset, f"<{name}/> does not close itself in HTML. Write <{name}></{name}>.")
        for key, (place, _) in attributes.items():
            if key.startswith("on"):
                self._add(place, f"{key}: scripts do not run in a mail. Take it out.")

    def _close(self, name: str, offset: int) -> None:
        if name in _VOID:
            self._add(offset, f"</{name}> closes nothing: <{name}> is closed already. Delete it.")
        elif self._stack and self._stack[-1].name == name:
            self._stack.pop()
        elif any(opened.name == name for opened in self._stack):
            # Crossed, or the inner one was forgotten; what is open within goes with it.
            inner = self._stack[-1]
            self._add(
                offset,
                f"</{name}> comes while <{inner.name}> of line {self._line(inner.offset)} is open. "
                f"Close that first: </{inner.name}>.",
            )
            while self._stack.pop().name != name:
                pass
        else:
            opened = f" Open is <{self._stack[-1].name}>." if self._stack else ""
            self._add(offset, f"</{name}> closes nothing that is open.{opened}")

    def _whole(self) -> None:
        if "mjml" not in self._seen:
            self._add(0, "no <mjml> element. It must hold all the rest.")
        elif "mj-body" not in self._seen:
            self._add(self._seen["mjml"], "no <mj-body>. The mail would be empty.")
        elif "mj-title" not in self._seen:
            self._add(
                self._seen["mjml"], "no <mj-title> in <mj-head>. Screen readers announce the mail by it."
            )


@cache
def _rules() -> dict[str, Any]:
    rules: dict[str, Any] = json.loads(
        Path(__file__).with_name("mjml_rules.json").read_text(encoding="utf-8")
    )
    return rules


def _elements() -> dict[str, Any]:
    elements: dict[str, Any] = _rules()["elements"]
    return elements


@cache
def _every_attribute() -> dict[str, str]:
    """All attributes of all elements; where types differ, any value is taken."""
    every: dict[str, str] = {}
    for rules in _elements().values():
        for name, kind in rules["attributes"].items():
            every[name] = kind if every.setdefault(name, kind) == kind else "string"
    return every


def _hint(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # only a faulty template pays for it

    close = get_close_matches(name, known, n=1, cutoff=0.75)
    return f". Did you mean {close[0]}?" if close else ". Take it out or correct it."


def _looks_like_tag(source: str, offset: int) -> bool:
    return bool(re.match(r"</?[A-Za-z!]", source[offset : offset + 3]))
