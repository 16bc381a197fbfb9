"""Every page of the door, in an order in which each is there: what `make screenshots` and `make audit` look at."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import uvicorn
from playwright.sync_api import Page, Response

from newsletter import front
from newsletter.door.app import create_app
from newsletter.limits import USUAL
from newsletter.store.door import LetterKind
from newsletter.tokens import Purpose, mint
from tests.conftest import ROOT, Clock
from tests.door_world import DoorWorld, door
from tests.test_door_app import crowd

READER = "reader@example.org"
# Sends a form as a page of ours would, from a page of ours.
SEND = """([path, fields]) => {
  const form = Object.assign(document.createElement("form"), {method: "post", action: path});
  for (const [name, value] of Object.entries(fields))
    form.append(Object.assign(document.createElement("input"), {name, value}));
  document.body.append(form);
  form.submit();
}"""


@dataclass(frozen=True)
class Shot:
    """One page: where it is, what is sent there (nothing: it is only looked at), and what is so beforehand."""

    name: str
    path: str
    sent: Mapping[str, str] = field(default_factory=dict)
    crowded: bool = False


def shots(at: DoorWorld) -> Iterator[Shot]:
    """Every page, in an order in which each is there; the store is changed between them."""
    question = {
        "name": "A. Visitor",
        "email": READER,
        "message": "What about Basra?",
        "article": "analyses/2020/x/",
    }
    yield Shot("subscribe", "/subscribe")
    yield Shot("subscribe-refused", "/subscribe", {"email": "räuber@example.org"})
    yield Shot("subscribed", "/subscribe", {"email": READER})
    yield Shot("subscribe-work", "/subscribe", {"email": "patient@example.org"}, crowded=True)
    yield Shot("contact", "/contact")
    yield Shot("contact-refused", "/contact", {**question, "message": "", "desk": "Iraq desk"})
    yield Shot("contacted", "/contact", {**question, "desk": "Iraq desk"})
    yield Shot("knock", "/me")
    yield Shot("knocked", "/me", {"email": READER})
    yield Shot("gone", "/confirm/cut-in-two")
    yield Shot("no-page", "/me/a/b")
    confirm = at.letter(LetterKind.CONFIRM)
    yield Shot("confirm", f"/confirm/{confirm}")
    yield Shot("welcome", f"/confirm/{confirm}", {"action": "confirm"})
    (public_id,) = at.rows("SELECT public_id FROM subscriber")[0]
    leave = f"/u/{mint(Purpose.UNSUBSCRIBE, bytes(public_id), at.keys)}"
    mine = f"/me/{at.letter(LetterKind.MY_PAGE, READER, bytes(public_id))}"
    yield Shot("me", mine)
    yield Shot("me-change", mine, {"action": "change", "email": "moved@example.org"})
    yield Shot("me-refused", mine, {"action": "change", "email": "moved"})
    yield Shot("me-paused", mine, {"action": "pause", "months": "3"})
    yield Shot("leave", leave)
    yield Shot("leave-unclear", leave, {"action": "?"})
    yield Shot("paused", leave, {"action": "pause", "months": "3"})
    change = f"/change/{at.letter(LetterKind.CHANGE, 'moved@example.org', bytes(public_id))}"
    yield Shot("change", change)
    yield Shot("changed", change, {"action": "change"})
    mine = f"/me/{at.letter(LetterKind.MY_PAGE, 'moved@example.org', bytes(public_id))}"
    yield Shot("erase", mine, {"action": "erase"})
    yield Shot("left", leave, {"action": "unsubscribe"})
    yield Shot("me-left", mine)
    yield Shot("erased", mine, {"action": "erase-now"})


@contextmanager
def opened(output: Path) -> Iterator[tuple[str, DoorWorld]]:
    """The door and the built site at one address, with a store of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as folder:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        porch = front.Porch(front.site(output))
        server = uvicorn.Server(uvicorn.Config(porch, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with door(Path(folder), Clock(), site=address, frame=ROOT / "build/door/frame.html") as at:
                shutil.copytree(ROOT / "build/briefings", at.porter.packages)
                porch.door = create_app(at.porter)
                yield address, at
        finally:
            server.should_exit = True
            thread.join()


def visit(page: Page, shot: Shot, at: DoorWorld) -> Response:
    """Bring the browser to that page, by sending its form if it is an answer; the page as the door sent it."""
    if shot.crowded:
        crowd(at, "confirm", USUAL.hour)
    answer = page.goto(shot.path)
    if shot.sent:
        page.goto("/subscribe")
        with page.expect_navigation() as arrived:
            page.evaluate(SEND, [shot.path, dict(shot.sent)])
        answer = arrived.value
    assert answer is not None
    at.clock.now += timedelta(hours=2) if shot.crowded else timedelta()
    return answer
