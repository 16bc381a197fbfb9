"""Cells of a CSV file that no spreadsheet takes for a formula, and the way back (OWASP, "CSV Injection").

    =1+1  ─► '=1+1        '=1+1  ─► ''=1+1        'tis  ─► 'tis

An apostrophe before such a cell makes it text. A cell that has apostrophes there already gets one more, so that
`unguard` gives every cell back exactly as it was.
"""

from __future__ import annotations

import re

# What begins a formula; in full width for East Asian keyboards; and what a spreadsheet drops before it looks.
_FORMULA = re.compile("'*[=+\\-@|＝＋－＠\t\r\n]")


def guard(cell: str) -> str:
    """A cell as it can be opened in a spreadsheet."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    """The cell that was guarded."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell
