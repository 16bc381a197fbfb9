"""The rules' own pages, CODE.md each: what it finds, why that matters, an example of each kind. The tests hold every
rule to the examples of its page.
"""

from __future__ import annotations

from importlib.resources import files

from rich.console import Console
from rich.markdown import Markdown

from newsletter.check import across, desk, engine
from newsletter.check.rule import RULES, Rule

# Importing these has entered every rule.
_ENTERED = (across, desk, engine)


def rules() -> list[Rule]:
    """All rules, in the order of their codes."""
    return [RULES[code] for code in sorted(RULES)]


def page(code: str) -> str | None:
    """The page of a rule, in Markdown; None if there is no such rule."""
    if code not in RULES:
        return None
    return (files("newsletter.check.pages") / f"{code}.md").read_text(encoding="utf-8")


def show(page: str) -> None:
    """A page as a person reads it in the terminal."""
    console = Console()
    console.print(Markdown(page, code_theme="ansi_dark"), width=min(88, console.width))
