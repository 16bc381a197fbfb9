"""The proof before the press: what has been read is held against itself, and nothing is written if it does not hold.

Links that lead nowhere, two pieces at one place, files from outside the content folder: all of it is named at
once, each with its file and its line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any
from urllib.parse import unquote

from pelican.contents import Content, Page
from pelican.generators import Generator

from newsletter.errors import ContentError, Finding
from newsletter.reader import FINDINGS

# What begins with fixed letters and not with a choice is found seven times as fast: so the attribute is looked at last.
_INTERNAL = re.compile(
    r'="\{(?:(?<=href="\{)|(?<=src="\{))(?P<kind>filename|static|attach)\}(?P<path>[^"#?]*)'
)
# An address that is neither complete, nor of this site, nor of this page: a neighbouring file, by its name. One
# expression for each attribute, for the same reason.
_RELATIVE = {
    word: re.compile(rf'{attribute}="(?P<path>(?![a-z][a-z0-9+.-]*:|[/#{{?])[^"]+)"')
    for attribute, word in (("href", "filename"), ("src", "static"))
}


def check(generators: Iterable[Generator]) -> None:
    """Before anything is written: links to files that are not there, two pieces at one address; then stop.

    With the setting NEWSLETTER_GO_ON, the editor's preview, nothing stops: the findings stay in the build's context.
    """
    generators = list(generators)
    context = generators[0].context
    findings: list[Finding] = context.pop(FINDINGS, [])
    contents = [
        content
        for generator in generators
        for name in ("articles", "hidden_articles", "translations", "pages", "hidden_pages", "briefings")
        for content in getattr(generator, name, ())
    ]
    # An erratum has no page of its own; its place is that of the briefing it corrects.
    errata = [content for generator in generators for content in getattr(generator, "errata", ())]
    for content in [*contents, *errata]:
        findings.extend(_broken_links(content, context))
    findings.extend(_same_places(contents, context))
    findings.extend(_outside([*contents, *errata], generators, context))
    findings.sort(key=lambda finding: (finding.path, finding.line, finding.field))
    if context.get("NEWSLETTER_GO_ON"):
        context[FINDINGS] = findings
    elif findings:
        raise ContentError(findings)


def _broken_links(content: Content, context: dict[str, Any]) -> Iterable[Finding]:
    html = content._content or ""
    if not content.metadata.get("classic"):
        # A moved-in site may have its own ways with such links; here they lead nowhere once the page is a folder.
        for word, match in _neighbours(html):
            reason = f"links to {match['path']}. To another file of content/ write {{{word}}}{match['path']}."
            yield Finding(os.path.relpath(content.source_path), _line_of(content, match["path"]), "", reason)
    if "{" not in html:
        return
    for match in _INTERNAL.finditer(html):
        kind, path = match["kind"], unquote(match["path"])
        place = (
            path.lstrip("/") if path.startswith("/") else os.path.normpath(f"{content.relative_dir}/{path}")
        )
        target = context["generated_content" if kind == "filename" else "static_content"].get(place)
        if kind != "filename":
            exists = os.path.isfile(os.path.join(content.settings["PATH"], place))
        else:
            exists = target is not None or place in context["static_content"]
        if not exists:
            reason = f"links to {{{kind}}}{path}, and there is no such file below content/."
        elif getattr(target, "status", "published") == "draft" and content.status != "draft":
            reason = f"links to {{{kind}}}{path}, which is a draft or dated in the future: readers would find nothing."
        else:
            continue
        yield Finding(os.path.relpath(content.source_path), _line_of(content, match["path"]), "", reason)


def _neighbours(html: str) -> Iterator[tuple[str, re.Match[str]]]:
    return ((word, match) for word, pattern in _RELATIVE.items() for match in pattern.finditer(html))


def _line_of(content: Content, words: str) -> int:
    with open(content.source_path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if words in line or unquote(words) in line:
                return number
    return 0


def _same_places(contents: Sequence[Content], context: dict[str, Any]) -> Iterator[Finding]:
    """Two pieces at one address, or one where the site itself has a page, a feed or a style sheet."""
    by_url: dict[str, Content] = {}
    for content in contents:
        first = by_url.setdefault(content.url, content)
        if first is not content:
            yield _misplaced(
                content, f"the same address as {os.path.relpath(first.source_path)} ({content.url})"
            )
    free = [
        content for content in contents if isinstance(content, Page) or hasattr(content, "override_save_as")
    ]
    taken = {f"{url}index.html": content for url, content in by_url.items()} if free else {}
    own = _own_places(context)
    for content in free:
        place = os.path.normpath(content.save_as)
        if place in own or place.split(os.sep)[0] == context["THEME_STATIC_DIR"]:
            yield _misplaced(content, f"a place that is the site's own ({place})")
        elif taken.setdefault(place, content) is not content:
            yield _misplaced(
                content, f"the same place as {os.path.relpath(taken[place].source_path)} ({place})"
            )
    yield from _taken_aliases(contents, by_url, own)


def _taken_aliases(
    contents: Sequence[Content], by_url: dict[str, Content], own: set[str]
) -> Iterator[Finding]:
    """Old addresses that are somebody's present one, or two pieces' old one: only one page can stand there."""
    claimed: dict[str, Content] = {}
    for content in contents:
        analysis = getattr(content, "analysis", None)
        for alias in analysis.aliases if analysis else ():
            holder = by_url.get(f"{alias}/") or claimed.setdefault(alias, content)
            if holder is not content or f"{alias}/" == content.url:
                reason = (
                    f"{alias}/ is the address of {os.path.relpath(holder.source_path)}. Take the line out."
                )
            elif f"{alias}/index.html" in own:
                reason = f"{alias}/ is a page of the site's own. Take the line out."
            else:
                continue
            yield Finding(os.path.relpath(content.source_path), 1, "aliases", reason)


def _misplaced(content: Content, what: str) -> Finding:
    reason = f"has {what}. Give it another slug."
    return Finding(os.path.relpath(content.source_path), 1, "slug", reason)


def _own_places(context: dict[str, Any]) -> set[str]:
    """What is written besides the pieces: lists, feeds, the pages without a file of their own."""
    names = [
        str(context.get("NEWSLETTER_FEED")),
        "atom.xml",
        "feed.json",
        "feeds.opml",
        "sitemap.xml",
        "robots.txt",
    ]
    for template in context["DIRECT_TEMPLATES"]:
        names.append(context.get(f"{template.upper()}_SAVE_AS", f"{template}.html"))
    names += [
        f"{piece.url}history/index.html" for piece in context["articles"] if getattr(piece, "history", None)
    ]
    for kind in ("categories", "authors", "tags"):
        names += [wrapped.save_as for wrapped, _ in context[kind]]
    return {os.path.normpath(name) for name in names if name}


def _outside(
    contents: Sequence[Content], generators: Sequence[Generator], context: dict[str, Any]
) -> Iterator[Finding]:
    """Files that lie outside of content/, behind a symbolic link or a path with dots: they are not ours to publish."""
    settings = generators[0].settings
    root = os.path.realpath(settings["PATH"]) + os.sep
    folders = cache(os.path.realpath)  # many files lie in one

    def place_of(path: str) -> str:
        if os.path.islink(path):
            return os.path.realpath(path)
        return os.path.join(folders(os.path.dirname(path)), os.path.basename(path))

    static = [content for generator in generators for content in getattr(generator, "staticfiles", ())]
    for content in [*contents, *static]:
        if not place_of(content.source_path).startswith(root):
            reason = "lies outside of the content folder, or leads there. It is not published."
            yield Finding(os.path.relpath(content.source_path), 0, "", reason)
        elif content in static or hasattr(content, "override_save_as"):
            place = os.path.normpath(content.save_as)
            if os.path.isabs(place) or place.startswith(os.pardir):
                reason = f"would be written outside of the site ({place})."
                yield Finding(os.path.relpath(content.source_path), 0, "", reason)
    for link in sorted(context["static_links"]):
        if not os.path.realpath(os.path.join(root, link)).startswith(root):
            yield Finding(
                link, 0, "", "is linked to and lies outside of the content folder. It is not published."
            )
