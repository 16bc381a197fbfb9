"""`newsletter local-ses` and `serve`: everything on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from newsletter import publication
from newsletter.errors import SettingsError
from newsletter.settings import STATE, Settings, child_environment, is_loopback
from newsletter.show import say

if TYPE_CHECKING:
    from newsletter.local_ses.config import LocalSesConfig, RunningSes


_PORT = click.IntRange(0, 65535)


@click.command("local-ses", context_settings={"ignore_unknown_options": True})
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to listen on."
)
@click.option(
    "--port",
    type=_PORT,
    metavar="PORT",
    default=8025,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--mailbox",
    type=click.Path(path_type=Path),
    default=STATE / "mailbox",
    show_default=True,
    help="The folder that every mail goes into.",
)
@click.option("--faults", type=click.Path(path_type=Path), help="A plan of faults to inject (JSON).")
@click.option(
    "--rate", metavar="N", default=200.0, show_default=True, help="MaxSendRate: recipients per second."
)
@click.option(
    "--quota",
    metavar="N",
    default=50_000.0,
    show_default=True,
    help="Max24HourSend: recipients per 24 hours.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def local_ses(
    host: str,
    port: int,
    mailbox: Path,
    faults: Path | None,
    rate: float,
    quota: float,
    command: Sequence[str],
) -> None:
    """Amazon SES on this machine: accepts what SES accepts, and puts it in a mailbox you can open.

    With a COMMAND after --, runs it against a local SES of its own and ends with it:

        newsletter local-ses -- newsletter send 2020-10
    """
    from newsletter.local_ses import server

    config = _local_config(mailbox, faults, rate, quota)
    if not command:
        with suppress(KeyboardInterrupt):  # the way it is meant to end
            server.serve(config, host, port, ready=_tell_local_ses)
        return
    with server.running(config, host="127.0.0.1", port=0) as running:
        status = _run(command, running.environment)
    sys.exit(status if status >= 0 else 1)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end; how it ended. Ctrl-C reaches it too, and it ends when it has ended: a sender still
    needs its answer.
    """
    try:
        child = subprocess.Popen(command, env=child_environment(environment))
    except FileNotFoundError:
        raise SettingsError(f"{command[0]}: there is no such command.") from None
    with child:
        before = (
            signal.signal(signal.SIGINT, lambda *_: None),
            signal.signal(signal.SIGTERM, lambda *_: child.terminate()),
        )
        try:
            return child.wait()
        finally:
            signal.signal(signal.SIGINT, before[0])
            signal.signal(signal.SIGTERM, before[1])


def _local_config(mailbox: Path, faults: Path | None, rate: float, quota: float) -> LocalSesConfig:
    from newsletter.local_ses.config import LocalSesConfig

    STATE.mkdir(mode=0o700, exist_ok=True)  # mails and addresses: nobody else's business on this machine
    domain = publication.load(Path(publication.FILE)).sender_domain
    return LocalSesConfig(
        mailbox=mailbox, faults=faults, identities=(domain,), max_send_rate=rate, daily_quota=quota
    )


def _tell_local_ses(running: RunningSes) -> None:
    say("local SES", running.url)
    say("mailbox", f"{running.url}/mailbox/")
    _tell_how_to_use(running.environment)


def _tell_how_to_use(environment: Mapping[str, str]) -> None:
    """What other commands need in their environment, as one line to copy into another terminal."""
    say("to use it", "export " + " ".join(f"{name}={value}" for name, value in environment.items()))
    say("", "Ctrl-C ends it.")


@click.command()
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to listen on."
)
@click.option(
    "--port",
    type=_PORT,
    metavar="PORT",
    default=8000,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("output"),
    show_default=True,
    help="The built site.",
)
def serve(host: str, port: int, output: Path) -> None:
    """Site, door, mailbox and local SES at one address, to look at: sign up there, and find the mail there."""
    from newsletter import front
    from newsletter.cli.web import open_door, postman
    from newsletter.door.guard import Place
    from newsletter.interrupt import ending
    from newsletter.local_ses import server
    from newsletter.postman import in_earnest
    from newsletter.ses.submit import PRACTICE
    from newsletter.store import open_store

    facts, settings = publication.load(Path(publication.FILE)), Settings.from_env()
    with closing(open_store(settings.store_url, make=False)) as store:
        if reason := in_earnest(store, PRACTICE):
            raise SettingsError(reason)
    root = urlsplit(facts.site_url).path
    porch = front.Porch(front.site(output), root)
    with ending(), ExitStack() as stack:

        def ready(running: RunningSes) -> None:
            port = urlsplit(running.url).port
            here = running.url if is_loopback(running.url) else f"http://127.0.0.1:{port}"
            place = Place(
                here + root, (urlsplit(running.url).netloc, f"localhost:{port}", f"127.0.0.1:{port}")
            )
            porch.door = stack.enter_context(open_door(facts, settings, place))
            stack.enter_context(postman({**running.environment, "SITE_URL": place.site_url}))
            say("site", f"{running.url}/")
            say("mailbox", f"{running.url}/mailbox/")
            say("local SES", running.url)
            _tell_how_to_use({**running.environment, "SITE_URL": place.site_url})

        config = _local_config(STATE / "mailbox", None, 200.0, 50_000.0)
        server.serve(config, host, port, porch, ready)
