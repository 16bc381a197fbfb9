"""What `make bench-door` measures, each in a process of its own: `door_served.py ROLE FOLDER`, with its port as answer.

    bare    a Starlette route that does one durable commit, and nothing else
    door    the real application, with limits that let everybody in

Both on uvicorn as door/server.py sets it up, over SQLite with the PRAGMAs of the store, on the same disk. The bare
route commits in the event loop, without a thread in between: nothing could be in its way.
"""

from __future__ import annotations

import socket
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from newsletter.door.server import serve
from newsletter.listener import listen

ROOT = Path(__file__).resolve().parents[2]
KEY = b"k" * 32
SUBSCRIBERS = 200_000


def bare(folder: Path, listener: socket.socket) -> ASGIApp:
    from newsletter.store import open_store

    store = open_store(f"sqlite:///{folder / 'bare.db'}")
    pragmas = [
        (name, *store.db.execute(f"PRAGMA {name}").fetchone())  # type: ignore[attr-defined]
        for name in ("journal_mode", "synchronous", "secure_delete")
    ]
    store.close()
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for name, value in pragmas:
        db.execute(f"PRAGMA {name} = {value}")
    db.execute("CREATE TABLE said (number INTEGER PRIMARY KEY, words TEXT NOT NULL)")

    async def said(request: Request) -> PlainTextResponse:
        words = (await request.body()).decode()
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO said (words) VALUES (?)", (words,))
        db.execute("COMMIT")
        return PlainTextResponse("Kept.\n")

    return Starlette(routes=[Route("/said", said, methods=["POST"])])


def door(folder: Path, listener: socket.socket) -> ASGIApp:
    from newsletter import limits, publication
    from newsletter.door.app import create_app
    from newsletter.door.desk import Desk
    from newsletter.door.guard import Place
    from newsletter.door.pages import Pages
    from newsletter.door.porter import Porter
    from newsletter.store import open_store

    limits.USUAL = limits.Numbers(*[10**9] * 6)  # everything is counted, and nobody turned away
    url = f"sqlite:///{folder / 'door.db'}"
    facts = publication.load(ROOT / "publication.toml")
    site = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return create_app(
        Porter(
            facts=facts,
            place=Place(site),
            keys=(KEY,),
            desk=Desk(lambda: open_store(url)),
            pages=Pages(facts, "", ROOT / "theme/templates", ROOT / "build/door/frame.html"),
            clock=lambda: datetime.now(UTC),
            packages=folder / "briefings",
        )
    )


def subscribers(folder: Path) -> None:
    """Fill the door's database, and write down the token of each."""
    from newsletter.address import Address
    from newsletter.store import Subscriber, Subscription, open_store
    from newsletter.tokens import Purpose, mint

    store = open_store(f"sqlite:///{folder / 'door.db'}")
    names = (f"subscriber{number}@example.org" for number in range(SUBSCRIBERS))
    store.import_subscribers(Subscriber(Address(name, name), Subscription.CONFIRMED) for name in names)
    rows = store.db.execute("SELECT public_id FROM subscriber")  # type: ignore[attr-defined]
    tokens = [mint(Purpose.UNSUBSCRIBE, public_id, [KEY]) for (public_id,) in rows]
    (folder / "tokens").write_text("\n".join(tokens) + "\n")


if __name__ == "__main__":
    role, where = sys.argv[1], Path(sys.argv[2])
    if role == "subscribers":
        subscribers(where)
    else:
        with listen("127.0.0.1", 0, "") as listener:
            app = {"bare": bare, "door": door}[role](where, listener)
            print(listener.getsockname()[1], flush=True)
            serve(app, listener)
