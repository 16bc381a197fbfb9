"""botocore's own model of an API: routes, and the limits it states, checked on the server's side.

botocore's client checks required members and minimum lengths only; maximum, pattern and enum are left to
the server. Reading them from the same model means that our checks cannot drift from AWS's text.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from newsletter.local_ses.api_error import ApiError, BadRequestError

Params = dict[str, Any]


@functools.cache
def service(name: str) -> ServiceModel:
    """Return botocore's model of a service ("sesv2", "sqs")."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), service_name=name)


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: re.Pattern[str]
    operation: str


@functools.cache
def _routes() -> tuple[_Route, ...]:
    model = service("sesv2")
    routes = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(http["requestUri"]))
        routes.append(_Route(http["method"], re.compile(path), name))
    return tuple(routes)


def route(method: str, raw_path: str) -> tuple[str, dict[str, str]]:
    """Find the sesv2 operation of a request and the parameters in its path.

    Raises ApiError UnknownOperationException (404) if the API has no such address.
    """
    for candidate in _routes():
        found = candidate.path.fullmatch(raw_path) if candidate.method == method else None
        if found:
            return candidate.operation, {key: unquote(value) for key, value in found.groupdict().items()}
    raise ApiError("UnknownOperationException", f"SES v2 has no operation {method} {raw_path}.", 404)


def read(operation: str, in_path: Mapping[str, str], query: str, body: bytes) -> Params:
    """Collect and check the parameters of a sesv2 call (REST-JSON). Raises BadRequestError in AWS words."""
    shape = service("sesv2").operation_model(operation).input_shape
    if shape is None:
        return {}
    asked = parse_qs(query, keep_blank_values=True)
    params = json_object(body) if body else {}
    for name, member in shape.members.items():
        place, wire_name = member.serialization.get("location"), member.serialization.get("name", name)
        if place == "uri" and wire_name in in_path:
            params[name] = in_path[wire_name]
        elif place == "querystring" and wire_name in asked:
            params[name] = _from_query(member, asked[wire_name])
    check(shape, params)
    return params


def json_object(body: bytes) -> Params:
    """Read a request's JSON object. Raises ApiError SerializationException."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError("SerializationException", "The request body is not JSON.", 400) from None
    if not isinstance(value, dict):
        raise ApiError("SerializationException", "The request body is not a JSON object.", 400)
    return value


def _from_query(shape: Shape, values: list[str]) -> Any:
    if shape.type_name == "list":
        return values
    if shape.type_name in ("integer", "long"):
        try:
            return int(values[-1])
        except ValueError:
            raise ApiError("SerializationException", f"{values[-1]!r} is not a number.", 400) from None
    return values[-1]


def check(shape: Shape, params: Params) -> None:
    """Check a value against a shape of the model. Raises BadRequestError that lists every violation."""
    errors: list[str] = []
    _check(shape, params, "", errors)
    if errors:
        plural = "s" if len(errors) > 1 else ""
        raise BadRequestError(f"{len(errors)} validation error{plural} detected: " + "; ".join(errors))


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "timestamp": (int, float, str),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}


def _check(shape: Shape, value: Any, path: str, errors: list[str]) -> None:
    kind = shape.type_name
    wrong_type = not isinstance(value, _TYPES.get(kind, (object,)))
    if wrong_type or (isinstance(value, bool) and kind != "boolean"):
        # AWS answers a wrong JSON type with SerializationException, not with a list of violations.
        raise ApiError("SerializationException", f"Value at '{path or 'body'}' is not of type {kind}.", 400)
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                errors.append(_broken(_join(path, name), "Member must not be null"))
        for name, member in shape.members.items():
            if value.get(name) is not None:
                _check(member, value[name], _join(path, name), errors)
    elif isinstance(shape, ListShape):
        _size(shape, len(value), path, errors)
        for number, item in enumerate(value, 1):
            _check(shape.member, item, f"{path}.{number}.member", errors)
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            _check(shape.value, item, f"{path}.{key}.member", errors)
    elif kind == "string":
        _size(shape, len(value), path, errors)
        allowed, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if allowed and value not in allowed:
            errors.append(_broken(path, f"Member must satisfy enum value set: [{', '.join(allowed)}]"))
        if pattern and not re.fullmatch(pattern, value):
            errors.append(_broken(path, f"Member must satisfy regular expression pattern: {pattern}"))
    elif kind == "blob":
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise ApiError("SerializationException", f"Value at '{path}' is not base64.", 400) from None
    elif kind in ("integer", "long", "double"):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            errors.append(_broken(path, f"Member must have value greater than or equal to {low}"))
        if high is not None and value > high:
            errors.append(_broken(path, f"Member must have value less than or equal to {high}"))


def _size(shape: Shape, size: int, path: str, errors: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        errors.append(_broken(path, f"Member must have length greater than or equal to {low}"))
    if high is not None and size > high:
        errors.append(_broken(path, f"Member must have length less than or equal to {high}"))


def _broken(path: str, rule: str) -> str:
    return f"Value at '{path}' failed to satisfy constraint: {rule}"


def _join(path: str, name: str) -> str:
    name = name[:1].lower() + name[1:]  # AWS names members in lower camel case in these messages
    return f"{path}.{name}" if path else name
