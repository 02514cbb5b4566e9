"""Meaning of Customer.io's responses for the operations of a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from target_customerio.errors import (
    CredentialsError,
    DeliveryError,
    RejectedRecord,
    TargetError,
)
from target_customerio.json_codec import decode_leniently
from target_customerio.track_api.endpoints import redirect_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_MAX_TEXT_LENGTH: Final = 200

REPEATS_HEADER: Final = "X-Sandbox-Repeats"
"""Header in which a sandbox lists the operations that it dropped as repeated events.

Customer.io drops them too, but does not say so.
"""


@dataclass(frozen=True)
class Response:
    """An HTTP response; ``headers`` ignores case, ``body`` may be cut if very long."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Delivered:
    """Customer.io accepted all operations.

    Attributes:
        repeats: Indexes of operations that a sandbox dropped as repeated events.
    """

    repeats: frozenset[int] = frozenset()


@dataclass(frozen=True)
class PartlyRejected:
    """Customer.io rejected some operations.

    It accepted the others, unless there are unassigned errors: these may be about any
    of the others, which are undecided then.

    Attributes:
        errors: The errors by index of the operation in the request.
        unassigned: Number of errors that name no operation of the request, or 1 where
            a 207 lists none.
        repeats: Indexes of operations that a sandbox dropped as repeated events.
    """

    errors: Mapping[int, RejectedRecord]
    unassigned: int = 0
    repeats: frozenset[int] = frozenset()


@dataclass(frozen=True)
class RequestRefused:
    """Customer.io refused the whole request because of one or more operations."""

    error: RejectedRecord


@dataclass(frozen=True)
class Retry:
    """The same request may succeed later.

    Attributes:
        reason: What happened, to follow "request" in a message.
        seconds: How long all connections have to wait, if the response says so.
        rate_limited: Whether too many requests were sent.
    """

    reason: str
    seconds: float | None = None
    rate_limited: bool = False


@dataclass(frozen=True)
class Fatal:
    """Nothing can be delivered; ``error`` ends the run."""

    error: TargetError


@dataclass(frozen=True)
class UnknownPath:
    """The server does not know the path; the sender decides what follows."""

    status: int

    def rejection(self, size: int) -> PartlyRejected:
        """Reject all operations: the segment in the path does not exist."""
        error = RejectedRecord(
            "unknown_segment",
            "segmentId",
            "Customer.io has no manual segment with this id (HTTP "
            f"{self.status}): correct the id, or create the segment in Customer.io",
        )
        return PartlyRejected(dict.fromkeys(range(size), error))

    def retry(self) -> Retry:
        """Retry: the server has accepted requests before."""
        return Retry(_failed_with(self.status))

    def fatal(self) -> Fatal:
        """End the run: `api_url` is wrong."""
        return Fatal(
            DeliveryError(
                f"HTTP {self.status} is not a response of Customer.io's Track API: "
                "check `api_url`"
            )
        )


Outcome: TypeAlias = Delivered | PartlyRejected | RequestRefused | Retry | Fatal


def classify(response: Response, size: int) -> Outcome | UnknownPath:
    """Return what a response means for a request of ``size`` operations."""
    status = response.status
    kind = _KINDS.get(status) or _KINDS_OF_CLASSES.get(status // 100, _retry)
    return kind(response, size)


def decode_body(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Decode the JSON body of a response; raises ``ValueError`` if it is not JSON."""
    # There may be a byte order mark, or half a surrogate pair in a message.
    text = body.decode("utf-8-sig", "replace")
    return decode_leniently(text, not_finite=float, out_of_range=float)


def _success(response: Response, size: int) -> Outcome:
    is_multi_status = response.status == HTTPStatus.MULTI_STATUS
    content = None
    if response.body.strip():
        try:
            content = decode_body(response.body)
        except ValueError:
            # A proxy's page; Customer.io may not have received the request.
            return _retry(
                response, size, f"{_failed_with(response.status)} without JSON"
            )
    # A 207 says that some operation failed.
    listed = _listed_errors(content) or ([None] if is_multi_status else [])
    repeats = _repeats(response, size)
    if not listed:
        return Delivered(repeats)
    errors: dict[int, RejectedRecord] = {}
    unassigned = 0
    for each in listed:
        named = each.get("batch_index") if isinstance(each, dict) else None
        index = 0 if size == 1 else _index(named, size)
        if index is None:
            unassigned += 1
        else:
            errors.setdefault(index, _rejection(each, response.status))
    return PartlyRejected(errors, unassigned, repeats)


def _repeats(response: Response, size: int) -> frozenset[int]:
    listed = response.headers.get(REPEATS_HEADER)
    if not listed:
        return frozenset()
    indexes = (_index(each, size) for each in listed.split())
    return frozenset(index for index in indexes if index is not None)


def _index(index: object, size: int) -> int | None:
    """Return the index of an operation of the request, given as number or text."""
    if isinstance(index, str) and index.isascii() and index.isdecimal():
        index = int(index) if len(index) <= len(str(size)) else None
    return index if type(index) is int and 0 <= index < size else None


def _listed_errors(content: object) -> list[object]:
    """Return the errors at the top level and in ``meta`` (API description)."""
    listed: list[object] = []
    while isinstance(content, dict):
        errors = content.get("errors") or []
        listed += errors if isinstance(errors, list) else [errors]
        content = content.get("meta")
    return listed


def _refused(response: Response, _size: int) -> RequestRefused:
    try:
        listed = _listed_errors(decode_body(response.body))
    except ValueError:
        listed = []
    return RequestRefused(_rejection(listed[0] if listed else None, response.status))


def _rejection(error: object, status: int) -> RejectedRecord:
    if isinstance(error, str):
        error = {"message": error}
    details = error if isinstance(error, dict) else {}
    too_large = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return RejectedRecord(
        _one_line(details.get("reason")) or ("too_large" if too_large else "refused"),
        _one_line(details.get("field")),
        _one_line(details.get("message"))
        or f"Customer.io refused the operation (HTTP {status})",
    )


def _one_line(text: object) -> str:
    """Return text of a response as one short line; empty if it is not text."""
    if not isinstance(text, str):
        return ""
    printable = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(printable.split())
    if len(line) > _MAX_TEXT_LENGTH:
        line = line[: _MAX_TEXT_LENGTH - 1] + "…"
    return line


def _failed_with(status: int) -> str:
    return f"failed with HTTP {status}"


def _redirect(response: Response, _size: int) -> Fatal:
    location = response.headers.get("Location", "")
    return Fatal(redirect_error(response.status, location))


def _bad_credentials(response: Response, _size: int) -> Fatal:
    return Fatal(
        CredentialsError(
            f"Customer.io refused the credentials (HTTP {response.status}): check"
            " `site_id` and `api_key` (Track API credentials of the workspace) and"
            " `region`"
        )
    )


def _account_closed(response: Response, _size: int) -> Fatal:
    return Fatal(
        DeliveryError(
            "Customer.io refused all requests of this account (HTTP"
            f" {response.status}): check the account's plan and status"
        )
    )


def _unknown_path(response: Response, _size: int) -> UnknownPath:
    return UnknownPath(response.status)


def _retry(response: Response, _size: int, reason: str = "") -> Retry:
    return Retry(
        reason or _failed_with(response.status),
        retry_after(response.headers),
        rate_limited=response.status == HTTPStatus.TOO_MANY_REQUESTS,
    )


_KINDS_OF_CLASSES: Final[Mapping[int, Callable[[Response, int], Outcome]]] = {
    2: _success,
    3: _redirect,
}
"""What a status means by its first digit; any other is retried."""

_KINDS: Final[Mapping[int, Callable[[Response, int], Outcome | UnknownPath]]] = {
    400: _refused,
    413: _refused,
    422: _refused,
    401: _bad_credentials,
    403: _bad_credentials,
    402: _account_closed,
    451: _account_closed,
    404: _unknown_path,
    405: _unknown_path,
    410: _unknown_path,
}
"""What a status means whose class says too little."""


MAX_RETRY_AFTER: Final = 366 * 86_400.0
"""A year in seconds; longer than any `max_retry_seconds`, and nothing overflows."""

_SECONDS: Final = re.compile(r"\d+(\.\d*)?", re.ASCII)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait by ``Retry-After``, at least 0; None without one.

    A date is compared with the response's ``Date``, so a wrong local clock does no harm
    (urllib3's parser uses the local clock, and refuses fractions of a second).
    """
    value = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), MAX_RETRY_AFTER)
    then = _http_date(value)
    if then is None:
        return None
    now = _http_date(headers.get("Date", "")) or datetime.now(timezone.utc)
    return min(max((then - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
