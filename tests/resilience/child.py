"""The target as a process of its own, with pipes that a test holds the ends of."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import re
import subprocess
import sysconfig
import termios
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Mapping

COMMAND = str(Path(sysconfig.get_path("scripts")) / "target-customerio")
LOG_LINE = re.compile(
    r"^\d{4}-\d\d-\d\d \S+ \| (?P<level>[A-Z]+) *\| (?P<logger>\S+) *\| (?P<text>.*)$"
)
SETTINGS = {
    "site_id": "a-site",
    "api_key": "a-key",
    "on_rejected": "continue",
    "max_retry_seconds": 60,
    "requests_per_second": 1000,
}

Message = dict[str, Any]


def wait_until(
    condition: Callable[[], object], seconds: float = 20, what: str = "it"
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.005)


class Child:
    """A target that runs."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        stdin: Any = subprocess.PIPE,
        stdout: Any = subprocess.PIPE,
        shell: str | None = None,
    ) -> None:
        """Start the command.

        Args:
            folder: Where it runs; a file of its settings is put there.
            settings: What is added to, or replaces, the usual settings.
            stdin: Where it reads; a pipe unless said otherwise.
            stdout: Where it writes STATE; a pipe unless said otherwise.
            shell: What a shell adds to the command, such as a redirection.
        """
        folder.mkdir(exist_ok=True, parents=True)
        self.folder = folder
        config = folder / "config.json"
        config.write_text(json.dumps({**SETTINGS, **settings}), encoding="utf-8")
        command = [COMMAND, "--config", str(config)]
        if shell is not None:
            command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TARGET_CUSTOMERIO", "PYTHON", "LOGLEVEL"))
        }
        self.stderr_path = folder / "stderr.log"
        with self.stderr_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=stdin,
                stdout=stdout,
                stderr=log,
            )
        self.state_lines: list[tuple[float, str]] = []
        self._threads: list[threading.Thread] = []
        if self.process.stdout is not None:
            self._in_background(self._read_states)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def states(self) -> list[Any]:
        return [json.loads(line, parse_float=Decimal) for _, line in self.state_lines]

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_text(encoding="utf-8", errors="replace")

    @property
    def errors(self) -> list[str]:
        return self.logged("ERROR")

    @property
    def error(self) -> str:
        """The one line of a run that failed, as every failure must be told."""
        assert "Traceback" not in self.stderr
        unlogged = [
            line for line in self.stderr.splitlines() if not LOG_LINE.match(line)
        ]
        assert unlogged == []
        assert len(self.errors) == 1, self.stderr
        return self.errors[0]

    def logged(self, level: str) -> list[str]:
        found = map(LOG_LINE.match, self.stderr.splitlines())
        return [each["text"] for each in found if each and each["level"] == level]

    def rows_of(self, stream: str) -> tuple[int, int]:
        """Return how many records of a stream were read and rejected, by the table."""
        (line,) = [
            each for each in self.logged("INFO") if each.startswith(f"{stream} ")
        ]
        cells = line.replace(",", "").split()
        return int(cells[1]), int(cells[-1])

    def memory(self, name: str = "VmRSS") -> int:
        """Return how many bytes the process holds now, or ever held (``VmHWM``)."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        (kilobytes,) = re.findall(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
        return int(kilobytes) * 1024

    def send(self, *messages: Message | bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(map(line_of, messages)))
        self.process.stdin.flush()

    def send_in_background(
        self, messages: Iterable[Message | bytes], *, then_close: bool = True
    ) -> None:
        """Send all that the target takes, however long that is."""

        def send() -> None:
            with contextlib.suppress(OSError, ValueError):
                for each in messages:
                    self.send(each)
                if then_close:
                    self.close_input()

        self._in_background(send)

    @property
    def unread(self) -> int:
        """How many bytes stand in the pipe."""
        assert self.process.stdin is not None
        count = array.array("i", [0])
        fcntl.ioctl(self.process.stdin, termios.FIONREAD, count)
        return count[0]

    def wait_until_read(self) -> None:
        """Wait until the target has nothing to read, and has had time to take it in."""
        wait_until(lambda: not self.unread, what="reading")
        time.sleep(0.3)

    def is_stuck(self) -> bool:
        """Tell whether the target has stopped reading, though it could go on."""
        before = self.unread
        time.sleep(0.3)
        return before > 0 and self.unread == before

    def close_input(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """Wait for the end, and return the exit code."""
        code = self.process.wait(seconds)
        self._let_go()
        return code

    def wait_for_state(self, value: Any, seconds: float = 20) -> None:
        wait_until(lambda: value in self.states, seconds, f"STATE {value}")

    def kill(self) -> None:
        if self.running:
            self.process.kill()
        self.process.wait(30)
        self._let_go()

    def _let_go(self) -> None:
        for thread in self._threads:
            thread.join(30)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _in_background(self, what: Callable[[], None]) -> None:
        thread = threading.Thread(target=what, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _read_states(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b"\n"):  # the last line of a target that was killed
                self.state_lines.append((time.monotonic(), line.decode()))


def line_of(message: Message | bytes) -> bytes:
    return (
        message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
    )


def schema(
    stream: str, properties: Mapping[str, Any] | None = None, keys: Iterable[str] = ()
) -> Message:
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties or {}},
        "key_properties": list(keys),
    }


def record(stream: str, **content: Any) -> Message:
    return {"type": "RECORD", "stream": stream, "record": content}


def state(value: Any) -> Message:
    return {"type": "STATE", "value": value}


def event(name: Any, person: Any = None, stream: str = "tracks") -> Message:
    """Return an event that is told apart by its name."""
    person = f"person-{name}" if person is None else person
    return record(stream, userId=person, event=str(name), messageId=f"m-{name}")
