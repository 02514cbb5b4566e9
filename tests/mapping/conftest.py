"""Fixtures that convert one record to plain JSON."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import Decoding, decode_line
from target_customerio.mapping.actions import events_of_actions
from target_customerio.mapping.call import ConversionSettings, Skipped
from target_customerio.mapping.converter import Converter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_customerio.track_api.operations import Operation

SETTINGS = frozenset(field.name for field in dataclasses.fields(ConversionSettings))
ENCODER = msgspec.json.Encoder(decimal_format="number")
DRAWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture
def drawn() -> str:
    """The ID of every event without a message ID and key."""
    return DRAWN


@pytest.fixture
def converter() -> Callable[..., Converter]:
    """Make a converter; settings are given by their names."""

    def make(call: Any, **options: Any) -> Converter:
        settings = {name: options.pop(name) for name in SETTINGS & options.keys()}
        settings.setdefault("action_events", events_of_actions({})[0])
        options.setdefault("stream", "a-stream")
        options.setdefault("draw", lambda: DRAWN)
        return Converter(call, settings=ConversionSettings(**settings), **options)

    return make


@pytest.fixture
def as_json() -> Callable[[Operation], dict[str, Any]]:
    """Read an operation back from the JSON that is sent, with exact numbers."""

    def read_back(operation: Operation) -> dict[str, Any]:
        read = json.loads(ENCODER.encode(operation), parse_float=Decimal)
        assert isinstance(read, dict)
        return read

    return read_back


@pytest.fixture
def convert(
    converter: Callable[..., Converter],
    as_json: Callable[[Operation], dict[str, Any]],
) -> Callable[..., dict[str, Any]]:
    """Convert one record into the JSON of its operation."""

    def converted(
        call: str, record: Mapping[str, Any], **options: Any
    ) -> dict[str, Any]:
        operation = converter(call, **options).convert(record)
        assert not isinstance(operation, Skipped)
        sent = as_json(operation)
        parsed = as_parsed(record)
        if parsed is not None:
            # What came out of JSON text takes a shorter way, to the same end.
            options.pop("notify", None)
            shorter = converter(call, **options).convert(parsed, from_json=True)
            assert not isinstance(shorter, Skipped)
            assert as_json(shorter) == sent
            assert shorter.identities() == operation.identities()
            assert shorter.linked_identities() == operation.linked_identities()
        return sent

    return converted


def as_parsed(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a JSON decoder makes of a record, or None if it is not JSON."""
    try:
        parsed, decoding = decode_line(ENCODER.encode(record))
    except (TypeError, ValueError, RecursionError):
        return None
    return parsed if decoding is Decoding.STRICT and parsed == record else None


@pytest.fixture
def attributes_of(
    convert: Callable[..., dict[str, Any]],
) -> Callable[..., dict[str, Any]]:
    """Convert one record and return the attributes alone."""

    def attributes(call: str, record: Mapping[str, Any], **options: Any) -> Any:
        return convert(call, record, **options)["attributes"]

    return attributes


@pytest.fixture
def rejection(converter: Callable[..., Converter]) -> Callable[..., RejectedRecord]:
    """Convert a record that has to be rejected, and return the rejection."""

    def rejected(
        call: str, record: Mapping[str, Any], **options: Any
    ) -> RejectedRecord:
        with pytest.raises(RejectedRecord) as caught:
            converter(call, **options).convert(record)
        assert caught.value.reason
        assert caught.value.message
        return caught.value

    return rejected


@pytest.fixture
def is_skipped(converter: Callable[..., Converter]) -> Callable[..., bool]:
    """Tell whether a record is skipped, with a reason."""

    def skipped(call: str, record: Mapping[str, Any], **options: Any) -> bool:
        outcome = converter(call, **options).convert(record)
        return isinstance(outcome, Skipped) and bool(outcome.reason)

    return skipped
