"""How the house's mails look: style.toml of the theme, read."""

from __future__ import annotations

import string
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from newsletter.errors import ContentError, Finding


def read(path: Path) -> dict[str, dict[str, Markup]]:
    """style.toml, with the $names of colours and faces filled in: table -> name -> CSS.

    Marked safe: it is the theme's own, and a quote in a font's name must stay one. Raises ContentError.
    """
    try:
        tables = _tables(path.read_text(encoding="utf-8"))
        names = {**tables["colour"], **tables["face"]}
        return {
            table: {key: Markup(string.Template(value).substitute(names)) for key, value in rows.items()}  # noqa: S704 - the theme's own style.toml
            for table, rows in tables.items()
        }
    except FileNotFoundError:
        raise ContentError([Finding(str(path), 0, "", "not found; the theme must have it.")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContentError([Finding(str(path), 0, "", f"{error}. Its form is TOML.")]) from None
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        reason = f"{error}: tables of texts are expected, [colour] and [face] among them, and known $names."
        raise ContentError([Finding(str(path), 0, "", reason)]) from None


@cache
def _tables(text: str) -> dict[str, Any]:
    """The same file is read for every mail of a build, and parsed once."""
    return tomllib.loads(text)
