"""Which stream is which call, and the settings of each stream."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from target_customerio.mapping.call import ConversionSettings
from target_customerio.mapping.fields import CALL_KINDS, CallName, StreamCall
from target_customerio.settings.schema import CALL, DEFAULT_MAX_DELETIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CALL_OF_NAME: Final[dict[str, CallName]] = {
    stream: call
    for call, kind in CALL_KINDS.items()
    if kind.plural is not None
    for stream in (call, kind.plural)
}
"""Stream names that need no setting, in lower case."""

_SEPARATOR: Final = re.compile(r"[-.]")


@dataclass(frozen=True)
class RemovalSettings:
    """What ``--remove-missing`` may remove of a stream.

    Attributes:
        remove_missing: Whether anything is removed.
        max_deletions: Maximum removals of each kind: a number, or a share of what the
            stream held, such as ``10%``.
    """

    remove_missing: bool = False
    max_deletions: int | str = DEFAULT_MAX_DELETIONS


@dataclass(frozen=True)
class StreamRule:
    """The call of a stream and its settings.

    Attributes:
        call: The call.
        conversion: The conversion settings, with those given for this stream.
        removal: The settings of its removal, with those given for this stream.
    """

    call: StreamCall
    conversion: ConversionSettings
    removal: RemovalSettings = RemovalSettings()

    @property
    def asks_for_removal(self) -> bool:
        """Whether ``--remove-missing`` removes what is missing from the stream."""
        return self.removal.remove_missing and self.call in REMOVABLE


REMOVAL_SETTINGS: Final = tuple(each.name for each in fields(RemovalSettings))
REMOVE_MISSING: Final = "remove_missing"
REMOVABLE: Final = ("identify", "group", "segment")
"""The calls of streams that hold what ``--remove-missing`` can remove."""


class StreamCalls:
    """Finds the rule of a stream by the setting ``stream_calls`` and by its name."""

    def __init__(
        self,
        stream_calls: Mapping[str, Any],
        conversion: ConversionSettings | None = None,
        removal: RemovalSettings | None = None,
    ) -> None:
        """Parse ``stream_calls``: a call, or an object with one, by name or pattern."""
        self._conversion = conversion or ConversionSettings()
        self._removal = removal or RemovalSettings()
        self._rules = {
            name: self._rule(value if isinstance(value, dict) else {CALL: value})
            for name, value in stream_calls.items()
        }

    @property
    def names(self) -> list[str]:
        """The stream names and patterns in the setting."""
        return list(self._rules)

    @property
    def removing(self) -> list[str]:
        """The stream names and patterns in the setting that have ``remove_missing``."""
        return [
            name for name, rule in self._rules.items() if rule.removal.remove_missing
        ]

    def rule_of(self, stream: str) -> StreamRule | None:
        """Return the rule of a stream, named as after stream maps, if it has one.

        Exact names in the setting take precedence, then the names that need no setting,
        then patterns in the setting, in order.
        """
        if stream in self._rules:
            return self._rules[stream]
        named = CALL_OF_NAME.get(_SEPARATOR.split(stream)[-1].lower())
        if named is not None:
            return StreamRule(named, self._conversion, self._removal)
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
        removal = {name: own.pop(name) for name in REMOVAL_SETTINGS if name in own}
        return StreamRule(
            value[CALL],
            replace(self._conversion, **own),
            replace(self._removal, **removal),
        )


def asks_for_removal(value: str | Mapping[str, Any]) -> bool:
    """Return whether a value of ``stream_calls`` has ``remove_missing``."""
    return isinstance(value, dict) and bool(value.get(REMOVE_MISSING))


def removal_errors(value: str | Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield a line if a value of ``stream_calls`` asks for an impossible removal.

    Args:
        value: A call, or an object with one.
        name: What the line calls the value.
    """
    if isinstance(value, str) or not asks_for_removal(value):
        return
    if value[CALL] not in REMOVABLE:
        yield (
            f"{name}.remove_missing: a {value[CALL]} stream has nothing that can be "
            f"removed; only {', '.join(REMOVABLE)} streams have"
        )
