"""A test mail: the very mail, to a few people who are named beforehand, outside the ledger.

It cannot reach a subscriber: nothing here knows of a store (pyproject.toml holds it to that), and whoever is not
among the testers of publication.toml is refused before anybody is mailed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from newsletter import address
from newsletter.address import Address
from newsletter.errors import AddressError, SettingsError
from newsletter.models import Package
from newsletter.pace import patiently
from newsletter.package import content_hash
from newsletter.ses.submit import Entry, EntryResult, Quota

# The tag `briefing` of a test mail; no month is written like it, so its events change nothing in the ledger.
TEST = "test"


class Mailer(Protocol):
    """What a test mail needs of SES; `ses.submit.Ses` is it."""

    def quota(self) -> Quota:
        """What the account may send."""
        ...

    def store_template(self, name: str, package: Package) -> None:
        """Store what is mailed."""
        ...

    def submit(
        self, template: str, package: Package, entries: Sequence[Entry], tags: dict[str, str]
    ) -> list[EntryResult]:
        """One POST."""
        ...


def allowed(wanted: Sequence[str], testers: Sequence[str]) -> list[Address]:
    """The testers among `testers` whom `wanted` names, each once, written as in publication.toml.

    Raises SettingsError naming every address that is not one of them; then nobody is mailed.
    """
    known = {tester.key: tester for tester in map(_parsed, testers)}
    if not known:
        raise SettingsError(
            "publication.toml: mail.testers: nobody is named, so a test mail may go to nobody. Write "
            'testers = ["you@example.org"] under [mail].'
        )
    keys = dict.fromkeys(_parsed(words).key for words in wanted)
    if strangers := [key for key in keys if key not in known]:
        raise SettingsError(
            f"{', '.join(strangers)}: not among the testers, so nobody was mailed. Testers are "
            f"{', '.join(tester.text for tester in known.values())}; add to them in publication.toml, mail.testers."
        )
    return [known[key] for key in keys]


def rehearse(
    package: Package,
    testers: Sequence[Address],
    unsubscribe: Callable[[bytes], str],
    mailer: Mailer,
    pause: Callable[[float], None],
) -> list[tuple[Address, EntryResult]]:
    """Submit `package` to the testers as it would be submitted to a subscriber, its subject marked "[Test]".

    `unsubscribe` makes a subscriber's link of a public id; here of a random one, which is nobody's. Raises SesError.
    """
    marked = replace(package, subject=f"[Test] {package.subject}")
    marked = replace(marked, content_hash=content_hash(marked))
    template = f"{TEST}-{marked.month}-{marked.content_hash[:16]}"
    quota = mailer.quota()
    patiently(lambda: mailer.store_template(template, marked), pause)
    results: list[EntryResult] = []
    for start in range(0, len(testers), quota.batch):
        if start:
            pause(1.0)  # SES counts recipients a second, and a call is as large as it allows
        entries = [
            _entry(number, tester.text, unsubscribe(secrets.token_bytes(16)))
            for number, tester in enumerate(testers[start : start + quota.batch], start=start)
        ]
        tags = {"briefing": TEST, "attempt": secrets.token_hex(16)}
        results += mailer.submit(template, marked, entries, tags)
    return list(zip(testers, results, strict=True))


def _entry(number: int, to: str, link: str) -> Entry:
    return Entry(
        to=to,
        data={"unsubscribe_url": link},
        headers={"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        tags={"recipient": str(number)},
    )


def _parsed(words: str) -> Address:
    try:
        return address.parse(words)
    except AddressError as error:
        raise SettingsError(f"{words}: {error}") from None
