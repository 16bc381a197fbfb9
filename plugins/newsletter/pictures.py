"""Pelican plugin: pictures in the sizes and forms that a reader's screen needs, with room kept for them on the page.

content/images/x.jpg stays as it is; beside it come smaller ones in AVIF and WebP, and every page that shows it offers
them all (HTML standard, the picture element). Its width and height stand in the page, so nothing jumps when it
arrives; below the first one of a page they are loaded when they come into sight.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from html import unescape
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pelican import signals
from pelican.generators import Generator
from PIL import Image, ImageOps, UnidentifiedImageError

from newsletter.errors import ContentError, Finding
from newsletter.reader import FINDINGS
from newsletter.stock import Stock

WIDTHS = (480, 960, 1440)  # pixels; the text column is 560 CSS pixels wide
_FORMATS = {"avif": 55, "webp": 76}  # with their qualities
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
# Pillow goes by what is in a file, whatever it is called, and hands PostScript to the program gs: no stranger's file may.
_READ = ("JPEG", "PNG", "WEBP")
# The column on a wide screen, the whole width on a narrow one.
_SIZES = "(min-width: 40rem) 35rem, 100vw"
_IMG = re.compile(r'<img\s[^>]*?src="([^"]+)"[^>]*>')
# A picture past this is a slip or an attack, not an illustration (Pillow warns from about there too).
_MOST_PIXELS = 80_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the content: its file, its address below the site's root, its size in pixels."""

    file: Path
    address: str
    width: int
    height: int

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths it is offered in: never wider than it is."""
        return tuple(width for width in WIDTHS if width < self.width) + (
            (self.width,) if self.width <= WIDTHS[-1] else ()
        )

    def variant(self, width: int, form: str) -> str:
        """The address of one size and form."""
        return f"{os.path.splitext(self.address)[0]}.{width}.{form}"


def measure(file: Path, address: str) -> Picture:
    """A picture's size, as it is shown. Raises ContentError if it cannot be read."""
    try:
        with Image.open(file, formats=_READ) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"has {image.width} by {image.height} pixels")
            turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientation: lies on its side
            width, height = (image.height, image.width) if turned else image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        reason = f"is no picture that can be shown: {error}. Export it anew as JPEG or PNG, at most 4,000 pixels wide."
        raise ContentError([Finding(os.path.relpath(file), 0, "", reason)]) from error
    return Picture(file, address, width, height)


def resized(picture: Picture, width: int, form: str) -> bytes:
    """The picture at that width, upright, without the camera's notes on where and when it was taken."""
    with Image.open(picture.file, formats=_READ) as opened:
        image = ImageOps.exif_transpose(opened)
        has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        image = image.convert("RGBA" if has_alpha else "RGB")
        if width != image.width:
            image = image.resize(
                (width, max(1, round(picture.height * width / picture.width))), Image.Resampling.LANCZOS
            )
        out = io.BytesIO()
        image.save(out, form.upper(), quality=_FORMATS[form])
    return out.getvalue()


def offer(html: str, pictures: Mapping[str, Picture], first_is_lazy: bool = True) -> str:
    """HTML in which every known picture is offered in all its forms. `pictures` is by address, as in `src`."""
    count = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal count
        address = unquote(unescape(match[1]))
        picture = pictures.get(address)
        if picture is None:
            return match[0]
        root = address[: -len(picture.address)]
        count += 1
        sources = "".join(
            f'<source type="image/{form}" sizes="{_SIZES}" srcset="{_srcset(picture, form, root)}">'
            for form in _FORMATS
        )
        more = "" if " width=" in match[0] else f' width="{picture.width}" height="{picture.height}"'
        if count > 1 or first_is_lazy:
            more += ' loading="lazy" decoding="async"'
        return f"<picture>{sources}{match[0].rstrip('/> ')}{more}></picture>"

    return _IMG.sub(replace, html)


def _srcset(picture: Picture, form: str, root: str) -> str:
    return ", ".join(f"{root}{quote(picture.variant(width, form))} {width}w" for width in picture.widths)


class PictureWriter(Generator):  # type: ignore[misc]  # pelican has no types
    """Writes the smaller ones beside the pictures."""

    def generate_output(self, writer: Any) -> None:
        """Called by Pelican after every piece has been read."""
        pictures: Mapping[str, Picture] = self.context.get("NEWSLETTER_PICTURES", {})
        if not pictures:
            return
        stock = Stock(Path(self.settings["NEWSLETTER_PICTURES_STOCK"]))
        for picture in pictures.values():
            source = sha256(picture.file.read_bytes()).digest()
            for form, quality in _FORMATS.items():
                for width in picture.widths:
                    target = Path(self.output_path, picture.variant(width, form))
                    made_of = source + f"{form} {width} {quality} {version('pillow')}".encode()
                    stock.put(target, made_of, partial(resized, picture, width, form))
        stock.clear_out()


def _measure_all(generators: Sequence[Generator]) -> None:
    context, settings = generators[0].context, generators[0].settings
    if not settings.get("NEWSLETTER_PICTURES_STOCK"):
        return
    pictures: dict[str, Picture] = {}
    for static in (static for generator in generators for static in getattr(generator, "staticfiles", ())):
        # One that is not there, or lies elsewhere, is named by the proof (proof.py).
        if static.source_path.lower().endswith(_ENDINGS) and os.path.isfile(static.source_path):
            try:
                picture = measure(Path(static.source_path), unquote(static.url))
            except ContentError as error:
                context.setdefault(FINDINGS, []).extend(error.findings)
                continue
            pictures[f"{settings.get('SITE_ROOT', '')}/{picture.address}"] = picture
    context["NEWSLETTER_PICTURES"] = pictures
    for generator in generators:
        generator.env.filters["pictures"] = partial(offer, pictures=pictures)


def _no_pictures(generator: Generator) -> None:
    generator.env.filters.setdefault("pictures", lambda html, first_is_lazy=True: html)


def register() -> None:
    """Called by Pelican."""
    signals.generator_init.connect(_no_pictures)
    signals.all_generators_finalized.connect(_measure_all)
    signals.get_generators.connect(_generators)


def _generators(_pelican: Any) -> type[Generator]:
    return PictureWriter
