"""Streams of several calls, such as archives: a record's ``type`` names its call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from target_customerio.conversion.converter import TURNED_OFF, Converter
from target_customerio.conversion.fields import BY_TYPE, SPEC_CALLS, spellings
from target_customerio.conversion.notices import Notices
from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_customerio.conversion.fields import CallName, StreamCall
    from target_customerio.conversion.stream import Skipped
    from target_customerio.operations import JSON, Operation

TYPE: Final = spellings("type")


class ConverterByType:
    """Converts the records of one stream, each as the call that its ``type`` names."""

    def __init__(
        self,
        *,
        notify: Callable[[str], None],
        **options: Any,  # noqa: ANN401 - whatever a Converter takes
    ) -> None:
        """Decide what all calls of the stream have in common.

        Args:
            notify: Is told, once each, what the user should know about the stream.
            options: What a :class:`Converter` takes beside its call.
        """
        self._options = {**options, "notify": Notices(notify)}
        self._converters: dict[CallName, Converter] = {}

    def convert(
        self,
        record: Mapping[str, JSON],
        *,
        from_json: bool = False,
        arrived: Mapping[str, JSON] | None = None,
    ) -> Operation | Skipped:
        """Convert a record.

        Args:
            record: The record; it is not changed.
            from_json: Whether it is just what a JSON decoder made of valid JSON.
            arrived: The record as it was before stream maps changed it.

        Returns:
            The operation that it becomes, or why it becomes none.

        Raises:
            RejectedRecord: It cannot become one, or its ``type`` names no call.
        """
        name = _type_of(record)
        call = SPEC_CALLS.get(name.lower()) if isinstance(name, str) else None
        if call is not None:
            return self._converter(call).convert(
                record, from_json=from_json, arrived=arrived
            )
        if self.turns_off(record):
            return TURNED_OFF
        if name is None:
            raise RejectedRecord("required", "type", "missing type of call")
        raise RejectedRecord(
            "wrong_call",
            "type",
            f"unknown type of call, expected one of {', '.join(SPEC_CALLS)}",
        )

    def turns_off(self, record: Mapping[str, JSON]) -> bool:
        """Tell whether a record turns Customer.io off, whatever else it holds.

        Args:
            record: The record, which may have any columns.

        Returns:
            Whether it does.
        """
        return self._converter("identify").turns_off(record)

    def _converter(self, call: CallName) -> Converter:
        converter = self._converters.get(call)
        if converter is None:
            converter = Converter(call, **self._options)
            self._converters[call] = converter
        return converter


def converter_of(
    call: StreamCall,
    *,
    notify: Callable[[str], None],
    **options: Any,  # noqa: ANN401 - whatever a Converter takes
) -> Converter | ConverterByType:
    """Make the converter of a stream.

    Args:
        call: What the stream is mapped to.
        notify: Is told, once each, what the user should know about the stream.
        options: What else a :class:`Converter` takes.

    Returns:
        The converter.
    """
    if call == BY_TYPE:
        return ConverterByType(notify=notify, **options)
    return Converter(call, notify=notify, **options)


def _type_of(record: Mapping[str, JSON]) -> JSON:
    for spelling in TYPE:
        found = record.get(spelling)
        if found is not None and found != "":
            return found
    return None
