"""`newsletter subscribers`: the list of those who want the briefing.

importing.py   a list taken in; refusals.py what of it was not
exporting.py   the list as a file
one.py         one subscriber: added, shown, gone; suppressing.py an address never to be mailed
numbers.py     the list in numbers, and what is too old to be kept; replaying.py what an older copy has forgotten
"""

from __future__ import annotations

import click

from newsletter.cli.subscribers import exporting, importing, numbers, one, replaying, suppressing


@click.group()
def subscribers() -> None:
    """The list of those who want the briefing."""


for command in (
    importing.import_,
    exporting.export,
    one.add,
    one.show,
    one.unsubscribe,
    one.erase,
    suppressing.suppress,
    suppressing.unsuppress,
    numbers.stats,
    numbers.prune,
    replaying.replay,
):
    subscribers.add_command(command)
