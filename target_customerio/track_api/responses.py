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
    from collections.abc import Mapping


REFUSED: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""The content of the request is wrong."""

BAD_CREDENTIALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""The credentials are wrong."""

ACCOUNT_CLOSED: Final = frozenset(
    {HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS}
)
"""The account may not use the API."""

UNKNOWN_PATH: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE}
)
"""The URL is wrong."""

_MAX_TEXT_LENGTH: Final = 200


@dataclass(frozen=True)
class Response:
    """An HTTP response; ``headers`` ignores case, ``body`` may be cut if very long."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Delivered:
    """Customer.io accepted all operations."""


@dataclass(frozen=True)
class PartlyRejected:
    """Customer.io rejected some operations.

    It accepted the others, unless there are unassigned errors: these may be about any
    of the others, which are undecided then.

    Attributes:
        errors: The errors by index of the operation in the request.
        unassigned: Number of errors that name no operation of the request, or 1 where
            a 207 lists none.
    """

    errors: Mapping[int, RejectedRecord]
    unassigned: int = 0


@dataclass(frozen=True)
class RequestRefused:
    """Customer.io refused the whole request because of one or more operations."""

    error: RejectedRecord


@dataclass(frozen=True)
class Retry:
    """The same request may succeed later.

    Attributes:
        seconds: Minimum wait in seconds, if the response says so.
        shared: Whether all connections have to wait.
        reason: What happened, to follow "request" in a message.
    """

    seconds: float | None
    shared: bool
    reason: str


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
        return Retry(None, shared=False, reason=_failed_with(self.status))

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
    if 200 <= status < 300:  # noqa: PLR2004 - the class of statuses
        return _classify_success(response, size)
    if status in REFUSED:
        return RequestRefused(_refusal(response))
    if status in UNKNOWN_PATH:
        return UnknownPath(status)
    error = _fatal_error(response)
    return Fatal(error) if error else _retry(response, _failed_with(status))


def decode_body(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Decode the JSON body of a response; raises ``ValueError`` if it is not JSON."""
    # There may be a byte order mark, or half a surrogate pair in a message.
    text = body.decode("utf-8-sig", "replace")
    return decode_leniently(text, not_finite=float, beyond=float)


def _retry(response: Response, reason: str) -> Retry:
    seconds = retry_after(response.headers)
    rate_limited = response.status == HTTPStatus.TOO_MANY_REQUESTS
    return Retry(seconds, shared=rate_limited or seconds is not None, reason=reason)


def _classify_success(response: Response, size: int) -> Outcome:
    if not response.body.strip():
        if response.status == HTTPStatus.MULTI_STATUS:
            return _retry(response, "failed with HTTP 207 without errors")
        return Delivered()
    try:
        content = decode_body(response.body)
    except ValueError:
        # A proxy's page; Customer.io may not have received the request.
        return _retry(response, f"failed with HTTP {response.status} without JSON")
    listed = _listed_errors(content)
    if not listed and response.status == HTTPStatus.MULTI_STATUS:
        listed = [None]  # some operation failed
    if not listed:
        return Delivered()
    errors: dict[int, RejectedRecord] = {}
    unassigned = 0
    for each in listed:
        index = 0 if size == 1 else _batch_index(each, size)
        if index is None:
            unassigned += 1
        else:
            errors.setdefault(index, _rejection(each, response.status))
    return PartlyRejected(errors, unassigned)


def _batch_index(error: object, size: int) -> int | None:
    """Return the index of the operation that an error names, if it names one."""
    index = error.get("batch_index") if isinstance(error, dict) else None
    if isinstance(index, str) and index.isascii() and index.isdecimal():
        index = int(index) if len(index) <= len(str(size)) else None
    return index if type(index) is int and 0 <= index < size else None


def _listed_errors(content: object) -> list[object]:
    """Return the errors at the top level or in ``meta`` (API description)."""
    if not isinstance(content, dict):
        return []
    errors = content.get("errors")
    meta = content.get("meta")
    if errors is None and isinstance(meta, dict):
        errors = meta.get("errors")
    if not errors:
        return []
    return errors if isinstance(errors, list) else [errors]


def _refusal(response: Response) -> RejectedRecord:
    try:
        listed = _listed_errors(decode_body(response.body))
    except ValueError:
        listed = []
    return _rejection(listed[0] if listed else None, response.status)


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


def _fatal_error(response: Response) -> TargetError | None:
    """Return the error that ends the run; None if the request can be retried."""
    status = response.status
    if status in BAD_CREDENTIALS:
        return CredentialsError(
            f"Customer.io refused the credentials (HTTP {status}): check `site_id` and"
            " `api_key` (Track API credentials of the workspace) and `region`"
        )
    if 300 <= status < 400:  # noqa: PLR2004 - the class of statuses
        return redirect_error(status, response.headers.get("Location", ""))
    if status in ACCOUNT_CLOSED:
        return DeliveryError(
            f"Customer.io refused all requests of this account (HTTP {status}): check"
            " the account's plan and status"
        )
    return None


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
