"""Takes operations in, and has them delivered by a few threads."""

from __future__ import annotations

from collections import deque
from threading import Condition, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from target_customerio.delivery.lanes import Lanes
from target_customerio.delivery.throttle import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_customerio.delivery.lane import QueuedOperation
    from target_customerio.delivery.sender import Sender, Statistics
    from target_customerio.errors import RejectedRecord
    from target_customerio.track_api.endpoints import Limits


_BLINK = 0.25
"""How long a caller waits before signals are looked at, in seconds."""


class Delivery:
    """Delivers operations in the order of their people and objects.

    One thread puts operations and states in; a thread for each lane sends. The first
    error ends it all: requests that are under way come to their end and are accounted
    for, nothing more is sent, and the error is raised wherever the caller is next.
    """

    def __init__(self, sender: Sender, limits: Limits, listener: Listener) -> None:
        """Start nothing yet.

        Args:
            sender: Sends the requests.
            limits: How much is held, and how it is spread over requests.
            listener: Told what becomes of each operation, and which states are due.
        """
        self._sender = sender
        self._ledger = Ledger(listener, self._fail)
        self._lock = Lock()
        self._progress = Condition(self._lock)
        self._bells = [Condition(self._lock) for _ in range(limits.concurrency)]
        self._lanes = Lanes(limits, self._ring)
        self._checkpoints = Checkpoints()
        self._threads: list[Thread] = []
        self._failure: BaseException | None = None
        self._closed = False
        self.on_failure: Callable[[], None] = _nothing
        """Called when the delivery has ended, by the thread in which it did."""

    @property
    def statistics(self) -> Statistics:
        """What the delivery has cost so far."""
        return self._sender.statistics

    @property
    def room(self) -> int:
        """How many operations can be put without waiting."""
        return self._lanes.room

    def put(self, *operations: QueuedOperation) -> None:
        """Take operations in, each as soon as there is room for it.

        Args:
            operations: The next operations of the run.

        Raises:
            TargetError: What has ended the delivery.
        """
        lanes = self._lanes
        with self._lock:
            self._raise_failure()
            now = monotonic()
            all_have_room = len(operations) <= lanes.room
            for operation in operations:
                if not (all_have_room or lanes.has_room(operation)):
                    now = self._wait_for_room(operation)
                lanes.put(operation, now)
        if not self._threads:
            self._start()

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Have a state written once everything put so far is accounted for.

        Args:
            state: The state; it is not to be changed any more.

        Raises:
            TargetError: What has ended the delivery.
        """
        with self._lock:
            self._raise_failure()
            self._checkpoints.add(self._lanes.next_sequence, state)
        self._ledger.write_due_state(self._due_state)

    def drain(self) -> None:
        """Deliver all that was put, write the state that is due, and return.

        Raises:
            TargetError: What has ended the delivery.
        """
        with self._lock:
            self._lanes.flush()
            self._raise_failure()
            while self._lanes.held_operations:
                self._progress.wait(_BLINK)
                self._raise_failure()
            self._lanes.flushing = False
        # Waits for whoever is writing a state right now.
        self._ledger.write_due_state(self._due_state)
        with self._lock:
            self._raise_failure()

    def close(self, patience_seconds: float = 0.0) -> None:
        """Stop without sending more; whatever is called afterwards raises ``Stopped``.

        Args:
            patience_seconds: How long requests under way may take to come to their
                end and be accounted for.
        """
        with self._lock:
            self._closed = True
            self._wake_all()
        self._sender.stop()
        deadline = monotonic() + patience_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _wait_for_room(self, operation: QueuedOperation) -> float:
        while not self._lanes.has_room(operation):
            self._lanes.press()
            self._progress.wait(_BLINK)
            self._raise_failure()
        return monotonic()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise Stopped

    def _start(self) -> None:
        self._threads = [
            Thread(target=self._work, args=(lane,), name=f"lane-{lane}", daemon=True)
            for lane in range(len(self._bells))
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, lane: int) -> None:
        """Send what a lane has to send, one request after the other."""
        try:
            while (operations := self._next(lane)) is not None:
                self._sender.deliver(operations, self._ledger)
                self._finish(lane)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the caller is
            self._fail(error)

    def _next(self, lane: int) -> Sequence[QueuedOperation] | None:
        with self._lock:
            while not self._closed and self._failure is None:
                now = monotonic()
                operations = self._lanes.take(lane, now)
                if operations is not None:
                    return operations
                until = self._lanes.look_again_at(lane, now)
                self._bells[lane].wait(None if until is None else until - now)
        return None

    def _finish(self, lane: int) -> None:
        with self._lock:
            self._lanes.finish(lane)
            self._progress.notify_all()
        self._ledger.write_due_state(self._due_state)

    def _due_state(self) -> Mapping[str, Any] | None:
        with self._lock:
            return self._checkpoints.due(self._lanes.low_watermark)

    def _fail(self, error: BaseException) -> None:
        """Remember the first error, and let everybody know."""
        with self._lock:
            if self._failure is None:
                self._failure = error
            self._wake_all()
        self._sender.stop()
        self.on_failure()

    def _ring(self, lane: int) -> None:
        self._bells[lane].notify()

    def _wake_all(self) -> None:
        self._progress.notify_all()
        for bell in self._bells:
            bell.notify_all()


def _nothing() -> None:
    pass


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
