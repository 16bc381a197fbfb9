"""One mail to one person through SES v2: SendEmail, for the letters of the door.

One call is one POST, as in submit.py, and an answer means the same. The content is "Simple": SES itself makes the
message of it, so that no text of a visitor ever meets a header (Python 3.11's EmailMessage would decode an encoded
word in one to a line break: cpython gh-121650).

Source: API reference of SendEmail (docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from newsletter.errors import Ambiguous
from newsletter.ses.submit import Ses


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, complete. `sender` is an RFC 5322 mailbox, `to` and `reply_to` are bare addresses ("" for none)."""

    sender: str
    to: str
    reply_to: str
    subject: str
    text: str
    html: str


# Answering machines leave such mail alone (RFC 3834 section 5), and so nobody's answer comes back to the door.
_HEADERS = {"Auto-Submitted": "auto-generated"}


class Post(Ses):
    """The operation the postman needs."""

    def mail(self, mail: Mail, tags: Mapping[str, str]) -> str:
        """Ask SES, once, to mail it; SES's name for the mail. `tags` come back in SES's events.

        Raises Refused (Throttled) when it was not accepted, Ambiguous when that cannot be known.
        """
        request: dict[str, Any] = {
            "FromEmailAddress": mail.sender,
            "Destination": {"ToAddresses": [mail.to]},
            "ReplyToAddresses": [mail.reply_to] if mail.reply_to else [],
            "Content": {
                "Simple": {
                    "Subject": _utf8(mail.subject),
                    "Body": {"Text": _utf8(mail.text), "Html": _utf8(mail.html)},
                    "Headers": _pairs(_HEADERS),
                }
            },
            "EmailTags": _pairs(tags),
        }
        if self._configuration_set:
            request["ConfigurationSetName"] = self._configuration_set
        message_id = self._call(self._client.send_email, **request).get("MessageId")
        if not isinstance(message_id, str) or not message_id:
            raise Ambiguous("SES answered without a name for the mail.")
        return message_id


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _pairs(mapping: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in mapping.items()]
