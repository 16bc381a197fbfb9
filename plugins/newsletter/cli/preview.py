"""`newsletter preview`: what readers will see, while it is being written."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter import publication
from newsletter.settings import Settings
from newsletter.show import say, say_error

if TYPE_CHECKING:
    from newsletter.errors import Finding
    from newsletter.preview.desk import State


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=8001,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--content",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("content"),
    show_default=True,
    help="The content folder.",
)
def preview(port: int, content: Path) -> None:
    """Show the site as it will be, drafts and all, and keep up with what is saved.

    Answers on this machine alone and writes nothing into output/. What is wrong stands in the page that is looked at.
    """
    from newsletter.preview import server

    facts = publication.load(Path(publication.FILE))

    def ready(url: str, state: State) -> None:
        say("preview", f"{url}/")
        if state.months:
            say("proof", f"{url}/proof/{state.months[0]}/")
        if state.held:
            say("held back", f"{len(state.held)}, marked as such")
        say("", "Save a file and the page follows. Ctrl-C ends it.")
        _tell(state)
        wrong.extend(state.refused)

    wrong: list[Finding] = []

    def told(state: State, saved: Iterable[str], seconds: float) -> None:
        for path in saved:
            say("saved", path, seconds)
        if list(state.refused) != wrong:
            _tell(state)
            if not state.refused:
                say("mended", "nothing is wrong any more")
        wrong[:] = state.refused

    with suppress(KeyboardInterrupt):  # the way it is meant to end
        server.serve(facts, content, Path("theme"), Settings.from_env().store_url, port, ready, told)


def _tell(state: State) -> None:
    for finding in state.refused:
        say_error(str(finding))
