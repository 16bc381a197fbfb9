"""Where everything lies in the table. Whatever is looked up by two names has an item under each.

    pk                            sk                     what
    SUBSCRIBER#<number // 1000>   <number>               a subscriber; its number is never used again
    ADDRESS#<key>                 HOLDER                 whose the address is: number, public id
                                  LEFT#<number>          whose it was before
                                  LETTER#<order>         a letter to it
    PERSON#<public id>            HOLDER                 its number
                                  LETTER#<order>         a request of its own for another address
    HISTORY#<0..f>                <public id>#<order>    what became of a subscription
    CONSENT#<0..f>                <public id>#<letter>   to what, when and from where somebody agreed
    SUPPRESSED#<0..f>             <address key>          why an address is never mailed
    ERASED#<0..f>                 <digest>               that an address was erased
    SEND                          <briefing>             one sending (sends.py)
    SEND#<briefing>#<draft>       PACKAGE                what is mailed
    SEND#…#<number // 10000>      BATCH#<first number>   at most 50 recipients (batch.py)
                                  LEFTOUT#<first number> who was left out when it was frozen
    TURN                          <book>#<number>        a sender's turn
    CANARY                        <id>                   a mail to SES's simulator
    STRAY                         <hash>                 what SES told of a mail that is not known yet
    LETTER#<id>                   LETTER                 one mail to one person that is not a briefing (letters.py)
    LETTERS, ASKED, CLAIMED       <order>                the letters there are, those that wait, those that are out
    CONFIRMATION                  <moment>#<id>          a confirmation letter, by when it was mailed
    MAILBOX#<hash>                <order>                a letter to any spelling of a mailbox
    MESSAGE#<SES's id>            LETTER                 which letter that mail was
    FORM                          <version>              the text of a form
    TALLY#<day>                   <limit>                how often something has happened; its stretch ends that day
    COUNT                         SUBSCRIBER | <month>   the last number; how many left in a month
    PACE                          <SES>                  up to when the account's time has been given out
    LEASE                         <what>                 who may do something alone (lease.py)
    SCHEMA                        VERSION                which version of all this it is (form.py)

Nothing is found by looking through all of the table, and there is no second index: one would be behind the table by
a moment, and the ledger decides by what is in it now.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

from newsletter.store.dynamodb.item import Key

_WIDTH = 12  # digits of a number, so that texts sort as numbers
_SUBSCRIBERS = 1_000  # numbers of subscribers in a partition
SHARD = 10_000  # numbers of recipients in a partition: DynamoDB writes to each a thousand times a second
_SPREAD = "0123456789abcdef"
SUBSCRIBER_COUNT: Key = ("COUNT", "SUBSCRIBER")


def digits(number: int) -> str:
    """A number as a sort key."""
    return f"{number:0{_WIDTH}d}"


def subscriber(number: int) -> Key:
    """A subscriber, by its number."""
    return f"SUBSCRIBER#{digits(number // _SUBSCRIBERS)}", digits(number)


def subscribers(first: int, last: int) -> Iterator[str]:
    """The partitions in which the subscribers from the one number to the other are, in their order."""
    start = first - first % _SUBSCRIBERS
    return (subscriber(number)[0] for number in range(start, last + 1, _SUBSCRIBERS))


def address(key: str) -> str:
    """The partition of an address, by its key."""
    return f"ADDRESS#{key}"


def holder_of_address(key: str) -> Key:
    """Whose an address is."""
    return address(key), "HOLDER"


def left(key: str, number: int) -> Key:
    """That an address was once a subscriber's."""
    return address(key), f"LEFT#{digits(number)}"


def person(public_id: bytes) -> str:
    """The partition of a public id."""
    return f"PERSON#{public_id.hex()}"


def holder_of_id(public_id: bytes) -> Key:
    """Whose a public id is."""
    return person(public_id), "HOLDER"


def history(public_id: bytes, at: str = "") -> Key:
    """What became of a subscription, at a place in the order of things."""
    return f"HISTORY#{public_id.hex()[:1]}", f"{public_id.hex()}#{at}"


def consent(public_id: bytes, letter_id: str = "") -> Key:
    """How somebody agreed, by the letter (in hex) whose link was used."""
    return f"CONSENT#{public_id.hex()[:1]}", f"{public_id.hex()}#{letter_id}"


def spread(name: str) -> Iterator[str]:
    """The partitions over which what has that name is spread."""
    return (f"{name}#{part}" for part in _SPREAD)


def suppression(key: str) -> Key:
    """Why an address is never mailed. Spread over partitions, since each claim asks for fifty."""
    return f"SUPPRESSED#{sha256(key.encode()).hexdigest()[0]}", key


def erased(digest: bytes) -> Key:
    """That an address was erased."""
    return f"ERASED#{digest.hex()[:1]}", digest.hex()


def send(briefing: str) -> Key:
    """One sending."""
    return "SEND", briefing


def package(briefing: str, draft: str) -> Key:
    """What is mailed."""
    return f"SEND#{briefing}#{draft}", "PACKAGE"


def shard(briefing: str, draft: str, number: int) -> str:
    """The partition in which that recipient of a sending is."""
    return f"SEND#{briefing}#{draft}#{digits(number // SHARD)}"


def shards(briefing: str, draft: str, last: int) -> Iterator[str]:
    """The partitions of a sending's recipients up to that number, in their order."""
    return (shard(briefing, draft, start) for start in range(0, last + 1, SHARD))


def turn(book: str, number: int) -> Key:
    """A sender's turn. `book` is under which name the ledger keeps those of a briefing."""
    return "TURN", f"{book}#{digits(number)}"


def pace(account: str) -> Key:
    """Up to when an account's time has been given out (shared_pace.py)."""
    return "PACE", account


def stray(message_id: str, kind: str, recipient: str) -> Key:
    """What SES told of a mail that is not known yet."""
    return "STRAY", sha256("\0".join((message_id, kind, recipient)).encode()).hexdigest()


def mailbox(digest: str) -> str:
    """The partition of a mailbox, by its hash."""
    return f"MAILBOX#{digest}"


def letter(letter_id: bytes) -> Key:
    """A letter."""
    return f"LETTER#{letter_id.hex()}", "LETTER"


def message(message_id: str) -> Key:
    """Which letter a mail was."""
    return f"MESSAGE#{message_id}", "LETTER"


def form(version: str) -> Key:
    """The text of a form."""
    return "FORM", version


def order() -> str:
    """What sorts behind everything that was made before it, on whatever machine whose clock is right."""
    return f"{time.time_ns():020d}#{secrets.token_hex(4)}"


def tally(key: str, seconds: int, stretch: int) -> Key:
    """How often something has happened in a stretch of time."""
    return tallies(datetime.fromtimestamp((stretch + 1) * seconds, UTC)), f"{key}#{seconds}#{stretch}"


def tallies(day: datetime) -> str:
    """The partition of what was counted in stretches that end on that day, in UTC."""
    return f"TALLY#{day.astimezone(UTC).date().isoformat()}"
