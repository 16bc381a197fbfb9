"""The store in one DynamoDB table (keys.py says where what lies), and a second one for the journal."""

from newsletter.store.dynamodb.fanout import DynamoFanOut
from newsletter.store.dynamodb.form import DynamoFormed, FormedTable
from newsletter.store.dynamodb.health import DynamoHealth
from newsletter.store.dynamodb.proofs import DynamoProofs
from newsletter.store.dynamodb.pruning import DynamoPruning


class DynamoStore(DynamoFormed, DynamoFanOut, DynamoPruning, DynamoProofs, DynamoHealth):
    """Keeps all promises of `Store`, each noun in its own module."""

    def __init__(self, url: str) -> None:
        """`url` is dynamodb://TABLE; table.py says what may follow. Nobody is asked yet. Raises SettingsError."""
        super().__init__(FormedTable(url))
