"""`newsletter import`: texts from elsewhere, as drafts of ours."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter import publication
from newsletter.errors import ContentError, Finding, NewsletterError, SettingsError
from newsletter.show import say, say_error

if TYPE_CHECKING:
    from newsletter.manuscript import Manuscript


@click.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--title", help="Its headline, if the text has none")
@click.option("--slug", help="The last word of its address  [made from the title]")
@click.option("--region", help="What it is about")
@click.option(
    "--content", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path("content"),
    show_default=True, help="The content folder",
)  # fmt: skip
def import_(
    files: tuple[Path, ...], title: str | None, slug: str | None, region: str | None, content: Path
) -> None:
    """Take a text from elsewhere into content/ as a draft: .docx, .html, .txt, or Markdown with any front matter."""
    if len(files) > 1 and (title or slug):
        raise SettingsError("--title and --slug are of one text. Import it by itself.")
    facts = publication.load(Path(publication.FILE))
    failed = 0
    for file in files:
        try:
            _import(file, content, datetime.now(facts.zone), title, slug, region)
        except NewsletterError as error:
            if len(files) == 1:
                raise
            failed += 1
            say_error(str(error))
    if failed:
        raise SettingsError(f"{failed} of {len(files)} were not imported, for the reasons above.")


def _import(
    file: Path, content: Path, now: datetime, title: str | None, slug: str | None, region: str | None
) -> None:
    from dataclasses import replace

    from newsletter.analysis import SLUG
    from newsletter.manuscript import filed, reading

    manuscript = reading.read(file)
    if title:
        manuscript = replace(manuscript, title=title)
    if region:
        manuscript = replace(manuscript, fields={**manuscript.fields, "region": region})
    if slug and not SLUG.match(slug):
        raise SettingsError(f'"{slug}" is no slug. Write small letters, digits and hyphens: baghdad-embassy.')
    year = str(manuscript.fields.get("date", ""))[:4]
    folder = content / "analyses" / (year if year.isdecimal() and len(year) == 4 else f"{now:%Y}")
    name = slug or _free(folder, manuscript, file.stem)
    path = folder / f"{name}.md"
    if path.exists():
        reason = "is there already, and stays as it is. Import under another address: --slug another-one"
        raise ContentError([Finding(str(path), 0, "", reason)])
    images = content / "images"
    names = filed.free_names(images, name, len(manuscript.pictures))
    done = filed.filed(manuscript, name, now, names)
    written = filed.write(done, path, images)
    say("imported", f"{file} → {path} (a draft)")
    found = [
        _many(len(manuscript.judgements), "key judgement"),
        _many(len(done.pictures), "picture", f" → {images}/"),
        _many(len(manuscript.left_out), "part", " beside the text"),
    ]
    if any(found):
        say("found", ", ".join(part for part in found if part))
    if done.margin:
        say("left out", str(written[-1]))
    for note in done.notes:
        say("note", note)
    if done.todo:
        say("to write", ", ".join(done.todo))


# A picture has another name in each file.
_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


def _free(folder: Path, manuscript: Manuscript, stem: str) -> str:
    """An address that nobody has: the one that is stated, or made from the headline or the file's name, whichever is
    free first. Where a piece with the same text is, it is that one's: nothing is imported twice.
    """
    from newsletter import blank

    stated = (str(manuscript.fields.get("slug", "")), manuscript.title, stem)
    names = list(dict.fromkeys(blank.slug_of(each) for each in stated if re.search(r"[^\W_]", each)))
    for name in names:
        path = folder / f"{name}.md"
        if not path.exists():
            return name
        if _PICTURE.sub("", path.read_text(encoding="utf-8")).endswith(
            _PICTURE.sub("", f"---\n{manuscript.body}")
        ):
            return name
    return names[0] if names else blank.slug_of(stem)


def _many(count: int, thing: str, more: str = "") -> str:
    """How many there are, in words; nothing if there are none."""
    return f"{count} {thing}{'s' if count > 1 else ''}{more}" if count else ""
