"""SES's limits that botocore's model does not carry, in one place, each with its source.

DG is https://docs.aws.amazon.com/ses/latest/dg/ and API is
https://docs.aws.amazon.com/ses/latest/APIReference-V2/. What the model has (15 headers, header names and
values, template data, enums) is read from the model at run time (shapes.py).
"""

from __future__ import annotations

import re

BULK_ENTRIES = 50  # API_SendBulkEmail: up to 50 Destination objects a call
MESSAGE_RECIPIENTS = 50  # DG quotas: To, Cc and Bcc of one message together
HEADER_NAME_AND_VALUE = 996  # API_MessageHeader: name and value together
TAG = re.compile(
    r"[A-Za-z0-9_-]{1,256}"
)  # API_MessageTag: letters, digits, _ and -, less than 256 "or equal"
TEMPLATE_BYTES = 500 * 1024  # DG quotas: stored template, "including text and HTML parts"
INLINE_BYTES = 1024 * 1024  # DG send-personalized-email-api: the whole input with an inline template
MESSAGE_BYTES = 40 * 1024 * 1024  # DG quotas: API v2, the message with attachments after encoding
TEMPLATES = 20_000  # DG quotas: templates in a Region
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # API_CreateConfigurationSet: letters, digits, _ and -, 64 at most
TEMPLATE_NAME = re.compile(
    r"[A-Za-z0-9_-]{1,64}"
)  # API_CreateEmailTemplate, the same rule (assumed for length)
PAGE = 1000  # API_ListSuppressedDestinations PageSize; ListEmailTemplates allows 100
TEMPLATE_PAGE = 100  # API_ListEmailTemplates: "at least 1 and no more than 100"
DAY = 86_400.0  # DG manage-sending-quotas: the quota's window is 24 rolling hours

# DG header-fields: set by SES itself, refused as a custom header of Simple, Template and bulk mail.
DISALLOWED_HEADERS = frozenset(
    [
        "bcc",
        "cc",
        "content-disposition",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "reply-to",
        "return-path",
        "subject",
        "to",
    ]
)

# DG send-an-email-from-console#mailbox-simulator: counts to the rate, not to the daily quota.
SIMULATOR = "simulator.amazonses.com"
