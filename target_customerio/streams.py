"""Which call the records of a stream are."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from target_customerio.conversion.fields import CALL_KINDS, CallName

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMED_CALLS: Final = [call for call, kind in CALL_KINDS.items() if kind.plural]
"""The calls that a stream may be named after."""

CALL_OF_NAME: Final[dict[str, CallName]] = {
    stream: call
    for call, kind in CALL_KINDS.items()
    if kind.plural is not None
    for stream in (call, kind.plural)
}
"""The stream names that need no setting, in lower case."""

_SEPARATOR: Final = re.compile(r"[-.]")


class StreamCalls:
    """Tells the call of each stream, by the setting ``stream_calls`` and by name."""

    def __init__(self, stream_calls: Mapping[str, CallName]) -> None:
        """Learn the user's own mapping.

        Args:
            stream_calls: A call for each stream name or shell pattern, in order.
        """
        self._stream_calls = dict(stream_calls)

    def call_of(self, stream: str) -> CallName | None:
        """Tell the call of a stream.

        Exact names of the setting come first, then the names that need no setting,
        then the patterns of the setting in their order.

        Args:
            stream: The stream's name.

        Returns:
            The call, or ``None`` where no rule names the stream.
        """
        if stream in self._stream_calls:
            return self._stream_calls[stream]
        named = CALL_OF_NAME.get(_SEPARATOR.split(stream)[-1].lower())
        if named is not None:
            return named
        for pattern, call in self._stream_calls.items():
            if fnmatchcase(stream, pattern):
                return call
        return None
