"""`newsletter post`: the door's letters, mailed as they are asked for."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from newsletter import publication
from newsletter.settings import Settings
from newsletter.show import say_error


@click.command()
@click.option("--attached", is_flag=True, help="End when standard input ends, and so with whoever began it.")
def post(attached: bool) -> None:
    """Mail what is asked for at the door, until interrupted. newsletter web has it done by itself."""
    from newsletter.cli.keys import keys_of
    from newsletter.correspondence import Correspondence
    from newsletter.interrupt import heeding
    from newsletter.postman import Postman
    from newsletter.ses.post import Post
    from newsletter.store import open_store
    from newsletter.tokens import digests

    facts, settings = publication.load(Path(publication.FILE)), Settings.from_env()
    facts = replace(facts, site_url=settings.site_url or facts.site_url)
    store = open_store(settings.store_url)
    keys = keys_of(settings, store)
    ending = threading.Event()

    def pause(seconds: float) -> None:
        ending.wait(seconds)

    postman = Postman(
        store,
        Post(settings.configuration_set, settings.region),
        Correspondence(facts, keys),
        digests=lambda address_key: digests(address_key, keys),
        clock=lambda: datetime.now(UTC),
        pause=pause,
    )
    if attached:

        def follow() -> None:
            # Not through sys.stdin, whose lock this thread would hold when the interpreter ends: it aborts then.
            while os.read(0, 4096):
                pass
            ending.set()

        threading.Thread(target=follow, name="attached", daemon=True).start()
    with heeding(ending.set):
        postman.attend(ending.is_set, say_error)
