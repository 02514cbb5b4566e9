"""The mapping of streams to calls."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.mapper import (
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    NULL_STRING,
)

from target_customerio.mapping.fields import BY_TYPE, CALL_KINDS, CallName, StreamCall
from target_customerio.mapping.settings import ConversionSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


CALLS_OF_STREAMS: Final = [*CALL_KINDS, BY_TYPE]
"""The values that ``stream_calls`` accepts."""

CALL_OF_NAME: Final[dict[str, CallName]] = {
    stream: call
    for call, kind in CALL_KINDS.items()
    if kind.plural is not None
    for stream in (call, kind.plural)
}
"""Stream names that need no setting, in lower case."""

_SEPARATOR: Final = re.compile(r"[-.]")


@dataclass(frozen=True)
class StreamRule:
    """The call of a stream and its conversion settings.

    Attributes:
        call: The call.
        conversion: The conversion settings, with those given for this stream.
    """

    call: StreamCall
    conversion: ConversionSettings


class StreamCalls:
    """Finds the rule of a stream by the setting ``stream_calls`` and by its name."""

    def __init__(
        self,
        stream_calls: Mapping[str, Any],
        conversion: ConversionSettings | None = None,
    ) -> None:
        """Parse ``stream_calls``: a call, or an object with one, by name or pattern."""
        self._conversion = conversion or ConversionSettings()
        self._rules = {
            name: self._rule(value if isinstance(value, dict) else {CALL: value})
            for name, value in stream_calls.items()
        }

    @property
    def names(self) -> list[str]:
        """The stream names and patterns in the setting."""
        return list(self._rules)

    def rule_of(self, stream: str) -> StreamRule | None:
        """Return the rule of a stream, named as after stream maps, if it has one.

        Exact names in the setting take precedence, then the names that need no setting,
        then patterns in the setting, in order.
        """
        if stream in self._rules:
            return self._rules[stream]
        named = CALL_OF_NAME.get(_SEPARATOR.split(stream)[-1].lower())
        if named is not None:
            return StreamRule(named, self._conversion)
        for pattern, rule in self._rules.items():
            if fnmatchcase(stream, pattern):
                return rule
        return None

    def call_of(self, stream: str) -> StreamCall | None:
        """Return the call of a stream, named as after stream maps, if it is mapped."""
        rule = self.rule_of(stream)
        return rule.call if rule else None

    def _rule(self, value: Mapping[str, Any]) -> StreamRule:
        own = {name: each for name, each in value.items() if name != CALL}
        return StreamRule(value[CALL], replace(self._conversion, **own))


CALL: Final = "call"
"""The key that marks an object as settings of a stream, not as part of its name."""

_PATTERN_SIGNS: Final = frozenset("*?[")
_NULLABLE_OPTIONS: Final = (MAPPER_FILTER_OPTION, MAPPER_KEY_PROPERTIES_OPTION)


def joined_calls(calls: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``stream_calls`` with dotted names: Meltano nests them as objects.

    An object without ``call`` continues the name of the stream.
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
    """Return the settings that are set."""
    return {name: value for name, value in settings.items() if value is not None}


def joined_maps(maps: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``stream_maps`` with dotted names: Meltano nests them as objects.

    An expression belongs to the stream named by the objects around it, and an object
    beside expressions continues the name. ``__NULL__`` in an object drops the column of
    that name, or else the stream: Meltano turns ``{"analytics.tracks": "__NULL__"}``
    into ``{"analytics": {"tracks": "__NULL__"}}``.
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
    """Convert ``__NULL__`` to null in the options where the SDK does not."""
    nulls = {
        name: None for name in _NULLABLE_OPTIONS if stream_map.get(name) == NULL_STRING
    }
    return {**stream_map, **nulls}


def _may_be_a_stream(whole: str, name: str) -> bool:
    return not name.startswith("__") and _PATTERN_SIGNS.isdisjoint(whole)
