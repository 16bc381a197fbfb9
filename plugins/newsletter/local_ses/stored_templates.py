"""Stored templates: create, get, update, delete, list, test-render."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from newsletter.local_ses import content, events, limits, message
from newsletter.local_ses.account import Account
from newsletter.local_ses.api_error import AlreadyExistsError, ApiError, BadRequestError, NotFoundError
from newsletter.local_ses.paging import page
from newsletter.local_ses.state import State
from newsletter.local_ses.template import RenderingError

Params = Mapping[str, Any]


class StoredTemplates:
    """The templates of the account."""

    def __init__(self, state: State, account: Account) -> None:
        self._state, self._account = state, account

    def create(self, params: Params) -> dict[str, Any]:
        """API_CreateEmailTemplate."""
        self._account.spend_template_call("CreateEmailTemplate")
        name, parts = params["TemplateName"], _parts(params)
        if not limits.TEMPLATE_NAME.fullmatch(name):
            raise BadRequestError(f"Invalid template name <{name}>: 1 to 64 of a-z, A-Z, 0-9, _ and -.")
        content.parse_template(name, *parts)
        with self._state.transaction() as db:
            if db.execute("SELECT 1 FROM templates WHERE name = ?", (name,)).fetchone():
                raise AlreadyExistsError(f"Template {name} already exists for account id.")
            if db.execute("SELECT count(*) FROM templates").fetchone()[0] >= limits.TEMPLATES:
                raise ApiError("LimitExceededException", f"There are {limits.TEMPLATES} templates already.")
            db.execute("INSERT INTO templates VALUES (?, ?, ?, ?, ?)", (name, *parts, self._account.now()))
        return {}

    def get(self, params: Params) -> dict[str, Any]:
        """API_GetEmailTemplate."""
        name = params["TemplateName"]
        with self._state.transaction() as db:
            row = db.execute("SELECT subject, text, html FROM templates WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise NotFoundError(f"Template {name} does not exist.")
        shown = {key: value for key, value in zip(("Subject", "Text", "Html"), row, strict=True) if value}
        return {"TemplateName": name, "TemplateContent": shown}

    def update(self, params: Params) -> dict[str, Any]:
        """API_UpdateEmailTemplate: all parts are replaced."""
        self._account.spend_template_call("UpdateEmailTemplate")
        name, parts = params["TemplateName"], _parts(params)
        content.parse_template(name, *parts)
        with self._state.transaction() as db:
            changed = db.execute(
                "UPDATE templates SET subject = ?, text = ?, html = ? WHERE name = ?", (*parts, name)
            ).rowcount
        if not changed:
            raise NotFoundError(f"Template {name} does not exist.")
        return {}

    def delete(self, params: Params) -> dict[str, Any]:
        """API_DeleteEmailTemplate. Version 2 lists NotFoundException for a name that is not there."""
        with self._state.transaction() as db:
            deleted = db.execute("DELETE FROM templates WHERE name = ?", (params["TemplateName"],)).rowcount
        if not deleted:
            raise NotFoundError(f"Template {params['TemplateName']} does not exist.")
        return {}

    def list(self, params: Params) -> dict[str, Any]:
        """API_ListEmailTemplates."""
        with self._state.transaction() as db:
            rows = db.execute("SELECT name, created FROM templates ORDER BY name").fetchall()
        found, token = page(
            [(name, {"TemplateName": name, "CreatedTimestamp": created}) for name, created in rows],
            params,
            limits.TEMPLATE_PAGE,
        )
        return {"TemplatesMetadata": found} | ({"NextToken": token} if token else {})

    def test_render(self, params: Params) -> dict[str, Any]:
        """API_TestRenderEmailTemplate: the whole MIME message. A missing value is an error here, at once."""
        self._account.spend_template_call("TestRenderEmailTemplate")
        with self._state.transaction() as db:
            template = content.find_template(db, {"TemplateName": params["TemplateName"]})
        try:
            rendered = template.render(content.read_data(params["TemplateData"]))
        except RenderingError as error:
            raise BadRequestError(str(error)) from None
        now = datetime.fromtimestamp(self._account.now(), UTC)
        mail = message.Mail(
            "sender@local.invalid", (), (), (), rendered.subject, rendered.text, rendered.html
        )
        return {"RenderedTemplate": message.build(mail, events.new_id(now), now).raw.decode("ascii")}


def _parts(params: Params) -> tuple[str | None, str | None, str | None]:
    parts = params["TemplateContent"]
    return parts.get("Subject"), parts.get("Text"), parts.get("Html")
