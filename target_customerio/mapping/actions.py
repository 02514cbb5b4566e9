"""Track events that are actions: on devices, people, objects and deliveries.

Sources: "Create or update a device" in the destination's documentation, "Device Token
Set up" in Segment's, and the schema ``device_object_common``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeVar

from msgspec import UNSET

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.call import lookup, lookup_in_context
from target_customerio.mapping.fields import spellings
from target_customerio.mapping.groups import find_field, object_identifiers
from target_customerio.mapping.identity import PersonFinder, identifier
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
    PersonSuppress,
    PersonUnsuppress,
    Relationship,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_customerio.mapping.call import Act, Call, StreamContext
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
"""Platform by the operating system's name in lower case."""

SYSTEM_FIELDS: Final = (("device", "type"), ("os", "name"))
"""Fields of the context that may name the operating system; the first one wins."""

TOKEN_FORMS: Final[tuple[tuple[re.Pattern[str], Platform], ...]] = (
    (re.compile(r"[0-9a-fA-F]{64}", re.ASCII), "ios"),
    (re.compile(r".+:APA91.*", re.ASCII), "android"),
)
"""Tokens of APNs are 64 hexadecimal digits; tokens of FCM contain ``:APA91``."""

CONTEXT_ATTRIBUTES: Final[tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]] = (
    ("app_version", (("app", "version"),)),
    ("device_os", (("os", "name"), ("os", "version"))),
    ("device_model", (("device", "model"),)),
    ("device_locale", (("locale",),)),
)
"""Attributes of a device, and the fields of the context that they are joined from."""

SCALARS: Final = (str, int, Decimal)
"""Types that are converted to text for a device's attribute."""

DEVICE_ID: Final = ("device_id", "deviceId", "DEVICE_ID")
"""Properties that may hold the token; the documented spelling wins."""

_person: Final = PersonFinder(property_email=True)


def create_or_update_device(
    call: Call, stream: StreamContext
) -> PersonAddDevice | None:
    """Return the operation, or ``None`` without a token or a person."""
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
            last_used=call.time(),
            attributes=attributes,
        ),
    )


def delete_device(call: Call, stream: StreamContext) -> PersonDeleteDevice:
    """Delete a device; the event needs its token and a person."""
    token, _ = _token(call)
    if token is None:
        raise RejectedRecord("required", "context.device.token", "missing device token")
    return PersonDeleteDevice(
        identifiers=_person.require(call, stream), device=DeviceToken(token=token)
    )


def _token(call: Call) -> tuple[str | None, frozenset[str]]:
    """Return the token, and the property that holds it."""
    field = "context.device.token"
    token = identifier(lookup_in_context(call.context, "device", "token"), field)
    if token is not None:
        return token, frozenset()
    field = "properties.device_id"
    for spelling in DEVICE_ID:
        token = identifier(call.body.get(spelling), field)
        if token is not None:
            return token, frozenset({spelling})
    return None, frozenset()


def _platform(call: Call, token: str) -> Platform:
    """Return the platform from the context, else from the form of the token."""
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
        "missing platform: the context has no operating system, and the form of the "
        "token does not tell the platform",
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


_Kind = TypeVar("_Kind", PersonDelete, PersonSuppress, PersonUnsuppress)


def _person_action(kind: type[_Kind]) -> Callable[[Call, StreamContext], _Kind]:
    def act(call: Call, stream: StreamContext) -> _Kind:
        return kind(identifiers=_person.require(call, stream))

    return act


delete_person: Final = _person_action(PersonDelete)
"""Deletes the person."""

suppress_person: Final = _person_action(PersonSuppress)
"""Deletes the person and blocks their identifiers."""

unsuppress_person: Final = _person_action(PersonUnsuppress)
"""Allows a suppressed person's identifiers again."""


_person_without_phone: Final = PersonFinder(phone=False, property_email=True)


def delete_object(call: Call, _stream: StreamContext) -> ObjectDelete:
    """Delete an object with its relationships."""
    return ObjectDelete(identifiers=_object(call))


def delete_relationship(call: Call, stream: StreamContext) -> ObjectDeleteRelationships:
    """Delete the relationship of a person with an object."""
    return ObjectDeleteRelationships(
        identifiers=_object(call),
        cio_relationships=[
            Relationship(identifiers=_person_without_phone.require(call, stream))
        ],
    )


def _object(call: Call) -> ObjectIdentifiers:
    named = object_identifiers(call, find_field(call, "objectId"))
    if named is None:
        raise RejectedRecord("required", "properties.objectId", "missing object ID")
    return named


METADATA: Final = {"actionName": "action_name", "actionValue": "action_value"}
"""Properties that are sent in the ``metadata`` of a delivery report."""

CONTENT_ACTIONS: Final = ("viewed_content", "clicked_content")

_person_or_anonymous: Final = PersonFinder(anonymous=True, property_email=True)


def report_delivery_event(call: Call, stream: StreamContext) -> DeliveryReport:
    """Report a metric of a delivery."""
    details: Attributes = {**call.body, **call.overrides}

    def detail(field: str) -> JSON:
        found = {field: lookup(details, field)}
        return stream.cleaner.attributes(found).get(field)

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
        timestamp=call.time(),
        metadata=metadata or UNSET,
        **optional,
    )


def report_content_event(call: Call, stream: StreamContext) -> PersonContentReport:
    """Report a view of content or a click on it."""
    action = lookup(call.body, "actionType")
    if action not in CONTENT_ACTIONS:
        raise RejectedRecord(
            "unknown_action",
            "properties.actionType",
            "must be one of " + ", ".join(CONTENT_ACTIONS),
        )
    return PersonContentReport(
        identifiers=_person_or_anonymous.require(call, stream),
        action=action,
        id=stream.event_id(call, f"content:{action}"),
        name=action,
        timestamp=call.time(),
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
    """What a track event does instead of recording an event.

    Attributes:
        act: Converts the event.
        events: The default event names.
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
    """Return the action of each event name, and a line for each error.

    Errors are blank names and names that are listed for two actions.
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
