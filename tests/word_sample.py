"""Word documents for the tests, made with python-docx, and the parts of the format that it has no words for."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docx
from PIL import Image

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_PART = "application/vnd.openxmlformats-officedocument.wordprocessingml.{}+xml"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}"
TEXT_BOX = (
    '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
    '<mc:Choice Requires="wps" xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape">'
    "<w:drawing><wps:txbx><w:txbxContent><w:p><w:r><w:t>Words in a box.</w:t></w:r></w:p></w:txbxContent></wps:txbx>"
    '</w:drawing></mc:Choice><mc:Fallback><w:pict xmlns:v="urn:schemas-microsoft-com:vml"><v:shape><v:textbox>'
    "<w:txbxContent><w:p><w:r><w:t>Words in a box.</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict>"
    "</mc:Fallback></mc:AlternateContent>"
)


def picture() -> io.BytesIO:
    """A small picture."""
    data = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(data, "PNG")
    data.seek(0)
    return data


def link(paragraph: Any, words: str, address: str) -> None:
    """Put a hyperlink at the end of a paragraph."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    element = OxmlElement("w:hyperlink")
    element.set(
        qn("r:id"), paragraph.part.relate_to(address, _RELATION.format("hyperlink"), is_external=True)
    )
    run = paragraph.add_run(words)
    element.append(run._r)
    paragraph._p.append(element)


def save(document: Any, path: Path, marks: Mapping[str, str] | None = None, **parts: str) -> Path:
    """Save a document; `marks` are words in it that become XML, `parts` are footnotes, endnotes or comments (their
    entries, as XML).
    """
    data = io.BytesIO()
    document.save(data)
    with zipfile.ZipFile(data) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    text = files["word/document.xml"].decode()
    for mark, xml in (marks or {}).items():
        assert mark in text, mark
        text = re.sub(rf"<w:t(?: [^>]*)?>{re.escape(mark)}</w:t>", lambda _, xml=xml: xml, text)
    files["word/document.xml"] = text.encode()
    for name, entries in parts.items():
        files[f"word/{name}.xml"] = f"<?xml version='1.0'?><w:{name} {_W}>{entries}</w:{name}>".encode()
        kind = f'<Override PartName="/word/{name}.xml" ContentType="{_PART.format(name)}"/></Types>'
        files["[Content_Types].xml"] = files["[Content_Types].xml"].replace(b"</Types>", kind.encode())
        relation = f'<Relationship Id="own-{name}" Type="{_RELATION.format(name)}" Target="{name}.xml"/></Relationships>'
        rels = "word/_rels/document.xml.rels"
        files[rels] = files[rels].replace(b"</Relationships>", relation.encode())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def analysis() -> Any:
    """An analysis as an analyst writes it in Word."""
    document = docx.Document()
    document.add_heading("Iraq is unlikely to vote by June", 0)
    document.add_paragraph("Parliament will finish the law at leisure.", style="Subtitle")
    document.add_paragraph("Iraq is unlikely to hold its election on 6 June 2021.", style="List Bullet")
    document.add_paragraph("Parliament is likely to finish the election_law this year.", style="List Bullet")
    document.add_heading("A date is the easy part", 1)
    first = document.add_paragraph("The date binds no one, says the ")
    link(first, "commission", "https://example.org/commission_1?a=b&c=d")
    first.add_run(" *in* private.")
    first.add_run("FOOTNOTE")
    document.add_paragraph(
        "1. A paragraph and no list, # nor heading_with_lines [brackets] <angles> | pipes."
    )
    document.add_paragraph("Register", style="List Number")
    document.add_paragraph("Vote", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, words in zip(table._cells, ("Party", "Seats | share", "Fatah", "48"), strict=True):
        cell.text = words
    document.add_heading("What would change our view", 2)
    document.add_picture(picture())
    document.add_paragraph("A law before May.", style="Quote")
    return document
