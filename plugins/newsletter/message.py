"""A Briefing becomes the mail: HTML, text, headers, one hash over all of it.

    refuse what must not be mailed ─► templates ─► MJML ─► lint ─► HTML ┐
                                          └────────► text ──────────────┴─► mail_lint ─► Package

`compose` depends on its arguments and the template folder alone; two calls give the same bytes.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.header import Header
from email.utils import formataddr, parseaddr
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from markupsafe import Markup

from newsletter import issue, letter, mail_lint, mjml_lint, plaintext
from newsletter.errors import ContentError, Finding, SettingsError
from newsletter.issue import Issue
from newsletter.mail_template import MailTemplate
from newsletter.models import Briefing, ChangedItem, Item, KeyJudgement, Package
from newsletter.package import content_hash
from newsletter.publication import Publication

PLACEHOLDERS = ("unsubscribe_url",)
"""The names the sender fills for each recipient. Data that lacks one makes SES drop a mail it accepted."""

PREVIEW_LENGTH = 140
"""Characters an inbox shows beside the subject; the preheader is padded to them."""

_PADDING = "\u034f\u00a0"  # shows nothing, yet no program trims or collapses it; four bytes
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)  # not strftime: its names depend on the machine's locale
_RIGHT_TO_LEFT = ("ar", "fa", "he", "ur")
_BRACKET = re.compile(r"(\d{1,3})\s*[-–—]\s*(\d{1,3})\s*%?")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BLANKS = re.compile(r"[\t\r\n][ \t\r\n]*| [ \t\r\n]+")
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_HEADER_VALUE_MAX = 995  # botocore's model of sesv2


@dataclass(frozen=True, slots=True)
class ScaleCell:
    """One stretch of the likelihood scale; `width` in percent of it."""

    width: int
    filled: bool


@dataclass(frozen=True, slots=True)
class PrintedJudgement:
    """A key judgement as the templates print it. `verdict` is "unlikely (20–45 %) · … · by …" or ""."""

    text: str
    verdict: str
    cells: tuple[ScaleCell, ...]


@dataclass(frozen=True, slots=True)
class PrintedChange:
    """A correction or update as the templates print it; `head` is "Correction, 3 November 2020"."""

    head: str
    title: str
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class PrintedItem:
    """An analysis as the templates print it; a `shortened` one is its title and link."""

    title: str
    url: str
    region: str
    date: str
    summary: str
    judgements: tuple[PrintedJudgement, ...]
    shortened: bool


def compose(briefing: Briefing, publication: Publication, templates: Path, commit: str | None) -> Package:
    """Make the mail of one month, or of an erratum.

    `templates` is the folder that holds body.mjml, body.txt and style.toml; `commit` is noted in the package
    and is not part of the hash. Where the HTML would be larger than `mail_lint.BUDGET` after substitution,
    the lowest items are shortened to their link, one after another, in both halves; never the first.

    Raises ContentError with every finding: content that must not be mailed (a `{{`, a control character, an
    empty subject, neither letter nor items), a template with a fault, a mail too large even when shortened.
    Raises SettingsError if a header made of publication.toml is no header SES takes.
    """
    mailing = issue.of_id(briefing.month)
    findings = list(_refusals(briefing))
    if findings or mailing is None:
        raise ContentError(findings)
    source = briefing.source or briefing.month
    template = MailTemplate(templates, PLACEHOLDERS)
    facts = _facts(briefing, publication, mailing)
    # An erratum is another letter than the one at that address: it may lead to a place there.
    detached = letter.detach(briefing.letter_html, "" if mailing.corrects else briefing.url)
    styled = letter.style(detached, template.looks.get("element", {}))
    findings = _letter_faults(styled, source)
    if findings:
        raise ContentError(findings)

    @cache
    def printed(shortened: int) -> list[PrintedItem]:
        return _print(briefing.items, shortened)

    @cache
    def render(shortened: int) -> str:
        filled = {**facts, "letter": Markup(styled), "items": printed(shortened)}  # noqa: S704 — sanitised
        return template.html(filled)

    def size(shortened: int) -> int:
        return mail_lint.size(render(shortened), PLACEHOLDERS)

    shortened = _fewest_shortened(len(briefing.items), size, source)
    html_part = render(shortened)
    items = printed(shortened)
    text_part = template.text({**facts, "letter": plaintext.render(detached), "items": items})
    findings = mail_lint.lint(html_part, text_part, source, PLACEHOLDERS, publication.postal_address)
    if findings:
        raise ContentError(findings)
    package = Package(
        month=briefing.month,
        title=briefing.title,
        subject=briefing.subject,
        preheader=briefing.preheader,
        sender=_mailbox(publication.sender),
        reply_to=publication.reply_to,
        html=html_part,
        text=text_part,
        headers=_headers(publication),
        placeholders=PLACEHOLDERS,
        content_hash="",
        url=briefing.url,
        commit=commit,
        items=tuple(_record(item, printed) for item, printed in zip(briefing.items, items, strict=True)),
    )
    return replace(package, content_hash=content_hash(package))


def _letter_faults(styled: str, source: str) -> list[Finding]:
    """What the letter holds that a mail cannot, told of the letter's file and not of the template."""
    shell = "<mjml><mj-head><mj-title>Letter</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>{}"
    shell += "</mj-text></mj-column></mj-section></mj-body></mjml>"
    found = mjml_lint.lint(shell.format(styled), source, PLACEHOLDERS)
    return [Finding(source, 0, "", reason) for reason in dict.fromkeys(each.reason for each in found)]


def _record(item: Item, printed: PrintedItem) -> Mapping[str, str | bool]:
    return {
        "title": item.title,
        "url": item.url,
        "region": item.region,
        "date": item.date.isoformat(),
        "shortened": printed.shortened,
        "source": item.source,
    }


def _refusals(briefing: Briefing) -> Iterator[Finding]:
    """What must not become a mail: the file (or the analysis's address), the field, the reason."""
    source = briefing.source or f"the briefing of {briefing.month}"
    if issue.of_id(briefing.month) is None:
        yield Finding(source, 0, "month", f'"{briefing.month}" is no month. Write it as 2020-10.')
    if not briefing.items and not plaintext.render(briefing.letter_html).strip():
        yield Finding(source, 0, "", "has neither a letter nor analyses: there is nothing to mail.")
    for field, value in (("subject", briefing.subject), ("title", briefing.title)):
        if not value.strip():
            yield Finding(source, 0, field, f"is empty. Write one line: {field}: …")
    for field, value in (("subject", briefing.subject), ("preheader", briefing.preheader)):
        for reason in _unfit_for_a_header(value):
            yield Finding(source, 0, field, reason)
    yield from _unfit(source, "title", briefing.title)
    letter_text = plaintext.render(briefing.letter_html)  # where markup between two braces is gone
    yield from _unfit(source, "", briefing.letter_html, html.unescape(briefing.letter_html), letter_text)
    yield from _unfit_address(source, briefing.url)
    for item in briefing.items:
        place = item.source or item.url or source
        yield from _unfit_address(place, item.url)
        if not item.title.strip():
            yield Finding(place, 0, "title", "is empty. An analysis is mailed by its title.")
        for field, value in (("title", item.title), ("summary", item.summary), ("region", item.region)):
            yield from _unfit(place, field, value)
        for judgement in item.key_judgements:
            for value in (judgement.text, judgement.assessment):
                yield from _unfit(place, "key_judgements", value)
    for each in briefing.changes:
        place = each.source or each.url
        yield from _unfit_address(place, each.url)
        yield from _unfit(place, "title", each.title)
        yield from _unfit(place, f"{each.change.kind}s", each.change.text)


def _unfit(path: str, field: str, *values: str) -> Iterator[Finding]:
    """What no text of a mail may hold."""
    for value in dict.fromkeys(values):
        if "{{" in value or "}}" in value:
            # The mail service would take it for a placeholder and, not knowing the name, drop every mail.
            yield Finding(
                path, 0, field, "holds {{ or }}, which the mail service reads as a placeholder. Take it out."
            )
            return
        found = _CONTROL.search(value)
        if found:
            sign = f"U+{ord(found[0]):04X}"
            yield Finding(
                path, 0, field, f"holds the control character {sign}, which no mail shows. Delete it."
            )
            return


def _unfit_for_a_header(value: str) -> Iterator[str]:
    """Reasons why `value` cannot stand in a mail's header (RFC 5322 §2.2, RFC 2047)."""
    for finding in _unfit("", "", value):
        yield finding.reason
    if any(character in value for character in "\r\n\t\v\f\x85\u2028\u2029"):
        yield "must be one line: a second one would become a header of its own."
    if _BIDI.search(value):
        yield "holds an invisible sign that turns the direction of writing. Delete it."
    if "=?" in value:
        # Python's email package decodes =?UTF-8?Q?=0A?= to a line break and writes it (cpython gh-121650).
        yield 'holds "=?", the mark of an encoded word, which a mail program may decode to a line break.'


def _unfit_address(path: str, url: str) -> Iterator[Finding]:
    yield from _unfit(path, "url", url)
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.netloc or re.search(r"[\s\"<>]", url):
        yield Finding(path, 0, "url", f'"{url}" is no complete https:// address.')


def _facts(briefing: Briefing, publication: Publication, mailing: Issue) -> dict[str, object]:
    """The names the templates know, besides `items`, `letter`, `placeholder` and the tables of style.toml."""
    year, month = mailing.month.split("-")
    language = publication.language.partition("-")[0].lower()
    return {
        "house": publication.house,
        "name": publication.name,
        "language": publication.language,
        "direction": "rtl" if language in _RIGHT_TO_LEFT else "ltr",
        "title": _one_line(briefing.title),
        "month": f"{_MONTHS[int(month) - 1]} {year}",
        "erratum": bool(mailing.corrects),
        "preheader": briefing.preheader,
        "changes": [_print_change(each) for each in briefing.changes],
        "padding": _PADDING * max(0, PREVIEW_LENGTH - len(briefing.preheader)),
        "url": briefing.url,
        "contact": publication.contact,
        "postal_address": publication.postal_address,
    }


def _print(items: tuple[Item, ...], shortened: int) -> list[PrintedItem]:
    """The items as the templates take them, the last `shortened` of them as links only."""
    return [
        PrintedItem(
            title=_one_line(item.title),
            url=item.url,
            region=_one_line(item.region),
            date=_day(item.date),
            summary=_one_line(item.summary),
            judgements=tuple(_print_judgement(judgement) for judgement in item.key_judgements),
            shortened=index >= len(items) - shortened,
        )
        for index, item in enumerate(items)
    ]


def _print_change(each: ChangedItem) -> PrintedChange:
    kind = each.change.kind.capitalize()
    return PrintedChange(
        f"{kind}, {_day(each.change.date)}", _one_line(each.title), each.url, _one_line(each.change.text)
    )


def _print_judgement(judgement: KeyJudgement) -> PrintedJudgement:
    # Lines break between the parts of a verdict and not within: "by 31 March 2021" stays together.
    parts = (_one_line(part).replace(" ", "\u00a0") for part in judgement.assessment.split(" · "))
    return PrintedJudgement(_one_line(judgement.text), "\u00a0· ".join(parts), scale(judgement.bracket))


def scale(bracket: str) -> tuple[ScaleCell, ...]:
    """The stretches of the likelihood scale for a range such as "20–45 %": () if it is no range."""
    match = _BRACKET.fullmatch(bracket)
    low, high = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 0 <= low < high <= 100:
        return ()
    stretches = (ScaleCell(low, False), ScaleCell(high - low, True), ScaleCell(100 - high, False))
    return tuple(stretch for stretch in stretches if stretch.width)


def _one_line(text: str) -> str:
    # Not str.split(): it would part "20 %" at the no-break space. A space that stands alone is good as it is.
    return _BLANKS.sub(" ", text).strip(" ")


def _day(date: datetime) -> str:
    return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


def _fewest_shortened(count: int, size: Callable[[int], int], source: str) -> int:
    """How many of `count` items must be links only for the mail to fit; the first never is."""
    most = max(count - 1, 0)
    if size(0) <= mail_lint.BUDGET:
        return 0
    if size(most) > mail_lint.BUDGET:
        reason = (
            f"the mail has {size(0):,} bytes of HTML, and {size(most):,} with every analysis but the first "
            f"shortened to its link; {mail_lint.BUDGET:,} are allowed. Shorten the letter or the first one."
        )
        raise ContentError([Finding(source, 0, "", reason)])
    return bisect_left(range(most), True, key=lambda shortened: size(shortened) <= mail_lint.BUDGET)


def _headers(publication: Publication) -> dict[str, str]:
    """The headers every recipient gets alike; the sender adds List-Unsubscribe and -Post for each.

    RFC 2919 (List-Id), RFC 2369 (List-Help, List-Archive). Precedence is in no RFC for mail, but keeps
    vacation responders quiet. No Auto-Submitted: an editor writes this (RFC 3834 §5 means machines).
    """
    phrase, bracket, identifier = publication.list_id.rpartition("<")
    headers = {
        "List-Id": _phrase(phrase) + bracket + identifier,
        "List-Help": f"<mailto:{publication.contact}>",
        "List-Archive": f"<{publication.site_url}/briefings/>",
        "Precedence": "bulk",
    }
    for name, value in headers.items():
        if not re.fullmatch(r"[ -~]+", value) or len(value) > _HEADER_VALUE_MAX:
            raise SettingsError(
                f'publication.toml: the header {name} would be "{value}"; only ASCII letters and signs are '
                f"allowed there, at most {_HEADER_VALUE_MAX}. Write the domain in its ASCII form (xn--…)."
            )
    return headers


def _mailbox(sender: str) -> str:
    """The sender with its name in encoded words if it is not ASCII; SES takes it no other way."""
    name, address = parseaddr(sender)
    return sender if sender.isascii() else formataddr((name, address))


def _phrase(words: str) -> str:
    if words.isascii():
        return words
    return Header(words.strip(), "utf-8").encode(linesep="") + " "
