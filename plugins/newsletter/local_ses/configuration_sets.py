"""Configuration sets and their event destinations."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from newsletter.local_ses import limits
from newsletter.local_ses.api_error import AlreadyExistsError, BadRequestError, NotFoundError
from newsletter.local_ses.paging import page
from newsletter.local_ses.publisher import Publisher
from newsletter.local_ses.state import State

Params = Mapping[str, Any]
_OTHER_DESTINATIONS = (
    "KinesisFirehoseDestination",
    "CloudWatchDestination",
    "EventBridgeDestination",
    "PinpointDestination",
)


class ConfigurationSets:
    """The configuration sets of the account. Their options are kept and shown; none has an effect here."""

    def __init__(self, state: State, publisher: Publisher) -> None:
        self._state, self._publisher = state, publisher

    def create(self, params: Params) -> dict[str, Any]:
        """API_CreateConfigurationSet."""
        name = params["ConfigurationSetName"]
        if not limits.NAME.fullmatch(name):
            raise BadRequestError(
                f"Invalid configuration set name <{name}>: 1 to 64 of a-z, A-Z, 0-9, _ and -."
            )
        with self._state.transaction() as db:
            if _is_there(db, name):
                raise AlreadyExistsError(f"Configuration set <{name}> already exists.")
            options = {key: value for key, value in params.items() if key != "ConfigurationSetName"}
            db.execute("INSERT INTO configuration_sets VALUES (?, ?)", (name, json.dumps(options)))
        return {}

    def get(self, params: Params) -> dict[str, Any]:
        """API_GetConfigurationSet."""
        name = params["ConfigurationSetName"]
        with self._state.transaction() as db:
            _require(db, name)
            row = db.execute("SELECT body FROM configuration_sets WHERE name = ?", (name,)).fetchone()
        # SES shows these two for a set made without options: sending is on.
        standard = {"SendingOptions": {"SendingEnabled": True}, "DeliveryOptions": {"TlsPolicy": "OPTIONAL"}}
        return {"ConfigurationSetName": name, **standard, **json.loads(row[0])}

    def delete(self, params: Params) -> dict[str, Any]:
        """API_DeleteConfigurationSet, with its event destinations."""
        with self._state.transaction() as db:
            _require(db, params["ConfigurationSetName"])
            db.execute("DELETE FROM configuration_sets WHERE name = ?", (params["ConfigurationSetName"],))
        return {}

    def list(self, params: Params) -> dict[str, Any]:
        """API_ListConfigurationSets."""
        with self._state.transaction() as db:
            rows = db.execute("SELECT name FROM configuration_sets ORDER BY name").fetchall()
        found, token = page([(name, name) for (name,) in rows], params)
        return {"ConfigurationSets": found} | ({"NextToken": token} if token else {})

    def create_destination(self, params: Params) -> dict[str, Any]:
        """API_CreateConfigurationSetEventDestination. Only SNS ones; SES then says hello to the topic."""
        configuration_set, name = params["ConfigurationSetName"], params["EventDestinationName"]
        if not limits.NAME.fullmatch(name):
            raise BadRequestError(
                f"Invalid event destination name <{name}>: 1 to 64 of a-z, A-Z, 0-9, _ and -."
            )
        enabled, types, topic = _definition(params["EventDestination"])
        with self._state.transaction() as db:
            _require(db, configuration_set)
            if _destination(db, configuration_set, name):
                raise AlreadyExistsError(f"Event destination <{name}> already exists.")
            db.execute(
                "INSERT INTO event_destinations VALUES (?, ?, ?, ?, ?)",
                (configuration_set, name, enabled, json.dumps(types), topic),
            )
            # SES publishes this plain text, which is no JSON, when it is given a topic: readers must bear it.
            self._publisher.notify(
                db, topic, "Successfully validated SNS topic for Amazon SES event publishing."
            )
        return {}

    def update_destination(self, params: Params) -> dict[str, Any]:
        """API_UpdateConfigurationSetEventDestination: the definition is replaced."""
        configuration_set, name = params["ConfigurationSetName"], params["EventDestinationName"]
        enabled, types, topic = _definition(params["EventDestination"])
        with self._state.transaction() as db:
            _require(db, configuration_set)
            changed = db.execute(
                "UPDATE event_destinations SET enabled = ?, types = ?, topic_arn = ?"
                " WHERE configuration_set = ? AND name = ?",
                (enabled, json.dumps(types), topic, configuration_set, name),
            ).rowcount
            if not changed:
                raise NotFoundError(f"Event destination <{name}> does not exist.")
        return {}

    def delete_destination(self, params: Params) -> dict[str, Any]:
        """API_DeleteConfigurationSetEventDestination."""
        configuration_set, name = params["ConfigurationSetName"], params["EventDestinationName"]
        with self._state.transaction() as db:
            _require(db, configuration_set)
            if not _destination(db, configuration_set, name):
                raise NotFoundError(f"Event destination <{name}> does not exist.")
            db.execute(
                "DELETE FROM event_destinations WHERE configuration_set = ? AND name = ?",
                (configuration_set, name),
            )
        return {}

    def get_destinations(self, params: Params) -> dict[str, Any]:
        """API_GetConfigurationSetEventDestinations."""
        with self._state.transaction() as db:
            _require(db, params["ConfigurationSetName"])
            rows = db.execute(
                "SELECT name, enabled, types, topic_arn FROM event_destinations"
                " WHERE configuration_set = ? ORDER BY name",
                (params["ConfigurationSetName"],),
            ).fetchall()
        return {
            "EventDestinations": [
                {
                    "Name": name,
                    "Enabled": bool(enabled),
                    "MatchingEventTypes": json.loads(types),
                    "SnsDestination": {"TopicArn": topic},
                }
                for name, enabled, types, topic in rows
            ]
        }


def _is_there(db: sqlite3.Connection, name: str) -> bool:
    return db.execute("SELECT 1 FROM configuration_sets WHERE name = ?", (name,)).fetchone() is not None


def _require(db: sqlite3.Connection, name: str) -> None:
    if not _is_there(db, name):
        raise NotFoundError(f"Configuration set <{name}> does not exist.")


def _destination(db: sqlite3.Connection, configuration_set: str, name: str) -> bool:
    found = db.execute(
        "SELECT 1 FROM event_destinations WHERE configuration_set = ? AND name = ?", (configuration_set, name)
    )
    return found.fetchone() is not None


def _definition(given: Params) -> tuple[bool, list[str], str]:
    for kind in _OTHER_DESTINATIONS:
        if given.get(kind):
            raise BadRequestError(f"{kind} is not implemented in the local SES; use SnsDestination.")
    types, sns = given.get("MatchingEventTypes"), given.get("SnsDestination")
    if not types:
        raise BadRequestError("MatchingEventTypes must name at least one event type.")
    if not sns:
        raise BadRequestError("The event destination has no SnsDestination.")
    if not sns["TopicArn"].startswith("arn:aws:sns:") or sns["TopicArn"].count(":") != 5:
        raise BadRequestError(f"Invalid SNS topic ARN <{sns['TopicArn']}>.")
    return bool(given.get("Enabled", False)), list(types), sns["TopicArn"]
