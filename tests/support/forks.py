"""Processes of the command that need not import it first.

A start of the command takes about a second, nearly all of it for imports. A server
that has imported everything forks itself for each run. What runs in the fork is the
command's own ``main`` with its own arguments, environment, folder and file descriptors.
At the end its threads are joined, its exit handlers run and its files are flushed, as
always; only the modules are not taken apart, which would take longer than most runs.

This file is also the server's program.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

POSSIBLE = sys.platform == "linux"
"""Whether there are sockets that keep messages apart and pass file descriptors."""
MAX_BYTES = 1 << 20


class ForkServer:
    """The server, started when it is first needed."""

    def __init__(
        self,
        program: Sequence[str] = (sys.executable, __file__),
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            program: The server; the number of its socket is its last argument.
            environment: The server's, if not that of the tests.
            log: A file for what the server prints, if not where the tests print.
        """
        self._program = program
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._lock = threading.Lock()

    def start(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        descriptors: Sequence[int],
    ) -> Fork:
        """Run the command with three file descriptors: input, output and errors."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        request = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
        }
        with theirs, self._lock:
            socket.send_fds(
                self._connected(),
                [json.dumps(request).encode()],
                [*descriptors, theirs.fileno()],
            )
        return Fork(ours)

    def close(self) -> None:
        """End the server."""
        if self._process is not None and self._channel is not None:
            self._channel.close()
            self._process.wait(30)

    def _connected(self) -> socket.socket:
        if self._channel is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            kept = self._environment or {
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("PYTHON", "TARGET_CUSTOMERIO"))
            }
            with theirs, contextlib.ExitStack() as stack:
                log = None
                if self._log is not None:
                    log = stack.enter_context(self._log.open("wb"))
                self._process = subprocess.Popen(
                    [*self._program, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=kept,
                    stdout=log,
                    stderr=log,
                )
            self._channel = ours
        return self._channel


class Fork:
    """One run."""

    def __init__(self, reports: socket.socket) -> None:
        """Wait until it has started."""
        self._reports = reports.makefile("rb")
        reports.close()
        self.pid = int(self._reports.readline())
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self.returncode: int | None = None
        self._waiting = threading.Thread(target=self._wait, daemon=True)
        self._waiting.start()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for the end, and return the exit code."""
        self._waiting.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _wait(self) -> None:
        with self._reports:
            self.returncode = int(self._reports.readline())


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; return the request in the fork, None at the end."""
    while True:
        message, descriptors, *_ = socket.recv_fds(channel, MAX_BYTES, 4)
        if not message:
            return None
        if os.fork():
            for each in descriptors:
                os.close(each)
            _reap()
            continue
        # This process waits for the one that runs, so that the server need not.
        channel.close()
        reports = descriptors[3]
        if pid := os.fork():
            for each in descriptors[:3]:
                os.close(each)
            os.write(reports, b"%d\n" % pid)
            _, status = os.waitpid(pid, 0)
            with contextlib.suppress(BrokenPipeError):
                os.write(reports, b"%d\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)
        os.close(reports)
        request: dict[str, Any] = json.loads(message)
        request["descriptors"] = descriptors[:3]
        return request


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def become(request: dict[str, Any]) -> None:
    """Take over arguments, environment, folder and file descriptors."""
    for number, descriptor in enumerate(request["descriptors"]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv[1:] = request["arguments"]
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(
        2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )


def run_to_the_end(command: Callable[[], object]) -> None:
    """Run the command, and end as the interpreter does."""
    code: object = 0
    try:
        command()
    except SystemExit as end:
        code = end.code
    if not isinstance(code, int | None):
        raise SystemExit(code)
    threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - as at every end
    atexit._run_exitfuncs()  # noqa: SLF001 - as at every end
    # The last two are those of the server, where its modules may have kept them.
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    os._exit(code or 0)


def main() -> None:
    """Import the command, and be its server."""
    sys.path[0] = str(Path(sys.executable).parent)
    from target_customerio import sandbox, target  # noqa: F401, PLC0415
    from target_customerio.__main__ import main as command  # noqa: PLC0415

    sys.argv = [str(Path(sys.executable).parent / "target-customerio"), *sys.argv[1:]]
    run_forks(command)


def run_forks(command: Callable[[], object]) -> None:
    """Be the server on the socket of the last argument, and in each fork the command.

    Everything that the command imports is to be imported, and no thread started.
    """
    assert threading.active_count() == 1, "a thread would not survive the fork"
    gc.collect()
    gc.freeze()  # so that the forks, which share this memory, do not copy it
    request = serve(socket.socket(fileno=int(sys.argv[-1])))
    if request is not None:
        become(request)
        run_to_the_end(command)


if __name__ == "__main__":
    main()
