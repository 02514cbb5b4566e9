"""Who is told what became of each operation, and when STATE may be written."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_customerio.delivery.queued import QueuedOperation
    from target_customerio.errors import RejectedRecord


class Listener(Protocol):
    """Keeps the accounts of a run.

    Its methods are called by the delivery's threads, one at a time. What they raise
    ends the run.
    """

    def delivered(self, operations: Sequence[QueuedOperation]) -> None:
        """Take note that Customer.io has taken operations.

        Args:
            operations: The operations.
        """

    def rejected(self, operation: QueuedOperation, error: RejectedRecord) -> None:
        """Take note that Customer.io has refused an operation.

        No STATE after the operation is written before this returns.

        Args:
            operation: The operation.
            error: What is wrong with it.
        """

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write a state: everything before it is accounted for.

        Args:
            state: The state.
        """


class Ledger:
    """Passes everything on to the listener, one call at a time."""

    def __init__(
        self, listener: Listener, fail: Callable[[BaseException], None]
    ) -> None:
        """Say nothing yet.

        Args:
            listener: Who is told.
            fail: Told what the listener raises, before anybody else may go on.
        """
        self._listener = listener
        self._fail = fail
        self._lock = Lock()

    def delivered(self, operations: Sequence[QueuedOperation]) -> None:
        """Tell that Customer.io has taken operations.

        Args:
            operations: The operations.
        """
        if operations:
            self._tell(lambda: self._listener.delivered(operations))

    def rejected(self, operation: QueuedOperation, error: RejectedRecord) -> None:
        """Tell that Customer.io has refused an operation.

        Args:
            operation: The operation.
            error: What is wrong with it.
        """
        self._tell(lambda: self._listener.rejected(operation, error))

    def write_due_state(self, due: Callable[[], Mapping[str, Any] | None]) -> None:
        """Tell the newest state that is due, if there is one.

        Args:
            due: Finds it; called while nobody else can write one.
        """

        def write() -> None:
            state = due()
            if state is not None:
                self._listener.write_state(state)

        self._tell(write)

    def _tell(self, what: Callable[[], None]) -> None:
        with self._lock:
            try:
                what()
            except BaseException as error:
                self._fail(error)
                raise
