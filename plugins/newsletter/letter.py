"""The editor's letter made fit for where it goes: a mail (links that work there, looks that survive there), or a
page where another letter stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

import lxml.html
from lxml.html import HtmlElement

_VOID = {"area", "br", "col", "hr", "img", "input", "wbr"}
_SPACES = re.compile(r"[ \t\n\r\f]+")
# Classes and ids are dropped: mail programs rename or strip them, and nothing in a mail refers to them.
_KEPT = {"align", "alt", "colspan", "dir", "height", "href", "lang", "rowspan", "src", "start", "width"}


def detach(html: str, url: str) -> str:
    """Take out the links that lead to a place within the letter.

    `url` is the address of the letter's web version: a link to it with a fragment is such a link too. Anchors
    do not work in Gmail and in most apps, so a note's number stays as a number, and its way back goes.
    Returns HTML.
    """
    root = _parse(html)
    for link in list(root.iter("a")):
        address = link.get("href") or ""
        page, _, fragment = address.partition("#")
        if not address.startswith("#") and not (fragment and page == url):
            continue
        text = link.text_content().strip()
        if text.startswith("↩") or "backref" in (link.get("class") or ""):
            link.drop_tree()
        else:
            link.drop_tag()
    return _serialise(root)


def style(html: str, looks: Mapping[str, str]) -> str:
    """Write `looks` (element name -> CSS declarations) into the elements, for programs that drop <style>.

    A first-level heading becomes a second-level one (the mail has its own), a task's check box a character.
    Returns HTML whose elements carry no class, id or event attribute.
    """
    root = _parse(html)
    for box in list(root.iter("input")):
        sign = lxml.html.Element("span")
        sign.text = "☑" if "checked" in box.attrib else "☐"
        sign.tail = box.tail
        parent = box.getparent()
        if parent is not None:
            parent.replace(box, sign)
    for element in root.iterdescendants():
        if not isinstance(element.tag, str):
            continue
        if element.tag == "h1":
            element.tag = "h2"
        if element.tag == "section":
            element.tag = "div"  # unknown to Word's engine, which would ignore its looks
            look = looks.get("section", "")
        else:
            look = looks.get(element.tag, "")
        for name in set(element.attrib) - _KEPT:
            del element.attrib[name]
        if look:
            element.set("style", look)
    _join_lines(root)
    return _serialise(root)


def rename(html: str, prefix: str) -> str:
    """Let the names of its places (ids), and the links to them, begin with `prefix`, so that two letters on one
    page do not have the same ones. Returns HTML.
    """
    root = _parse(html)
    for element in root.iterdescendants():
        if not isinstance(element.tag, str):
            continue
        if name := element.get("id"):
            element.set("id", prefix + name)
        address = element.get("href") or ""
        if address.startswith("#"):
            element.set("href", f"#{prefix}{address[1:]}")
    return _serialise(root)


def _join_lines(root: HtmlElement) -> None:
    """One space for each run of white space, as browsers show it, but not in <pre>.

    mjml-python drops a line break between two inline elements, and their words would be glued together.
    """
    for pre in list(root.iter("pre")):
        words = pre.text_content()
        for child in list(pre):
            pre.remove(child)
        pre.text = words
    for element in root.iter():
        if element.tag != "pre" and element.text:
            element.text = _SPACES.sub(" ", element.text)
        if element.tail:
            element.tail = _SPACES.sub(" ", element.tail)


def _parse(html: str) -> HtmlElement:
    return lxml.html.fragment_fromstring(html, create_parent="div")


def _serialise(root: HtmlElement) -> str:
    """The fragment without the element that `_parse` put around it.

    Not lxml's own: where a value holds a double quote that writes single ones around it, which mjml-python
    turns into double ones, so the rest of the value would become attributes.
    """
    return escape(root.text or "", quote=False) + "".join(map(_written, root))


def _written(element: HtmlElement) -> str:
    tail = escape(element.tail or "", quote=False)
    if not isinstance(element.tag, str):
        return tail  # a comment
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in element.attrib.items())
    if element.tag in _VOID:
        return f"<{element.tag}{attributes}>{tail}"
    inner = escape(element.text or "", quote=False) + "".join(map(_written, element))
    return f"<{element.tag}{attributes}>{inner}</{element.tag}>{tail}"
