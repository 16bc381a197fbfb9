"""A Word document as HTML, by mammoth: styles to headings, real footnotes, lists, tables, pictures, text boxes.

Tracked changes are taken as if all were accepted. Comments, headers and footers are no part of the text: they are
kept apart. A .docx is a zip of XML (ECMA-376, part 2); what is opened is looked at first, for it may be a trap.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from newsletter.errors import ContentError, Finding
from newsletter.manuscript import Picture, Sheet

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_DRAWN = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
# What an old .doc and a .docx with a password both begin with: the OLE container.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LARGEST = 100_000_000  # bytes of the file
_LARGEST_INSIDE = 300_000_000  # bytes of all that is packed in it
_LARGEST_PART = 50_000_000  # bytes of one XML part
_MOST_PARTS = 5_000
_STYLES = """
p[style-name='Title'] => h1.title:fresh
p[style-name='Subtitle'] => p.standfirst:fresh
p[style-name='Standfirst'] => p.standfirst:fresh
p[style-name='Quote'] => blockquote > p:fresh
p[style-name='Intense Quote'] => blockquote > p:fresh
"""


def read(path: Path, data: bytes) -> Sheet:
    """A .docx as a sheet. Raises ContentError if it is none, is locked, damaged, or far too large."""
    _examine(path, data)
    import mammoth

    pictures: list[Picture] = []

    def keep(image: Any) -> dict[str, str]:
        with image.open() as file:
            content = file.read()
        name = f"picture-{len(pictures) + 1}.{_ending(image.content_type or '')}"
        pictures.append(Picture(name, content))
        return {"src": f"{{static}}/images/{name}"}

    try:
        made = mammoth.convert_to_html(
            io.BytesIO(data), style_map=_STYLES, convert_image=mammoth.images.img_element(keep)
        )
        source, left_out, notes = _parts(data)
    except ContentError:
        raise
    except Exception as error:  # whatever a damaged file makes the libraries stumble over
        raise _refused(
            path, f"cannot be read as a Word document ({type(error).__name__}).{_AGAIN}"
        ) from error
    return Sheet(made.value, source, tuple(pictures), tuple(left_out), tuple(notes))


_AGAIN = " Open it in Word and save it anew as .docx."


def _refused(path: Path, reason: str) -> ContentError:
    return ContentError([Finding(str(path), 0, "", reason)])


def _examine(path: Path, data: bytes) -> None:
    if data.startswith(_OLE):
        raise _refused(
            path, "is locked with a password, or an old .doc. In Word, save it as .docx without a password."
        )
    if len(data) > _LARGEST:
        raise _refused(
            path, f"has {len(data):,} bytes; {_LARGEST:,} are allowed. Take large pictures out of it first."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if any(part.flag_bits & 1 for part in parts):
                raise _refused(path, "is locked with a password. Save it without one.")
            xml = [part for part in parts if part.filename.endswith((".xml", ".rels"))]
            if (
                len(parts) > _MOST_PARTS
                or sum(part.file_size for part in parts) > _LARGEST_INSIDE
                or any(part.file_size > _LARGEST_PART for part in xml)
            ):
                raise _refused(
                    path, "unpacks to far more than any text has, and is not opened. Is it the right file?"
                )
            if "word/document.xml" not in archive.namelist():
                raise _refused(path, f"holds no Word document (word/document.xml is not in it).{_AGAIN}")
            for part in xml:
                text = archive.read(part).replace(b"\0", b"")  # in UTF-16 every other byte is one
                if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
                    raise _refused(
                        path, f"declares entities of its own ({part.filename}), as no Word does.{_AGAIN}"
                    )
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        NotImplementedError,  # zipfile's word for a compression it does not know
        OSError,
        RuntimeError,
    ) as error:
        raise _refused(path, f"is no .docx, or a damaged one ({error}).{_AGAIN}") from None


def _ending(content_type: str) -> str:
    kind = content_type.partition("/")[2].partition("+")[0].removeprefix("x-").lower()
    return {"jpeg": "jpg", "svg": "svg"}.get(kind, re.sub(r"[^a-z0-9]", "", kind) or "bin")


def _parts(data: bytes) -> tuple[str, list[str], list[str]]:
    """What the XML itself says: all words of the text; what is around it; what to know of its changes."""
    source: list[str] = []
    left_out: list[str] = []
    changes = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in sorted(archive.namelist()):
            match = re.fullmatch(
                r"word/(document|footnotes|endnotes|comments|header\d*|footer\d*|diagrams/data\d*)\.xml", name
            )
            if not match:
                continue
            root = etree.fromstring(
                archive.read(name), etree.XMLParser(resolve_entities=False, huge_tree=False)
            )
            said = [text for text in _paragraphs(root) if text]
            if match[1] in ("document", "footnotes", "endnotes"):
                source += said
                changes += sum(1 for _ in root.iter(f"{_W}ins", f"{_W}del", f"{_W}moveFrom"))
            elif match[1].startswith("diagrams"):
                left_out += [f"In a drawing: {each.text}" for each in root.iter(_DRAWN) if each.text]
            elif match[1] == "comments":
                left_out += [f"A comment in the margin: {text}" for text in said]
            else:
                left_out += [
                    f"The page's {match[1].rstrip('0123456789')}: {text}" for text in dict.fromkeys(said)
                ]
    notes = [f"{changes} tracked changes were taken as accepted."] if changes else []
    return "\n".join(source), left_out, notes


def _paragraphs(root: Any) -> Iterator[str]:
    """Each paragraph's words as they stand once every change is accepted; a drawing's second copy is passed over."""
    for paragraph in root.iter(f"{_W}p"):
        if any(_is_copy(parent) for parent in paragraph.iterancestors()):
            continue
        words: list[str] = []
        for element in paragraph.iter(
            _MATH, f"{_W}t", f"{_W}tab", f"{_W}br", f"{_W}cr", f"{_W}noBreakHyphen"
        ):
            owner = next(parent for parent in element.iterancestors(f"{_W}p"))
            if owner is not paragraph or any(
                parent.tag == f"{_W}moveFrom" for parent in element.iterancestors()
            ):
                continue
            if element.tag in (_MATH, f"{_W}t"):
                words.append(element.text or "")
            else:
                words.append("-" if element.tag == f"{_W}noBreakHyphen" else " ")
        yield "".join(words).strip()


def _is_copy(element: Any) -> bool:
    """Whether this is the older of two ways in which Word writes one drawing (ECMA-376, part 3, AlternateContent)."""
    if not isinstance(element.tag, str) or not element.tag.endswith("}Fallback"):
        return False
    choices = (child for child in element.getparent() if str(child.tag).endswith("}Choice"))
    return any(next(choice.iter(f"{_W}t"), None) is not None for choice in choices)
