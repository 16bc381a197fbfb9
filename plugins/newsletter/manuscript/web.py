"""A saved web page as a sheet: its article, without the page around it."""

from __future__ import annotations

import base64
import binascii
import csv
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from lxml import etree
from lxml import html as parser

from newsletter.errors import ContentError, Finding
from newsletter.manuscript import Picture, Sheet

_NO_WORDS = ("script", "style", "template", "noscript", "svg", "iframe", "object", "select", "head")
# What stands around an article on a page.
_AROUND = ("nav", "aside", "form", "footer", "dialog", "menu")
_LARGEST = 20_000_000  # bytes


def read(path: Path, data: bytes) -> Sheet:
    """A saved page as a sheet. Raises ContentError if there is no text in it."""
    if len(data) > _LARGEST:
        reason = f"has {len(data):,} bytes; a page may have {_LARGEST:,}."
        raise ContentError([Finding(str(path), 0, "", reason)])
    try:
        # Bytes, so that the page's own declaration of its encoding is heeded; without one it is UTF-8.
        encoding = (
            None if re.search(rb"charset", data[:4096], re.IGNORECASE) or data[:2] in _BOMS else "utf-8"
        )
        tree = parser.document_fromstring(data, parser=parser.HTMLParser(encoding=encoding, huge_tree=False))
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, AssertionError):
        raise ContentError([Finding(str(path), 0, "", "holds no page. Is it the right file?")]) from None
    for element in [*tree.iter(etree.Comment), *tree.iter(*_NO_WORDS)]:
        if element.tag != "head":
            _drop(element)
    title = " ".join((tree.findtext(".//title") or "").split())
    for head in list(tree.iter("head")):
        _drop(head)
    source = "\n".join(text for each in tree.itertext() if (text := " ".join(str(each).split())))
    article = _article(tree)
    left_out = [f"The page's title: {title}"] if title else []
    around = [element for element in article.iter(*_AROUND) if element is not article]
    outside = _outside(tree, article)
    for element in around:
        if element.getparent() is not None and not _holds_notes(element):
            outside += [" ".join(element.text_content().split())]
            _drop(element)
    left_out += [f"Around the article: {text}" for text in outside if text]
    pictures, notes = _pictures(article, path)
    html = "".join(parser.tostring(child, encoding="unicode") for child in article)
    html = f"<p>{article.text}</p>{html}" if (article.text or "").strip() else html
    return Sheet(html, source, tuple(pictures), tuple(left_out), tuple(notes))


def beside_substack(path: Path) -> dict[str, str]:
    """What Substack's export says of a post: posts.csv beside the folder of pages that have no headline in them."""
    for folder in (path.resolve().parent, path.resolve().parent.parent):
        try:
            with (folder / "posts.csv").open(encoding="utf-8-sig", newline="") as file:
                for row in csv.DictReader(file):
                    if row.get("post_id") == path.stem:
                        day = (row.get("post_date") or "")[:10]
                        found = {key: " ".join((row.get(key) or "").split()) for key in ("title", "subtitle")}
                        return {**found, "date": day if re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) else ""}
        except (OSError, UnicodeDecodeError, csv.Error):
            continue
    return {}


_BOMS = (b"\xff\xfe", b"\xfe\xff")


def _drop(element: Any) -> None:
    if element.getparent() is not None:
        element.drop_tree()


def _article(tree: Any) -> Any:
    """The part of a page that is its article: the longest <article>, else <main>, else all of it."""
    for name in ("article", "main"):
        if found := list(tree.iter(name)):
            return max(found, key=lambda each: len(each.text_content()))
    return next(iter(tree.iter("body")), tree)


def _outside(tree: Any, article: Any) -> list[str]:
    """The texts that stand outside of the article."""
    if article.tag in ("body", "html"):
        return []
    within = set(article.iter())
    found: list[str] = []
    for element in tree.iter():
        if isinstance(element.tag, str) and element not in within and element.text:
            found.append(element.text)
        # The tail of the article itself is outside of it.
        if element.tail and (element is article or element not in within):
            found.append(element.tail)
    return [" ".join(text.split()) for text in found if text.strip()]


def _holds_notes(element: Any) -> bool:
    return bool(element.xpath(".//li[starts-with(@id, 'fn') or contains(@id, 'note')]"))


def _pictures(article: Any, path: Path) -> tuple[list[Picture], list[str]]:
    """Take along the pictures that are on this machine or in the page itself; those elsewhere are told of."""
    pictures: list[Picture] = []
    notes: list[str] = []
    for image in article.iter("img"):
        source = image.get("src") or image.get("data-src") or ""
        found = _embedded(source) or _beside(path, source)
        if found:
            ending, data = found
            pictures.append(Picture(f"picture-{len(pictures) + 1}.{ending}", data))
            image.set("src", f"{{static}}/images/{pictures[-1].name}")
        elif source:
            notes.append(
                f"The picture {source[:120]} is not on this machine: save it into content/images/ and link it."
            )
    return pictures, notes


def _embedded(source: str) -> tuple[str, bytes] | None:
    match = re.match(r"data:image/([a-z0-9.+-]+)(;base64)?,", source, re.IGNORECASE)
    if not match:
        return None
    try:
        rest = source[match.end() :]
        data = base64.b64decode(rest, validate=False) if match[2] else unquote_to_bytes(rest)
    except (binascii.Error, ValueError):
        return None
    kind = match[1].lower().partition("+")[0]
    return {"jpeg": "jpg"}.get(kind, kind), data


def _beside(path: Path, source: str) -> tuple[str, bytes] | None:
    """A picture saved with the page: below its folder, and nowhere else."""
    parts = urlsplit(source)
    if parts.scheme or parts.netloc or not parts.path:
        return None
    folder = path.resolve().parent
    file = (folder / unquote(parts.path).lstrip("/")).resolve()
    if not file.is_relative_to(folder) or not file.is_file() or file.stat().st_size > _LARGEST:
        return None
    return file.suffix.lstrip(".").lower() or "bin", file.read_bytes()
