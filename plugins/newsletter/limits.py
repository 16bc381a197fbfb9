"""How often a stranger may knock: which limits a letter counts against, and how high they are.

    the address        a keyed hash of it, the spellings of one mailbox as one
    the network        a keyed hash of an IPv4 address, or of the first 64 bits of an IPv6 one
    those around it    the same of what one customer of a hoster may hold: a /24 of IPv4, a /56 and a /48 of IPv6
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
# How often a network's numbers the networks around it have together, by IP version and length of the prefix. RFC 6177
# has a site given a /48 to a /64, so one machine can write from 65,536 of the networks of `network`.
_AROUND = {4: {24: 6}, 6: {56: 3, 48: 6}}


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many letters of one kind are kept.

    A household or an office shares an IPv4 address, a mobile network shares one among hundreds: so an hour's number
    is what a small crowd needs, and the day's keeps a robot from using it every hour. `hour` is for everybody who
    has solved no puzzle; `proven` for everybody who has. `mailed_hour` is how many confirmation letters the postman mails in an hour,
    whatever was let in: what a reader never asked for costs the sender's good name.
    """

    address_day: int = 3
    network_hour: int = 10
    network_day: int = 30
    hour: int = 300
    proven: int = 3000
    subscriber_day: int = 5
    mailed_hour: int = 600


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
    found = [everybody(letter.kind, proven, numbers)]
    for place, times in networks(letter.ip).items():
        by_network = _blind(f"{kind} by network", place, key)
        found.append(Limit(by_network, numbers.network_hour * times, _HOUR))
        found.append(Limit(by_network, numbers.network_day * times, _DAY))
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


def counted_as(letter: Letter, key: bytes) -> str:
    """What the postman counts a letter's reader by: a keyed hash of the mailbox; "" for the house."""
    return "" if letter.kind is LetterKind.CONTACT else _blind("mailbox", mailbox(letter.to.key), key)


def mailbox(address_key: str) -> str:
    """One name for all spellings of a mailbox, to count by and for nothing else.

    A +tag is cut off, since most providers deliver such mail to one mailbox (RFC 5233), and where one does not, two
    neighbours share a count. Gmail drops dots too ("Dots don't matter in Gmail addresses",
    support.google.com/mail/answer/7436150).
    """
    local, _, domain = address_key.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _GMAIL:
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def network(ip: str) -> str:
    """Whose an IP address is, as far as one can tell: an IPv4 address is one visitor, an IPv6 one is one of 2**64 that
    every household has. "" for a text that is none, and all those count together.
    """
    return next(iter(networks(ip)))


def networks(ip: str) -> dict[str, int]:
    """That network, and after it those around it; each with how often a network's numbers it has."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return {"": 1}
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or ipaddress.IPv6Address(
            int(address)
        )  # without the name of an interface
    prefixes = {32 if address.version == 4 else 64: 1, **_AROUND[address.version]}
    return {
        str(ipaddress.ip_network((address, bits), strict=False)): times for bits, times in prefixes.items()
    }


def _blind(use: str, text: str, key: bytes) -> str:
    return keyed_hash(use, text, key).hex()
