"""States that wait for everything before them to be accounted for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Checkpoints:
    """The states of the input, each with its place among the operations.

    Only the newest state that is due is worth writing, so that the ones before it are
    dropped; and of those that wait no more than a few dozen are kept.
    """

    def __init__(self, capacity: int = 64) -> None:
        """Keep nothing yet.

        Args:
            capacity: Most states that are kept.
        """
        self._capacity = capacity
        self._marks: deque[tuple[int, Mapping[str, Any]]] = deque()

    def __len__(self) -> int:
        """Count the states that wait."""
        return len(self._marks)

    def add(self, sequence: int, state: Mapping[str, Any]) -> None:
        """Keep a state until it is due.

        Args:
            sequence: The number of the first operation that comes after it.
            state: The state.
        """
        if self._marks and (
            self._marks[-1][0] == sequence or len(self._marks) >= self._capacity
        ):
            self._marks.pop()
        self._marks.append((sequence, state))

    def due(self, low_watermark: int) -> Mapping[str, Any] | None:
        """Hand out the newest state that may be written, once.

        Args:
            low_watermark: The smallest sequence number that is not finished.

        Returns:
            The state, or ``None`` when there is none.
        """
        state = None
        while self._marks and self._marks[0][0] <= low_watermark:
            _, state = self._marks.popleft()
        return state
