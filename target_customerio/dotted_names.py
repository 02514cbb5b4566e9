"""Stream names with dots, which Meltano turns into nested objects.

``stream_calls: {analytics.users: identify}`` in ``meltano.yml`` arrives as
``{"analytics": {"users": "identify"}}``. Here such names are put together again; names
that arrive whole stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk.mapper import (
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    NULL_STRING,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CALL: Final = "call"
"""The entry that tells the object of a stream from one that continues its name."""

_PATTERN_SIGNS: Final = frozenset("*?[")
_NULLABLE_OPTIONS: Final = (MAPPER_FILTER_OPTION, MAPPER_KEY_PROPERTIES_OPTION)


def joined_calls(calls: Mapping[str, Any]) -> dict[str, Any]:
    """Put together the stream names of the setting ``stream_calls``.

    Args:
        calls: The setting; an object without ``call`` continues the name.

    Returns:
        A call, or an object with ``call``, for each stream name or pattern.
    """
    return dict(_calls(calls, ""))


def _calls(calls: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in calls.items():
        if not isinstance(value, dict) or not value:
            yield prefix + name, value
        elif isinstance(value.get(CALL), str):
            yield prefix + name, _without_nulls(value)
        else:
            yield from _calls(value, f"{prefix}{name}.")


def _without_nulls(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Take a null for a setting that is not set."""
    return {name: value for name, value in settings.items() if value is not None}


def joined_maps(maps: Mapping[str, Any]) -> dict[str, Any]:
    """Put together the stream names of the setting ``stream_maps``.

    An expression belongs to the stream that the objects around it name, and an object
    among expressions continues the name. ``__NULL__`` in an object drops that column,
    or else the stream of that name: ``{"analytics": {"tracks": "__NULL__"}}`` is all
    that Meltano leaves of ``{"analytics.tracks": "__NULL__"}``.

    Args:
        maps: The setting.

    Returns:
        A map for each stream name or pattern.
    """
    joined: dict[str, Any] = {}
    for name, value in maps.items():
        if isinstance(value, dict):
            joined |= _maps(value, name)
        else:
            joined[name] = value
    return joined


def _maps(stream_map: Mapping[str, Any], stream: str) -> dict[str, Any]:
    own = {
        name: value for name, value in stream_map.items() if not isinstance(value, dict)
    }
    joined: dict[str, Any] = {}
    if own or not stream_map:
        joined[stream] = _with_nulls(own)
    for name, value in stream_map.items():
        whole = f"{stream}.{name}"
        if isinstance(value, dict):
            joined |= _maps(value, whole)
        elif value == NULL_STRING and _may_be_a_stream(whole, name):
            joined[whole] = value
    return joined


def _with_nulls(stream_map: dict[str, Any]) -> dict[str, Any]:
    """Take ``__NULL__`` for a null also where the SDK does not."""
    nulls = {
        name: None for name in _NULLABLE_OPTIONS if stream_map.get(name) == NULL_STRING
    }
    return {**stream_map, **nulls}


def _may_be_a_stream(whole: str, name: str) -> bool:
    return not name.startswith("__") and _PATTERN_SIGNS.isdisjoint(whole)
