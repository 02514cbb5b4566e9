"""Which call the records of a stream are."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from target_customerio.conversion.fields import (
    BY_TYPE,
    CALL_KINDS,
    CallName,
    StreamCall,
)
from target_customerio.conversion.stream import ConversionSettings
from target_customerio.dotted_names import CALL

if TYPE_CHECKING:
    from collections.abc import Mapping

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
