"""SendEmail and SendBulkEmail: from a checked request to accepted messages.

Which refusals concern the whole call and which one entry (BulkEmailEntryResult):
    whole call   the model's limits, number of entries, sender not verified, unknown configuration set or
                 template, headers, tags, default data, sending paused, rate, daily quota used up
    one entry    its addresses ("If a recipient email address is invalid, the entire message will be
                 rejected": API v1 SendBulkTemplatedEmail; a message is an entry), number of recipients, its
                 data (INVALID_PARAMETER, assumed); the daily quota reached on the way
                 (ACCOUNT_DAILY_QUOTA_EXCEEDED, assumed)
A value missing from the data refuses nothing: SUCCESS, and then an event (DG send-personalized-email-api).
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses
from typing import Any

from newsletter.local_ses import addresses, events, limits, message
from newsletter.local_ses.account import Account
from newsletter.local_ses.addresses import BadAddressError, MailAddress
from newsletter.local_ses.api_error import ApiError, BadRequestError, NotFoundError
from newsletter.local_ses.content import (
    Rendered,
    find_template,
    merge_data,
    read_attachments,
    read_data,
    read_headers,
    read_tags,
)
from newsletter.local_ses.events import Outcome
from newsletter.local_ses.faults import CallFaults, FaultPlan, Target
from newsletter.local_ses.mailbox import LineLog, Mailbox
from newsletter.local_ses.message import Attachment, Built, Header, Mail
from newsletter.local_ses.publisher import Publisher
from newsletter.local_ses.state import State
from newsletter.local_ses.template import RenderingError

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """Which call this is: the operation's name, its number since the start, and what the plan says."""

    operation: str
    number: int
    faults: CallFaults


@dataclass(frozen=True, slots=True)
class _Recipients:
    to: tuple[MailAddress, ...]
    cc: tuple[MailAddress, ...]
    bcc: tuple[MailAddress, ...]

    @property
    def all(self) -> tuple[MailAddress, ...]:
        return self.to + self.cc + self.bcc

    @property
    def bare(self) -> tuple[str, ...]:
        return tuple(one.bare for one in self.all)


@dataclass(frozen=True, slots=True)
class _Common:
    """What all messages of a call share."""

    sender: MailAddress
    identity: str
    configuration_set: str
    reply_to: tuple[str, ...] = ()
    template: str | None = None
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class _Draft:
    """One message before it is accepted. `content` is a failure's sentence, filled-in parts or raw bytes."""

    recipients: _Recipients
    tags: tuple[Header, ...]
    headers: tuple[Header, ...]
    content: Rendered | RenderingError | bytes


class Sending:
    """Accepts mail. Calls may come from any thread; accepting is done by one at a time."""

    def __init__(
        self,
        state: State,
        account: Account,
        mailbox: Mailbox,
        accept_log: LineLog,
        publisher: Publisher,
        plan: FaultPlan,
    ) -> None:
        self._state, self._account, self._mailbox = state, account, mailbox
        self._log, self._publisher, self._plan = accept_log, publisher, plan
        self._one_at_a_time = threading.Lock()

    def send_email(self, params: Params, call: Call) -> dict[str, Any]:
        """API_SendEmail."""
        _refuse_unsupported(params)
        if options := params.get("ListManagementOptions"):
            raise NotFoundError(f"List with name: {options['ContactListName']} doesn't exist.")
        tags = read_tags(params.get("EmailTags") or [])
        kinds = [kind for kind in ("Simple", "Raw", "Template") if params["Content"].get(kind) is not None]
        if len(kinds) != 1:
            raise BadRequestError("Content must have exactly one of Simple, Raw and Template.")
        content = params["Content"][kinds[0]]
        raw = base64.b64decode(content["Data"]) if kinds == ["Raw"] else b""
        sender, destination = params.get("FromEmailAddress"), params.get("Destination") or {}
        if raw:
            sender, destination = _from_headers(raw, sender, destination)
        try:
            recipients = _recipients(destination)
        except BadAddressError as error:
            raise BadRequestError(str(error)) from None
        with self._state.transaction() as db:
            common = self._common(db, params, sender)
            if kinds == ["Template"]:
                found = find_template(db, content)
                common = _with(common, found.name, read_attachments(content.get("Attachments") or []))
        body: Rendered | RenderingError | bytes
        headers: tuple[Header, ...] = ()
        if kinds == ["Raw"]:
            if not raw:
                raise BadRequestError("The raw message is empty.")
            body = raw
        elif kinds == ["Simple"]:
            headers = read_headers(content.get("Headers") or [])
            body = _simple(content)
            common = _with(common, None, read_attachments(content.get("Attachments") or []))
        else:
            headers = read_headers(content.get("Headers") or [])
            data = read_data(content.get("TemplateData"))
            try:
                body = found.render(data)
            except RenderingError as failure:
                body = failure
        self._account.check_recipients(recipients.all)
        self._account.spend_rate(len(recipients.all))
        self._account.check_quota()
        (message_id,) = self._accept([_Draft(recipients, tags, headers, body)], common, call)
        return {"MessageId": message_id}

    def send_bulk_email(self, params: Params, call: Call) -> dict[str, Any]:
        """API_SendBulkEmail."""
        _refuse_unsupported(params)
        entries: Sequence[Params] = params["BulkEmailEntries"]
        if not 1 <= len(entries) <= limits.BULK_ENTRIES:
            raise BadRequestError(
                "1 validation error detected: Value at 'bulkEmailEntries' failed to satisfy constraint: "
                f"Member must have length between 1 and {limits.BULK_ENTRIES}"
            )
        content = params["DefaultContent"].get("Template")
        if content is None:
            raise BadRequestError("DefaultContent must have a Template.")
        default_tags = read_tags(params.get("DefaultEmailTags") or [])
        default_headers = read_headers(content.get("Headers") or [])
        default_data = read_data(content.get("TemplateData"))
        with self._state.transaction() as db:
            common = self._common(db, params, params.get("FromEmailAddress"))
            template = find_template(db, content)
        common = _with(common, template.name, read_attachments(content.get("Attachments") or []))
        results: list[dict[str, str]] = [{} for _ in entries]
        drafts: dict[int, _Draft] = {}
        reported: dict[int, dict[str, str]] = {}
        for number, entry in enumerate(entries):
            # Tags and headers are checked for every entry before anything is accepted.
            tags = _merged_tags(default_tags, read_tags(entry.get("ReplacementTags") or []))
            headers = message.merge(default_headers, read_headers(entry.get("ReplacementHeaders") or []))
            try:
                recipients = _recipients(entry["Destination"])
                replacement = (entry.get("ReplacementEmailContent") or {}).get("ReplacementTemplate") or {}
                data = merge_data(default_data, read_data(replacement.get("ReplacementTemplateData")))
                self._account.check_recipients(recipients.all)
            except (BadAddressError, BadRequestError) as error:
                text = error.message if isinstance(error, ApiError) else str(error)
                results[number] = {"Status": "INVALID_PARAMETER", "Error": text}
                continue
            except ApiError as error:
                results[number] = {"Status": "MESSAGE_REJECTED", "Error": error.message}
                continue
            rule = call.faults.entry(number, Target(recipients.bare, dict(tags)))
            if rule:
                reported[number] = {"Status": str(rule.given.get("status", "FAILED"))}
                if error_text := rule.given.get("error"):
                    reported[number]["Error"] = str(error_text)
                if not rule.given.get("accept"):
                    continue
            body: Rendered | RenderingError
            try:
                body = template.render(data)
            except RenderingError as failure:
                body = failure
            drafts[number] = _Draft(recipients, tags, headers, body)
        if drafts:
            self._account.spend_rate(sum(len(draft.recipients.all) for draft in drafts.values()))
            self._account.check_quota()
        for number, message_id in zip(drafts, self._accept(list(drafts.values()), common, call), strict=True):
            results[number] = (
                {"Status": "SUCCESS", "MessageId": message_id}
                if message_id
                else {"Status": "ACCOUNT_DAILY_QUOTA_EXCEEDED", "Error": "Daily message quota exceeded."}
            )
        for number, result in reported.items():
            results[number] = result
        return {"BulkEmailEntryResults": results}

    def _common(self, db: sqlite3.Connection, params: Params, sender: str | None) -> _Common:
        if not sender:
            raise BadRequestError("Missing required field: FromEmailAddress.")
        try:
            address = addresses.read(sender)
            reply_to = tuple(addresses.read(one).shown for one in params.get("ReplyToAddresses") or ())
        except BadAddressError as error:
            raise BadRequestError(str(error)) from None
        identity = self._account.verified_identity(db, address)
        name = params.get("ConfigurationSetName") or ""
        if name and not db.execute("SELECT 1 FROM configuration_sets WHERE name = ?", (name,)).fetchone():
            raise NotFoundError(f"Configuration set <{name}> does not exist.")
        self._account.check_sending()
        return _Common(address, identity, name, reply_to)

    def _accept(self, drafts: Sequence[_Draft], common: _Common, call: Call) -> list[str]:
        """Accept drafts until the quota is used up; return a message id for each, "" where it was not."""
        now = datetime.fromtimestamp(self._account.now(), UTC)
        ids: list[str] = []
        lines: list[dict[str, Any]] = []
        with self._one_at_a_time, self._state.transaction() as db:
            for entry, draft in enumerate(drafts):
                counted = [one for one in draft.recipients.all if events.simulated(one.bare) is None]
                if not self._account.spend_quota(db, len(counted)):
                    ids.append("")
                    continue
                message_id = events.new_id(now)
                ids.append(message_id)
                lines += self._accept_one(db, draft, common, call, message_id, now, entry)
        self._log.append(lines)
        return ids

    def _accept_one(
        self,
        db: sqlite3.Connection,
        draft: _Draft,
        common: _Common,
        call: Call,
        message_id: str,
        now: datetime,
        entry: int,
    ) -> list[dict[str, Any]]:
        tags = dict(draft.tags)
        failed = isinstance(draft.content, RenderingError)
        outcomes = {
            one.bare: Outcome.RENDERING_FAILURE if failed else self._outcome(db, one, tags)
            for one in draft.recipients.all
        }
        built = _build(draft, common, message_id, now)
        # What goes to the mailbox simulator ends there, at AWS: a canary is no mail to look at.
        if any(
            outcome.reaches_a_server and events.simulated(address) is None
            for address, outcome in outcomes.items()
        ):
            self._mailbox.write(built.raw, message_id, now)
        subject = next((value for name, value in built.headers if name.lower() == "subject"), "")
        sent = events.Sent(
            message_id=message_id,
            at=now,
            source=common.sender.shown,
            identity_arn=self._account.identity_arn(common.identity),
            from_domain=common.sender.domain.lower(),
            destination=draft.recipients.bare,
            headers=built.headers,
            subject=subject,
            operation=call.operation,
            configuration_set=common.configuration_set,
            tags=draft.tags,
            template=common.template,
            from_addresses=(common.sender.shown,),
            to_addresses=tuple(one.shown for one in draft.recipients.to),
        )
        failure = str(draft.content) if isinstance(draft.content, RenderingError) else ""
        if common.configuration_set:
            for kind, address, record in events.records(sent, outcomes, failure):
                self._publisher.publish(db, common.configuration_set, kind, record, address, tags)
        for one in draft.recipients.all:
            # A real hard bounce or complaint puts the address on the account's list; the simulator's do not
            # (DG send-an-email-from-console#mailbox-simulator).
            reason = {Outcome.BOUNCED: "BOUNCE", Outcome.COMPLAINED: "COMPLAINT"}.get(outcomes[one.bare])
            if reason and events.simulated(one.bare) is None:
                self._account.suppress(db, one.bare, reason, message_id)
        content = _content_bytes(draft.content)
        return [
            {
                "time": events.stamp(now),
                "operation": call.operation,
                "call": call.number,
                "entry": entry,
                "message_id": message_id,
                "from": common.sender.bare,
                "to": address,
                "outcome": str(outcome),
                "tags": tags,
                "template": common.template,
                "configuration_set": common.configuration_set,
                "subject": subject,
                "body_sha256": hashlib.sha256(content).hexdigest(),
            }
            for address, outcome in outcomes.items()
        ]

    def _outcome(self, db: sqlite3.Connection, address: MailAddress, tags: Mapping[str, str]) -> Outcome:
        listed = self._account.suppression(db, address.key)
        if listed:
            return Outcome.SUPPRESSED_COMPLAINT if listed == "COMPLAINT" else Outcome.SUPPRESSED_BOUNCE
        natural = events.simulated(address.bare) or Outcome.DELIVERED
        return self._plan.outcome(address.bare, tags, natural)


def _build(draft: _Draft, common: _Common, message_id: str, now: datetime) -> Built:
    if isinstance(draft.content, RenderingError):
        return Built(b"", ())
    if isinstance(draft.content, bytes):
        built = message.restamp(draft.content, message_id, now)
    else:
        mail = Mail(
            sender=common.sender.shown,
            to=tuple(one.shown for one in draft.recipients.to),
            cc=tuple(one.shown for one in draft.recipients.cc),
            reply_to=common.reply_to,
            subject=draft.content.subject,
            text=draft.content.text,
            html=draft.content.html,
            headers=draft.headers,
            attachments=common.attachments,
        )
        built = message.build(mail, message_id, now)
    if len(built.raw) > limits.MESSAGE_BYTES:
        raise ApiError("MessageRejected", f"Message length is more than {limits.MESSAGE_BYTES} bytes long.")
    return built


def _content_bytes(content: Rendered | RenderingError | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, RenderingError):
        return b""
    return "\0".join((content.subject, content.text or "", content.html or "")).encode("utf-8", "replace")


def _with(common: _Common, template: str | None, attachments: tuple[Attachment, ...]) -> _Common:
    return _Common(
        common.sender, common.identity, common.configuration_set, common.reply_to, template, attachments
    )


def _refuse_unsupported(params: Params) -> None:
    for name in ("EndpointId", "TenantName"):
        if params.get(name):
            raise NotFoundError(f"{name} {params[name]} does not exist: the local SES has none.")


def _recipients(destination: Params) -> _Recipients:
    to, cc, bcc = (
        tuple(addresses.read(one) for one in destination.get(kind) or ())
        for kind in ("ToAddresses", "CcAddresses", "BccAddresses")
    )
    found = _Recipients(to, cc, bcc)
    if not found.all:
        raise BadAddressError("Destination has no recipient.")
    if len(found.all) > limits.MESSAGE_RECIPIENTS:
        raise BadAddressError(f"Recipient count exceeds {limits.MESSAGE_RECIPIENTS}.")
    return found


def _merged_tags(default: tuple[Header, ...], replacement: tuple[Header, ...]) -> tuple[Header, ...]:
    return tuple({**dict(default), **dict(replacement)}.items())


def _simple(content: Params) -> Rendered:
    subject = content["Subject"]["Data"]
    if "\r" in subject or "\n" in subject:
        raise BadRequestError("The subject contains a line break.")  # assumed; it must never become a header
    text, html = (
        part["Data"] if (part := content["Body"].get(kind)) is not None else None for kind in ("Text", "Html")
    )
    if not text and not html:
        raise BadRequestError("The message has no content: Body needs Text or Html.")
    return Rendered(subject, text or None, html or None)


def _from_headers(raw: bytes, sender: str | None, destination: Params) -> tuple[str | None, Params]:
    """API_RawMessage: the From header stands for FromEmailAddress, To, Cc and Bcc for Destination."""
    head = BytesHeaderParser(policy=compat32).parsebytes(raw)
    if not head.items():
        raise BadRequestError("The raw message has no headers.")
    if not any(destination.values()):
        destination = {
            f"{name}Addresses": [
                address for _, address in getaddresses([str(value) for value in head.get_all(name, [])])
            ]
            for name in ("To", "Cc", "Bcc")
        }
    return sender or head.get("From"), destination
