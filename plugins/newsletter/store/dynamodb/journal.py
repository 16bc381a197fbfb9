"""The journal of a DynamoDB store: a second table, so that a restore of the first does not take it along.

Point-in-time recovery makes the same hazard as a copied file: whoever left since would be back. It restores one table
into a new one, and knows nothing of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from newsletter.store.dynamodb import keys
from newsletter.store.dynamodb.table import Table
from newsletter.store.journal import Line, Remembered

SUFFIX = "-journal"
_PARTITION = "JOURNAL"


class Journal(Remembered):
    """A table that only grows."""

    def __init__(self, table: Table) -> None:
        """The journal that belongs to a table."""
        self._table = table.sibling(SUFFIX)

    def write(self, lines: Sequence[Line]) -> None:
        """Write these, durably. Raises StoreError."""
        self._table.put_all(
            {
                "pk": _PARTITION,
                "sk": keys.order(),
                "at": line.at,
                "who": line.who.hex(),
                "what": line.what,
                "how": line.how,
                "digests": " ".join(digest.hex() for digest in line.digests),
            }
            for line in lines
        )

    def lines(self) -> Iterator[Line]:
        """Every line, the oldest first. Raises StoreError."""
        for item in self._table.query(_PARTITION):
            yield Line(
                str(item["at"]),
                bytes.fromhex(str(item["who"])),
                str(item["what"]),
                str(item["how"]),
                tuple(map(bytes.fromhex, str(item["digests"]).split())),
            )
