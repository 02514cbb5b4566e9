"""What the conversion of one stream's records depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from target_customerio.mapping.fields import DELETED_AT
from target_customerio.mapping.identity import USER_ID_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_customerio.mapping.event_ids import EventIds
    from target_customerio.mapping.identity import Resolve
    from target_customerio.mapping.record import Call
    from target_customerio.mapping.values import Cleaner
    from target_customerio.track_api.operations import Operation


@dataclass(frozen=True)
class ConversionSettings:
    """The settings that decide what becomes of a record.

    Attributes:
        user_id_type: What kind of identifier a user id is.
        screen_events: What a screen call becomes.
        anonymous_identify: What becomes of an identify that names only an anonymous id.
        convert_timestamps: Make Unix seconds of dates in traits and properties.
        null_attributes: Send nulls, which clears attributes, or leave them out.
        update_only: Never create a person.
        identify_timestamp: Let a record's time order its attribute update, or not.
        hard_delete: Delete the people and objects of rows marked as deleted.
        action_events: The action behind each event name that is one.
        flattening_separator: What joins the names of flattened columns.
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
    """A record that becomes no operation, by a documented rule."""

    reason: str


@dataclass(frozen=True)
class Stream:
    """One stream, ready to have its records converted."""

    settings: ConversionSettings
    cleaner: Cleaner
    event_ids: EventIds

    @cached_property
    def resolve(self) -> Resolve:
        """How a user id is read."""
        return USER_ID_TYPES[self.settings.user_id_type]

    def deletes(self, call: Call) -> bool:
        """Tell whether a row is marked as deleted, and deletes what it names.

        Args:
            call: The row.

        Returns:
            Whether it does.
        """
        return self.settings.hard_delete and call.fields.get(DELETED_AT) is not None


Convert: TypeAlias = "Callable[[Call, Stream], Operation | Skipped]"
"""Converts a call."""

Act: TypeAlias = "Callable[[Call, Stream], Operation | None]"
"""Converts a track event that is an action; ``None`` leaves it an ordinary one."""
