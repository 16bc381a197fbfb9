"""How often a stranger may knock: which limits a letter counts against, and how high they are.

    the address        a keyed hash of it, Gmail's spellings of one mailbox as one
    the network        a keyed hash of an IPv4 address, or of the first 64 bits of an IPv6 one
    everybody          one count for each kind of letter; who has solved a puzzle counts apart

The counts are kept in the store, so that a restart forgets none; what is kept says nothing of whose they are.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from newsletter.store.door import Letter, LetterKind, Limit
from newsletter.tokens import keyed_hash

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_GMAIL = {"gmail.com", "googlemail.com"}


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many letters of one kind are kept.

    A household or an office shares an IPv4 address, a mobile network shares one among hundreds: so an hour's number
    is what a small crowd needs, and the day's keeps a robot from using it every hour. `hour` is for everybody who
    has solved no puzzle; `proven` for everybody who has.
    """

    address_day: int = 3
    network_hour: int = 10
    network_day: int = 30
    hour: int = 1000
    proven: int = 3000
    subscriber_day: int = 5


USUAL = Numbers()
# The house reads what comes: a flood of messages would bury the true ones, and each visitor has few to write.
MESSAGES = Numbers(address_day=10, network_hour=5, network_day=10, hour=60, proven=120)


def limits(
    letter: Letter, key: bytes, proven: bool = False, numbers: Numbers | None = None
) -> tuple[Limit, ...]:
    """What a letter counts against. `key` is the newest secret key, `proven` whether a puzzle was solved for it.

    The limit of an address is quiet: who is told of it would learn that others have typed that address. But a message
    that is not kept its writer must know of.
    """
    contact = letter.kind is LetterKind.CONTACT
    numbers = numbers or (MESSAGES if contact else USUAL)
    kind = str(letter.kind)
    address = letter.words.get("email", "").lower() if contact else letter.to.key
    by_address = _blind(f"{kind} by address", mailbox(address), key)
    by_network = _blind(f"{kind} by network", network(letter.ip), key)
    found = [
        everybody(letter.kind, proven, numbers),
        Limit(by_network, numbers.network_hour, _HOUR),
        Limit(by_network, numbers.network_day, _DAY),
    ]
    if letter.kind is LetterKind.CHANGE:
        by_subscriber = _blind(f"{kind} by subscriber", letter.subscriber.hex(), key)
        found.append(Limit(by_subscriber, numbers.subscriber_day, _DAY))
    if address:
        found.append(Limit(by_address, numbers.address_day, _DAY, quiet=not contact))
    return tuple(found)


def everybody(kind: LetterKind, proven: bool = False, numbers: Numbers | None = None) -> Limit:
    """The limit that all letters of a kind share. Where `store.counted` comes near it, visitors need a puzzle."""
    numbers = numbers or (MESSAGES if kind is LetterKind.CONTACT else USUAL)
    return (
        Limit(f"{kind}, proven", numbers.proven, _HOUR) if proven else Limit(str(kind), numbers.hour, _HOUR)
    )


def mailbox(address_key: str) -> str:
    """One name for all spellings of a mailbox, to count by and for nothing else: Gmail drops dots and +tags.

    ("Dots don't matter in Gmail addresses", support.google.com/mail/answer/7436150.)
    """
    local, _, domain = address_key.rpartition("@")
    if domain in _GMAIL:
        return f"{local.partition('+')[0].replace('.', '')}@gmail.com"
    return address_key


def network(ip: str) -> str:
    """Whose an IP address is, as far as one can tell: an IPv4 address is one visitor, an IPv6 one is one of 2**64 that
    every household has. "" for a text that is none, and all those count together.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)


def _blind(use: str, text: str, key: bytes) -> str:
    return keyed_hash(use, text, key).hex()
