"""The settings and objects that the conversion of a stream's records uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from target_customerio.mapping.fields import DELETED_AT
from target_customerio.mapping.identity import USER_ID_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_customerio.mapping.event_ids import EventIds
    from target_customerio.mapping.identity import ResolveUserId
    from target_customerio.mapping.record import Call
    from target_customerio.mapping.values import Cleaner
    from target_customerio.track_api.operations import Operation


@dataclass(frozen=True)
class ConversionSettings:
    """The settings that decide how records become operations.

    Attributes:
        user_id_type: The kind of identifier in ``userId``.
        screen_events: The operation of a screen call.
        anonymous_identify: How an identify with only an anonymous id is handled.
        convert_timestamps: Convert dates in traits and properties to Unix seconds.
        null_attributes: Send nulls, which clears attributes, or omit them.
        update_only: Never create a person.
        identify_timestamp: Send the record's time with an identify, or omit it.
        hard_delete: Delete the people and objects of rows marked as deleted.
        action_events: Action by event name.
        flattening_separator: The separator of flattened column names.
    """

    user_id_type: Literal["auto", "id", "email", "cio_id"] = "auto"
    screen_events: Literal["screen", "viewed_event"] = "screen"
    anonymous_identify: Literal["skip", "use_as_id"] = "skip"
    convert_timestamps: bool = True
    null_attributes: Literal["send", "omit"] = "send"
    update_only: bool = False
    identify_timestamp: Literal["record", "omit"] = "record"
    hard_delete: bool = False
    action_events: Mapping[str, str] = field(default_factory=dict)
    flattening_separator: str = "__"


@dataclass(frozen=True)
class Skipped:
    """A record that is not sent, by a documented rule."""

    reason: str


@dataclass(frozen=True)
class StreamContext:
    """What the conversion of a stream's records needs besides the record."""

    settings: ConversionSettings
    cleaner: Cleaner
    event_ids: EventIds

    @cached_property
    def resolve(self) -> ResolveUserId:
        """The function that reads a user ID."""
        return USER_ID_TYPES[self.settings.user_id_type]

    def deletes(self, call: Call) -> bool:
        """Tell whether a row is marked as deleted and deletions are enabled."""
        return self.settings.hard_delete and call.fields.get(DELETED_AT) is not None


Convert: TypeAlias = "Callable[[Call, StreamContext], Operation | Skipped]"
"""Converts a call to an operation."""

Act: TypeAlias = "Callable[[Call, StreamContext], Operation | None]"
"""Converts a track event to an action; ``None``: it is an ordinary event."""
