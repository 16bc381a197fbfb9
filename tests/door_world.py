"""A door for a test: the real application on a real web server, over a store in a file, with a clock that stands."""

from __future__ import annotations

import http.client
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from newsletter import publication
from newsletter.address import parse
from newsletter.door.app import create_app
from newsletter.door.desk import Desk
from newsletter.door.guard import Place
from newsletter.door.pages import Pages
from newsletter.door.porter import Porter
from newsletter.door.server import server
from newsletter.door.stamps import Shown
from newsletter.listener import listen
from newsletter.store import Store, open_store
from newsletter.store.door import Letter, LetterKind, LetterState
from newsletter.tokens import Purpose, mint
from tests.conftest import NOON, ROOT, Clock

KEY = b"k" * 32
SITE = "https://briefing.example.org"
HOST = "briefing.example.org"
OURS = {"Host": HOST, "Sec-Fetch-Site": "same-origin"}
FRAME = '<!DOCTYPE html>\n<html lang="en"><head><title>@@title@@</title></head><body><main>@@content@@</main></body></html>\n'
PURPOSES = {
    LetterKind.CONFIRM: Purpose.CONFIRM,
    LetterKind.MY_PAGE: Purpose.MY_PAGE,
    LetterKind.CHANGE: Purpose.CHANGE,
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass
class DoorWorld:
    """A running door and what a test asks of it."""

    folder: Path
    port: int
    clock: Clock
    store: Store
    porter: Porter
    keys: tuple[bytes, ...] = (KEY,)
    site: str = SITE
    connections: dict[int, http.client.HTTPConnection] = field(default_factory=dict)

    def fresh(self) -> DoorWorld:
        """Forget what earlier tests did at this door."""
        self.clock.now = NOON
        self.porter.crowded.clear()
        for folder in (self.porter.packages, *self.porter.aside):
            shutil.rmtree(folder, ignore_errors=True)
        for journal in self.folder.glob("*.jsonl"):
            journal.unlink()
        with sqlite3.connect(self.folder / "door.db") as db:
            for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                db.execute(f"DELETE FROM {table}")
        db.close()
        return self

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] = OURS
    ) -> Answer:
        """One request over a connection that is kept, as a browser keeps it."""
        connection = self.connections.setdefault(
            threading.get_ident(), http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        )
        try:
            connection.request(method, path, body, {"Host": HOST, **headers})
            got = connection.getresponse()
            text = got.read().decode()
        except Exception:
            connection.close()
            raise
        headers = {name.lower(): value for name, value in got.getheaders() if name.lower() != "date"}
        return Answer(got.status, headers, text)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, fields: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """A form of one of our pages, sent by a browser."""
        body = urlencode(fields or {})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, body, {**OURS, **kind, **headers})

    def letter(
        self,
        kind: LetterKind,
        address: str = "reader@example.org",
        subscriber: bytes = b"",
        state: LetterState = LetterState.SUBMITTED,
    ) -> str:
        """A letter that has been mailed; the token of its link."""
        made = Letter(secrets.token_bytes(16), kind, parse(address), self.clock(), subscriber=subscriber)
        assert self.store.ask(made, ())
        self.post_all(state)
        return mint(PURPOSES[kind], made.id, self.keys)

    def post_all(self, state: LetterState = LetterState.SUBMITTED) -> None:
        """Let every letter be mailed that was asked for."""
        while taken := self.store.next_letter(self.clock(), lambda key: ()):
            self.store.letter_done(taken[0].id, state, "", self.clock(), "message")

    def subscriber(self, address: str = "reader@example.org") -> bytes:
        """A confirmed subscriber; its public id."""
        token = self.letter(LetterKind.CONFIRM, address)
        assert self.post(f"/confirm/{token}").status == 200
        (public_id,) = self.rows(
            "SELECT public_id FROM subscriber WHERE address_key = ?", parse(address).key
        )[0]
        return bytes(public_id)

    def subscription(self, address: str = "reader@example.org") -> str:
        """What the store says of an address; "" if it does not know it."""
        found = self.rows("SELECT subscription FROM subscriber WHERE address_key = ?", parse(address).key)
        return str(found[0][0]) if found else ""

    def letters(self) -> list[tuple[str, str]]:
        """What has been asked for: kind and address, in order."""
        return self.rows("SELECT kind, address FROM letter ORDER BY number")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.folder / "door.db") as db:
            found = db.execute(query, values).fetchall()
        db.close()
        return found

    def dump(self) -> str:
        """All that the store holds."""
        with sqlite3.connect(self.folder / "door.db") as db:
            text = "\n".join(db.iterdump())
        db.close()
        return text


@contextmanager
def door(
    folder: Path,
    clock: Clock,
    *,
    site: str = SITE,
    names: tuple[str, ...] = (),
    proxies: int = 0,
    keys: tuple[bytes, ...] = (KEY,),
    least: Shown = Shown.STAMP,
    frame: Path | None = None,
) -> Iterator[DoorWorld]:
    """A door with `folder` for everything it writes."""
    facts = publication.load(ROOT / "publication.toml")
    url = f"sqlite:///{folder / 'door.db'}"
    if frame is None:
        frame = folder / "frame.html"
        frame.write_text(FRAME)
    place = Place(site, names, proxies)
    desk = Desk(lambda: open_store(url))
    porter = Porter(
        facts=facts,
        place=place,
        keys=keys,
        desk=desk,
        pages=Pages(facts, place.root, ROOT / "theme/templates", frame),
        clock=clock,
        packages=folder / "briefings",
        aside=(folder / "quarantine", folder / "refused"),
        least=least,
    )
    store = open_store(url)
    with listen("127.0.0.1", 0, "") as listener:
        # A test may think for longer, on a machine that is busy, than a connection is otherwise kept.
        web = server(create_app(porter), timeout_keep_alive=600)
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        world = DoorWorld(folder, listener.getsockname()[1], clock, store, porter, keys, site)
        try:
            yield world
        finally:
            for connection in world.connections.values():
                connection.close()
            web.should_exit = True
            thread.join()
            desk.close()
            store.close()
