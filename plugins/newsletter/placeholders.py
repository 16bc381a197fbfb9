"""The `{{names}}` in a mail that the mail service fills for each recipient.

Templates keep to what Handlebars and Mustache share, a plain name in two braces: SES documents Handlebars,
escapes nothing, and silently drops a mail whose data lacks a name. So any other pair of braces is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_BRACES = re.compile(r"\{\{+|\}\}+")
_END = re.compile(r"\}\}+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def tag(name: str) -> str:
    """The text that stands for `name` in a mail."""
    return "{{" + name + "}}"


def faults(source: str, declared: Collection[str]) -> Iterator[tuple[int, str]]:
    """Every pair of braces in `source` that is not exactly a declared placeholder: its offset, and why."""
    position = 0
    while match := _BRACES.search(source, position):
        position = match.end()
        offset = match.start()
        if match[0].startswith("}"):
            yield (
                offset,
                f"{match[0]} closes no placeholder. In CSS, write a space between the braces: }} }}.",
            )
            continue
        end = _END.search(source, match.end())
        line_end = source.find("\n", offset)
        if not end or 0 <= line_end < end.start():
            yield offset, f"{match[0]} is not closed on its line. Take it out, or write {{{{name}}}}."
            continue
        position = end.end()
        before = source[offset - 1 : offset]
        yield from ((offset, reason) for reason in _of_tag(source[offset:position], before, declared))


def _of_tag(text: str, before: str, declared: Collection[str]) -> Iterator[str]:
    inner = text[2:-2]
    known = ", ".join(tag(name) for name in sorted(declared)) or "none"
    if text.startswith("{{{") or text.endswith("}}}") or before == "\\":
        # Three braces mean "unescaped", a backslash "print the braces".
        yield f"{text}: two braces on each side and no backslash before them. Declared: {known}."
    elif inner.strip()[:1] in ("#", "/", "^", ">", "!", "&", "~", "*", "="):
        yield f"{text}: sections, partials and comments are not used in mails. Declared: {known}."
    elif not _NAME.fullmatch(inner):
        yield f"{text} is no placeholder: only a name, without spaces. Declared: {known}."
    elif inner not in declared:
        yield f"{text} is not declared. Declared: {known}."
