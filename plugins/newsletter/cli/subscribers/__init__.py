"""`newsletter subscribers`: the list of those who want the briefing.

importing.py   a list taken in; refusals.py what of it was not
exporting.py   the list as a file
one.py         one subscriber: added, shown, gone; suppressing.py an address never to be mailed
numbers.py     the list in numbers, and what is too old to be kept; replaying.py what an older copy has forgotten
"""

from __future__ import annotations

import click

from newsletter.cli.words import Commands


@click.group(cls=Commands)
def subscribers() -> None:
    """The list of those who want the briefing."""


subscribers.add_section(
    "The list",
    {
        "import": "subscribers.importing.import_",
        "export": "subscribers.exporting.export",
        "stats": "subscribers.numbers.stats",
    },
)
subscribers.add_section(
    "One subscriber",
    {
        "add": "subscribers.one.add",
        "show": "subscribers.one.show",
        "unsubscribe": "subscribers.one.unsubscribe",
        "erase": "subscribers.one.erase",
    },
)
subscribers.add_section(
    "One address",
    {
        "suppress": "subscribers.suppressing.suppress",
        "unsuppress": "subscribers.suppressing.unsuppress",
    },
)
subscribers.add_section(
    "Upkeep", {"prune": "subscribers.numbers.prune", "replay": "subscribers.replaying.replay"}
)
