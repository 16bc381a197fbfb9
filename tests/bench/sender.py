"""What `make bench-send` measures, each in a process of its own: `sender.py ROLE` with JSON on standard input.

The answer is a line of JSON. CPU is of the whole process, user and system, in seconds; memory is its peak in MB.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import smtplib
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

SITE = "https://briefing.example.org"
MONTH = "2020-10"
KEYS = (b"k" * 32,)
# As much as a briefing of five analyses comes to; of one such mail most is the HTML.
HTML_BYTES, TEXT_BYTES = 38_000, 8_000
PLAIN = """
INSERT INTO plain SELECT ?, id, id, public_id, address, address_key, 'pending', NULL, '', '', 0, ? FROM subscriber
"""


def now() -> datetime:
    return datetime.now(UTC)


def package() -> Any:
    """A briefing of the usual size, in made-up words."""
    from newsletter.models import Package
    from newsletter.package import content_hash

    link = "{{unsubscribe_url}}"
    html = f'<html><body>{_words(HTML_BYTES)}<a href="{link}">Unsubscribe</a></body></html>'
    facts = {
        "month": MONTH, "title": "Monthly briefing", "subject": "What to expect in October", "preheader": "One line.",
        "sender": "Monthly Briefing <briefing@example.org>", "reply_to": "desk@example.org", "html": html,
        "text": f"{_words(TEXT_BYTES)}\nUnsubscribe: {link}\n", "placeholders": ("unsubscribe_url",),
        "headers": {"List-Id": "Monthly Briefing <briefing.example.org>", "Precedence": "bulk"}, "url": f"{SITE}/b/",
    }  # fmt: skip
    made = Package(**facts, content_hash="")
    return Package(**facts, content_hash=content_hash(made))


def _words(size: int) -> str:
    chance, text = random.Random(size), ""  # noqa: S311 - not a secret
    letters = "abcdefghijklmnopqrstuvwxyz"
    while len(text) < size:
        line = " ".join("".join(chance.choices(letters, k=chance.randint(2, 11))) for _ in range(12))
        text += f"{line}\n"
    return text[:size]


def import_(order: dict[str, Any]) -> dict[str, Any]:
    """`newsletter subscribers import`, as it is."""
    from newsletter import tokens
    from newsletter.list_import import Fate, Intake
    from newsletter.store import open_store
    from newsletter.subscriber_list import SubscriberList

    rows, store = SubscriberList(Path(order["file"])), open_store(order["url"])
    intake = Intake(
        store, lambda key: tokens.digests(key, KEYS), now(), "import of list.csv", lambda refused: None
    )
    for _ in intake.take(rows.lines()):
        pass
    return {"added": intake.fates[Fate.ADDED]}


def freeze(order: dict[str, Any]) -> dict[str, Any]:
    from newsletter.store import open_store

    store, mail = open_store(order["url"]), package()
    spent = _spent(lambda: store.freeze(mail, now()))
    return {"freeze": spent, "recipients": store.counts(MONTH).recipients}


def plain(order: dict[str, Any]) -> dict[str, Any]:
    """The same columns by one INSERT … SELECT into a table without any index, in the same kind of file."""
    from newsletter.store import open_store

    store = open_store(order["url"])
    db: sqlite3.Connection = store.db  # type: ignore[attr-defined]
    db.execute(
        "CREATE TABLE plain (briefing TEXT, number INTEGER, subscriber INTEGER, public_id BLOB, address TEXT, "
        "address_key TEXT, state TEXT, attempt TEXT, message_id TEXT, evidence TEXT, tries INTEGER, changed_at TEXT)"
    )
    return {"freeze": _spent(lambda: db.execute(PLAIN, (MONTH, now().isoformat())))}


def send(order: dict[str, Any]) -> dict[str, Any]:
    """The real sender. With `kill_after` calls it dies after the answer and before it is written down."""
    from newsletter.delivery import Delivery, Links
    from newsletter.ses.submit import Ses
    from newsletter.store import open_store

    began = time.monotonic()
    first: dict[str, Any] = {}

    class Watched(Ses):
        calls = 0

        def submit(self, *words: Any) -> Any:
            if not first:
                first.update(start=time.process_time(), start_wall=time.monotonic() - began)
            results = super().submit(*words)
            self.calls += 1
            if self.calls == order.get("kill_after"):
                print(json.dumps(first | _usage()), flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            return results

    store = open_store(order["url"])
    with store.sending(MONTH):
        links = Links(SITE, KEYS)
        report = Delivery(store, Watched("newsletter"), links, now, lambda seconds: None).run(package())
    return {**first, "states": {str(state): count for state, count in report.counts.states.items()}}


def single(order: dict[str, Any]) -> dict[str, Any]:
    """The same mail by one SendEmail a recipient: the same client, the content in each call."""
    from newsletter.ses.submit import Ses

    client, mail = Ses("newsletter")._client, package()

    def one(address: str, link: str) -> None:
        subject, html, text = ({"Data": _filled(part, link)} for part in (mail.subject, mail.html, mail.text))
        headers = {
            **mail.headers,
            "List-Unsubscribe": f"<{link}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        client.send_email(
            FromEmailAddress=mail.sender, ReplyToAddresses=[mail.reply_to], ConfigurationSetName="newsletter",
            Destination={"ToAddresses": [address]}, EmailTags=[{"Name": "briefing", "Value": MONTH}],
            Content={"Simple": {"Subject": subject, "Body": {"Html": html, "Text": text},
                                "Headers": [{"Name": name, "Value": value} for name, value in headers.items()]}},
        )  # fmt: skip

    return _each(order, one)


def smtp(order: dict[str, Any]) -> dict[str, Any]:
    """The same mail by SMTP, each made with the standard library. `keep`: one connection for all of them."""
    mail = package()
    server = smtplib.SMTP("127.0.0.1", order["smtp"]) if order["keep"] else None

    def one(address: str, link: str) -> None:
        message = _message(mail, address, link)
        if server:
            server.send_message(message)
        else:
            with smtplib.SMTP("127.0.0.1", order["smtp"]) as own:
                own.send_message(message)

    return _each(order, one)


def smtp_ready(order: dict[str, Any]) -> dict[str, Any]:
    """By SMTP as cheap as it can be: one connection, the mail made once, two places of it replaced."""
    mail, place = package(), "https://place.example.org/" + "p" * 60
    made = _message(mail, "place@example.org", place).as_bytes(policy=policy.SMTP).replace(b"=\r\n", b"")
    server = smtplib.SMTP("127.0.0.1", order["smtp"])

    def one(address: str, link: str) -> None:
        ready = made.replace(b"place@example.org", address.encode()).replace(place.encode(), link.encode())
        server.sendmail("briefing@example.org", [address], ready)

    return _each(order, one)


def _message(mail: Any, address: str, link: str) -> EmailMessage:
    message = EmailMessage()
    headers = {
        "Subject": mail.subject,
        "From": mail.sender,
        "To": address,
        "Reply-To": mail.reply_to,
        **mail.headers,
    }
    for name, value in headers.items():
        message[name] = value
    message["List-Unsubscribe"], message["List-Unsubscribe-Post"] = f"<{link}>", "List-Unsubscribe=One-Click"
    message.set_content(_filled(mail.text, link))
    message.add_alternative(_filled(mail.html, link), subtype="html")
    return message


def _filled(text: str, link: str) -> str:
    return text.replace("{{unsubscribe_url}}", link)


def _each(order: dict[str, Any], one: Callable[[str, str], None]) -> dict[str, Any]:
    """Mail to so many recipients; only the CPU of that counts, without start-up and without a ledger."""
    from newsletter.tokens import Purpose, mint

    def link() -> str:
        return f"{SITE}/u/{mint(Purpose.UNSUBSCRIBE, os.urandom(16), KEYS)}"

    one("first@example.org", link())  # loads what is loaded once
    count = order["count"]
    addresses: Sequence[str] = [f"reader{number}@example.org" for number in range(count)]
    return {"each": _spent(lambda: [one(address, link()) for address in addresses]) / count}


def _spent(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _usage() -> dict[str, float]:
    return {"cpu": time.process_time(), "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


ROLES = {"import": import_, "freeze": freeze, "plain": plain, "send": send, "single": single, "smtp": smtp,
         "smtp_ready": smtp_ready}  # fmt: skip

if __name__ == "__main__":
    answer = ROLES[sys.argv[1]](json.load(sys.stdin))
    print(json.dumps(answer | _usage()))
