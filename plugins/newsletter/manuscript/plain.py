"""Plain text as a sheet: paragraphs between empty lines, bullets as a list, and the rest is for the layout to see."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from newsletter.errors import ContentError, Finding
from newsletter.manuscript import Sheet
from newsletter.manuscript.layout import JUDGEMENTS

_SURE = "•‣◦▪●∙·"
_BULLET = re.compile(rf"^\s*[{_SURE}–—*+-]\s+(?=\S)")
_NUMBER = re.compile(r"^\s*\(?(\d{1,2})[.)]\s+(?=\S)")
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_LARGEST = 2_000_000  # bytes


def read(path: Path, data: bytes) -> Sheet:
    """A text as a sheet. Raises ContentError if it is none."""
    text, notes = decoded(path, data)
    blocks = []
    for kind, texts in _blocks(text):
        inside = "".join(f"<li>{escape(each)}</li>" for each in texts) if kind != "p" else escape(texts[0])
        blocks.append(f"<{kind}>{inside}</{kind}>")
    return Sheet("\n".join(blocks), text, notes=tuple(notes))


def decoded(path: Path, data: bytes) -> tuple[str, list[str]]:
    """A file's text, and what to know of it. Raises ContentError if it is none, or empty."""
    if len(data) > _LARGEST:
        raise _refused(path, f"has {len(data):,} bytes; a text may have {_LARGEST:,}. Is it the right file?")
    notes: list[str] = []
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            if b"\0" in data:
                raise _refused(path, "is no text. Import .docx, .html, .txt or .md.") from None
            text = data.decode("cp1252", "replace")
            notes.append(
                "It was not UTF-8 and was read as Windows-1252: look at its accents and quotation marks."
            )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text, dropped = _CONTROL.subn("", text.replace("\x0c", "\n\n"))
    if dropped:
        notes.append(f"{dropped} control characters, which nobody sees, were taken out.")
    if not text.strip():
        raise _refused(path, "is empty.")
    return text, notes


def _refused(path: Path, reason: str) -> ContentError:
    return ContentError([Finding(str(path), 0, "", reason)])


def _blocks(text: str) -> list[tuple[str, list[str]]]:
    """The text's blocks in their order: ("p", its one paragraph), or ("ul" or "ol", its items)."""
    found: list[tuple[str, list[str]]] = []
    fresh = True  # after an empty line, or at the beginning
    for line in text.split("\n"):
        said = line.strip()
        if not said:
            fresh = True
            continue
        kind, item = _marked(line, found)
        open_list = bool(found) and found[-1][0] == kind and kind != "p"
        # A dash within a paragraph begins no list; a bullet does, and so does a dash below a line that announces one.
        if kind != "p" and (fresh or open_list or said[0] in _SURE or _announces(found)):
            if open_list:
                found[-1][1].append(item)
            else:
                found.append((kind, [item]))
        elif fresh:
            found.append(("p", [said]))
        else:
            found[-1][1][-1] += f" {said}"
        fresh = False
    return found


def _announces(found: list[tuple[str, list[str]]]) -> bool:
    """Whether the last paragraph is one line that a list follows: it ends with a colon, or is "Key judgements"."""
    if not found or found[-1][0] != "p":
        return False
    line = found[-1][1][-1]
    return line.endswith(":") or JUDGEMENTS.fullmatch(line) is not None


def _marked(line: str, found: list[tuple[str, list[str]]]) -> tuple[str, str]:
    """Which kind of list a line would be an item of, and the item; ("p", …) for a line without a mark."""
    if match := _BULLET.match(line):
        return "ul", line[match.end() :].strip()
    match = _NUMBER.match(line)
    expected = len(found[-1][1]) + 1 if found and found[-1][0] == "ol" else 1
    if match and int(match[1]) == expected:
        return "ol", line[match.end() :].strip()
    return "p", line.strip()
