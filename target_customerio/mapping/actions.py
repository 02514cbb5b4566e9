"""Actions on devices.

Sources: "Create or update a device" in the destination's documentation, "Device Token
Set up" in Segment's, and the schema ``device_object_common``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeVar

from msgspec import UNSET

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.containers import lookup, lookup_in_context
from target_customerio.mapping.events import NOTHING, time_of
from target_customerio.mapping.fields import spellings
from target_customerio.mapping.identity import (
    PersonFinder,
    identifier,
    object_identifiers,
)
from target_customerio.mapping.relationships import found_in
from target_customerio.mapping.schema_types import NO_DATES
from target_customerio.track_api.operations import (
    DeliveryReport,
    Device,
    DeviceToken,
    ObjectDelete,
    ObjectDeleteRelationships,
    PersonAddDevice,
    PersonContentReport,
    PersonDelete,
    PersonDeleteDevice,
    PersonRelationship,
    PersonSuppress,
    PersonUnsuppress,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_customerio.mapping.record import Call
    from target_customerio.mapping.settings import Act, Stream
    from target_customerio.mapping.values import Cleaner
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        ObjectIdentifiers,
    )


Platform = Literal["ios", "android"]

PLATFORMS: Final[dict[str, Platform]] = {
    "android": "android",
    **dict.fromkeys(
        (
            "ios",
            "ipados",
            "iphone os",
            "mac os",
            "mac os x",
            "macos",
            "os x",
            "tvos",
            "visionos",
            "watchos",
        ),
        "ios",
    ),
}
"""The platform of each system, by its name in lower case: Apple's take ``ios``."""

SYSTEM_FIELDS: Final = (("device", "type"), ("os", "name"))
"""Where the context names the system; the first that does decides."""

TOKEN_FORMS: Final[tuple[tuple[re.Pattern[str], Platform], ...]] = (
    (re.compile(r"[0-9a-fA-F]{64}", re.ASCII), "ios"),
    (re.compile(r".+:APA91.*", re.ASCII), "android"),
)
"""A token of Apple's is 64 hexadecimal digits; one of FCM's bears ``:APA91``."""

CONTEXT_ATTRIBUTES: Final[tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]] = (
    ("app_version", (("app", "version"),)),
    ("device_os", (("os", "name"), ("os", "version"))),
    ("device_model", (("device", "model"),)),
    ("device_locale", (("locale",),)),
)
"""Attributes of a device, and the fields of the context that make them up."""

SCALARS: Final = (str, int, Decimal)
"""What a device's attribute can be made of; it is text in the end."""

DEVICE_ID: Final = ("device_id", "deviceId", "DEVICE_ID")
"""The property that may be the token; the documented spelling wins."""

_person: Final = PersonFinder(property_email=True)


def create_or_update_device(call: Call, stream: Stream) -> PersonAddDevice | None:
    """Add or update a device, or leave the event an ordinary one.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The operation, or ``None`` where the token or the person is missing.

    Raises:
        RejectedRecord: The platform cannot be told.
    """
    token, used = _token(call)
    person = _person.find(call, stream)
    if token is None or person is None:
        return None
    attributes = stream.cleaner.attributes(call.body, call.dates, used)
    for name, value in _context_attributes(call, stream.cleaner).items():
        attributes.setdefault(name, value)
    return PersonAddDevice(
        identifiers=person,
        device=Device(
            token=token,
            platform=_platform(call, token),
            last_used=time_of(call),
            attributes=attributes,
        ),
    )


def delete_device(call: Call, stream: Stream) -> PersonDeleteDevice:
    """Remove a device.

    Args:
        call: The call; it needs the device's token and a person.
        stream: The stream that the record belongs to.

    Returns:
        The operation on the person.

    Raises:
        RejectedRecord: The token or the person is missing.
    """
    token, _ = _token(call)
    if token is None:
        raise RejectedRecord(
            "required", "context.device.token", "missing token of the device"
        )
    return PersonDeleteDevice(
        identifiers=_person.require(call, stream), device=DeviceToken(token=token)
    )


def _token(call: Call) -> tuple[str | None, frozenset[str]]:
    """Return the token, and the properties that it was taken from."""
    field = "context.device.token"
    token = identifier(lookup_in_context(call.context, "device", "token"), field)
    if token is not None:
        return token, NOTHING
    field = "properties.device_id"
    for spelling in DEVICE_ID:
        token = identifier(call.body.get(spelling), field)
        if token is not None:
            return token, frozenset({spelling})
    return None, NOTHING


def _platform(call: Call, token: str) -> Platform:
    for path in SYSTEM_FIELDS:
        system = lookup_in_context(call.context, *path)
        if isinstance(system, str) and (name := system.strip().lower()):
            platform = PLATFORMS.get(name)
            if platform is None:
                raise _unknown_platform(path, "the platform must be ios or android")
            return platform
    for form, platform in TOKEN_FORMS:
        if form.fullmatch(token):
            return platform
    raise _unknown_platform(
        SYSTEM_FIELDS[0],
        "missing platform: the context names no system, and the form of the token "
        "does not tell it",
    )


def _unknown_platform(path: tuple[str, ...], message: str) -> RejectedRecord:
    return RejectedRecord("unknown_platform", ".".join(("context", *path)), message)


def _context_attributes(call: Call, cleaner: Cleaner) -> Attributes:
    attributes: Attributes = {}
    for name, paths in CONTEXT_ATTRIBUTES:
        values = [
            cleaner.value(lookup_in_context(call.context, *path), NO_DATES, name)
            for path in paths
        ]
        texts = [str(value) for value in values if isinstance(value, SCALARS)]
        if texts:
            attributes[name] = " ".join(texts)
    return attributes


_named_person: Final = PersonFinder(property_email=True)

_Kind = TypeVar("_Kind", PersonDelete, PersonSuppress, PersonUnsuppress)


def _on_the_person(kind: type[_Kind]) -> Callable[[Call, Stream], _Kind]:
    def act(call: Call, stream: Stream) -> _Kind:
        return kind(identifiers=_named_person.require(call, stream))

    return act


delete_person: Final = _on_the_person(PersonDelete)
"""Deletes the person; an event without one is rejected."""

suppress_person: Final = _on_the_person(PersonSuppress)
"""Deletes the person, and refuses their identifiers from now on."""

unsuppress_person: Final = _on_the_person(PersonUnsuppress)
"""Accepts a suppressed person's identifiers again."""


_related_person: Final = PersonFinder(phone=False, property_email=True)


def delete_object(call: Call, _stream: Stream) -> ObjectDelete:
    """Delete an object and its relationships.

    Args:
        call: The call; it needs ``objectId``.

    Returns:
        The operation on the object.

    Raises:
        RejectedRecord: The object is missing.
    """
    return ObjectDelete(identifiers=_object(call))


def delete_relationship(call: Call, stream: Stream) -> ObjectDeleteRelationships:
    """Part a person from an object.

    Args:
        call: The call; it needs ``objectId`` and a person.
        stream: The stream that the record belongs to.

    Returns:
        The operation on the object.

    Raises:
        RejectedRecord: The object or the person is missing.
    """
    return ObjectDeleteRelationships(
        identifiers=_object(call),
        cio_relationships=[
            PersonRelationship(identifiers=_related_person.require(call, stream))
        ],
    )


def _object(call: Call) -> ObjectIdentifiers:
    named = object_identifiers(call, found_in(call, "objectId"))
    if named is None:
        raise RejectedRecord(
            "required", "properties.objectId", "missing id of the object"
        )
    return named


METADATA: Final = {"actionName": "action_name", "actionValue": "action_value"}
"""Where the details of a click go in a delivery report."""

CONTENT_ACTIONS: Final = ("viewed_content", "clicked_content")

_viewer: Final = PersonFinder(anonymous=True, property_email=True)


def report_delivery_event(call: Call, stream: Stream) -> DeliveryReport:
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


def report_content_event(call: Call, stream: Stream) -> PersonContentReport:
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


class Action(NamedTuple):
    """What an event stands for.

    Attributes:
        act: Makes the operation.
        events: The names of the event, unless the user has others.
    """

    act: Act
    events: tuple[str, ...]


ACTIONS: Final[dict[str, Action]] = {
    "create_or_update_device": Action(
        create_or_update_device,
        ("Application Installed", "Application Opened", "Device Created or Updated"),
    ),
    "delete_device": Action(
        delete_device, ("Application Uninstalled", "Device Deleted")
    ),
    "delete_relationship": Action(delete_relationship, ("Relationship Deleted",)),
    "delete_person": Action(delete_person, ("User Deleted",)),
    "delete_object": Action(delete_object, ("Object Deleted",)),
    "suppress_person": Action(suppress_person, ("User Suppressed",)),
    "unsuppress_person": Action(unsuppress_person, ("User Unsuppressed",)),
    "report_delivery_event": Action(report_delivery_event, ("Report Delivery Event",)),
    "report_content_event": Action(report_content_event, ("Report Content Event",)),
}


def events_of_actions(
    changed: Mapping[str, Sequence[str]],
) -> tuple[dict[str, str], list[str]]:
    """Turn the lists of event names around: from an event to its action.

    Args:
        changed: The actions whose list the user replaces, and their new lists.

    Returns:
        The action behind each event name, white space around it removed, and a line
        for each name that is blank or listed for two actions.
    """
    actions: dict[str, str] = {}
    errors: list[str] = []
    events = {name: action.events for name, action in ACTIONS.items()}
    for action, listed in _listed({**events, **changed}):
        name = listed.strip()
        if not name:
            errors.append(f"action_events: {action} lists a blank event name")
            continue
        first = actions.setdefault(name, action)
        if first != action:
            errors.append(
                f"action_events: the event {name!r} is listed for {first} and for "
                f"{action}; list it for one of them only"
            )
    return actions, errors


def _listed(events: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for action, names in events.items():
        for name in names:
            yield action, name
