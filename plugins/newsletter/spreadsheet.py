"""Cells of a CSV file that no spreadsheet takes for a formula, and the way back (OWASP, "CSV Injection").

    =1+1  ─► '=1+1        '=1+1  ─► ''=1+1        a;=1+1  ─► a;'=1+1        'tis  ─► 'tis

An apostrophe before it makes it text. Where a spreadsheet divides by semicolons or tabs, what stands behind one within
a cell becomes a cell of its own, quotation marks or not. What has an apostrophe there already gets one more, so that
`unguard` gives every cell back exactly as it was.
"""

from __future__ import annotations

import re

_BEGINNING = r"(?:^|(?<=[;\t\r\n]))"
# What begins a formula; in full width for East Asian keyboards; and what a spreadsheet drops before it looks.
_FORMULA = r"""(?=["' ]*[=+\-@|＝＋－＠\t\r\n])"""
_OPEN = re.compile(_BEGINNING + _FORMULA)
_GUARDED = re.compile(f"{_BEGINNING}'{_FORMULA}")


def guard(cell: str) -> str:
    """A cell as it can be opened in a spreadsheet."""
    return _OPEN.sub("'", cell) if cell else cell


def unguard(cell: str) -> str:
    """The cell that was guarded; one that never was, has no apostrophe there."""
    return _GUARDED.sub("", cell) if "'" in cell else cell
