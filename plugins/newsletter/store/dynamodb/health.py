"""Whether the tables can keep their promises: that they are there, and that they can be put back."""

from __future__ import annotations

from newsletter.errors import NewsletterError, StoreError
from newsletter.finding import Finding, Verdict, broken, broken_by, sound, warning
from newsletter.store.dynamodb.form import KEY, VERSION
from newsletter.store.dynamodb.journal import SUFFIX
from newsletter.store.dynamodb.table import Table
from newsletter.store.dynamodb.work import Base


class DynamoHealth(Base):
    """Keeps the promise of `Health`."""

    def health(self) -> list[Finding]:
        """See Store."""
        found: list[Finding] = []
        for name, table in (("table", self.table), ("journal", self.table.sibling(SUFFIX))):
            try:
                found.append(_there(name, table))
                found.append(_backed_up(name, table))
            except NewsletterError as error:
                mend = "newsletter migrate --make makes both tables, and infra/template.yaml does. See docs/operators.md."
                found.append(broken(name, str(error), mend))
        if not any(one.verdict is Verdict.BROKEN for one in found):
            found.append(self._form())
        return found

    def _form(self) -> Finding:
        try:
            self.table.get(KEY)  # whoever asks for anything is told of another form
        except StoreError as error:
            return broken_by("schema", error, "Update the program on every machine that opens this table.")
        return sound("schema", f"version {VERSION}")


def _there(name: str, table: Table) -> Finding:
    facts = table.ask("describe_table", TableName=table.name)["Table"]
    if facts["TableStatus"] not in ("ACTIVE", "UPDATING"):
        words = f"{table.name} is {facts['TableStatus']}"
        return broken(name, words, "Wait until AWS has made it, and look again.")
    if [key["AttributeName"] for key in facts["KeySchema"]] != ["pk", "sk"]:
        words = f"{table.name} is another program's: its keys are not pk and sk"
        return broken(
            name, words, "Name the table that newsletter migrate --make or infra/template.yaml made."
        )
    return sound(name, f"{table.name} is there")


def _backed_up(name: str, table: Table) -> Finding:
    answer = table.ask("describe_continuous_backups", TableName=table.name)
    state = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"][
        "PointInTimeRecoveryStatus"
    ]
    if state == "ENABLED":
        return sound(f"{name} backup", "can be put back as it was at any moment of 35 days")
    return warning(
        f"{name} backup",
        f"{table.name} cannot be put back: point-in-time recovery is {state.lower()}",
        f"aws dynamodb update-continuous-backups --table-name {table.name} "
        "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
    )
