"""How other services write their lists down: one description each, recognised by the names of its columns.

What a line says of a person is one word in most of them, the file it stands in for Mailchimp, a moment of leaving in
some. A word here never says more than there: whom a service does not mail is not confirmed, and where it is silent
about consent (listmonk) the operator must vouch. tests/lists/ has a file of each, and where its columns are known from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from newsletter.store.lists import Listed
from newsletter.store.people import Subscription


class Said(NamedTuple):
    """What a list says of somebody. `subscription` is None where it does not say whether they agreed to be mailed;
    `suppressed` is the reason never to mail them again, "" for none.
    """

    subscription: Subscription | None
    suppressed: str = ""


CONFIRMED = Said(Subscription.CONFIRMED)
PENDING = Said(Subscription.PENDING)
LEFT = Said(Subscription.UNSUBSCRIBED)
BOUNCED = Said(Subscription.UNSUBSCRIBED, "hard_bounce")
COMPLAINED = Said(Subscription.UNSUBSCRIBED, "complaint")
BLOCKED = Said(Subscription.UNSUBSCRIBED, "operator")
UNSAID = Said(None)

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True, slots=True)
class ListFormat:
    """One service's export. All names of columns and all words are in small letters.

    `signs` are sets of columns; a file that has all of one set is this service's. `columns` are the names that a
    field of ours may have there, the surest first. What is said of a person is, in this order, what `whole` has for a
    column that only files of such people have, what `marks` has for the first column whose cell is filled in, and
    what `words` has for the word in the column "status". `refused` has endings of addresses that are nobody's,
    `unwanted` beginnings of names of files in which nobody has agreed to anything, each with the reason. `note` is what
    the operator should know of such files. `exact` is true of our own alone: its texts are kept to the letter.
    """

    name: str
    signs: tuple[frozenset[str], ...]
    columns: Mapping[str, Sequence[str]]
    words: Mapping[str, Said] = field(default_factory=dict)
    whole: Mapping[str, Said] = field(default_factory=dict)
    marks: Mapping[str, Said] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    unwanted: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """What the first line of a file tells: its columns, as they are written there, and the format."""

    columns: tuple[str, ...]
    form: ListFormat

    def place(self, field_of_ours: str) -> int:
        """Where a field of ours is; -1 for nowhere."""
        found = names(self.columns)
        known = next((each for each in self.form.columns.get(field_of_ours, ()) if each in found), None)
        return -1 if known is None else found.index(known)

    def whole(self) -> Said | None:
        """What is said of everyone in the file."""
        return next((said for name, said in self.form.whole.items() if name in names(self.columns)), None)

    def marks(self) -> list[tuple[int, Said]]:
        """The places whose cells say something by being filled in."""
        found = names(self.columns)
        return [(found.index(name), said) for name, said in self.form.marks.items() if name in found]

    def read(self) -> list[str]:
        """The columns that mean something to us, as they are written in the file."""
        ours = {name for choices in self.form.columns.values() for name in choices}
        return [name for name in self.columns if name.strip().lower() in ours]

    def signs(self) -> list[str]:
        """The columns by which the format is known, as they are written in the file."""
        signs = _signs(self.form, names(self.columns)) | (self.form.whole.keys() & set(names(self.columns)))
        return [name for name in self.columns if name.strip().lower() in signs]


def _words(*kinds: tuple[Said, Sequence[str]]) -> dict[str, Said]:
    return {word: said for said, words in kinds for word in words}


STATUSES = _words(
    (CONFIRMED, ("confirmed", "subscribed", "active", "enabled")),
    (PENDING, ("pending", "unconfirmed", "unactivated")),
    (LEFT, ("unsubscribed", "inactive", "cancelled", "disabled", "removed")),
    (BOUNCED, ("bounced", "cleaned", "undeliverable")),
    (COMPLAINED, ("complained",)),
    (BLOCKED, ("suppressed", "blocklisted", "blocked")),
)

OWN = ListFormat(
    name="our own export",
    signs=(frozenset({"email", "paused_until", "suppressed", "form_text"}),),
    columns={name: (name,) for name in Listed._fields},
    words=STATUSES,
    exact=True,
)

PLAIN = ListFormat(
    name="plain",
    signs=(),
    columns={
        # Mailchimp's "Address" is a street where there is an "Email Address".
        "email": ("email", "e-mail", "email address", "email_address", "address"),
        "status": ("status", "subscription"),
        "name": ("name", "full name"),
        "first": ("first name", "first_name"),
        "last": ("last name", "last_name"),
        "subscribed_at": ("subscribed_at", "created_at"),
        "confirmed_at": ("confirmed_at", "optin_time"),
        "source": ("source",),
    },
    words=STATUSES,
)

MAILCHIMP = ListFormat(
    name="Mailchimp",
    signs=(frozenset({"email address", "leid", "euid"}), frozenset({"email address", "member_rating"})),
    columns={
        "email": ("email address",),
        "first": ("first name",),
        "last": ("last name",),
        "subscribed_at": ("optin_time",),
        "confirmed_at": ("confirm_time",),
    },
    # It writes a file for each kind of contact; the status is nowhere but in what else the file has.
    whole={"clean_time": BOUNCED, "unsub_time": LEFT},
    marks={"confirm_time": CONFIRMED, "optin_time": CONFIRMED},
    unwanted={"nonsubscribed": "Mailchimp's non-subscribed contacts have never asked for mail"},
)

SUBSTACK = ListFormat(
    name="Substack",
    signs=(frozenset({"email", "email_disabled"}), frozenset({"email", "active_subscription", "expiry"})),
    columns={
        "email": ("email",),
        "name": ("name",),
        "status": ("email_disabled",),
        "subscribed_at": ("created_at",),
    },
    words=_words((LEFT, _TRUE), (CONFIRMED, _FALSE)),
    refused={"@deletion-request.substack.com": "had Substack delete the account"},
)

GHOST = ListFormat(
    name="Ghost",
    signs=(frozenset({"email", "subscribed_to_emails"}),),
    columns={
        "email": ("email",),
        "name": ("name",),
        "status": ("subscribed_to_emails",),
        "subscribed_at": ("created_at",),
    },
    words=_words((CONFIRMED, _TRUE), (LEFT, _FALSE)),
    marks={"deleted_at": LEFT},
)

LISTMONK = ListFormat(
    name="listmonk",
    signs=(frozenset({"uuid", "email", "attributes", "status"}),),
    columns={"email": ("email",), "name": ("name",), "status": ("status",), "subscribed_at": ("created_at",)},
    words={"enabled": UNSAID, "disabled": LEFT, "blocklisted": BLOCKED},
    note="listmonk does not export who has confirmed or left a list: export each list by its subscription status, "
    "and vouch with --confirmed for the confirmed alone",
)

BUTTONDOWN = ListFormat(
    name="Buttondown",
    signs=(
        frozenset({"email_address", "type", "creation_date"}),
        frozenset({"email", "subscriber_type", "creation_date"}),
    ),
    columns={
        "email": ("email_address", "email"),
        "status": ("type", "subscriber_type"),
        "subscribed_at": ("creation_date",),
        "source": ("source",),
    },
    words=_words(
        (
            CONFIRMED,
            ("regular", "premium", "gifted", "trialed", "churning", "past_due", "paused", "upgrading"),
        ),
        # It does not mail these: they have not confirmed, or not paid.
        (PENDING, ("unactivated", "unpaid", "churned")),
        (LEFT, ("unsubscribed", "removed", "disabled")),
        (BOUNCED, ("undeliverable", "malformed")),
        (COMPLAINED, ("complained",)),
        (BLOCKED, ("blocked", "spammy", "disposable")),
    ),
)

BEEHIIV = ListFormat(
    name="beehiiv",
    signs=(
        frozenset({"email", "status", "tier", "created_at"}),
        frozenset({"email", "status", "subscription_tier"}),
        frozenset({"email", "status", "acquisition_source"}),
    ),
    columns={
        "email": ("email",),
        "name": ("name",),
        "first": ("first name", "first_name"),
        "last": ("last name", "last_name"),
        "status": ("status",),
        "subscribed_at": ("created_at",),
        "source": ("acquisition_source", "utm_source"),
    },
    words=_words(
        (CONFIRMED, ("active",)),
        (PENDING, ("pending", "validating", "needs_attention", "paused")),
        (LEFT, ("inactive", "unsubscribed", "deleted")),
        (BOUNCED, ("invalid",)),
    ),
    marks={"unsubscribed_at": LEFT},
)

FORMATS = {
    "own": OWN,
    **{form.name.lower(): form for form in (MAILCHIMP, SUBSTACK, GHOST, LISTMONK, BUTTONDOWN, BEEHIIV)},
    "plain": PLAIN,
}
"""By the name that is typed, in the order in which they are tried."""


def names(columns: Sequence[str]) -> list[str]:
    """The names of columns as formats have them."""
    return [column.strip().lower() for column in columns]


def recognise(columns: Sequence[str]) -> ListFormat:
    """The format of a file that has these columns."""
    return next((form for form in FORMATS.values() if _signs(form, names(columns))), PLAIN)


def _signs(form: ListFormat, found: Sequence[str]) -> frozenset[str]:
    return next((signs for signs in form.signs if signs.issubset(found)), frozenset())
