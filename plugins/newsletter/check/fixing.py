"""Writing back what is certain, and nothing else: every other byte of a file stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from newsletter.errors import Finding, Fix

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def fixed(text: str, fixes: Iterable[Fix]) -> tuple[str, int]:
    """The text with its fixes, and how many there were. Pure.

    `text` has the line ends it has in its file. A fix whose words are not at its place (any more), or that another
    one overlaps, is left out: the next run finds what is still to do.
    """
    starts, at = [], 0
    while at < len(text):
        starts.append(at)
        found = _LINE.match(text, at)
        at = found.end() if found else len(text)
    end = "\r\n" if "\r\n" in text else "\n"
    done, last = 0, len(text) + 1
    # From the end of the text, so that the places before a fix stay what they were.
    for fix in sorted(set(fixes), key=lambda fix: (fix.line, fix.column), reverse=True):
        if not 0 < fix.line <= len(starts):
            continue
        start = starts[fix.line - 1] + fix.column - 1
        if text[start : start + len(fix.old)] != fix.old or start + max(1, len(fix.old)) > last:
            continue
        text = text[:start] + fix.new.replace("\n", end) + text[start + len(fix.old) :]
        done, last = done + 1, start
    return text, done


def fix(findings: Iterable[Finding]) -> int:
    """Write the fixes of these findings into their files; answers with how many there were.

    A file is replaced in one step. Raises OSError for one that cannot be written.
    """
    by_path: dict[str, list[Fix]] = {}
    for finding in findings:
        if finding.fix:
            by_path.setdefault(finding.path, []).append(finding.fix)
    count = 0
    for path, fixes in by_path.items():
        file = Path(path)
        data = file.read_bytes()
        mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
        text, done = fixed(data[len(mark) :].decode("utf-8"), fixes)
        if done:
            beside = file.with_name(f".{file.name}.new")
            beside.write_bytes(mark + text.encode("utf-8"))
            beside.chmod(file.stat().st_mode)
            beside.replace(file)
            count += done
    return count
