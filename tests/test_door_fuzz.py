"""A program tries every page with all that its description allows and forbids: none of it may be our mistake."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from newsletter.address import parse
from newsletter.door.app import create_app
from newsletter.store.door import Letter, LetterKind
from newsletter.tokens import Purpose, mint
from tests.conftest import Clock
from tests.door_openapi import described
from tests.door_world import KEY, OURS, DoorWorld, door

READER, MOVED = "reader@example.org", "moved@example.org"
PUBLIC_ID = b"subscriber no. 1"
LETTERS = {kind: f"letter {kind}".encode().ljust(16)[:16] for kind in LetterKind}
ANOTHERS = mint(Purpose.MY_PAGE, b"?" * 16, [KEY])  # well signed, and of a letter that is forgotten
schema = schemathesis.openapi.from_dict(
    described(
        {
            "confirm": (mint(Purpose.CONFIRM, LETTERS[LetterKind.CONFIRM], [KEY]), ANOTHERS),
            "u": (mint(Purpose.UNSUBSCRIBE, PUBLIC_ID, [KEY]), ANOTHERS),
            "me": (mint(Purpose.MY_PAGE, LETTERS[LetterKind.MY_PAGE], [KEY]), ANOTHERS),
            "change": (mint(Purpose.CHANGE, LETTERS[LetterKind.CHANGE], [KEY]), ANOTHERS),
        }
    )
)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorWorld]:
    with door(tmp_path_factory.mktemp("door"), Clock(), proxies=1) as world:
        yield world


PEOPLED: list[str] = []
ANSWERED: set[tuple[str, str, int]] = set()


def peopled(at: DoorWorld) -> None:
    """A subscriber on the list, and letters to it whose links still work; made anew only where one was changed."""
    if PEOPLED and at.dump() == PEOPLED[-1]:
        return
    at.fresh().subscriber(READER)
    with sqlite3.connect(at.folder / "door.db") as db:
        db.execute("UPDATE subscriber SET public_id = ?", (PUBLIC_ID,))
    db.close()
    for kind, to in (
        (LetterKind.CONFIRM, "new@example.org"),
        (LetterKind.MY_PAGE, READER),
        (LetterKind.CHANGE, MOVED),
    ):
        assert at.store.ask(Letter(LETTERS[kind], kind, parse(to), at.clock(), subscriber=PUBLIC_ID), ())
    at.post_all()
    PEOPLED[:] = [at.dump()]


def test_every_page_is_described(at: DoorWorld) -> None:
    """One that were not would not be tried."""
    app: Any = create_app(at.porter)
    assert {route.path for route in app._app.routes} == set(schema.raw_schema["paths"])


# Not by schemathesis's own decorator: its tests all have one name, and of those pytest-xdist runs one.
@pytest.mark.parametrize(
    "page", [page.ok() for page in schema.get_all_operations()], ids=lambda page: f"{page.method} {page.path}"
)
def test_nothing_that_can_be_sent_is_answered_by_a_fault(page: Any, at: DoorWorld) -> None:
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(case=page.as_strategy())
    def tried(case: schemathesis.Case) -> None:
        peopled(at)
        answer = case.call_and_validate(
            base_url=f"http://127.0.0.1:{at.port}",
            headers=OURS,
            checks=[not_a_server_error, status_code_conformance, content_type_conformance],
        )
        ANSWERED.add((case.method, case.path, answer.status_code))

    tried()


def test_what_was_sent_did_come_through_every_page() -> None:
    """Where everything were refused at the threshold, nothing would have been tried."""
    pages = {(method.upper(), path) for path, ways in schema.raw_schema["paths"].items() for method in ways}
    pages = {(method, path) for method, path in pages if method in ("GET", "POST")}
    assert {(method, path) for method, path, status in ANSWERED if status == 200} >= pages
