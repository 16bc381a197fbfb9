"""What the value of an MJML attribute may be, in npm mjml's words: "color", "unit(px,%){1,4}", "enum(…)"."""

from __future__ import annotations

import re
from collections.abc import Collection


def fits(kind: str, value: str, colours: Collection[str]) -> bool:
    """Whether `value` is of type `kind`; an unknown type takes all. `colours` are the names of colours."""
    value = value.strip()
    if kind == "boolean":
        return value in ("true", "false")
    if kind == "integer":
        return value.isdecimal()
    if kind == "color":
        return _is_colour(value, colours)
    if kind.startswith("enum("):
        return value in kind[5:-1].split(",")
    if kind.startswith("unit"):
        return _is_length(kind, value)
    return True


def _is_colour(value: str, colours: Collection[str]) -> bool:
    if re.fullmatch(r"#(?:[0-9a-f]{3}|[0-9a-f]{4}|[0-9a-f]{6}|[0-9a-f]{8})", value, re.IGNORECASE):
        return True
    if re.fullmatch(r"(?:rgb|hsl)a?\([\d\s.,%/]+\)", value, re.IGNORECASE):
        return True
    return value.lower() in ("inherit", "transparent", *colours)


def _is_length(kind: str, value: str) -> bool:
    match = re.fullmatch(r"unit(WithNegative)?\(([^)]*)\)(?:\{1,(\d)\})?", kind)
    if not match:
        return True
    units = match[2].split(",")
    parts = value.split()
    sign = "-?" if match[1] else ""
    number = rf"{sign}(?:\d+(?:\.\d+)?|\.\d+)"
    measures = "|".join(re.escape(unit) for unit in units if unit != "auto")
    form = rf"0|{number}(?:{measures})" + ("|auto" if "auto" in units else "")
    return 0 < len(parts) <= int(match[3] or 1) and all(re.fullmatch(form, part) for part in parts)


def in_words(kind: str) -> str:
    """The type `kind` for a person: what an attribute of it must be."""
    if kind == "color":
        return "a colour: #rrggbb, rgb(…) or a name"
    if kind == "integer":
        return "a whole number"
    if kind == "boolean":
        return '"true" or "false"'
    inner = [each for each in kind[kind.index("(") + 1 : kind.index(")")].split(",") if each]
    if kind.startswith("enum"):
        return "one of " + ", ".join(inner)
    count = "one to four lengths" if "{1,4}" in kind else "a length"
    return f"{count} in {' or '.join(inner)}, such as 12{inner[0]}"
