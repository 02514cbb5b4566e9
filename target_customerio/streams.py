"""Which call the records of a stream are."""

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
"""What a stream can be mapped to by ``stream_calls``."""

CALL_OF_NAME: Final[dict[str, CallName]] = {
    stream: call
    for call, kind in CALL_KINDS.items()
    if kind.plural is not None
    for stream in (call, kind.plural)
}
"""The stream names that need no setting, in lower case."""

_SEPARATOR: Final = re.compile(r"[-.]")


@dataclass(frozen=True)
class StreamRule:
    """What the records of a stream are, and how they are converted.

    Attributes:
        call: The call that they are.
        conversion: The settings of the conversion, those of the stream alone included.
    """

    call: StreamCall
    conversion: ConversionSettings


class StreamCalls:
    """Tells the rule of each stream, by the setting ``stream_calls`` and by name."""

    def __init__(
        self,
        stream_calls: Mapping[str, Any],
        conversion: ConversionSettings | None = None,
    ) -> None:
        """Learn the user's own mapping.

        Args:
            stream_calls: For each stream name or shell pattern, in order, a call, or an
                object with ``call`` and the conversion settings of that stream.
            conversion: The conversion settings of every stream.
        """
        self._conversion = conversion or ConversionSettings()
        self._rules = {
            name: self._rule(value if isinstance(value, dict) else {CALL: value})
            for name, value in stream_calls.items()
        }

    @property
    def names(self) -> list[str]:
        """The stream names and patterns of the setting."""
        return list(self._rules)

    def rule_of(self, stream: str) -> StreamRule | None:
        """Tell the rule of a stream.

        Exact names of the setting come first, then the names that need no setting,
        then the patterns of the setting in their order.

        Args:
            stream: The stream's name, after stream maps.

        Returns:
            The rule, or ``None`` where the stream has none.
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
        """Tell the call of a stream.

        Args:
            stream: The stream's name, after stream maps.

        Returns:
            The call, or ``None`` where the stream has no rule.
        """
        rule = self.rule_of(stream)
        return rule.call if rule else None

    def _rule(self, value: Mapping[str, Any]) -> StreamRule:
        own = {name: each for name, each in value.items() if name != CALL}
        return StreamRule(value[CALL], replace(self._conversion, **own))


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
