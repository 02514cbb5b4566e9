"""Operations on their way to Customer.io."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from target_customerio.errors import RejectedRecord, nested_too_deeply
from target_customerio.json_codec import encode
from target_customerio.track_api.endpoints import (
    BATCH,
    Endpoint,
    Limits,
    endpoint_of,
)

if TYPE_CHECKING:
    from target_customerio.track_api.operations import Operation


OPERATION_MEMORY: Final = 800
"""Approximate memory of a small operation beside its body and its record, in bytes."""

IDENTITY_MEMORY: Final = 400
"""Approximate memory of each identity after the first, in bytes."""

MAX_IDENTITY_LENGTH: Final = 256
"""Characters above which an identity is replaced by a hash, which orders as well."""


class QueuedOperation(msgspec.Struct, eq=False, gc=False):
    """An encoded operation on its way to Customer.io.

    Attributes:
        stream: The caller's handle to the record's stream; not used here.
        label: Name of the operation in the summary.
        body: The operation as JSON.
        identities: Every person and object that the operation names, except those in
            ``shared``.
        shared: Objects that it only relates to people or from people: such operations
            of different people need no order among themselves.
        linked: The identities that the operation makes the same person.
        endpoint: Where it is posted.
        record: The caller's handle to the record; not used here.
        sequence: Position in the run; set by the queue.
        keys: What the operation is ordered by; set by the queue.
        group: The operations that it is connected with by keys, if any; set by the
            queue.
        since: When it was queued, in monotonic seconds; set by the queue.
        is_sent: Whether it is in flight; set by the queue.
        memory: Approximate memory, in bytes; the caller adds that of the record.
        is_recent: Whether it is an event recent enough to trigger campaigns.
        ticket: The caller's handle to what its result is noted in; not used here.
    """

    stream: object
    label: str
    body: bytes
    identities: tuple[str, ...]
    linked: tuple[str, ...]
    endpoint: Endpoint
    record: object
    sequence: int = -1
    keys: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    group: Any = None
    since: float = 0.0
    is_sent: bool = False
    memory: int = OPERATION_MEMORY
    is_recent: bool = False
    ticket: object = None


def encode_operation(
    operation: Operation,
    stream: object,
    record: object,
    *,
    max_bytes: int = Limits.operation_bytes,
    ordering: Ordering | None = None,
) -> QueuedOperation:
    """Encode an operation for :meth:`Delivery.put`.

    Args:
        operation: The operation.
        stream: The caller's handle to the record's stream.
        record: The caller's handle to the record.
        max_bytes: Maximum size of the encoded operation, in bytes.
        ordering: What orders it, if that is not what it names.

    Returns:
        The encoded operation.

    Raises:
        RejectedRecord: It is too large or cannot be encoded as JSON.
    """
    try:
        body = encode(operation.payload())
    except UnicodeEncodeError:
        message = "text has a lone surrogate, which is not valid Unicode"
        raise RejectedRecord("invalid_text", "", message) from None
    except RecursionError:
        raise nested_too_deeply() from None
    size = len(body)
    if size > max_bytes:
        message = (
            f"the operation has {size:,} bytes; "
            f"Customer.io accepts at most {max_bytes:,}"
        )
        raise RejectedRecord("too_large", "", message)
    identities, linked, shared = ordering or ordering_of(operation)
    memory = OPERATION_MEMORY + size
    memory += IDENTITY_MEMORY * (len(identities) + len(shared) - 1)
    return QueuedOperation(
        stream,
        operation.label,
        body,
        identities,
        linked,
        # Saves a call per operation for nearly all of them.
        BATCH if operation.is_batched else endpoint_of(operation),
        record,
        shared=shared,
        memory=memory,
    )


Ordering: TypeAlias = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""``identities``, ``linked`` and ``shared`` of a :class:`QueuedOperation`."""


def ordering_of(operation: Operation, further: tuple[str, ...] = ()) -> Ordering:
    """Return what orders an operation.

    Args:
        operation: The operation.
        further: Identities of further people whom it concerns.
    """
    identities = operation.identities()
    if further:
        identities = tuple(dict.fromkeys((*identities, *further)))
    if len(identities) == 1 and len(identities[0]) <= MAX_IDENTITY_LENGTH:
        return identities, (), ()
    linked = tuple(map(_shortened, operation.linked_identities()))
    shared: tuple[str, ...] = ()
    commuting = operation.commuting_identities()
    if commuting:
        shared = tuple(map(_shortened, commuting))
        identities = tuple(each for each in identities if each not in commuting)
    return tuple(map(_shortened, identities)), linked, shared


def ordering_by(person: tuple[str, ...]) -> Ordering:
    """Return what orders an operation that concerns one person with these keys."""
    keys = tuple(map(_shortened, person))
    return keys, keys if len(keys) > 1 else (), ()


def _shortened(identity: str) -> str:
    """Return an identity, or a hash in place of a long one, to save memory."""
    if len(identity) <= MAX_IDENTITY_LENGTH:
        return identity
    return blake2b(identity.encode(), digest_size=32).hexdigest()
