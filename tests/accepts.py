"""What the local SES accepted, from its own log and mailbox, as the invariants take it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from newsletter.invariants import Accept


@dataclass
class AcceptLog:
    """The log of a local SES from the line `read` on, with the mails beside it."""

    log: Path
    mailbox: Path
    read: int = 0

    def accepts(self) -> Iterator[Accept]:
        """Everything that was accepted since `read`, mails included."""
        mails = {path.stem.partition("-")[2]: path for path in self.mailbox.glob("[!.]*.eml")}
        with self.log.open("a+b") as file:
            file.seek(self.read)
            for line in file:
                entry = json.loads(line)
                mail = mails.get(entry["message_id"])
                raw = mail.read_bytes() if mail else b""
                yield Accept(entry["to"], entry["tags"], entry["message_id"], entry["template"] or "", raw)

    def forget(self) -> None:
        """Start anew: what is in the log is passed over from now on, and the mails go."""
        self.read = self.log.stat().st_size if self.log.exists() else 0
        for path in self.mailbox.glob("[!.]*.eml"):
            path.unlink()
