"""Markdown to HTML: CommonMark with tables, footnotes, definition and task lists, heading ids, fine quotes.

comrak parses (README says why it and not cmarkgfm), nh3 cleans whatever raw HTML an author wrote.
The result holds no script, no style, no address but http, https, mailto, tel or a path.
"""

from __future__ import annotations

import re
from functools import cache
from html import unescape

import comrak
import nh3

# comrak's safe mode leaves this where an author wrote raw HTML: only such a text needs the slow way.
OMITTED = "<!-- raw HTML omitted -->"
# comrak puts an empty link into each heading; the heading's own id is enough.
_ANCHOR = re.compile(r'<a href="#[^"]*" aria-label="Link to heading[^>]*class="anchor"></a>')
# The parser percent-encodes the braces of Pelican's {filename} links, which would then not be found. The attribute is
# looked at last: what begins with fixed letters is found seven times as fast as what begins with a choice.
_BRACES = re.compile(
    r'="%7B(?:(?<=href="%7B)|(?<=src="%7B))(filename|static|attach|category|tag|author|index)%7D'
)

_TAGS = nh3.ALLOWED_TAGS | {"figure", "figcaption", "section", "input", "picture", "source", "mark", "details"} | {
    "summary", "video", "audio", "track", "small", "ins", "del", "abbr", "time", "dl", "dt", "dd",
}  # fmt: skip
_ATTRIBUTES: dict[str, set[str]] = {
    **{tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()},
    "*": {"id", "class", "lang", "dir", "title", "aria-label", "role"},
    "a": {"href", "hreflang", "data-footnote-ref", "data-footnote-backref", "data-footnote-backref-idx"},
    "img": {"src", "alt", "width", "height", "loading", "srcset", "sizes"},
    "input": {"type", "checked", "disabled"},
    "section": {"data-footnotes"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "td": {"align", "colspan", "rowspan", "headers"},
    "video": {"src", "controls", "width", "height", "poster"},
    "audio": {"src", "controls"},
    "source": {"src", "srcset", "type", "media"},
    "track": {"src", "kind", "srclang", "label"},
    "time": {"datetime"},
    "details": {"open"},
    "ol": {"start", "type", "reversed"},
}
_SCHEMES = {"http", "https", "mailto", "tel"}


def render(text: str) -> str:
    """Markdown as clean HTML. Never fails: every text is some Markdown. Pure and deterministic."""
    extensions, parsing, safe, raw = _options()
    html = comrak.render_markdown(text, extensions, parsing, safe)
    if OMITTED in html:
        html = comrak.render_markdown(text, extensions, parsing, raw)
        html = nh3.clean(
            html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel=None, strip_comments=True
        )
    if 'class="anchor"' in html:
        html = _ANCHOR.sub("", html)
    if "%7B" in html:
        html = _BRACES.sub(r'="{\1}', html)
    return html


def render_with_places(text: str) -> str:
    """Markdown as HTML that says where in `text` each part stands (comrak's data-sourcepos). It is for reading, not
    for a page: raw HTML is left out, a mark (`OMITTED`) in its place.
    """
    extensions, parsing, _, _ = _options()
    return comrak.render_markdown(text, extensions, parsing, _placed())


@cache
def _placed() -> comrak.RenderOptions:
    placed = comrak.RenderOptions()
    placed.sourcepos = True
    return placed


@cache
def _options() -> tuple[
    comrak.ExtensionOptions, comrak.ParseOptions, comrak.RenderOptions, comrak.RenderOptions
]:
    extensions = comrak.ExtensionOptions()
    extensions.table = True
    extensions.footnotes = True
    extensions.description_lists = True
    extensions.tasklist = True
    extensions.strikethrough = True
    extensions.header_id_prefix = ""
    parsing = comrak.ParseOptions()
    parsing.smart = True
    safe = comrak.RenderOptions()
    raw = comrak.RenderOptions()
    raw.unsafe_ = True
    return extensions, parsing, safe, raw


_QUOTABLE = re.compile(r"['\"]|--|\.\.\.")
_PUNCTUATION = re.compile(r"([!#$%&()*+,/:;<=>?@\[\\\]^_`{|}~])")


def smart(text: str) -> str:
    """Plain text with typographic quotes, dashes and ellipses, as the body has them. Not Markdown."""
    if not _QUOTABLE.search(text):
        return text
    _, parsing, safe, _ = _options()
    # With every mark of Markdown escaped, all that the parser still does is the punctuation. The bracket keeps
    # a text that begins like a list ("1. ", "- ") from being one, and lets a quotation open after it.
    html = comrak.render_markdown("(" + _PUNCTUATION.sub(r"\\\1", text), None, parsing, safe)
    return unescape(html.removeprefix("<p>").removesuffix("</p>\n"))[1:]
