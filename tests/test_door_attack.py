"""An attack on the sign-up form: 10,000 forms from 1,000 networks at one moment, through a proxy that is trusted.

The attackers know all that a stranger can: they say what a browser says, make addresses of their own up, change them
within their networks, forge forwarding headers, spell one mailbox in many ways, and some of them do the work that the
form asks for, and hand it in again and again. Visitors come in between, from elsewhere.
"""

from __future__ import annotations

import random
import re
import resource
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

import pytest

from newsletter import tokens
from newsletter.correspondence import Correspondence
from newsletter.door.stamps import _USES, MOST
from newsletter.limits import USUAL, mailbox
from newsletter.postman import Postman
from newsletter.show import table
from tests.conftest import Clock
from tests.door_world import HOST, DoorWorld, door
from tests.local_ses_world import World, world
from tests.test_postman import FACTS, KEYS, TEMPLATES, _Post

FORMS, NETWORKS, VISITORS, SOLVERS = 10_000, 1_000, 20, 10
VICTIMS = [f"victim{number}@example.org" for number in range(40)]
GMAIL = "victim+@gmail.com"
# What the door may come to hold because of strangers, in bytes: some hundred letters and counts.
MOST_KEPT, MOST_MEMORY = 1_000_000, 40_000_000


@pytest.fixture
def at(tmp_path: Path, clock: Clock) -> Iterator[DoorWorld]:
    with door(tmp_path, clock, proxies=1) as world:
        yield world


@pytest.fixture
def ses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path, max_send_rate=100_000.0) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", made.server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local-ses")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        yield made


def form(ip: str, address: str, **more: str) -> bytes:
    """A sign-up as it comes from the proxy, which has added the address it was called from."""
    body = urlencode({"email": address, "homepage": "", **more})
    return (
        f"POST /subscribe HTTP/1.1\r\nHost: {HOST}\r\nSec-Fetch-Site: same-origin\r\nX-Forwarded-For: {ip}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Line:
    """One connection to the door, kept as long as the door keeps it."""

    def __init__(self, port: int) -> None:
        self._port, self._socket = port, socket.create_connection(("127.0.0.1", port), 30)

    def send(self, request: bytes) -> tuple[int, str]:
        """Status and page."""
        self._socket.sendall(request)
        got = self._more()
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length, head
        while len(body) < int(length[1]):
            body += self._more()
        if b"connection: close" in head:
            self.close()
            self._socket = socket.create_connection(("127.0.0.1", self._port), 30)
        return int(head[9:12]), body.decode()

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> bytes:
        piece = self._socket.recv(65536)
        assert piece, "the door has hung up"
        return piece


def attack(chance: random.Random) -> list[tuple[str, str]]:
    """From where the attackers write, and which address they type, in the order of chance."""
    sent = []
    for number in range(FORMS):
        network = number % NETWORKS
        ip = f"10.{network // 250}.{network % 250}.7"
        if network % 10 >= 7:  # another address of the same network each time
            ip = f"2001:db8:{network:x}:1:" + ":".join(f"{chance.getrandbits(16):x}" for _ in range(4))
        if number % 2:
            ip = f"203.0.113.{chance.randrange(256)}, {ip}"  # as if it had come from a visitor, through this network
        address = chance.choice(
            [chance.choice(VICTIMS), GMAIL.replace("+", f"+{number}"), f"random{number}@example.net"]
        )
        sent.append((ip, address))
    chance.shuffle(sent)
    return sent


def solve(page: str) -> dict[str, str]:
    """What work.js does."""
    made, challenge = re.search('name="stamp" value="([^"]*)"', page), re.search('challenge="(.{64})"', page)
    assert made
    assert challenge
    start = sha256(made[1].encode())
    for number in range(MOST):
        tried = start.copy()
        tried.update(str(number).encode())
        if tried.hexdigest() == challenge[1]:
            return {"stamp": made[1], "work": str(number)}
    raise AssertionError("there is no such number")


def visit(line: Line, number: int) -> list[int]:
    """A visitor with a browser: asked for work, it works. The statuses it got."""
    ip, address = f"198.51.100.{number}", f"visitor{number}@example.com"
    status, page = line.send(form(ip, address))
    if status != 409:
        return [status]
    return [status, line.send(form(ip, address, **solve(page)))[0]]


def flood(port: int, requests: Sequence[bytes], statuses: list[int]) -> Callable[[], None]:
    """Begin to send them over several connections; what is given back waits for the last answer."""

    def send(part: Sequence[bytes]) -> None:
        line = Line(port)
        statuses.extend([line.send(request)[0] for request in part])
        line.close()

    threads = [threading.Thread(target=send, args=(requests[start::6],)) for start in range(6)]
    for thread in threads:
        thread.start()

    def wait() -> None:
        for thread in threads:
            thread.join()

    return wait


def memory() -> int:
    """Of this process, in which the door runs, the most so far in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_ten_thousand_forms_of_a_thousand_networks_bring_forth_few_mails_and_every_visitor_is_served(
    at: DoorWorld, ses: World, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = attack(random.Random(1))  # noqa: S311 - the same attack each time
    size, before, statuses = _size(at), memory(), list[int]()
    wave, rest = sent[:1000], sent[1000:]
    flood(at.port, [form(*one) for one in wave], statuses)()
    line = Line(at.port)
    asked = [line.send(form("192.0.2.1", "a@example.net")) for _ in range(SOLVERS)]
    assert {status for status, _ in asked} == {409}
    solved = [solve(page) for _, page in asked]
    requests = [
        form(*one, **(solved[place % SOLVERS] if place % 9 == 0 else {})) for place, one in enumerate(rest)
    ]
    end = flood(at.port, requests, statuses)
    visits = [visit(line, number) for number in range(VISITORS)]
    end()
    kept, grown = _size(at) - size, memory() - before

    correspondence = Correspondence(FACTS, KEYS, TEMPLATES)
    postman = Postman(
        at.store, _Post("newsletter", "eu-west-1"), correspondence,
        partial(tokens.digests, keys=KEYS), at.clock, lambda seconds: None,
    )  # fmt: skip
    postman.begin()
    postman.round()
    mails = Counter(str(mail["To"]) for mail in ses.mails())
    mailboxes = Counter(mailbox(address.lower()) for address in mails.elements())
    strangers = sum(mails.values()) - VISITORS

    line.close()
    at.clock.pause(3600)
    line = Line(at.port)
    resumed = line.send(form("192.0.2.200", "later@example.com"))[0]
    line.close()
    answers = Counter(statuses)
    with capsys.disabled():
        table(
            f"{FORMS:,} sign-up forms from {NETWORKS:,} networks at one moment",
            [
                ("answered “check your inbox”", answers[200]),
                ("asked for work (409)", answers[409]),
                ("told to come later (429)", answers[429]),
                ("confirmation mails they brought forth", strangers),
                ("  most to one mailbox, in all its spellings", max(mailboxes.values())),
                ("visitors from elsewhere who were served", sum(each[-1] == 200 for each in visits)),
                ("  of", VISITORS),
                ("the database has grown, KB", kept // 1000),
                ("the process has grown, KB", grown // 1000),
            ],
        )
    assert sum(answers.values()) == FORMS
    assert set(answers) == {200, 409, 429}
    assert {each[-1] for each in visits} == {200}
    assert all(mails[f"visitor{number}@example.com"] == 1 for number in range(VISITORS))
    # All that strangers can bring forth: the hour's number without work, and one for each work that was done.
    assert 0 < strangers <= USUAL.hour + SOLVERS * _USES
    assert max(mailboxes.values()) == 1
    assert 0 < kept < MOST_KEPT
    assert grown < MOST_MEMORY
    assert resumed == 200


def _size(at: DoorWorld) -> int:
    return sum(path.stat().st_size for path in at.folder.glob("door*"))
