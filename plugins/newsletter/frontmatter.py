"""The head of a content file: YAML between `---` lines, or the classic Pelican header.

Values stay text (and lists and mappings of text): YAML's own typing would read the region "No" as false
and a date as whatever it resembles. What a field means is decided by whoever asks for it, and every field
remembers its line, so that an error can point at it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from newsletter.errors import ContentError, Finding

_CLASSIC = re.compile(r"^[ ]{0,3}(?P<key>[A-Za-z0-9_-]+):[ \t]*(?P<value>.*)$")
_CONTINUATION = re.compile(r"^[ ]{4,}(?P<value>.+)$")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0080-\u009f\ufffe\uffff]")
# A text without any: known in a quarter of the time in which one is found not to be there.
_CLEAN = re.compile("[\t\n\r -~\u00a0-\ufffd\U00010000-\U0010ffff]*")

_LONGEST_HEAD = 65_536
_LARGEST_FILE = 2_000_000  # bytes; a book
_DEEPEST = 32


class _Loader(yaml.CBaseLoader):
    """YAML to nodes by the C parser, without the guessing of types that would be thrown away here."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Called by the parser for each node's tag."""
        return ""

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Called by the parser on its way into a node."""

    def ascend_resolver(self) -> None:
        """Called by the parser on its way out of a node."""


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a file's head says: `fields` by lower-case key, the `lines` they stand on (from 1), the body.

    `lines` also has a key "name[2]" for the second entry of the list `name`. `classic` tells a
    `Title: …` header from YAML.
    """

    path: str
    fields: dict[str, Any]
    lines: dict[str, int]
    body: str
    body_line: int
    classic: bool = False
    findings: list[Finding] = field(default_factory=list)

    def complain(self, key: str, reason: str) -> None:
        """Note that `key` (a field, or "" for the text) is wrong; `reason` says how to mend it."""
        line = self.lines.get(key) or self.lines.get(key.partition("[")[0]) or 1
        self.findings.append(Finding(self.path, line, key, reason))


def decode(data: bytes, path: str) -> str:
    """UTF-8 bytes as text with `\\n` line ends and without a byte order mark.

    Raises ContentError naming the line of the first byte or character that cannot be published.
    """
    if len(data) > _LARGEST_FILE:
        reason = f"has {len(data):,} bytes; a piece may have {_LARGEST_FILE:,}. Is it the right file?"
        raise ContentError([Finding(path, 0, "", reason)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = f"is not UTF-8 (byte 0x{data[error.start]:02x}). Save the file with the encoding UTF-8."
        raise ContentError([Finding(path, line, "", reason)]) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not _CLEAN.fullmatch(text) and (bad := _CONTROL.search(text)):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        reason = f"has the control character U+{ord(bad[0]):04X} at column {column}. Delete it."
        raise ContentError([Finding(path, line, "", reason, column)])
    return text


def parse(text: str, path: str) -> FrontMatter:
    """Split a content file into its fields and its body. Raises ContentError for a head that is no head."""
    if text.startswith("---") and text[3:].split("\n", 1)[0].strip() == "":
        return _yaml(text, path)
    return _classic(text, path)


def _yaml(text: str, path: str) -> FrontMatter:
    end = _end_of_yaml(text)
    if end is None:
        reason = "the front matter has no end: write a line --- after its last field."
        raise ContentError([Finding(path, 1, "", reason)])
    head_end, body_start = end
    head = text[text.index("\n") + 1 : head_end]
    if len(head) > _LONGEST_HEAD:
        reason = (
            f"the front matter is longer than {_LONGEST_HEAD:,} characters: is its closing line --- missing?"
        )
        raise ContentError([Finding(path, 1, "", reason)])
    if sum(head.count(opener) for opener in ("[", "{", "- -")) > _DEEPEST:
        _refuse_depths(head, path)
    try:
        # An alias (*name) repeats a node: a few lines of them can stand for gigabytes, and no editor needs them.
        for event in yaml.parse(head, Loader=_Loader) if "*" in head else ():
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 2 if event.start_mark else 2
                reason = 'has an alias, "*name": a value that begins with * must stand in quotation marks.'
                raise ContentError([Finding(path, line, "", reason)])
        node = yaml.compose(head, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ContentError([_yaml_finding(error, path, head)]) from None
    except RecursionError:
        reason = "the front matter is nested too deeply: lists in lists in lists. Write it flat."
        raise ContentError([Finding(path, 2, "", reason)]) from None
    findings: list[Finding] = []
    lines: dict[str, int] = {}
    fields: dict[str, Any] = {}
    if isinstance(node, yaml.MappingNode):
        fields = _mapping(node, head, path, "", lines, findings)
    elif node is not None:
        reason = 'the front matter must be lines of "field: value".'
        raise ContentError([Finding(path, 2, "", reason)])
    return FrontMatter(
        path, fields, lines, text[body_start:], text.count("\n", 0, body_start) + 1, findings=findings
    )


def _refuse_depths(head: str, path: str) -> None:
    """Raise ContentError for lists in lists in lists: the parser that makes nodes of them dies of some thousands."""
    depth = 0
    try:
        for event in yaml.parse(head, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                reason = "the front matter is nested too deeply: lists in lists in lists. Write it flat."
                line = event.start_mark.line + 2 if event.start_mark else 2
                raise ContentError([Finding(path, line, "", reason)])
    except yaml.YAMLError:
        return  # said better by whoever reads it in earnest


def _end_of_yaml(text: str) -> tuple[int, int] | None:
    """Where the head's text ends and where the body begins, or None if no line closes the head."""
    start = text.find("\n") + 1
    if start == 0:
        return None
    at = start
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        if text[at:stop].rstrip() in ("---", "..."):
            return at, min(stop + 1, len(text))
        at = stop + 1
    return None


def _cut_off(node: yaml.Node, head: str) -> str:
    """What YAML takes for a comment and an editor does not: "Deal #2 fails" is "Deal" to it. A # with a space
    after it is a comment that is meant.
    """
    if "#" not in head or not isinstance(node, yaml.ScalarNode) or node.style or not node.end_mark:
        return ""
    rest = head.split("\n")[node.end_mark.line][node.end_mark.column :].strip()
    return rest if re.match(r"#[^\s#]", rest) else ""


def _mapping(
    node: yaml.MappingNode, head: str, path: str, prefix: str, lines: dict[str, int], findings: list[Finding]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 2  # marks count from 0, and the head begins on line 2
        if not isinstance(key_node, yaml.ScalarNode):
            findings.append(Finding(path, line, prefix, "a field's name must be plain text."))
            continue
        key = key_node.value.strip().lower()
        name = f"{prefix}.{key}" if prefix else key
        if key in result:
            findings.append(Finding(path, line, name, "stands twice. Delete one of the two."))
            continue
        lines[name] = line
        result[key] = _value(value_node, head, path, name, lines, findings)
        if cut := _cut_off(value_node, head):
            reason = f'everything after the # is dropped ("{cut}"). Put the whole value in quotation marks.'
            findings.append(Finding(path, line, name, reason))
    return result


def _value(
    node: yaml.Node, head: str, path: str, name: str, lines: dict[str, int], findings: list[Finding]
) -> Any:
    if isinstance(node, yaml.ScalarNode):
        # An unquoted nothing, null or ~ is an empty field; quoted they are words.
        if bad := _CONTROL.search(node.value):
            line = node.start_mark.line + 2
            reason = f"has the control character U+{ord(bad[0]):04X}. Delete it."
            findings.append(Finding(path, line, name, reason))
        if not node.style and node.value in ("", "~", "null"):
            return ""
        return node.value.strip()
    if isinstance(node, yaml.SequenceNode):
        entries = []
        for number, entry in enumerate(node.value, start=1):
            lines[f"{name}[{number}]"] = entry.start_mark.line + 2
            entries.append(_value(entry, head, path, f"{name}[{number}]", lines, findings))
        return entries
    assert isinstance(node, yaml.MappingNode)  # noqa: S101 - YAML has three kinds of node
    return _mapping(node, head, path, name, lines, findings)


def _yaml_finding(error: yaml.YAMLError, path: str, head: str) -> Finding:
    """A mistake where an editor made it, which is often before the place where the parser noticed it."""
    for number, text in enumerate(head.split("\n"), start=2):
        if match := re.match(r"([A-Za-z_]+):[^\s/]", text):
            reason = f"needs a space after the colon: {match[1]}: …"
            return Finding(path, number, match[1].lower(), reason, len(match[1]) + 2)
        if re.match(r"[ ]+[A-Za-z_]+: ", text) and number == 2:
            return Finding(path, number, "", "begins with a space. Fields begin at the edge.", 1)
    context, mark = str(getattr(error, "context", "") or ""), getattr(error, "problem_mark", None)
    if "quoted scalar" in context:
        mark = getattr(error, "context_mark", None) or mark
    line = mark.line + 2 if mark else 2
    column = mark.column + 1 if mark else 0
    problem = str(getattr(error, "problem", "") or error)
    hint = "check the indentation and the quotation marks near here."
    if "quoted scalar" in context:
        hint = "the quotation mark that opens here is not closed; one within the text is written twice."
    elif "mapping values are not allowed" in problem:
        hint = 'a value with ": " in it must stand in quotation marks.'
    elif "alias" in problem or "anchor" in problem or "tag" in problem:
        hint = "a value beginning with & * ! or % must stand in quotation marks."
    elif "cannot start any token" in problem:
        hint = "a value beginning with @ or ` must stand in quotation marks, and tabs do not indent."
    return Finding(path, line, "", f"the front matter is not valid YAML ({problem}); {hint}", column)


def _classic(text: str, path: str) -> FrontMatter:
    """The header of Python-Markdown's meta extension: `Key: value` lines up to the first blank line."""
    fields: dict[str, Any] = {}
    lines: dict[str, int] = {}
    findings: list[Finding] = []
    key = ""
    at = 0
    number = 0
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        line = text[at:stop]
        number += 1
        if not line.strip():
            if fields:
                at = stop + 1
                break
        elif match := _CLASSIC.match(line):
            key = match["key"].lower()
            if key in fields:
                findings.append(Finding(path, number, key, "stands twice. Delete one of the two."))
            lines.setdefault(key, number)
            fields.setdefault(key, match["value"].strip())
        elif at > _LONGEST_HEAD:
            reason = (
                f"the header is longer than {_LONGEST_HEAD:,} characters: is the empty line after it missing?"
            )
            raise ContentError([Finding(path, 1, "", reason)])
        elif key and (match := _CONTINUATION.match(line)):
            fields[key] = f"{fields[key]}\n{match['value'].strip()}".strip()
        else:
            break
        at = stop + 1
    if not fields:
        reason = (
            'has no front matter. Begin the file with a line ---, then "title: …" and the other fields, '
            "then a line ---."
        )
        raise ContentError([Finding(path, 1, "", reason)])
    body = text[at:]
    return FrontMatter(
        path, fields, lines, body, text.count("\n", 0, at) + 1, classic=True, findings=findings
    )
