"""What an answer of Customer.io means for the operations of its request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from target_customerio.errors import (
    CredentialsError,
    DeliveryError,
    RejectedRecord,
    TargetError,
)
from target_customerio.json_codec import decode_leniently
from target_customerio.track_api.endpoints import redirected

if TYPE_CHECKING:
    from collections.abc import Mapping


REFUSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Statuses that blame the content of the request."""

NO_ENTRY = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""Statuses that blame the credentials."""

CLOSED = frozenset(
    {HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS}
)
"""Statuses that blame the account."""

NOT_THERE = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE}
)
"""Statuses that blame the address of the request."""

_LONGEST_TEXT = 200


@dataclass(frozen=True)
class Answer:
    """An HTTP response.

    Attributes:
        status: Its status.
        headers: Its headers, found in any case.
        body: Its body; of an absurdly long one, the beginning.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Delivered:
    """Customer.io took all operations."""


@dataclass(frozen=True)
class PartlyRejected:
    """Customer.io took all operations but some.

    Attributes:
        errors: What is wrong, by the operation's place in the request.
        strays: How many errors name no operation of the request.
    """

    errors: Mapping[int, RejectedRecord]
    strays: int = 0


@dataclass(frozen=True)
class WholeRequestRefused:
    """Customer.io took none of the operations, because of one or more of them.

    Attributes:
        error: What is wrong, as far as Customer.io says.
    """

    error: RejectedRecord


@dataclass(frozen=True)
class RetryAfter:
    """The same request may succeed later.

    Attributes:
        seconds: How long to wait at least, if Customer.io says.
        shared: Whether this concerns every connection.
        why: What happened, as the predicate of a sentence about the request.
    """

    seconds: float | None
    shared: bool
    why: str


@dataclass(frozen=True)
class Fatal:
    """Nothing can be delivered.

    Attributes:
        error: What ends the run.
    """

    error: TargetError


@dataclass(frozen=True)
class NotThere:
    """The server knows no such address; what that means depends on the address.

    Attributes:
        status: The status that says so.
    """

    status: int

    def rejection(self, size: int) -> PartlyRejected:
        """Blame the segment in the address, which all operations have in common.

        Args:
            size: The number of operations in the request.

        Returns:
            The rejection of every operation.
        """
        error = RejectedRecord(
            "unknown_segment",
            "segmentId",
            "Customer.io has no manual segment with this id (HTTP "
            f"{self.status}): correct the id, or create the segment in Customer.io",
        )
        return PartlyRejected(dict.fromkeys(range(size), error))

    def failure(self) -> RetryAfter:
        """Blame the server, which has accepted requests before."""
        return RetryAfter(None, shared=False, why=_answered(self.status))

    def end(self) -> Fatal:
        """Blame the setting."""
        return Fatal(_not_of_the_api(self.status))


Outcome: TypeAlias = (
    Delivered | PartlyRejected | WholeRequestRefused | RetryAfter | Fatal
)


def classify(answer: Answer, size: int) -> Outcome | NotThere:
    """Tell what an answer means.

    Args:
        answer: The answer.
        size: The number of operations in the request.

    Returns:
        What it means. An answer that makes no sense never raises.
    """
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004 - the class of statuses
        return _successful(answer, size)
    if status in REFUSED:
        return WholeRequestRefused(_refusal(answer))
    if status in NOT_THERE:
        return NotThere(status)
    error = _fatal(answer)
    return Fatal(error) if error else _again(answer, _answered(status))


def decoded(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON that may be none.

    Args:
        body: The body of an answer.

    Returns:
        Its value.

    Raises:
        ValueError: When it is no JSON.
    """
    # There may be a byte order mark, or half a surrogate pair in a message.
    text = body.decode("utf-8-sig", "replace")
    return decode_leniently(text, not_finite=float, beyond=float)


def _again(answer: Answer, why: str) -> RetryAfter:
    seconds = wanted_seconds(answer.headers)
    crowded = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return RetryAfter(seconds, shared=crowded or seconds is not None, why=why)


def _successful(answer: Answer, size: int) -> Outcome:
    if not answer.body.strip():
        if answer.status == HTTPStatus.MULTI_STATUS:
            return _again(answer, "was answered with HTTP 207 but no errors in it")
        return Delivered()
    try:
        content = decoded(answer.body)
    except ValueError:
        # A proxy's page: whether Customer.io ever saw the request is unknown.
        return _again(answer, f"was answered with HTTP {answer.status} but no JSON")
    listed = _listed_errors(content)
    if not listed:
        return Delivered()
    errors: dict[int, RejectedRecord] = {}
    strays = 0
    for each in listed:
        index = each.get("batch_index") if isinstance(each, dict) else None
        if index is None and size == 1:
            index = 0  # there is no doubt which operation is meant
        if type(index) is int and 0 <= index < size:
            errors.setdefault(index, _rejection(each, answer.status))
        else:
            strays += 1
    return PartlyRejected(errors, strays)


def _listed_errors(content: object) -> list[object]:
    """Find the errors where the API description has them: on top, or in ``meta``."""
    if not isinstance(content, dict):
        return []
    errors = content.get("errors")
    meta = content.get("meta")
    if errors is None and isinstance(meta, dict):
        errors = meta.get("errors")
    if not errors:
        return []
    return errors if isinstance(errors, list) else [errors]


def _refusal(answer: Answer) -> RejectedRecord:
    try:
        listed = _listed_errors(decoded(answer.body))
    except ValueError:
        listed = []
    return _rejection(listed[0] if listed else None, answer.status)


def _rejection(error: object, status: int) -> RejectedRecord:
    if isinstance(error, str):
        error = {"message": error}
    told = error if isinstance(error, dict) else {}
    too_large = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return RejectedRecord(
        _line(told.get("reason")) or ("too_large" if too_large else "refused"),
        _line(told.get("field")),
        _line(told.get("message"))
        or f"Customer.io refused the operation with HTTP {status}.",
    )


def _line(text: object) -> str:
    """Flatten a text of Customer.io's to one short line."""
    if not isinstance(text, str):
        return ""
    shown = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(shown.split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"


def _answered(status: int) -> str:
    return f"was answered with HTTP {status}"


def _fatal(answer: Answer) -> TargetError | None:
    """Return what ends the run, or None if the request may succeed later."""
    status = answer.status
    if status in NO_ENTRY:
        return CredentialsError(
            f"Customer.io refuses the credentials (HTTP {status}): check `site_id` and"
            " `api_key`, which have to be Track API credentials of the workspace, and"
            " `region`."
        )
    if 300 <= status < 400:  # noqa: PLR2004 - the class of statuses
        return redirected(status, answer.headers.get("Location", ""))
    if status in CLOSED:
        return DeliveryError(
            f"Customer.io refuses all requests of this account (HTTP {status}): check"
            " the account's plan and state"
        )
    return None


def _not_of_the_api(status: int) -> DeliveryError:
    return DeliveryError(
        f"The server answered with HTTP {status}, which Customer.io's Track API does"
        " not: check `api_url`."
    )


LONGEST = 366 * 86_400.0
"""A year: as good as for ever, and nothing overflows."""

_SECONDS = re.compile(r"\d+(\.\d*)?", re.ASCII)


def wanted_seconds(headers: Mapping[str, str]) -> float | None:
    """Read how long a server wants its clients to wait.

    A date is compared to the server's own clock where the answer tells it.

    Args:
        headers: The headers of an answer.

    Returns:
        Seconds, no less than 0, or ``None`` when the server does not say.
    """
    value = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), LONGEST)
    then = _date(value)
    if then is None:
        return None
    now = _date(headers.get("Date", "")) or datetime.now(timezone.utc)
    return min(max((then - now).total_seconds(), 0.0), LONGEST)


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
