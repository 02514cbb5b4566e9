"""The endpoints of the Track API, without HTTP: requests in, answers out.

Source: the paths of the API description that the functions name. Response bodies are
those given there. The description gives no status for a request that is too large; the
sandbox answers 400.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from target_customerio.sandbox import events, objects
from target_customerio.sandbox.activity import REPEATED
from target_customerio.sandbox.catalogue import METRIC, apply
from target_customerio.sandbox.rules import FieldError, field_error
from target_customerio.sandbox.workspace import NotJSONError, decode
from target_customerio.track_api.endpoints import URLS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from target_customerio.sandbox.workspace import Transaction, Workspace
    from target_customerio.track_api.operations import JSON

MAX_BATCH_BYTES = 500_000
"""Source: "500kb or smaller" (``POST /api/v2/batch``)."""


@dataclass(frozen=True)
class Request:
    """A request without its credentials."""

    method: str
    path: str
    query: str
    is_authorized: bool
    body: bytes
    received_at: datetime


@dataclass(frozen=True)
class Answer:
    """A response.

    Attributes:
        status: Its status.
        body: Its body.
        operations: How many operations the request had.
        repeats: The indexes of operations that are dropped as repeated events.
    """

    status: HTTPStatus = HTTPStatus.OK
    body: JSON = field(default_factory=dict)
    operations: int = 0
    repeats: Sequence[int] = ()


class _Context(NamedTuple):
    """What a handler works with; ``match`` has the groups of the route's path."""

    transaction: Transaction
    request: Request
    match: re.Match[str]
    region: str


class _Route(NamedTuple):
    """An endpoint; a public one needs no credentials."""

    method: str
    path: str
    handle: Callable[[_Context], Answer]
    is_public: bool = False


def answer(workspace: Workspace, region: str, request: Request) -> Answer:
    """Apply and log a request in one transaction, which is committed on return."""
    with workspace.transaction(request.received_at) as transaction:
        sent = _route(transaction, region, request)
        _log_request(transaction, request, sent)
    return sent


def _route(transaction: Transaction, region: str, request: Request) -> Answer:
    for route in _ROUTES:
        match = re.fullmatch(route.path, request.path)
        if not match:
            continue
        if request.method != route.method:
            return _refuse("Method not allowed", HTTPStatus.METHOD_NOT_ALLOWED)
        if not (request.is_authorized or route.is_public):
            return _refuse("Unauthorized request", HTTPStatus.UNAUTHORIZED)
        return route.handle(_Context(transaction, request, match, region))
    return _refuse("Not found", HTTPStatus.NOT_FOUND)


def _log_request(transaction: Transaction, request: Request, sent: Answer) -> None:
    path = f"{request.path}?{request.query}" if request.query else request.path
    transaction.database.execute(
        "INSERT INTO requests (received_at, method, path, status, operations, bytes,"
        " body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            transaction.received_at,
            request.method,
            path,
            sent.status.value,
            sent.operations,
            len(request.body),
            request.body.decode(errors="replace"),
        ),
    )


def _region(context: _Context) -> Answer:
    """Answer ``GET /api/v1/accounts/region``."""
    (workspace,) = context.transaction.database.execute(
        "SELECT id FROM workspace"
    ).fetchone()
    return Answer(
        body={
            "url": URLS[context.region],
            "region": context.region,
            "environment_id": workspace,
        }
    )


def _batch(context: _Context) -> Answer:
    """Answer ``POST /api/v2/batch``; a 207 lists the errors, the rest is applied."""
    if len(context.request.body) > MAX_BATCH_BYTES:
        return _refuse_batch(
            "too_large", "", f"must not exceed {MAX_BATCH_BYTES} bytes"
        )
    body = _decode(context.request.body)
    if body is None:
        return _refuse_batch("malformed", "", "must be JSON")
    operations = body.get("batch") if isinstance(body, dict) else None
    if not isinstance(operations, list):
        return _refuse_batch("required", "batch", "must be an array")
    errors: list[JSON] = []
    repeats: list[int] = []
    for index, operation in enumerate(operations):
        logged = len(context.transaction.logged)
        errors += [
            {"batch_index": index, **error}
            for error in apply(context.transaction, operation)
        ]
        if REPEATED in context.transaction.logged[logged:]:
            repeats.append(index)
    accepted = Answer(operations=len(operations), repeats=repeats)
    if errors:
        status, listed = HTTPStatus.MULTI_STATUS, {"errors": errors}
        return replace(accepted, status=status, body=listed)
    return accepted


def _metrics(context: _Context) -> Answer:
    """Answer ``POST /api/v1/metrics``, which "does not require authentication"."""
    metric = _decode(context.request.body)
    if errors := list(METRIC(metric, "")):
        return _bad_request(errors)
    events.record_metric(context.transaction, metric)
    return Answer(operations=1)


def _segment(context: _Context) -> Answer:
    """Answer ``POST .../segments/{segment_id}/add_customers`` or its opposite."""
    segment, change = context.match.groups()
    id_type = parse_qs(context.request.query).get("id_type", ["id"])[-1]
    body = _decode(context.request.body)
    ids = body.get("ids") if isinstance(body, dict) else None
    if id_type not in objects.SEGMENT_ID_TYPES:
        message = f"must be one of {', '.join(objects.SEGMENT_ID_TYPES)}"
        return _bad_request([field_error("invalid", "id_type", message)])
    if not isinstance(ids, list) or not 1 <= len(ids) <= objects.MAX_SEGMENT_IDS:
        message = f"must be an array of 1 to {objects.MAX_SEGMENT_IDS} items"
        return _bad_request([field_error("invalid", "ids", message)])
    change_members = (
        objects.add_to_segment if change == "add" else objects.remove_from_segment
    )
    change_members(context.transaction, int(segment), id_type, ids)
    return Answer(operations=1)


def _decode(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return the decoded body, or None if it is not JSON."""
    try:
        return decode(body)
    except NotJSONError:
        return None


def _refuse_batch(reason: str, field_name: str, message: str) -> Answer:
    """Refuse a whole request of version 2 of the API (schema ``errors``)."""
    body = {"errors": [field_error(reason, field_name, message)]}
    return Answer(HTTPStatus.BAD_REQUEST, body)


def _bad_request(errors: list[FieldError]) -> Answer:
    """Refuse a request of version 1 of the API (response ``400``)."""
    texts = [f"{error['field'] or 'body'}: {error['message']}" for error in errors]
    return Answer(HTTPStatus.BAD_REQUEST, {"meta": {"errors": texts}})


def _refuse(error: str, status: HTTPStatus) -> Answer:
    return Answer(status, {"meta": {"error": error}})


_ROUTES = (
    _Route("GET", "/api/v1/accounts/region", _region),
    _Route("POST", "/api/v2/batch", _batch),
    _Route("POST", "/api/v1/metrics", _metrics, is_public=True),
    _Route("POST", r"/api/v1/segments/([0-9]{1,10})/(add|remove)_customers", _segment),
)
