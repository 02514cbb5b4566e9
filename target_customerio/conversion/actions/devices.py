"""Actions on devices.

Sources: "Create or update a device" in the destination's documentation, "Device Token
Set up" in Segment's, and the schema ``device_object_common``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from target_customerio.conversion.containers import lookup_in_context
from target_customerio.conversion.happenings import NOTHING, time_of
from target_customerio.conversion.identifiers import PersonFinder, identifier
from target_customerio.conversion.schema_types import NO_DATES
from target_customerio.errors import RejectedRecord
from target_customerio.operations import (
    Device,
    DeviceToken,
    PersonAddDevice,
    PersonDeleteDevice,
)

if TYPE_CHECKING:
    from target_customerio.conversion.attributes import Cleaner
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream
    from target_customerio.operations import Attributes

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


def create_or_update(call: Call, stream: Stream) -> PersonAddDevice | None:
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


def delete(call: Call, stream: Stream) -> PersonDeleteDevice:
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
