"""An operation on its way: encoded once, with what is needed to keep it in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from target_customerio.delivery.limits import Limits
from target_customerio.delivery.routes import BATCH, BATCHED, Route, route_of
from target_customerio.errors import RejectedRecord
from target_customerio.exact_json import encode

if TYPE_CHECKING:
    from target_customerio.operations import Operation


class QueuedOperation(msgspec.Struct, eq=False, gc=False):
    """One operation between its record and Customer.io.

    Attributes:
        stream: The caller's handle to the record's stream; never looked into.
        label: What the operation is called in the summary.
        body: The operation as JSON.
        identities: Every person and object that it names.
        ties: The identities that it makes one and the same person.
        route: Where it is posted.
        origin: The caller's handle to the record; never looked into.
        sequence: Its place in the run, given when it is put into the delivery.
        keys: Everything it is ordered by, given when it is put into the delivery.
        lane: The number of the lane that it is in, given when it is put there.
        origin_bytes: How much memory the origin takes, in bytes, where that is much.
        is_recent: Whether it is an event young enough to trigger campaigns.
    """

    stream: object
    label: str
    body: bytes
    identities: tuple[str, ...]
    ties: tuple[str, ...]
    route: Route
    origin: object
    sequence: int = -1
    keys: tuple[str, ...] = ()
    lane: int = -1
    origin_bytes: int = 0
    is_recent: bool = False


def enqueueable(
    operation: Operation,
    stream: object,
    origin: object,
    most_bytes: int = Limits.operation_bytes,
) -> QueuedOperation:
    """Encode an operation for its delivery.

    Args:
        operation: The operation.
        stream: The caller's handle to the stream of its record.
        origin: The caller's handle to its record.
        most_bytes: Most bytes that it may take.

    Returns:
        The operation, ready to be put into the delivery.

    Raises:
        RejectedRecord: When it is too large, or cannot be written as JSON.
    """
    try:
        body = encode(operation.payload())
    except UnicodeEncodeError:
        message = "A text holds half of a surrogate pair, which is no Unicode."
        raise RejectedRecord("invalid_text", "", message) from None
    except RecursionError:
        message = "The operation is nested too deeply to be written as JSON."
        raise RejectedRecord("too_deep", "", message) from None
    if len(body) > most_bytes:
        message = (
            f"The operation takes {len(body):,} bytes; "
            f"Customer.io accepts {most_bytes:,}."
        )
        raise RejectedRecord("too_large", "", message)
    identities = operation.identities()
    return QueuedOperation(
        stream,
        operation.label,
        body,
        identities,
        operation.ties() if len(identities) > 1 else (),
        # Nearly all, for which one call less an operation is worth the line.
        BATCH if isinstance(operation, BATCHED) else route_of(operation),
        origin,
    )
