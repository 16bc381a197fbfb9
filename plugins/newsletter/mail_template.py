"""A folder of the theme that makes one kind of mail: body.mjml, body.txt, style.toml.

The templates are Jinja2 in its sandbox: no environment, no clock, no chance, so a mail depends on its facts
alone. HTML is escaped in *.mjml and not in *.txt. A fault is reported at the line of the file it stands in.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from newsletter import looks, mjml_lint, plaintext
from newsletter.errors import ContentError, Finding
from newsletter.placeholders import tag

_JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_TAG = re.compile(rf"<!--.*?-->|<[A-Za-z](?:[^<>\"']|{_QUOTED.pattern})*>", re.DOTALL)
_TITLE = re.compile(r"(?<=<mj-title>).*?(?=</mj-title>)", re.DOTALL)


class MailTemplate:
    """The templates of one folder, ready to be filled."""

    def __init__(self, folder: Path, placeholders: tuple[str, ...]) -> None:
        """Read `folder`. `placeholders` are the names the mail service fills, `placeholder.x` in a template.

        Raises ContentError if style.toml is missing or malformed.
        """
        self._folder = folder
        self._placeholders = placeholders
        self.looks = looks.read(folder / "style.toml")
        self._environment = _environment(folder)

    def html(self, facts: Mapping[str, Any]) -> str:
        """Fill body.mjml, lint it, and make HTML of it. Raises ContentError naming file and line."""
        from mjml import mjml2html  # a compiled extension: imported where it is needed

        source = self._render("body.mjml", {**self.looks, **facts})
        findings = mjml_lint.lint(source, str(self._folder / "body.mjml"), self._placeholders)
        if findings:
            raise ContentError(self._located(findings))
        try:
            return str(mjml2html(_portable(source)))
        except ValueError as error:
            path = str(self._folder / "body.mjml")
            raise ContentError([Finding(path, 0, "", f"mjml-python cannot read it: {error}")]) from None

    def text(self, facts: Mapping[str, Any]) -> str:
        """Fill body.txt, with at most two blank lines in a row. Raises ContentError naming file and line."""
        text = "\n".join(line.rstrip() for line in self._render("body.txt", facts).splitlines())
        return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n") + "\n"

    def _render(self, name: str, facts: Mapping[str, Any]) -> str:
        fills = {name: Markup(tag(name)) for name in self._placeholders}  # noqa: S704 — our own braces
        try:
            return self._environment.get_template(name).render(facts, placeholder=fills)
        except jinja2.TemplateNotFound as error:
            path = str(self._folder / str(error))
            raise ContentError([Finding(path, 0, "", "not found; the theme must have it.")]) from None
        except jinja2.TemplateSyntaxError as error:
            path = error.filename or str(self._folder / name)
            raise ContentError([Finding(path, error.lineno, "", f"{error.message}")]) from None
        except jinja2.TemplateError as error:
            path, line = self._place(error, name)
            raise ContentError([Finding(path, line, "", f"{error.message}")]) from None

    def _place(self, error: Exception, name: str) -> tuple[str, int]:
        """Where in the templates an error arose: Jinja writes their lines into the traceback."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if Path(frame.filename).parent == self._folder:
                return frame.filename, frame.lineno or 0
        return str(self._folder / name), 0

    def _located(self, findings: list[Finding]) -> list[Finding]:
        """The same findings at the lines of the files, where the files themselves show them.

        What is linted is the filled template, whose lines nobody has seen. The same fault in the template
        with Jinja's tags blanked out has the line that an editor can open.
        """
        sources: dict[str, list[Finding]] = {}
        for path in sorted(self._folder.glob("*.mjml")):
            blanked = _JINJA.sub(_blank, path.read_text(encoding="utf-8"))
            for finding in mjml_lint.lint(blanked, str(path), self._placeholders):
                sources.setdefault(_wherever(finding), []).append(finding)
        located: dict[Finding, None] = {}
        for finding in findings:
            for better in sources.get(_wherever(finding), [_as_filled(finding)]):
                located[better] = None
        return list(located)


@cache
def _environment(folder: Path) -> SandboxedEnvironment:
    """Jinja2 for one folder. It is kept, with the templates it has compiled, and notices when one of them changes."""
    environment = SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=lambda name: name is not None and not name.endswith(".txt"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.clear()  # lipsum is random, cycler and the rest are not needed
    del environment.filters["random"]
    environment.filters["fill"] = _fill
    environment.filters["heading"] = plaintext.underline
    return environment


def _wherever(finding: Finding) -> str:
    return re.sub(r"line \d+", "line", finding.reason)


def _as_filled(finding: Finding) -> Finding:
    reason = f"{finding.reason} (line {finding.line} of the filled template)"
    return Finding(finding.path, 0, finding.field, reason)


def _blank(match: re.Match[str]) -> str:
    """An expression becomes an "x" of its length (it may be a whole attribute), a tag or comment spaces."""
    filler = "x" if match[0].startswith("{{") else " "
    return re.sub(r"[^\n]", filler, match[0])


def _portable(source: str) -> str:
    """Character references in place of what mjml-python garbles in attributes.

    It prints them in Rust's debug format: a backslash comes out doubled, a no-break space as the six letters
    \\u{a0}. The title is an attribute too (aria-label).
    """
    source = _TAG.sub(lambda tag: _QUOTED.sub(_referenced, tag[0]) if tag[0][1] != "!" else tag[0], source)
    return _TITLE.sub(_referenced, source)


def _referenced(match: re.Match[str]) -> str:
    return match[0].replace("\\", "&#92;").encode("ascii", "xmlcharrefreplace").decode()


def _fill(text: str, first: str = "", rest: str = "") -> str:
    return plaintext.wrap(text, plaintext.WIDTH, first, rest)
