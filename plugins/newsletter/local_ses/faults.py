"""The fault plan: how the local SES is to fail, read from a JSON file.

    {"seed": 7,
     "calls":    [{"operation": "SendBulkEmail", "call": 2, "action": "reset", "when": "after"}],
     "outcomes": [{"to": "*@gone.example", "outcome": "bounced"}, {"share": 0.02, "outcome": "complained"}],
     "events":   [{"event": "SEND", "share": 0.5, "action": "lose"}]}

Which ones — in every list, all that are given must hold:

    "operation"       a name or a list of names, SQS's too (calls only); left out: SendEmail and SendBulkEmail
    "event"           an event type of the API (SEND, DELIVERY, BOUNCE …) or a list (events only)
    "call"            the 1st, 2nd … of the operation: a number or a list. Counted since the plan was read.
    "from" "to_call"  from, and up to and including, that call
    "every"           every n-th call, counted from "from" (or the n-th)
    "share"           a part of them, 0 to 1, drawn from the seed: the same plan draws the same
    "times"           at most so many times
    "to"              a recipient, or a pattern with * and ?, or a list: any recipient of the call matches
    "tag"             {"name": "value or pattern"}: message tags, all of them on one message
For outcomes and events "call", "from", "to_call" and "every" count the messages and events themselves.

What happens to a call ("when" is "before" or "after" the mail is accepted; default "before"):

    latency       wait "seconds", then go on as usual. Adds to any other action.
    drop          close the connection without an answer
    reset         the same with a TCP reset
    hang          say nothing for "seconds" (default 3600), then close. Before: nothing is accepted.
    late          accept after "seconds", whatever the client does meanwhile, and never answer.
                  "close": true closes the connection at once.
    error         answer "status" (500), "code" ("InternalFailure") and "message"
    throttle      429 TooManyRequestsException, "Maximum sending rate exceeded."
    unavailable   503 ServiceUnavailable
    html          200 with an HTML page (default "when": "after")
    truncated     (accepts) 200, full Content-Length, half of the body, end of the connection
    broken_json   (accepts) 200 with the first half of the body as if it were all
    results       (accepts) "change": -1 leaves the last result out, 1 adds one
    entry_status  entries that match "to", "tag", "entries" (numbers from 0) and "entry_share" are answered
                  with "status" (any text) and "error"; they are accepted only if "accept" is true
The first rule that matches a call decides; latency and entry_status rules all apply.

outcomes: "outcome" is a value of events.Outcome; first match wins over what would happen by itself.
A "bounced" or "complained" address goes on the account's suppression list, as in AWS.

events: "lose", "duplicate" ("copies", default 1 more), "delay" ("seconds"), "reorder" (each event waits a
random part of "seconds", default 1). The first rule that matches decides.

The file is read again when it changes; a mistake in it is answered to every call as FaultPlanError (400).
"""

from __future__ import annotations

import fnmatch
import json
import random
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from newsletter.errors import SettingsError
from newsletter.local_ses.api_error import ApiError
from newsletter.local_ses.events import Outcome

_WHICH = {"call", "from", "to_call", "every", "share", "times", "to", "tag"}
_ACTIONS: dict[str, set[str]] = {
    "latency": {"seconds"},
    "drop": {"when"},
    "reset": {"when"},
    "hang": {"when", "seconds"},
    "late": {"seconds", "close"},
    "error": {"when", "status", "code", "message"},
    "throttle": {"when"},
    "unavailable": {"when"},
    "html": {"when"},
    "truncated": set(),
    "broken_json": set(),
    "results": {"change"},
    "entry_status": {"status", "error", "entries", "entry_share", "accept"},
}
_EVENT_ACTIONS = {"lose": set[str](), "duplicate": {"copies"}, "delay": {"seconds"}, "reorder": {"seconds"}}
_DEFAULT_OPERATIONS = ("SendEmail", "SendBulkEmail")
Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """One message of a call: whom it is for and what it is tagged with."""

    recipients: tuple[str, ...]
    tags: Tags


@dataclass(slots=True)
class Rule:
    """One rule of the plan; `given` is the rule as written."""

    number: int
    given: Mapping[str, Any]
    fired: int = 0

    def matches(self, index: int, targets: Sequence[Target], key: str, seed: object) -> bool:
        """Whether the rule holds for the `index`-th of its kind (from 1); counts it if so."""
        given = self.given
        first = given.get("from", 1)
        counted = index - first + 1 if "from" in given else index
        if "call" in given and index not in _listed(given["call"]):
            return False
        if index < first or index > given.get("to_call", index):
            return False
        if "every" in given and (counted - (1 if "from" in given else 0)) % given["every"]:
            return False
        if ("to" in given or "tag" in given) and not any(self.on(target) for target in targets):
            return False
        if "share" in given and not self.drawn(seed, key, given["share"]):
            return False
        if self.fired >= given.get("times", self.fired + 1):
            return False
        self.fired += 1
        return True

    def on(self, target: Target) -> bool:
        """Whether "to" and "tag" fit one message."""
        patterns = [pattern.lower() for pattern in _listed(self.given.get("to", "*"))]
        return any(
            fnmatch.fnmatchcase(address.lower(), pattern)
            for address in target.recipients
            for pattern in patterns
        ) and all(
            fnmatch.fnmatchcase(target.tags.get(name, "\0"), pattern)
            for name, pattern in self.given.get("tag", {}).items()
        )

    def drawn(self, seed: object, key: str, share: float) -> bool:
        """Draw from the seed; the same rule and key always draw the same."""
        return random.Random(f"{seed}/{self.number}/{key}").random() < share  # noqa: S311 - not a secret


@dataclass(frozen=True, slots=True)
class CallFaults:
    """What the plan says about one call: a wait, one action, and rules for single entries."""

    latency: float = 0.0
    action: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    entry_rules: tuple[Rule, ...] = ()
    key: str = ""
    seed: object = 0

    def does(self, action: str, when: str = "before") -> bool:
        """Whether the action is the plan's for this call, at this moment."""
        standard = "after" if action == "html" else "before"
        return self.action == action and self.given.get("when", standard) == when

    def entry(self, number: int, target: Target) -> Rule | None:
        """Return the rule that changes the answer for an entry (from 0), or None."""
        for rule in self.entry_rules:
            entries = rule.given.get("entries")
            if entries is not None and number not in _listed(entries):
                continue
            share = rule.given.get("entry_share", 1)
            if rule.on(target) and rule.drawn(self.seed, f"{self.key}/{number}", share):
                return rule
        return None


class FaultPlan:
    """The plan of a file, or none. May be asked from any thread."""

    def __init__(self, path: Path | None) -> None:
        """Read the plan. Raises SettingsError that names the file, the rule and the mistake."""
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._counts: Counter[str] = Counter()
        self._seed: object = 0
        self._rules: dict[str, list[Rule]] = {"calls": [], "outcomes": [], "events": []}
        if path is not None:
            self._read(path)

    def call(self, operation: str, targets: Sequence[Target]) -> CallFaults:
        """Say what to do with a call, and count it."""
        with self._lock:
            self._refresh()
            self._counts[operation] += 1
            index = self._counts[operation]
            key = f"{operation}/{index}"
            latency, action, entry_rules = 0.0, None, []
            for rule in self._rules["calls"]:
                if operation not in _listed(rule.given.get("operation", _DEFAULT_OPERATIONS)):
                    continue
                name = rule.given["action"]
                if action is not None and name not in ("latency", "entry_status"):
                    continue
                if not rule.matches(index, targets, key, self._seed):
                    continue
                if name == "latency":
                    latency += rule.given.get("seconds", 1)
                elif name == "entry_status":
                    entry_rules.append(rule)
                else:
                    action = rule
            given = action.given if action else {}
            return CallFaults(latency, given.get("action", ""), given, tuple(entry_rules), key, self._seed)

    def outcome(self, address: str, tags: Tags, natural: Outcome) -> Outcome:
        """Say what becomes of a message for one recipient."""
        with self._lock:
            self._counts["outcome"] += 1
            index = self._counts["outcome"]
            for rule in self._rules["outcomes"]:
                if rule.matches(index, [Target((address,), tags)], f"outcome/{index}", self._seed):
                    return Outcome(rule.given["outcome"])
        return natural

    def event(self, event_type: str, address: str, tags: Tags) -> list[float]:
        """Return the delay in seconds of each copy of an event that is to be published."""
        with self._lock:
            self._counts[f"event {event_type}"] += 1
            index = self._counts[f"event {event_type}"]
            key = f"{event_type}/{index}"
            for rule in self._rules["events"]:
                if event_type not in _listed(rule.given.get("event", event_type)):
                    continue
                if not rule.matches(index, [Target((address,), tags)], key, self._seed):
                    continue
                match rule.given["action"]:
                    case "lose":
                        return []
                    case "duplicate":
                        return [0.0] * (1 + rule.given.get("copies", 1))
                    case "delay":
                        return [float(rule.given.get("seconds", 1))]
                    case "reorder":
                        wait = random.Random(f"{self._seed}/{key}/wait").random()  # noqa: S311 - not a secret
                        return [wait * float(rule.given.get("seconds", 1))]
        return [0.0]

    def _refresh(self) -> None:
        if self._path is None:
            return
        try:
            found = self._path.stat()
            if (found.st_mtime_ns, found.st_size) != self._stamp:
                self._read(self._path)
        except (OSError, SettingsError) as error:
            raise ApiError("FaultPlanError", str(error)) from error

    def _read(self, path: Path) -> None:
        try:
            found = path.stat()
            plan = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"{path}: the fault plan cannot be read: {error.strerror}.") from None
        except ValueError as error:
            raise SettingsError(f"{path}: the fault plan is not JSON: {error}.") from None
        if not isinstance(plan, dict):
            raise SettingsError(f"{path}: the fault plan is not a JSON object.")
        unknown = set(plan) - {"seed", "calls", "outcomes", "events"}
        if unknown:
            raise SettingsError(f"{path}: unknown key {sorted(unknown)[0]!r}.")
        rules = {
            kind: [
                Rule(number, _checked(path, kind, number, given))
                for number, given in enumerate(plan.get(kind, []))
            ]
            for kind in ("calls", "outcomes", "events")
        }
        self._seed, self._rules = plan.get("seed", 0), rules
        self._counts.clear()
        self._stamp = (found.st_mtime_ns, found.st_size)


def _checked(path: Path, kind: str, number: int, given: Any) -> Mapping[str, Any]:
    place = f"{path}: {kind}[{number}]"
    if not isinstance(given, dict):
        raise SettingsError(f"{place}: is not an object.")
    if kind == "outcomes":
        allowed = _WHICH | {"outcome"}
        if given.get("outcome") not in set(Outcome):
            raise SettingsError(f"{place}: outcome must be one of {', '.join(Outcome)}.")
    else:
        actions: Mapping[str, set[str]] = _ACTIONS if kind == "calls" else _EVENT_ACTIONS
        action = str(given.get("action"))
        if action not in actions:
            raise SettingsError(f"{place}: action must be one of {', '.join(actions)}.")
        allowed = _WHICH | actions[action] | {"action", "operation" if kind == "calls" else "event"}
    unknown = set(given) - allowed
    if unknown:
        raise SettingsError(f"{place}: {sorted(unknown)[0]!r} has no meaning here.")
    if given.get("when", "before") not in ("before", "after"):
        raise SettingsError(f'{place}: when must be "before" or "after".')
    for name in ("share", "entry_share"):
        if not _is_number(given.get(name, 0)) or not 0 <= given.get(name, 0) <= 1:
            raise SettingsError(f"{place}: {name} must be a number from 0 to 1.")
    for name in ("seconds", "every", "times", "from", "to_call", "status_code", "copies"):
        if name in given and (not _is_number(given[name]) or given[name] < (1 if name == "every" else 0)):
            raise SettingsError(f"{place}: {name} must be a number.")
    return given


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def targets(params: Mapping[str, Any]) -> list[Target]:
    """Return the messages that a SendEmail or SendBulkEmail call asks for, read without judging it."""
    if isinstance(entries := params.get("BulkEmailEntries"), list):
        common = _tags(params.get("DefaultEmailTags"))
        return [
            Target(_addresses(entry.get("Destination")), {**common, **_tags(entry.get("ReplacementTags"))})
            for entry in entries
            if isinstance(entry, dict)
        ]
    return [Target(_addresses(params.get("Destination")), _tags(params.get("EmailTags")))]


def _addresses(destination: Any) -> tuple[str, ...]:
    if not isinstance(destination, dict):
        return ()
    found: Iterable[Any] = (
        address
        for field_name in ("ToAddresses", "CcAddresses", "BccAddresses")
        for address in destination.get(field_name) or ()
    )
    return tuple(address.rpartition("<")[2].strip("> ") for address in found if isinstance(address, str))


def _tags(given: Any) -> dict[str, str]:
    if not isinstance(given, list):
        return {}
    return {str(tag.get("Name", "")): str(tag.get("Value", "")) for tag in given if isinstance(tag, dict)}
