"""Track: a person's event, or the action that its name stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.conversion.actions import ACTIONS
from target_customerio.conversion.happenings import happening, name_of
from target_customerio.errors import RejectedRecord
from target_customerio.operations import PersonEvent

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Skipped, Stream
    from target_customerio.operations import Operation

NAME_FIELDS = ("event_text", "event")


def convert(call: Call, stream: Stream) -> Operation | Skipped:
    """Convert a track call.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The event, or the operation of its action.

    Raises:
        RejectedRecord: The call cannot become an operation.
    """
    name = _name(call)
    action = stream.settings.action_events.get(name.strip())
    if action is not None:
        operation = ACTIONS[action].act(call, stream)
        if operation is not None:
            return operation
    return happening(PersonEvent, name, call, stream, f"track:{name}")


def _name(call: Call) -> str:
    for field in NAME_FIELDS:
        value = call.fields.get(field)
        if value is not None and (name := name_of(value, field)) is not None:
            return name
    raise RejectedRecord("required", "event", "missing event name")
