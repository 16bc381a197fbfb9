"""HTML to text that is set for reading, for the text half of a mail.

paragraphs     wrapped; a word or an address is never broken
headings       underlined with "=", "-" or "~"
links          below the paragraph, item or table they stand in: "    the words: https://…"
lists          hanging, nested, numbered; blockquotes behind "> "; small tables in columns, wide ones
               as "Heading: value" lines; notes keep their numbers in brackets
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

import lxml.html
from lxml.html import HtmlElement

WIDTH = 72

_SPACES = re.compile(r"[ \t\n\r\f\v]+")  # not \s: a no-break space holds "20 %" together
_FIXED_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u00ad": None, "\u200b": None, "\ufeff": None})
_HEADINGS = {"h1": "=", "h2": "-", "h3": "~", "h4": "~", "h5": "~", "h6": "~"}
_MARKS = {"strong": "*", "b": "*", "em": "_", "i": "_", "cite": "_"}
_DROPPED = {"script", "style", "head", "title", "template", "noscript"}
_BLOCKS = {
    *_HEADINGS,
    *("address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dl", "dt"),
    *("figcaption", "figure", "footer", "header", "hr", "html", "li", "main", "nav", "ol", "p", "pre"),
    *("section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
}
_INDENT = "    "

Block = list[str]
Links = list[tuple[str, str]]


def render(html: str, width: int = WIDTH) -> str:
    """Set an HTML fragment as text.

    `html` is sanitised HTML with absolute links, `width` the measure in columns (a wide East Asian character
    counts two). Returns lines joined by newlines, no white space at their ends, "" for an empty fragment.
    The result depends on the arguments alone.
    """
    if not html.strip():
        return ""
    root = lxml.html.fragment_fromstring(html, create_parent="div")
    return "\n".join(_join(_flow(root, width)))


def wrap(text: str, width: int = WIDTH, first: str = "", rest: str = "") -> str:
    """Fill `text` to `width` columns; its lines begin with `first`, then with `rest`. Newlines in it stay."""
    lines = [line for part in text.split("\n") for line in _fill(part, width, "", "")]
    if first or rest:
        room = width - max(columns(first), columns(rest))
        lines = [line for part in text.split("\n") for line in _fill(part, room, "", "")]
        lines = [(first if not number else rest) + line for number, line in enumerate(lines)]
    return "\n".join(line.translate(_FIXED_SPACES).rstrip() for line in lines)


def underline(text: str, mark: str = "-", width: int = WIDTH) -> str:
    """Set `text` as a heading: filled to `width` columns, then a line of `mark` as long as its longest."""
    lines = wrap(text, width).split("\n")
    return "\n".join([*lines, mark * max(columns(line) for line in lines)])


def columns(text: str) -> int:
    """How many columns of a fixed-width face `text` takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _fill(text: str, width: int, first: str, rest: str) -> Block:
    lines: Block = []
    line, used = first, columns(first)
    empty = True
    for word in _SPACES.split(text.strip(" \t\n\r\f\v")):
        size = columns(word)
        if not empty and used + 1 + size > width:
            lines.append(line)
            line, used, empty = rest, columns(rest), True
        line = line + word if empty else f"{line} {word}"
        used += size + (0 if empty else 1)
        empty = False
    lines.append(line)
    return lines


def _join(blocks: Iterable[Block]) -> Block:
    """One blank line between blocks."""
    lines: Block = []
    for block in blocks:
        if lines:
            lines.append("")
        lines += block
    return [line.translate(_FIXED_SPACES).rstrip() for line in lines]


def _flow(element: HtmlElement, width: int) -> list[Block]:
    """The blocks of an element that may hold words and blocks side by side."""
    blocks: list[Block] = []
    words: list[str] = [element.text or ""]
    links: Links = []

    def flush() -> None:
        blocks.extend(_paragraph("".join(words), links, width))
        words.clear()
        links.clear()

    for child in _elements(element):
        if _is_block(child):
            flush()
            blocks.extend(_block(child, width))
        else:
            words.append(_inline(child, links))
        words.append(child.tail or "")
    flush()
    return blocks


def _elements(element: HtmlElement) -> Iterator[HtmlElement]:
    """The child elements; a comment's tail is text of its parent and must not be lost."""
    for child in element:
        if isinstance(child.tag, str):
            yield child
        elif child.tail:
            carrier = lxml.html.Element("span")
            carrier.tail = child.tail
            yield carrier


def _is_block(element: HtmlElement) -> bool:
    if element.tag in _BLOCKS:
        return True
    # <a> or <ins> around whole paragraphs: what it holds decides.
    return any(descendant.tag in _BLOCKS for descendant in element.iterdescendants())


def _block(element: HtmlElement, width: int) -> list[Block]:
    tag = element.tag
    if tag in _HEADINGS:
        links: Links = []
        text = _clean(_contents(element, links))
        return (
            [underline(text, _HEADINGS[tag], width).split("\n"), *_link_block(links, width)] if text else []
        )
    if tag in ("ul", "ol"):
        return _list(element, width)
    if tag == "blockquote":
        quoted = _join(_flow(element, width - 2))
        return [[f"> {line}".rstrip() for line in quoted]] if quoted else []
    if tag == "pre":
        return [[_INDENT + line for line in element.text_content().strip("\n").split("\n")]]
    if tag == "hr":
        return [["* * *"]]
    if tag == "table":
        return _table(element, width)
    if tag == "dd":
        return [[_INDENT + line if line else line for line in _join(_flow(element, width - len(_INDENT)))]]
    blocks = _flow(element, width)
    return [["* * *"], *blocks] if blocks and "footnotes" in _classes(element) else blocks


def _paragraph(text: str, links: Links, width: int) -> list[Block]:
    text = _clean(text)
    if not text:
        return []
    lines = [line for part in text.split("\n") for line in _fill(part, width, "", "")]
    return [lines + [line for block in _link_block(links, width) for line in block]]


def _link_block(links: Links, width: int) -> list[Block]:
    lines: Block = []
    for label, address in dict.fromkeys(links):
        line = f"{_INDENT}{label}: {address}"
        if columns(line) <= width:
            lines.append(line)
        else:  # the address on a line of its own, so that a mail program finds its end
            lines += _fill(f"{label}:", width, _INDENT, _INDENT)
            lines.append(_INDENT + address)
    return [lines] if lines else []


def _clean(text: str) -> str:
    """White space collapsed as HTML does; "\\v" is a <br> and becomes a newline."""
    parts = [re.sub(r"[ \t\n\r\f]+", " ", part).strip(" ") for part in text.split("\v")]
    return "\n".join(parts).strip("\n")


def _contents(element: HtmlElement, links: Links) -> str:
    words = [element.text or ""]
    for child in _elements(element):
        words.append(_inline(child, links))
        words.append(child.tail or "")
    return "".join(words)


def _inline(element: HtmlElement, links: Links) -> str:
    tag = element.tag
    if tag in _DROPPED:
        return ""
    if tag == "br":
        return "\v"
    if tag == "img":
        alt = (element.get("alt") or "").strip()
        return f"[Picture: {alt}]" if alt else ""
    if tag == "input":
        return "[x]" if "checked" in element.attrib else "[ ]"
    text = _contents(element, links)
    if tag == "a":
        return _link(element, text, links)
    if tag == "sup" and _clean(text).isdigit():
        return f"[{_clean(text)}]"
    if tag in _MARKS and text.strip():
        inner = text.strip()
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return f"{before}{_MARKS[tag]}{inner}{_MARKS[tag]}{after}"
    # A block element inside words (a cell with paragraphs) must not glue its words to the next.
    return f" {text} " if tag in _BLOCKS else text


def _link(element: HtmlElement, text: str, links: Links) -> str:
    label, address = _clean(text).replace("\n", " "), (element.get("href") or "").strip()
    if "backref" in " ".join(_classes(element)) or label.startswith("↩"):
        return ""  # "back to the text" leads nowhere in a text without links
    if not address or address.startswith("#"):
        return text
    bare = address.removeprefix("mailto:")
    if not label:
        return bare
    if label not in (address, bare):
        links.append((label, bare))
    return text


def _classes(element: HtmlElement) -> list[str]:
    return (element.get("class") or "").split()


def _list(element: HtmlElement, width: int) -> list[Block]:
    items = [child for child in _elements(element) if child.tag == "li"]
    notes = bool(items) and all((item.get("id") or "").startswith("fn") for item in items)
    start = element.get("start") or "1"
    number = int(start) if re.fullmatch(r"-?\d{1,9}", start) else 1
    if element.tag == "ul":
        markers = ["-" for _ in items]
    else:
        form = "[{}]" if notes else "{}."
        markers = [form.format(number + index) for index in range(len(items))]
    hang = max((len(marker) for marker in markers), default=1) + 1
    lines: list[Block] = []
    for marker, item in zip(markers, items, strict=True):
        blocks = _flow(item, width - hang)
        tight = not any(child.tag == "p" for child in item)
        body = [line for block in blocks for line in block] if tight else _join(blocks)
        rows = body or [""]
        lines.append(
            [f"{marker:>{hang - 1}} {rows[0]}".rstrip()]
            + [" " * hang + line if line else "" for line in rows[1:]]
        )
    if any(child.tag == "p" for item in items for child in item):
        return lines
    return [[line for item in lines for line in item]] if lines else []


def _table(element: HtmlElement, width: int) -> list[Block]:
    links: Links = []
    rows: list[list[str]] = []
    right: set[int] = set()
    headed = False
    for row in element.iter("tr"):
        cells = [cell for cell in _elements(row) if cell.tag in ("td", "th")]
        if not cells:
            continue
        headed = headed or (not rows and all(cell.tag == "th" for cell in cells))
        right |= {index for index, cell in enumerate(cells) if _is_right(cell)}
        rows.append([_clean(_contents(cell, links)).replace("\n", " ") for cell in cells])
    blocks = [
        block
        for caption in element.iter("caption")
        for block in _paragraph(_contents(caption, links), [], width)
    ]
    if not rows:
        return blocks
    count = max(len(row) for row in rows)
    rows = [row + [""] * (count - len(row)) for row in rows]
    widths = [max(columns(row[index]) for row in rows) for index in range(count)]
    if sum(widths) + 2 * (count - 1) <= width:
        blocks.append(_columned(rows, widths, right, headed))
    else:
        blocks += _records(rows, headed, width)
    return blocks + _link_block(links, width)


def _is_right(cell: HtmlElement) -> bool:
    style = (cell.get("style") or "").replace(" ", "")
    return cell.get("align") == "right" or "text-align:right" in style


def _columned(rows: list[list[str]], widths: list[int], right: set[int], headed: bool) -> Block:
    def line(row: list[str]) -> str:
        cells = []
        for index, cell in enumerate(row):
            space = " " * (widths[index] - columns(cell))
            cells.append(space + cell if index in right else cell + space)
        return "  ".join(cells).rstrip()

    lines = [line(row) for row in rows]
    return [lines[0], "  ".join("-" * size for size in widths), *lines[1:]] if headed else lines


def _records(rows: list[list[str]], headed: bool, width: int) -> list[Block]:
    """A table too wide for columns: one block a row, each cell behind its heading."""
    if not headed:
        return [[line for cell in row if cell for line in _fill(cell, width, "", _INDENT)] for row in rows]
    heads, *body = rows
    return [
        [
            line
            for head, cell in zip(heads, row, strict=True)
            if cell
            for line in _fill(f"{head}: {cell}" if head else cell, width, "", _INDENT)
        ]
        for row in body
    ]
