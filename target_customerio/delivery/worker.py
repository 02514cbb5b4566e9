"""Delivers operations with one thread per lane and writes STATE in order."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from threading import Condition, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from target_customerio.delivery.queue import OperationQueue
from target_customerio.delivery.throttle import StoppedError
from target_customerio.json_codec import encode_anything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_customerio.delivery.queued_operation import QueuedOperation
    from target_customerio.delivery.sender import RequestStatistics, Result
    from target_customerio.errors import RejectedRecord
    from target_customerio.track_api.endpoints import Limits


_POLL_SECONDS = 0.25
"""How long a blocked caller sleeps between checks for signals."""


class Recorder(Protocol):
    """Records results and writes STATE.

    The delivery calls the methods from several threads, one call at a time. An
    exception raised by a method ends the run.
    """

    def delivered(self, operations: Sequence[QueuedOperation]) -> None:
        """Record operations that Customer.io accepted."""

    def repeated(self, operations: Sequence[QueuedOperation]) -> None:
        """Record events that a sandbox dropped as repeats."""

    def rejected(self, operation: QueuedOperation, error: RejectedRecord) -> None:
        """Record an operation that Customer.io refused.

        STATE after this operation is not written before this returns.
        """

    def write_state(self, state: bytes) -> None:
        """Write STATE, as JSON; every operation before it has been recorded."""


class Sends(Protocol):
    """Sends requests; see :class:`Sender`."""

    @property
    def statistics(self) -> RequestStatistics:
        """Totals so far."""

    def deliver(self, operations: Sequence[QueuedOperation]) -> Iterator[Result]:
        """Send operations of one endpoint and yield results."""

    def stop(self) -> None:
        """Send nothing more; requests in flight finish."""


class Delivery:
    """Delivers operations in order per person and object.

    One thread adds operations and states; one thread per lane sends requests. The
    first error ends the delivery: requests in flight finish and are recorded, no more
    are sent, and the error is raised from the next call of any method.

    Lock order: the recording lock is taken before the queue's lock, never after it.
    """

    def __init__(
        self,
        sender: Sends,
        limits: Limits,
        recorder: Recorder,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        """Set up the delivery; threads start with the first operation.

        Args:
            sender: Sends the requests.
            limits: Limits on memory, request size and concurrency.
            recorder: Records the result of each operation and writes STATE.
            on_failure: Called in a lane's thread, with no lock held, when the delivery
                has failed there; wakes a reader that waits for input.
        """
        self._sender = sender
        self._recorder = recorder
        self._on_failure = on_failure
        self._recording_lock = Lock()
        self._lock = Lock()
        self._progress = Condition(self._lock)
        self._wake_lane = [Condition(self._lock) for _ in range(limits.concurrency)]
        self._queue = OperationQueue(limits, self._notify_lane)
        self._checkpoints = Checkpoints()
        self._threads: list[Thread] = []
        self._failure: BaseException | None = None
        self._closed = False

    @property
    def statistics(self) -> RequestStatistics:
        """Totals over all requests so far."""
        return self._sender.statistics

    @property
    def room(self) -> int:
        """Number of operations of any size that :meth:`put` takes without blocking."""
        return self._queue.room

    def put(self, *operations: QueuedOperation) -> None:
        """Queue operations; blocks while the queue is full.

        Args:
            operations: The next operations of the run, in order.

        Raises:
            TargetError: The error that ended the delivery.
            StoppedError: The delivery is closed.
        """
        queue = self._queue
        with self._lock:
            self._raise_failure()
            if len(operations) <= queue.room:
                queue.put(operations, monotonic())
            else:
                for operation in operations:
                    self._wait_for_room(operation)
                    queue.put([operation], monotonic())
        if not self._threads:
            self._start()

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write a state as soon as every operation put so far has been recorded.

        Args:
            state: The state.

        Raises:
            TargetError: The error that ended the delivery.
            StoppedError: The delivery is closed.
        """
        # As text it takes a fraction of the memory, of a size that is known.
        text = encode_anything(state)
        with self._lock:
            self._raise_failure()
            self._checkpoints.add(self._queue.next_sequence, text)
        self._write_due_state()

    def drain(self) -> None:
        """Block until every operation is recorded and the due state is written.

        Raises:
            TargetError: The error that ended the delivery.
            StoppedError: The delivery is closed.
        """
        with self._lock:
            self._queue.flush()
            self._raise_failure()
            while self._queue.held_operations:
                self._progress.wait(_POLL_SECONDS)
                self._raise_failure()
            self._queue.flushing = False
        # Also waits for a thread that is still writing a state.
        self._write_due_state()
        with self._lock:
            self._raise_failure()

    def close(self, timeout_seconds: float = 0.0) -> None:
        """Send nothing more; later calls of other methods raise ``StoppedError``.

        Args:
            timeout_seconds: How long to wait for requests in flight to be recorded, in
                seconds.
        """
        with self._lock:
            self._closed = True
            self._wake_all()
        self._sender.stop()
        deadline = monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _wait_for_room(self, operation: QueuedOperation) -> None:
        """Block until an operation has room."""
        while not self._queue.has_room(operation):
            self._queue.send_partial_requests()
            self._progress.wait(_POLL_SECONDS)
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise StoppedError

    def _start(self) -> None:
        self._threads = [
            Thread(target=self._work, args=(lane,), name=f"lane-{lane}", daemon=True)
            for lane in range(len(self._wake_lane))
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, lane: int) -> None:
        """Send a lane's requests one after the other (main function of its thread)."""
        try:
            while (operations := self._next_request(lane)) is not None:
                for result in self._sender.deliver(operations):
                    self._record(result)
                self._finish(lane)
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._fail(error)
            if self._on_failure is not None:
                self._on_failure()

    def _next_request(self, lane: int) -> Sequence[QueuedOperation] | None:
        """Wait for the lane's next request; None when the delivery has ended."""
        with self._lock:
            while not self._closed and self._failure is None:
                now = monotonic()
                operations = self._queue.take(lane, now)
                if operations is not None:
                    return operations
                until = self._queue.next_check(lane, now)
                self._wake_lane[lane].wait(None if until is None else until - now)
        return None

    def _finish(self, lane: int) -> None:
        with self._lock:
            self._queue.finish(lane)
            self._progress.notify_all()
        self._write_due_state()

    def _record(self, result: Result) -> None:
        with self._recording():
            if result.delivered:
                self._recorder.delivered(result.delivered)
            if result.repeated:
                self._recorder.repeated(result.repeated)
            for operation, error in result.rejected:
                self._recorder.rejected(operation, error)

    def _write_due_state(self) -> None:
        with self._recording():
            with self._lock:
                state = self._checkpoints.due(self._queue.low_watermark)
            if state is not None:
                self._recorder.write_state(state)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Hold the recording lock; an error is stored before the lock is released."""
        with self._recording_lock:
            try:
                yield
            except BaseException as error:
                self._fail(error)
                raise

    def _fail(self, error: BaseException) -> None:
        """Keep the first error, stop sending and wake all threads."""
        with self._lock:
            if self._failure is None:
                self._failure = error
            self._wake_all()
        self._sender.stop()

    def _notify_lane(self, lane: int) -> None:
        self._wake_lane[lane].notify()

    def _wake_all(self) -> None:
        self._progress.notify_all()
        for condition in self._wake_lane:
            condition.notify_all()


class Checkpoints:
    """States of the input, as JSON, that wait for the operations before them.

    Only the newest due state is written. The newest state is always kept, others up to
    ``capacity`` states and ``max_bytes``.
    """

    def __init__(self, capacity: int = 64, max_bytes: int = 8 << 20) -> None:
        """Start empty."""
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._bytes = 0
        self._states: deque[tuple[int, bytes]] = deque()

    def __len__(self) -> int:
        """Number of waiting states."""
        return len(self._states)

    def add(self, sequence: int, state: bytes) -> None:
        """Add a state that is due when all operations before ``sequence`` are done."""
        while self._states and (
            self._states[-1][0] == sequence
            or len(self._states) >= self._capacity
            or self._bytes + len(state) > self._max_bytes
        ):
            _, replaced = self._states.pop()
            self._bytes -= len(replaced)
        self._states.append((sequence, state))
        self._bytes += len(state)

    def due(self, low_watermark: int) -> bytes | None:
        """Remove all due states and return the newest; None if no state is due.

        ``low_watermark`` is the smallest unfinished sequence number.
        """
        state = None
        while self._states and self._states[0][0] <= low_watermark:
            _, state = self._states.popleft()
            self._bytes -= len(state)
        return state
