"""Markdown from elsewhere: another system's front matter as ours, the text as it is.

Hugo (TOML between +++, YAML, JSON), Jekyll and the exports of Ghost and Substack (YAML), Pelican's classic header, or
no front matter at all. A field that has no place here stands as a comment.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from newsletter import frontmatter
from newsletter.analysis import ALIAS, SLUG
from newsletter.errors import ContentError, Finding
from newsletter.manuscript import Manuscript, Picture
from newsletter.manuscript.plain import decoded

# Our fields, and what others call them; the first that is there is taken.
_NAMES = {
    "title": ("title", "headline"),
    "summary": (
        "summary",
        "standfirst",
        "description",
        "excerpt",
        "custom_excerpt",
        "subtitle",
        "deck",
        "dek",
    ),
    "date": (
        "date",
        "published_at",
        "publishdate",
        "pubdate",
        "published",
        "post_date",
        "created_at",
        "created",
    ),
    "updated": ("updated", "lastmod", "modified", "last_modified_at", "updated_at"),
    "region": ("region", "category", "categories", "section"),
    "topics": ("topics", "tags", "keywords", "tag"),
    "authors": ("authors", "author", "desk", "byline"),
    "slug": ("slug",),
    "aliases": ("aliases", "redirect_from", "permalink", "url"),
    "image": ("image", "cover", "feature_image", "featured_image", "thumbnail", "og_image"),
    "key_judgements": ("key_judgements", "key_judgments", "key_points"),
    "weight": ("weight",),
}
_DATED_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})[-_](.+)")
_TITLE = re.compile(r"\A\s*#[ \t]+(.+?)[ \t]*#*[ \t]*(?:\n|\Z)")
_SETEXT = re.compile(r"\A\s*([^\n]+)\n=+[ \t]*(?:\n|\Z)")
_IMAGE = re.compile(r"(!\[[^\]]*\]\()(?!https?:|data:|\{|#)([^)\s]+)")
_KEPT = re.compile(r"\{\{[<%]|\{%|\{\{")


def read(path: Path, data: bytes) -> Manuscript:
    """A Markdown file as a manuscript. Raises ContentError if its front matter cannot be read."""
    text, notes = decoded(path, data)
    stated, body = _split(path, text)
    taken: set[str] = set()
    fields: dict[str, Any] = {}
    for ours, theirs in _NAMES.items():
        for name in theirs:
            value = _plain(stated.get(name))
            if value not in ("", [], {}, None):
                fields[ours] = value
                taken.add(name)
                break
    _shape(fields)
    dated = _DATED_NAME.fullmatch(path.stem)
    if dated:
        fields.setdefault("date", dated[1])
        fields.setdefault("slug", _slug(dated[2]))
    title = stated_title = str(fields.pop("title", ""))
    first = _TITLE.match(body) or _SETEXT.match(body)
    if first and (not title or " ".join(first[1].split()) == " ".join(title.split())):
        title, body = title or first[1], body[first.end() :]
    # The body stays as it is, to the byte; what has to be looked after is what the head says.
    source = "\n".join([*(_shown(value) for value in stated.values()), "" if stated_title else title])
    left_out = [f"Was {name}: {_shown(value)}" for name, value in stated.items() if name not in taken]
    left_out += [f"Was {name}: {value}" for name, value in _changed(fields)]
    body, pictures = _pictures(path, body)
    if "image" in fields:
        left_out.append(f"Was the picture above: {_shown(fields.pop('image'))}")
    if _KEPT.search(body):
        notes.append("It holds another system's shortcodes ({{ … }} or {% … %}), which do nothing here.")
    judgements = fields.pop("key_judgements", [])
    return Manuscript(
        title=title,
        summary=" ".join(str(fields.pop("summary", "")).split()),
        judgements=tuple(str(each) for each in judgements) if isinstance(judgements, list) else (),
        body=body.strip("\n") + "\n",
        source=source,
        fields=fields,
        pictures=pictures,
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def _split(path: Path, text: str) -> tuple[dict[str, Any], str]:
    """What the head states, by lower-case name, and the body."""
    try:
        if match := re.match(r"\+\+\+[ \t]*\n(.*?)\n\+\+\+[ \t]*(?:\n|\Z)", text, re.DOTALL):
            return _lower(tomllib.loads(match[1])), text[match.end() :]
        if text.lstrip().startswith("{"):
            value, end = json.JSONDecoder().raw_decode(text.lstrip())
            if isinstance(value, dict):
                return _lower(value), text.lstrip()[end:]
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as error:
        reason = f"the front matter cannot be read ({error}). Mend it, or take it out, and import again."
        raise ContentError([Finding(str(path), 1, "", reason)]) from None
    if text.startswith("---"):
        front = frontmatter.parse(text, str(path))
    else:
        try:
            front = frontmatter.parse(text, str(path))
        except ContentError:
            return {}, text
        if not {"title", "date"} & front.fields.keys():
            return {}, text  # a text that happens to begin with "Note: …"
    if front.findings:
        raise ContentError(front.findings)
    return dict(front.fields), front.body


def _lower(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in stated.items()}


def _plain(value: Any) -> Any:
    """A value as text, a list of texts, or a mapping: Ghost's tags and authors are mappings with a name."""
    if isinstance(value, Mapping):
        return _plain(value.get("name") or value.get("src") or value.get("image") or value.get("url") or "")
    if isinstance(value, list | tuple):
        return [text for each in value if (text := _plain(each))]
    return "" if value is None else str(value).strip()


def _shape(fields: dict[str, Any]) -> None:
    """Each field in the shape that ours has."""
    for key in ("topics", "authors", "aliases"):
        value = fields.get(key)
        if isinstance(value, str):
            fields[key] = [part.strip() for part in re.split(r"[;,\n]", value) if part.strip()]
    if isinstance(fields.get("region"), list):
        first, *others = fields["region"]
        fields["region"] = first
        fields["topics"] = [*others, *fields.get("topics", [])]
    for key in ("title", "summary", "date", "updated", "slug", "weight"):
        if isinstance(fields.get(key), list):
            fields[key] = " ".join(fields[key])


def _changed(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Take out what our front matter would refuse; yields it, so that it is kept beside."""
    if "slug" in fields and not SLUG.match(fields["slug"]):
        yield "slug", fields["slug"]
        fields["slug"] = _slug(fields["slug"])
    places = [
        urlsplit(each).path.strip("/").removesuffix("/index.html") for each in fields.get("aliases", [])
    ]
    if places:
        good = [place for place in places if ALIAS.fullmatch(place)]
        for each in fields["aliases"]:
            if (
                urlsplit(each).path.strip("/").removesuffix("/index.html") not in good
                or urlsplit(each).netloc
            ):
                yield "address", each
        fields["aliases"] = list(dict.fromkeys(good))
    for key in ("date", "updated"):
        if key in fields and (written := _moment(fields[key])) != fields[key]:
            yield key, fields[key]
            if written:
                fields[key] = written
            else:
                del fields[key]
    if "weight" in fields and not re.fullmatch(r"-?\d+", fields["weight"]):
        yield "weight", fields.pop("weight")


def _moment(stated: str) -> str:
    """A date as our front matter has it; "" for a text that is none."""
    try:
        datetime.fromisoformat(stated)
    except ValueError:
        from dateutil import parser  # slow to import, and few need it

        try:
            # Two defaults that differ in all of the date: a text that states less than a day is none.
            found = [
                parser.parse(stated, default=datetime(year, year - 1999, year - 1999))
                for year in (2000, 2004)
            ]
        except (ValueError, OverflowError):
            return ""
        return found[0].isoformat(" ", "minutes") if found[0] == found[1] else ""
    return stated


def _slug(text: str) -> str:
    from newsletter.blank import slug_of
    from newsletter.errors import SettingsError

    try:
        return slug_of(text)
    except SettingsError:
        return ""


def _shown(value: Any) -> str:
    return " ".join(
        (
            json.dumps(value, ensure_ascii=False, default=str)
            if isinstance(value, dict | list)
            else str(value)
        ).split()
    )


def _pictures(path: Path, body: str) -> tuple[str, tuple[Picture, ...]]:
    """Pictures that lie beside the file come with it; others stay as they are linked."""
    pictures: list[Picture] = []
    folder = path.resolve().parent

    def take(match: re.Match[str]) -> str:
        file = (folder / match[2].lstrip("/")).resolve()
        if not file.is_relative_to(folder) or not file.is_file():
            return match[0]
        pictures.append(
            Picture(
                f"picture-{len(pictures) + 1}.{file.suffix.lstrip('.').lower() or 'bin'}", file.read_bytes()
            )
        )
        return f"{match[1]}{{static}}/images/{pictures[-1].name}"

    return _IMAGE.sub(take, body), tuple(pictures)
