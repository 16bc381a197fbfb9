"""Making the tables, where infra/template.yaml has not: for tests, and for whoever has no stack."""

from __future__ import annotations

from newsletter.errors import StoreError
from newsletter.store.dynamodb.form import FormedTable
from newsletter.store.dynamodb.journal import SUFFIX
from newsletter.store.dynamodb.table import Table


def make_tables(url: str) -> bool:
    """Make the table that a URL names and its journal, as infra/template.yaml describes them: paid by the request, backed
    up continuously, guarded against deletion. False if both are there. Raises StoreError.
    """
    table = Table(url)
    made = [_make(one) for one in (table, table.sibling(SUFFIX))]
    if made[0]:
        table.ask(
            "update_time_to_live",
            TableName=table.name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"},
        )
        FormedTable(url).stamp()
    return any(made)


def _make(table: Table) -> bool:
    client = table.client
    try:
        table.ask(
            "create_table",
            TableName=table.name,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=True,
        )
    except StoreError as error:
        if "ResourceInUseException" in str(error):
            return False
        raise
    client.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    try:
        table.ask(
            "update_continuous_backups",
            TableName=table.name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )
    except StoreError as error:
        if "UnknownOperation" not in str(error):  # AWS's own DynamoDB Local; the doctor tells of it
            raise
    return True
