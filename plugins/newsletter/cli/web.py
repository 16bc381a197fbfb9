"""`newsletter web`: the subscriber's door, with the postman beside it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter import publication
from newsletter.settings import STATE, Settings, child_environment
from newsletter.show import say, say_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from newsletter.door.guard import Place
    from newsletter.publication import Publication

_AGAIN = 30.0  # seconds until a postman that has ended is sent out again


@click.command()
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=8080,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option("--no-postman", is_flag=True, help="Only write the letters down; newsletter post mails them.")
def web(host: str, port: int, no_postman: bool) -> None:
    """The door: sign-up, confirmation, unsubscribing, a subscriber's own page, the contact form.

    It answers under the name in publication.toml (or SITE_URL), behind a proxy that gives out the site itself.
    """
    from newsletter.door.guard import Place
    from newsletter.door.server import serve
    from newsletter.interrupt import ending
    from newsletter.listener import address, listen

    facts, settings = publication.load(Path(publication.FILE)), Settings.from_env()
    place = Place(settings.site_url or facts.site_url, proxies=settings.trusted_proxies)
    with (
        ending(),
        listen(host, port, "Choose another with --port.") as listener,
        open_door(facts, settings, place) as app,
        nullcontext() if no_postman else postman({}),
    ):
        say("door", f"{address(host, listener)}  for {place.site_url}/")
        say("", "Ctrl-C ends it.")
        serve(app, listener)


@contextmanager
def open_door(facts: Publication, settings: Settings, place: Place) -> Iterator[ASGIApp]:
    """The door's application, for as long as the block lasts. Raises SettingsError, StoreError."""
    from newsletter.cli.keys import keys_of
    from newsletter.cli.subscribers import refusals
    from newsletter.door.app import create_app
    from newsletter.door.desk import Desk
    from newsletter.door.latest import PACKAGES
    from newsletter.door.pages import Pages
    from newsletter.door.porter import Porter
    from newsletter.door.stamps import Shown
    from newsletter.store import open_store

    store = open_store(settings.store_url)  # what is wrong with it is told now, and not to the first visitor
    keys = keys_of(settings, store)
    store.close()
    pages = Pages(facts, place.root)
    pages.read()  # so is a template that is not sound
    desk = Desk(lambda: open_store(settings.store_url))
    try:
        yield create_app(
            Porter(
                facts=facts,
                place=place,
                keys=keys,
                desk=desk,
                pages=pages,
                clock=lambda: datetime.now(UTC),
                packages=PACKAGES,
                aside=(STATE / "quarantine", refusals.FOLDER),
                least=Shown.WORK if settings.always_work else Shown.STAMP,
            )
        )
    finally:
        desk.close()


@contextmanager
def postman(environment: Mapping[str, str]) -> Iterator[None]:
    """`newsletter post` in a process of its own for as long as the block lasts: if it ends, the door stays open."""
    over = threading.Event()
    children: list[subprocess.Popen[bytes]] = []

    def keep_going() -> None:
        while not over.is_set():
            # In a session of its own: Ctrl-C is for us, and we tell the postman when the door is shut.
            with subprocess.Popen(
                [sys.executable, "-m", "newsletter", "post", "--attached"],
                stdin=subprocess.PIPE,
                env=child_environment(environment),
                start_new_session=True,
            ) as child:
                children[:] = [child]
                if over.is_set():
                    child.terminate()
                child.wait()
            if not over.is_set():
                say_error(
                    f"The postman has stopped; what is asked for waits. It is sent out again in {_AGAIN:.0f} seconds."
                )
                over.wait(_AGAIN)

    watch = threading.Thread(target=keep_going, name="postman", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        for child in children:
            child.terminate()
        watch.join(15)
