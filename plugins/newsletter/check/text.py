"""Rules of the text itself: what a proof-reader marks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newsletter.check.document import Document
from newsletter.check.house import House
from newsletter.check.rule import rule
from newsletter.errors import Finding, Severity

# Right English all the same: "had had", "that that"; and names ("Duran Duran") have a capital twice.
_RIGHT_TWICE = {"had", "that"}
_DOUBLED = re.compile(r"(?<![\w’'-])([^\W\d_]+)([ \t]+|[ \t]*\n[ \t]*)(\1)(?![\w’'-])", re.IGNORECASE)


@rule("T206", "placeholder", Severity.ERROR)
def placeholders(document: Document, house: House) -> Iterator[Finding]:
    """`{{` or `}}` in what is mailed: SES would take it for a placeholder of its template."""
    if "{{" not in document.text and "}}" not in document.text:
        return
    for match in re.finditer(r"\{\{|\}\}", document.text):
        yield document.at(
            match.start(),
            match.end(),
            f"{match[0]} would break the email: SES takes it for a placeholder.",
            "Write one brace, or say it in words.",
        )


@rule("T207", "doubled word", Severity.WARNING)
def doubled_words(document: Document, house: House) -> Iterator[Finding]:
    """A word that stands twice in a row."""
    for passage in document.passages:
        words = passage.text.lower().split()
        if not any(map(str.__eq__, words, words[1:])):  # nearly always; the pattern below takes much longer
            continue
        for match in _DOUBLED.finditer(passage.text):
            first, gap, second = match.groups()
            if first.lower() in _RIGHT_TWICE or (first[0].isupper() and second[0].isupper()):
                continue
            yield document.within(
                passage,
                match.start(),
                match.end(),
                f"“{first} {second}”: the word stands twice.",
                "Delete one of them.",
                first if "\n" not in gap and first.lower() == second.lower() else None,
            )
