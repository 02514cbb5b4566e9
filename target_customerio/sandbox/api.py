"""The endpoints of the Track API, and what they answer.

Source: the paths of the API description that the functions name. Answers have the
bodies given there; the status of a request that is too large is not, and is 400.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import parse_qs

from target_customerio.sandbox import events, objects, values
from target_customerio.sandbox.rules import (
    Fault,
    fault,
    integer,
    one_of,
    optional,
    required,
    shape,
    text,
)
from target_customerio.sandbox.workspace import LARGEST_OPERATION, Workspace

if TYPE_CHECKING:
    from datetime import datetime

    from target_customerio.track_api.operations import JSON


LARGEST_BATCH = 500_000
"""Bytes; "500kb or smaller" (``POST /api/v2/batch``)."""

URLS = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
ENVIRONMENT_ID = 1


@dataclass(frozen=True)
class Request:
    """A request, without its secrets."""

    method: str
    path: str
    query: str
    is_authorized: bool
    body: bytes
    received_at: datetime


@dataclass(frozen=True)
class Answer:
    """What is answered, and to how many operations."""

    status: HTTPStatus = HTTPStatus.OK
    body: JSON = field(default_factory=dict)
    operations: int = 0


class Api:
    """The Track API of one workspace in one region."""

    def __init__(self, workspace: Workspace, region: str) -> None:
        """Serve a workspace.

        Args:
            workspace: The open workspace.
            region: ``us`` or ``eu``.
        """
        self.workspace = workspace
        self.region = region

    def answer(self, request: Request) -> Answer:
        """Answer a request and keep it, in one transaction.

        Args:
            request: The request.

        Returns:
            The answer; by then all is committed.
        """
        with self.workspace.transaction(request.received_at) as change:
            answer = self._route(request)
            path = f"{request.path}?{request.query}" if request.query else request.path
            change.database.execute(
                "INSERT INTO requests (received_at, method, path, status, operations,"
                " bytes, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    change.received_at,
                    request.method,
                    path,
                    answer.status.value,
                    answer.operations,
                    len(request.body),
                    request.body.decode(errors="replace"),
                ),
            )
        return answer

    def _route(self, request: Request) -> Answer:
        for route in _ROUTES:
            found = re.fullmatch(route.path, request.path)
            if not found:
                continue
            if request.method != route.method:
                return _refusal("Method not allowed", HTTPStatus.METHOD_NOT_ALLOWED)
            if not (request.is_authorized or route.is_open):
                return _refusal("Unauthorized request", HTTPStatus.UNAUTHORIZED)
            return route.handle(self, request, *found.groups())
        return _refusal("Not found", HTTPStatus.NOT_FOUND)


def is_authorized(header: str | bytes | None) -> bool:
    """Tell whether an ``Authorization`` header names a site and a key, any of them.

    Source: "Authentication": "Our Tracking API uses HTTP basic authorization".

    Args:
        header: The header, if there is one.

    Returns:
        True for basic authentication with a user and a password.
    """
    plain = header.decode("latin-1") if isinstance(header, bytes) else header or ""
    scheme, _, credentials = plain.partition(" ")
    try:
        site, _, key = base64.b64decode(credentials).partition(b":")
    except binascii.Error:
        return False
    return scheme.lower() == "basic" and bool(site and key)


def _region(api: Api, _: Request) -> Answer:
    """Answer ``GET /api/v1/accounts/region``."""
    return Answer(
        body={
            "url": URLS[api.region],
            "region": api.region,
            "environment_id": ENVIRONMENT_ID,
        }
    )


def _batch(api: Api, request: Request) -> Answer:
    """Answer ``POST /api/v2/batch``: 207 lists the invalid, the others are applied."""
    if len(request.body) > LARGEST_BATCH:
        return _malformed("too_large", "", f"Must not exceed {LARGEST_BATCH} bytes.")
    body = _decode(request.body)
    if body is None:
        return _malformed("malformed", "", "Must be JSON.")
    operations = body.get("batch") if isinstance(body, dict) else None
    if not isinstance(operations, list):
        return _malformed("required", "batch", "Must be an array.")
    faults = [
        {"batch_index": index, **each}
        for index, operation in enumerate(operations)
        for each in api.workspace.apply(operation, request.received_at)
    ]
    if faults:
        return Answer(HTTPStatus.MULTI_STATUS, {"errors": faults}, len(operations))
    return Answer(operations=len(operations))


def _entity(api: Api, request: Request) -> Answer:
    """Answer ``POST /api/v2/entity``."""
    if len(request.body) > LARGEST_OPERATION:
        message = f"Must not exceed {LARGEST_OPERATION} bytes."
        return _malformed("too_large", "", message)
    operation = _decode(request.body)
    if operation is None:
        return _malformed("malformed", "", "Must be JSON.")
    if faults := api.workspace.apply(operation, request.received_at):
        return Answer(HTTPStatus.BAD_REQUEST, {"errors": faults}, 1)
    return Answer(operations=1)


def _metrics(api: Api, request: Request) -> Answer:
    """Answer ``POST /api/v1/metrics``, which "does not require authentication"."""
    report = _decode(request.body)
    if faults := list(_REPORT(report, "")):
        return _bad_request(faults)
    with api.workspace.transaction(request.received_at) as change:
        events.report_delivery(change, report)
    return Answer(operations=1)


def _segment(api: Api, request: Request, segment: str, change: str) -> Answer:
    """Answer ``POST /api/v1/segments/{segment_id}/add_customers`` and its inverse."""
    id_type = parse_qs(request.query).get("id_type", ["id"])[-1]
    body = _decode(request.body)
    ids = body.get("ids") if isinstance(body, dict) else None
    if id_type not in objects.ID_TYPES:
        return _bad_request([fault("invalid", "id_type", "Must be a documented one.")])
    if not isinstance(ids, list) or not 1 <= len(ids) <= objects.MOST_IDS:
        message = f"Must be an array of 1 to {objects.MOST_IDS} items."
        return _bad_request([fault("invalid", "ids", message)])
    apply = objects.add_to_segment if change == "add" else objects.remove_from_segment
    with api.workspace.transaction(request.received_at) as transaction:
        apply(transaction, int(segment), id_type, ids)
    return Answer(operations=1)


def _decode(body: bytes) -> JSON:
    """Return the body's value, or None where there is none to work with."""
    try:
        return values.decode(body)
    except values.NotJSONError:
        return None


def _malformed(reason: str, field: str, message: str) -> Answer:
    """Refuse a request of the second version (schema ``errors``)."""
    body = {"errors": [fault(reason, field, message)]}
    return Answer(HTTPStatus.BAD_REQUEST, body)


def _bad_request(faults: list[Fault]) -> Answer:
    """Refuse a request of the first version (response ``400``)."""
    errors = [f"{each['field'] or 'body'}: {each['message']}" for each in faults]
    return Answer(HTTPStatus.BAD_REQUEST, {"meta": {"errors": errors}})


def _refusal(error: str, status: HTTPStatus) -> Answer:
    return Answer(status, {"meta": {"error": error}})


_REPORT = shape(
    required("delivery_id", text()),
    required("metric", one_of(events.METRICS)),
    optional("timestamp", integer),
    optional("metadata", shape()),
)

_Handler: TypeAlias = Callable[..., Answer]


class _Route(NamedTuple):
    method: str
    path: str
    handle: _Handler
    is_open: bool = False


_ROUTES = (
    _Route("GET", "/api/v1/accounts/region", _region),
    _Route("POST", "/api/v2/batch", _batch),
    _Route("POST", "/api/v2/entity", _entity),
    _Route("POST", "/api/v1/metrics", _metrics, is_open=True),
    _Route("POST", r"/api/v1/segments/([0-9]{1,10})/(add|remove)_customers", _segment),
)
