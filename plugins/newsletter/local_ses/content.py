"""The content of a mail as a request states it: templates and their data, headers, tags, attachments.

What cannot be right for any recipient is refused as a whole call (BadRequestException); that SES does so for
headers, tags and the template itself is assumed, as no AWS text says which part of a bulk call is refused.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from newsletter.local_ses import limits, template
from newsletter.local_ses.api_error import BadRequestError, NotFoundError
from newsletter.local_ses.message import Attachment, Header
from newsletter.local_ses.template import Template, UnsupportedTemplateError


@dataclass(frozen=True, slots=True)
class Rendered:
    """Subject and bodies with everything filled in; text or html may be None."""

    subject: str
    text: str | None
    html: str | None


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """A template ready to render. `name` is None for an inline one."""

    name: str | None
    subject: Template
    text: Template | None
    html: Template | None

    def render(self, data: Mapping[str, Any]) -> Rendered:
        """Fill in the data. Raises template.RenderingError."""
        return Rendered(
            self.subject.render(data),
            self.text.render(data) if self.text else None,
            self.html.render(data) if self.html else None,
        )


def parse_template(name: str | None, subject: str | None, text: str | None, html: str | None) -> MailTemplate:
    """Check and parse the parts of a template. Raises BadRequestError naming the part and what is wrong.

    A stored one (with a name) may hold 500 KB, an inline one 1 MB. A subject and one of the bodies must be there (assumed from
    the v1 error InvalidTemplate: "you tried to create ... a template that isn't valid").
    """
    if not subject:
        raise BadRequestError("The template has no subject.")
    if not text and not html:
        raise BadRequestError("The template has neither a text nor an HTML part.")
    most = limits.TEMPLATE_BYTES if name else limits.INLINE_BYTES
    if sum(len((part or "").encode("utf-8", "replace")) for part in (subject, text, html)) > most:
        raise BadRequestError(f"The template is larger than {most} bytes.")
    parsed: dict[str, Template | None] = {}
    for part, source in (("Subject", subject), ("Text", text), ("Html", html)):
        try:
            parsed[part] = template.parse(source, inline=name is None) if source else None
        except UnsupportedTemplateError as error:
            raise BadRequestError(f"{part}: {error}") from None
    return MailTemplate(name, parsed["Subject"] or Template(()), parsed["Text"], parsed["Html"])


def find_template(db: sqlite3.Connection, params: Mapping[str, Any]) -> MailTemplate:
    """Return the template that a Template structure names or carries; BadRequestError, NotFoundError."""
    inline = params.get("TemplateContent")
    name = params.get("TemplateName") or str(params.get("TemplateArn", "")).rpartition("template/")[2]
    if bool(inline) == bool(name):
        raise BadRequestError("Give one of TemplateName, TemplateArn and TemplateContent.")
    if inline:
        return parse_template(None, inline.get("Subject"), inline.get("Text"), inline.get("Html"))
    row = db.execute("SELECT subject, text, html FROM templates WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFoundError(f"Template {name} does not exist.")
    return parse_template(name, *row)


def read_data(text: str | None) -> dict[str, Any]:
    """Read TemplateData. Raises BadRequestError in the words SES uses (boto3#1795)."""
    if not text:
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequestError("The template data is invalid: it is not JSON.") from None
    if not isinstance(data, dict):
        raise BadRequestError("The template data is invalid: it is not a JSON object.")
    return data


def merge_data(default: Mapping[str, Any], replacement: Mapping[str, Any]) -> dict[str, Any]:
    """Put an entry's data over the default data, key by key.

    DG send-personalized-email-api calls the default "values used when the template data in an entry isn't
    given" and shows an entry with "{}" that falls back to it. Per key is the reading that fits both; no text
    says it in so many words, so a sender should give every key in every entry.
    """
    return {**default, **replacement}


def read_headers(given: Sequence[Mapping[str, str]]) -> tuple[Header, ...]:
    """Check custom headers beyond the model's patterns. Raises BadRequestError."""
    headers = tuple((header["Name"], header["Value"]) for header in given)
    for name, value in headers:
        if name.lower() in limits.DISALLOWED_HEADERS:
            raise BadRequestError(f"The header {name} is set by Amazon SES and cannot be a custom header.")
        if len(name) + len(value) > limits.HEADER_NAME_AND_VALUE:
            raise BadRequestError(
                f"The name and value of header {name} together have more than "
                f"{limits.HEADER_NAME_AND_VALUE} characters."
            )
    return headers


def read_tags(given: Sequence[Mapping[str, str]]) -> tuple[Header, ...]:
    """Check message tags. Raises BadRequestError."""
    tags = tuple((tag["Name"], tag["Value"]) for tag in given)
    for name, value in tags:
        if name.startswith("ses:"):
            raise BadRequestError(f"Invalid tag name <{name}>: the prefix ses: is reserved.")
        for what, text in (("name", name), ("value", value)):
            if not limits.TAG.fullmatch(text):
                raise BadRequestError(
                    f"Invalid tag {what} <{text}>: only ASCII letters and digits, '_' and '-' are allowed, "
                    "1 to 256 of them."
                )
    return tags


def read_attachments(given: Sequence[Mapping[str, Any]]) -> tuple[Attachment, ...]:
    """Decode attachments (API_Attachment)."""
    return tuple(
        Attachment(
            name=one["FileName"],
            content=base64.b64decode(one["RawContent"]),
            content_type=one.get("ContentType") or "application/octet-stream",
            inline=one.get("ContentDisposition") == "INLINE",
            content_id=one.get("ContentId") or "",
            description=one.get("ContentDescription") or "",
        )
        for one in given
    )
