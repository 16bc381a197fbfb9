"""The template core that Handlebars (which SES uses) and Mustache share; everything else is refused.

    {{name}}  {{a.b}}  {{.}}       a value, as it is: SES does not HTML-escape (DG
                                   send-personalized-email-advanced). {{{name}}} and {{&name}} are the same.
    {{#name}} … {{/name}}          for each item of a list; once for an object, true or text that is not empty
    {{^name}} … {{/name}}          if there is none: missing, null, false, 0, "" or an empty list
    {{! note }}                    nothing

Where the two languages differ, a template could render otherwise at AWS than here, so these are refused
with a name: helpers ({{#if}}, {{#each}}, anything with arguments), {{else}}, {{this}}, ../, @data, partials,
[literals], ~ trimming, delimiter changes, decorators, raw blocks and backslash escapes.
Lists and objects cannot be printed, and inside an object or an item only its own members can be named:
Mustache looks further out, Handlebars.js does not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

_TAG = re.compile(r"\{\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")
# aws-sdk-js-v3#6657: inline templates refused {{no_reply}} and {{a.b}} but took {{noReply}}.
_INLINE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_WORDS = frozenset(
    ["if", "unless", "each", "with", "lookup", "log", "else", "this", "true", "false", "null", "undefined"]
)
_MISSING = object()


class UnsupportedTemplateError(ValueError):
    """The template is malformed or uses what is not in the shared core; `str()` says what and where."""


class RenderingError(ValueError):
    """The data does not fit the template. `str()` is AWS's sentence."""


@dataclass(frozen=True, slots=True)
class Value:
    """A place where a value is written."""

    name: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part that depends on a value."""

    name: str
    inverted: bool
    parts: tuple[Part, ...]


Part: TypeAlias = str | Value | Section


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template; `render` may be called from many threads."""

    parts: tuple[Part, ...]

    def render(self, data: Mapping[str, Any]) -> str:
        """Fill in `data`. Raises RenderingError if a value that is written is missing or null."""
        out: list[str] = []
        _render(self.parts, data, data, out)
        return "".join(out)


@dataclass(slots=True)
class _Tag:
    start: int
    end: int
    sign: str  # "", "#", "^", "/", "!"
    name: str


@functools.lru_cache(maxsize=256)
def parse(source: str, *, inline: bool = False) -> Template:
    """Parse a template. `inline`: only simple substitution, as in API_Template's TemplateContent.

    Raises UnsupportedTemplateError.
    """
    stack: list[tuple[_Tag | None, list[Part]]] = [(None, [])]
    position = 0
    for tag in _tags(source, inline):
        start, end = _standalone(source, tag) if tag.sign else (tag.start, tag.end)
        start = max(start, position)
        parts = stack[-1][1]
        if start > position:
            parts.append(source[position:start])
        position = end
        if tag.sign in ("#", "^"):
            stack.append((tag, []))
        elif tag.sign == "/":
            opener, inner = stack.pop()
            if opener is None or opener.name != tag.name:
                opened = f"{{{{#{opener.name}}}}}" if opener else "nothing"
                raise _unsupported(source, tag.start, f"{{{{/{tag.name}}}}} closes {opened}")
            stack[-1][1].append(Section(tag.name, opener.sign == "^", tuple(inner)))
        elif not tag.sign:
            parts.append(Value(tag.name))
    opener, parts = stack[-1]
    if opener is not None:
        raise _unsupported(source, opener.start, f"{{{{{opener.sign}{opener.name}}}}} is never closed")
    parts.append(source[position:])
    return Template(tuple(part for part in parts if part != ""))


def _tags(source: str, inline: bool) -> list[_Tag]:
    tags: list[_Tag] = []
    position = 0
    while found := _TAG.search(source, position):
        start = found.start()
        opening, closing = ("{{{", "}}}") if source.startswith("{{{", start) else ("{{", "}}")
        if source.startswith("{{!--", start):
            closing = "--}}"
        stop = source.find(closing, start + len(opening))
        if stop < 0:
            raise _unsupported(source, start, f"{opening} without {closing}")
        if start and source[start - 1] == "\\":
            raise _unsupported(source, start, "the escape \\{{")
        inside = source[start + len(opening) : stop]
        position = stop + len(closing)
        tags.append(_tag(source, start, position, inside, triple=opening == "{{{", inline=inline))
    return tags


def _tag(source: str, start: int, end: int, inside: str, *, triple: bool, inline: bool) -> _Tag:
    shown = source[start:end] if end - start <= 60 else source[start : start + 57] + "..."
    if inside.startswith("!") and not triple and not inline:
        if source.startswith("{{!--", start) and "}}" in inside:
            raise _unsupported(source, start, "a comment that holds }}")
        return _Tag(start, end, "!", "")
    if inside.startswith(("~", "{")) or inside.endswith("~"):
        raise _unsupported(source, start, f"whitespace control or a raw block, {shown}")
    sign = inside[:1] if inside[:1] in ("#", "^", "/", "&") else ""
    name = inside[len(sign) :].strip()
    for first, what in (
        (">", "a partial"),
        ("=", "a change of delimiters"),
        ("@", "a data variable"),
        ("*", "a decorator"),
    ):
        if name.startswith(first):
            raise _unsupported(source, start, f"{what}, {shown}")
    word = name.split(None, 1)[0] if name else ""
    if word in _WORDS or len(name.split()) > 1:
        raise _unsupported(source, start, f"the helper or keyword {{{{{sign}{word}}}}}, in {shown}")
    if not (_NAME.fullmatch(name) or (name == "." and sign in ("", "&"))) or _WORDS & set(name.split(".")):
        raise _unsupported(source, start, f"the name in {shown}")
    if triple and sign:
        raise _unsupported(source, start, shown)
    if inline and (sign or triple or not _INLINE_NAME.fullmatch(name)):
        # API_Template: "supports only simple substitions when ... you provide the full template content".
        raise UnsupportedTemplateError(
            f"Template contains unsupported operations: {shown} in an inline template"
        )
    return _Tag(start, end, "" if sign == "&" else sign, name)


def _standalone(source: str, tag: _Tag) -> tuple[int, int]:
    """A section, end or note alone on its line takes the whole line with it, in both languages."""
    start = tag.start
    while start and source[start - 1] in " \t":
        start -= 1
    end = tag.end
    while end < len(source) and source[end] in " \t":
        end += 1
    if start and source[start - 1] != "\n":
        return tag.start, tag.end
    if end == len(source):
        return start, end
    if source.startswith("\r\n", end):
        return start, end + 2
    return (start, end + 1) if source[end] == "\n" else (tag.start, tag.end)


def _unsupported(source: str, position: int, what: str) -> UnsupportedTemplateError:
    line = source.count("\n", 0, position) + 1
    return UnsupportedTemplateError(
        f"Template contains unsupported operations: {what} (line {line}). The local SES takes only what "
        "Handlebars and Mustache share: values and sections."
    )


def _render(parts: tuple[Part, ...], names: Mapping[str, Any], item: Any, out: list[str]) -> None:
    for part in parts:
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, Value):
            out.append(_text(part.name, _look_up(part.name, names, item)))
        else:
            value = _look_up(part.name, names, item)
            if part.inverted:
                if not _holds(value):
                    _render(part.parts, names, item, out)
            elif isinstance(value, list):
                for one in value:
                    _render(part.parts, one if isinstance(one, dict) else {}, one, out)
            elif isinstance(value, dict):
                _render(part.parts, value, value, out)  # an empty object counts as true in both languages
            elif _holds(value):
                # A text, number or true opens the part and leaves the names as they are (Mustache's rule,
                # and Handlebars' for true), so that {{#name}}Dear {{name}}{{/name}} reads as it looks.
                _render(part.parts, names, item if value is True else value, out)


def _holds(value: Any) -> bool:
    return isinstance(value, dict) or (value is not _MISSING and bool(value))


def _look_up(name: str, names: Mapping[str, Any], item: Any) -> Any:
    if name == ".":
        return item
    value: Any = names
    for step in name.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return _MISSING
        value = value[step]
    return value


def _text(name: str, value: Any) -> str:
    if value is _MISSING or value is None:
        # A null counts as missing: aws-sdk-js#2239. The sentence is AWS's, from its example of the event.
        raise RenderingError(f"Attribute '{name}' is not present in the rendering data.")
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    raise RenderingError(f"Attribute '{name}' is a list or an object and cannot be printed.")
