"""`newsletter subscribers`: the list of those who want the briefing.

importing.py   a list taken in; refusals.py what of it was not
exporting.py   the list as a file
one.py         one subscriber: added, shown, gone; suppressing.py an address never to be mailed
numbers.py     the list in numbers, and what is too old to be kept; replaying.py what an older copy has forgotten
"""

from __future__ import annotations

import click

from newsletter.cli.subscribers import exporting, importing, numbers, one, replaying, suppressing
from newsletter.cli.words import Commands


@click.group(cls=Commands)
def subscribers() -> None:
    """The list of those who want the briefing."""


subscribers.add_section("The list", importing.import_, exporting.export, numbers.stats)
subscribers.add_section("One subscriber", one.add, one.show, one.unsubscribe, one.erase)
subscribers.add_section("One address", suppressing.suppress, suppressing.unsuppress)
subscribers.add_section("Upkeep", numbers.prune, replaying.replay)
