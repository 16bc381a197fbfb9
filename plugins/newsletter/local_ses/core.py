"""The local SES without HTTP: operations by name, wired to one state file, one mailbox and one plan."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from newsletter.local_ses import faults
from newsletter.local_ses.account import Account
from newsletter.local_ses.api_error import ApiError
from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.configuration_sets import ConfigurationSets
from newsletter.local_ses.faults import FaultPlan
from newsletter.local_ses.identities import Identities
from newsletter.local_ses.mailbox import LineLog, Mailbox
from newsletter.local_ses.publisher import Publisher
from newsletter.local_ses.queue import Queues
from newsletter.local_ses.sending import Call, Sending
from newsletter.local_ses.state import State
from newsletter.local_ses.stored_templates import StoredTemplates
from newsletter.local_ses.suppression import SuppressionList

Answer = dict[str, Any]
Operation = Callable[[Mapping[str, Any]], Answer]


class LocalSes:
    """One account in one Region. Its methods block and may be called from any thread."""

    def __init__(self, config: LocalSesConfig) -> None:
        """Open the state and read the fault plan. Raises StoreError or SettingsError."""
        self.config = config
        self.plan = FaultPlan(config.faults)
        self.state = State(config)
        self.queues = Queues(self.state, config)
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._call_log = LineLog(config.call_log)
        self._now = config.now
        account = Account(self.state, config)
        publisher = Publisher(self.queues, self.plan, config)
        self._sending = Sending(
            self.state, account, Mailbox(config.mailbox), LineLog(config.accept_log), publisher, self.plan
        )
        templates = StoredTemplates(self.state, account)
        suppressed = SuppressionList(self.state, account)
        sets = ConfigurationSets(self.state, publisher)
        identities = Identities(self.state)
        self._operations: dict[str, Operation] = {
            "CreateEmailTemplate": templates.create,
            "GetEmailTemplate": templates.get,
            "UpdateEmailTemplate": templates.update,
            "DeleteEmailTemplate": templates.delete,
            "ListEmailTemplates": templates.list,
            "TestRenderEmailTemplate": templates.test_render,
            "GetAccount": lambda params: account.get(),
            "PutSuppressedDestination": suppressed.put,
            "GetSuppressedDestination": suppressed.get,
            "DeleteSuppressedDestination": suppressed.delete,
            "ListSuppressedDestinations": suppressed.list,
            "CreateConfigurationSet": sets.create,
            "GetConfigurationSet": sets.get,
            "DeleteConfigurationSet": sets.delete,
            "ListConfigurationSets": sets.list,
            "CreateConfigurationSetEventDestination": sets.create_destination,
            "GetConfigurationSetEventDestinations": sets.get_destinations,
            "UpdateConfigurationSetEventDestination": sets.update_destination,
            "DeleteConfigurationSetEventDestination": sets.delete_destination,
            "CreateEmailIdentity": identities.create,
            "GetEmailIdentity": identities.get,
            "ListEmailIdentities": identities.list,
        }

    @property
    def operations(self) -> frozenset[str]:
        """The names of the sesv2 operations that are implemented."""
        return frozenset(self._operations) | {"SendEmail", "SendBulkEmail"}

    def begin(self, operation: str, params: Mapping[str, Any]) -> Call:
        """Count and log a call as it comes in, and ask the plan about it."""
        targets = faults.targets(params)
        planned = self.plan.call(operation, targets)
        with self._lock:
            self._calls[operation] += 1
            number = self._calls[operation]
        at = self._now()
        self._call_log.append([{"time": at, "operation": operation, "call": number, "fault": planned.action}])
        return Call(operation, number, planned)

    def calls(self, operation: str) -> int:
        """Return how often an operation was called since the start."""
        with self._lock:
            return self._calls[operation]

    def perform(self, call: Call, params: Mapping[str, Any]) -> Answer:
        """Do a checked sesv2 call. Raises ApiError."""
        if call.operation == "SendEmail":
            return self._sending.send_email(params, call)
        if call.operation == "SendBulkEmail":
            return self._sending.send_bulk_email(params, call)
        if call.operation not in self._operations:
            raise ApiError(
                "UnknownOperationException", f"{call.operation} is not implemented in the local SES.", 400
            )
        return self._operations[call.operation](params)

    def close(self) -> None:
        """Close the state file."""
        self.state.close()
