"""A manuscript as a file of ours, and the proof that it holds every word of its source."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from lxml import html as parser

from newsletter import markdown
from newsletter.analysis import PLACEHOLDER
from newsletter.blank import quoted
from newsletter.manuscript import Manuscript, Picture

# More than this of what was left out would make the head longer than a head may be.
_LONGEST_MARGIN = 8_000
_WORD = re.compile(r"[^\W_]+")
_SHOWN = ("jpg", "png", "gif", "webp", "avif", "svg")
# What Pillow may make a PNG of. It goes by what is in a file, and would hand PostScript to the program gs.
_READ = ("BMP", "DIB", "GIF", "ICO", "JPEG", "PCX", "PNG", "PPM", "TGA", "TIFF", "WEBP")
_LINE = 110


@dataclass(frozen=True, slots=True)
class Filed:
    """What is written: the file's text, its pictures by name, and what was left out if that has a file of its own."""

    text: str
    pictures: tuple[Picture, ...]
    margin: str
    todo: tuple[str, ...]
    notes: tuple[str, ...]


def filed(manuscript: Manuscript, slug: str, now: datetime, free: Sequence[str] = ()) -> Filed:
    """The file of a manuscript. `free` are names that its pictures may have, one for each, in their order.

    What a piece needs and the manuscript does not say begins with TODO. A word of the source that is nowhere in the
    text is put beside it, with the paragraph it is from.
    """
    pictures, body, notes = _pictures(manuscript, slug, free)
    done = replace(manuscript, body=body)
    text, margin, todo = _written(done, now)
    if lost := list(_lost(done.source, text + margin)):
        done = replace(done, left_out=(*done.left_out, *(f"Not placed: {each}" for each in lost)))
        text, margin, todo = _written(done, now)
        notes.append(f"{len(lost)} passages had no place in the text and stand beside it, as “Not placed”.")
    return Filed(text, pictures, margin, tuple(todo), (*manuscript.notes, *notes))


def words(text: str) -> Counter[str]:
    """The words of a text, whatever its capitals, its punctuation and its accents' composition."""
    import unicodedata

    return Counter(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def words_of_file(text: str) -> Counter[str]:
    """The words of one of our files, as its readers and its editors see them: head, comments and text."""
    head, body = _parts(text)
    html = markdown.render(body)
    shown = parser.fragment_fromstring(html, create_parent="div") if html.strip() else None
    said = " ".join(_texts(shown)) if shown is not None else ""
    # Addresses of links and pictures are kept too, and text in comments, which no reader sees.
    comments = " ".join(re.findall(r"<!--(.*?)-->", body, re.DOTALL))
    return words(f"{head}\n{said}\n{comments}")


def _texts(tree: Any) -> Iterator[str]:
    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue
        yield from (element.get(name, "") for name in ("href", "src", "alt", "title"))
        yield f"{_PAD.get(element.tag, '')}{element.text or ''}"
        yield f"{_PAD.get(element.tag, '')}{element.tail or ''}"


_PAD = dict.fromkeys(
    ("p", "li", "td", "th", "br", "h1", "h2", "h3", "h4", "h5", "h6", "dt", "dd", "tr", "div"), " "
)


def _parts(text: str) -> tuple[str, str]:
    end = text.index("\n---\n", 3)
    head = text[4:end]
    values = yaml.safe_load(head)
    comments = "\n".join(line.lstrip(" #") for line in head.split("\n") if line.lstrip().startswith("#"))
    return f"{values}\n{comments}", text[end + 5 :]


def _lost(source: str, text: str) -> Iterator[str]:
    """The paragraphs of the source that have words which the file lacks."""
    missing = words(source) - words_of_file(text)
    for line in source.split("\n"):
        short = Counter(words(line)) & missing
        if short:
            missing -= short
            yield " ".join(line.split())


def _written(manuscript: Manuscript, now: datetime) -> tuple[str, str, list[str]]:
    fields, todo = dict(manuscript.fields), []

    def needed(name: str, value: str, what: str) -> str:
        if value:
            return quoted(value)
        todo.append(name)
        return quoted(f"{PLACEHOLDER}: {what}")

    lines = [
        "---",
        f"title: {needed('title', manuscript.title, 'what the piece claims, in one line; the manuscript has no headline')}",
    ]
    if "date" in fields:
        lines.append(f"date: {quoted(str(fields['date']))}")
    else:
        todo.append("date")
        lines += [
            f"# {PLACEHOLDER}: the manuscript does not say when it goes out; this is when it was imported.",
            f"date: {now:%Y-%m-%d %H:%M}",
        ]
    if "updated" in fields:
        lines.append(f"updated: {quoted(str(fields['updated']))}")
    lines += [
        "# Look through it, then write published: it goes out at its date.",
        "status: draft",
        f"summary: {needed('summary', manuscript.summary, 'what will happen, and to whom, in one or two sentences')}",
        f"region: {needed('region', str(fields.get('region', '')), 'one region')}",
    ]
    for name in ("topics", "authors", "aliases"):
        if name in fields or name != "aliases":
            lines.append(f"{name}: [{', '.join(quoted(str(each)) for each in fields.get(name, []))}]")
    lines += [f"weight: {fields['weight']}"] if "weight" in fields else []
    if manuscript.judgements:
        todo.append("key_judgements")
        lines += [
            f"# {PLACEHOLDER}: each needs its likelihood, its confidence and its horizon; without them it is a statement.",
            "key_judgements:",
            *(f"  - text: {quoted(each)}" for each in manuscript.judgements),
        ]
    margin = "\n".join(manuscript.left_out)
    if margin and len(margin) <= _LONGEST_MARGIN:
        lines.append("# What stood around the text. Delete it when nothing of it is needed.")
        lines += [f"#   {part}" for each in manuscript.left_out for part in _wrapped(each)]
        margin = ""
    return "\n".join([*lines, "---", ""]) + manuscript.body, margin, todo


def _wrapped(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + len(word) >= _LINE:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
    yield line


def _pictures(
    manuscript: Manuscript, slug: str, free: Sequence[str]
) -> tuple[tuple[Picture, ...], str, list[str]]:
    """The pictures under their own names, as files that browsers show; the body that links to them."""
    body, notes = manuscript.body, []
    pictures = []
    for number, picture in enumerate(manuscript.pictures):
        stem, ending = (
            (free[number] if number < len(free) else f"{slug}-{number + 1}"),
            picture.name.rpartition(".")[2],
        )
        shown = picture if ending in _SHOWN else _as_png(picture)
        if shown is None:
            notes.append(
                f"{stem}.{ending} is of a kind that browsers do not show. Save it as PNG, and link that."
            )
            shown = picture
        ending = shown.name.rpartition(".")[2]
        pictures.append(Picture(f"{stem}.{ending}", shown.data))
        place = re.escape(f"{{static}}/images/{picture.name}")
        alt = f"{PLACEHOLDER}: what the picture shows"
        body = re.sub(rf"!\[\]\({place}", f"![{alt}]({{static}}/images/{picture.name}", body)
        body = re.sub(rf"{place}(?=[)\s\"])", f"{{static}}/images/{pictures[-1].name}", body)
    return tuple(pictures), body, notes


def _as_png(picture: Picture) -> Picture | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture.data), formats=_READ) as image:
            made = io.BytesIO()
            image.convert("RGBA" if "A" in image.getbands() else "RGB").save(made, "PNG")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    return Picture(f"{picture.name.rpartition('.')[0]}.png", made.getvalue())


def write(done: Filed, path: Path, images: Path) -> list[Path]:
    """Write the file, its pictures and what was left out; answers with all that was written.

    Raises ContentError if the file is there already; nothing is ever written over.
    """
    from newsletter import blank

    blank.write(path, done.text)
    written = [path]
    for picture in done.pictures:
        images.mkdir(parents=True, exist_ok=True)
        with (images / picture.name).open("xb") as file:
            file.write(picture.data)
        written.append(images / picture.name)
    if done.margin:
        beside = path.with_suffix(".left-out.txt")
        beside.write_text(done.margin + "\n", encoding="utf-8")
        written.append(beside)
    return written


def free_names(images: Path, slug: str, count: int) -> list[str]:
    """Names for so many pictures that none in the folder has, whatever its ending."""
    taken = {file.stem for file in images.iterdir()} if images.is_dir() else set()
    found: list[str] = []
    number = 0
    while len(found) < count:
        number += 1
        if f"{slug}-{number}" not in taken:
            found.append(f"{slug}-{number}")
    return found
