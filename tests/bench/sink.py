"""An SES and a mail server that only answer: the other side of `make bench-send`, a process of its own.

It prints the two ports it serves and goes on until it is ended. GET /tally says what was posted since the last
time it was asked: calls, mails, bytes as they came (request line, headers, body), the bytes among them that are
a recipient's own, how many recipients came twice, and the seconds from the first bulk call's coming to the last's.
`--latency SECONDS` answers each bulk call so much later, as a service at some distance does.

A recipient's own bytes: of its entry in the call's JSON the texts of its address, of the data for the template and
of the values of its headers, as they stand there, with their quotation marks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from functools import partial
from typing import Any

BULK, SINGLE = "/v2/email/outbound-bulk-emails", "/v2/email/outbound-emails"
_QUOTA = {"MaxSendRate": 1e9, "Max24HourSend": -1, "SentLast24Hours": 0}
_ACCOUNT = {"SendQuota": _QUOTA, "SendingEnabled": True, "ProductionAccessEnabled": True}
_MESSAGE_ID = "0102017{:09x}-5c1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8-000000"


class Tally:
    """What was posted."""

    def __init__(self) -> None:
        self.counted = 0
        self.clear()

    def clear(self) -> None:
        self.seen = bytearray()  # a bit a recipient
        self.figures = {"calls": 0, "mails": 0, "bytes": 0, "own": 0, "twice": 0}
        self.first, self.last = 0.0, 0.0

    def add(self, size: int, mails: int, own: int = 0) -> list[str]:
        """Count one call; the message ids for its mails."""
        for name, count in {"calls": 1, "mails": mails, "bytes": size, "own": own}.items():
            self.figures[name] += count
        self.counted += mails
        return [_MESSAGE_ID.format(self.counted - each) for each in range(mails)]

    def see(self, number: int) -> None:
        place, bit = number // 8, 1 << number % 8
        if place >= len(self.seen):
            self.seen.extend(bytes(place + 100_000 - len(self.seen)))
        self.figures["twice"] += bool(self.seen[place] & bit)
        self.seen[place] |= bit


class Ses(asyncio.Protocol):
    """Enough of HTTP/1.1 and of SES for boto3 to be content."""

    def __init__(self, tally: Tally, latency: float) -> None:
        self.tally, self.latency, self.buffer = tally, latency, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", self.buffer[:end])
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < whole:
                return
            method, path, _ = self.buffer[:end].decode("latin-1").split(" ", 2)
            answer = json.dumps(
                self.answer(method, path, bytes(self.buffer[end + 4 : whole]), whole)
            ).encode()
            del self.buffer[:whole]
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
            )
            write = partial(self.transport.write, head.encode() + answer)  # type: ignore[attr-defined]
            if self.latency and path == BULK:
                asyncio.get_running_loop().call_later(self.latency, write)
            else:
                write()

    def answer(self, method: str, path: str, body: bytes, size: int) -> dict[str, Any]:
        if path == "/tally":
            figures = self.tally.figures | {"seconds": self.tally.last - self.tally.first}
            self.tally.clear()
            return figures
        if path == "/v2/email/account":
            return _ACCOUNT
        if method == "POST" and path == SINGLE:
            return {"MessageId": self.tally.add(size, 1)[0]}
        if method == "POST" and path == BULK:
            entries = json.loads(body)["BulkEmailEntries"]
            for entry in entries:
                (number,) = (tag["Value"] for tag in entry["ReplacementTags"] if tag["Name"] == "recipient")
                self.tally.see(int(number))
            self.tally.last = time.monotonic()
            self.tally.first = self.tally.first or self.tally.last
            ids = self.tally.add(size, len(entries), sum(map(_own, entries)))
            return {"BulkEmailEntryResults": [{"Status": "SUCCESS", "MessageId": each} for each in ids]}
        return {}


def _own(entry: dict[str, Any]) -> int:
    texts = [
        *entry["Destination"]["ToAddresses"],
        entry["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"],
        *(header["Value"] for header in entry["ReplacementHeaders"]),
    ]
    return sum(len(json.dumps(text)) for text in texts)


class Smtp(asyncio.Protocol):
    """Enough of RFC 5321 to take mail from smtplib."""

    def __init__(self, tally: Tally) -> None:
        self.tally, self.buffer, self.within = tally, bytearray(), False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.say("220 sink")

    def say(self, line: str) -> None:
        self.transport.write(f"{line}\r\n".encode())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            if self.within:
                if (end := self.buffer.find(b"\r\n.\r\n", max(0, len(self.buffer) - len(data) - 5))) < 0:
                    return
                self.tally.add(end + 5, 1)
                del self.buffer[: end + 5]
                self.within = False
                self.say("250 2.0.0 taken")
            elif (end := self.buffer.find(b"\r\n")) >= 0:
                word = self.buffer[:4].upper()
                del self.buffer[: end + 2]
                self.within = word == b"DATA"
                self.say({b"DATA": "354 go on", b"QUIT": "221 bye"}.get(bytes(word), "250 ok"))
                if word == b"QUIT":
                    self.transport.close()
            else:
                return


async def serve(latency: float) -> None:
    tally, loop = Tally(), asyncio.get_running_loop()
    kinds = (partial(Ses, tally, latency), partial(Smtp, tally))
    servers = [await loop.create_server(kind, "127.0.0.1", 0) for kind in kinds]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take mails, and only answer.")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until a bulk call is answered")
    asyncio.run(serve(parser.parse_args().latency))
