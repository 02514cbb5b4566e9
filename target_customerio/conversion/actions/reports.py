"""Actions that report what became of a message.

Sources: ``POST /api/v1/metrics`` of the API description, and "Report content event" in
the destination's documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from target_customerio.conversion.containers import lookup
from target_customerio.conversion.fields import spellings
from target_customerio.conversion.happenings import time_of
from target_customerio.conversion.identifiers import PersonFinder, identifier
from target_customerio.errors import RejectedRecord
from target_customerio.operations import DeliveryReport, PersonContentReport

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream
    from target_customerio.operations import JSON, Attributes

METADATA: Final = {"actionName": "action_name", "actionValue": "action_value"}
"""Where the details of a click go in a delivery report."""

CONTENT_ACTIONS: Final = ("viewed_content", "clicked_content")

_viewer: Final = PersonFinder(anonymous=True, property_email=True)


def delivery(call: Call, stream: Stream) -> DeliveryReport:
    """Report a metric of a delivery.

    Args:
        call: The call; it needs ``deliveryId`` and ``metric``.
        stream: The stream that the record belongs to.

    Returns:
        The report.

    Raises:
        RejectedRecord: One of them is missing.
    """
    details: Attributes = {**call.body, **call.overrides}

    def detail(field: str) -> JSON:
        return stream.cleaner.attributes(
            {field: lookup(details, field)}, {}, frozenset()
        ).get(field)

    metadata = {
        name: value
        for field, name in METADATA.items()
        if (value := detail(field)) is not None
    }
    optional = {
        field: value
        for field in ("recipient", "reason", "href")
        if (value := detail(field)) is not None
    }
    return DeliveryReport(
        delivery_id=_required(details, "deliveryId"),
        metric=_required(details, "metric"),
        timestamp=time_of(call),
        metadata=metadata or UNSET,
        **optional,
    )


def content(call: Call, stream: Stream) -> PersonContentReport:
    """Report a view of content, or a click on it.

    Args:
        call: The call; it needs ``properties.actionType`` and a person, who may be
            anonymous.
        stream: The stream that the record belongs to.

    Returns:
        The report.

    Raises:
        RejectedRecord: It is neither a view nor a click, or has no person.
    """
    action = lookup(call.body, "actionType")
    if action not in CONTENT_ACTIONS:
        raise RejectedRecord(
            "unknown_action",
            "properties.actionType",
            "must be one of " + ", ".join(CONTENT_ACTIONS),
        )
    return PersonContentReport(
        identifiers=_viewer.require(call, stream),
        action=action,
        id=stream.event_ids.of(call, f"content:{action}"),
        name=action,
        timestamp=time_of(call),
        attributes=stream.cleaner.attributes(
            call.body, call.dates, frozenset(spellings("actionType"))
        ),
    )


def _required(details: Attributes, field: str) -> str:
    value = identifier(lookup(details, field), f"properties.{field}")
    if value is None:
        raise RejectedRecord(
            "required",
            f"properties.{field}",
            f"missing {field}: a delivery report needs it",
        )
    return value
