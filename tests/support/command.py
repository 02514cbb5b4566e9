"""The command as its users run it: a process, a folder, files and pipes."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import platform
import random
import re
import socket
import subprocess
import sys
import sysconfig
import termios
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .forks import POSSIBLE, Fork, ForkServer
from .singer import line_of
from .workspace import contents_of

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .singer import Message

COMMAND = str(Path(sysconfig.get_path("scripts")) / "target-customerio")
NOT_INHERITED = (
    "AIRFLOW",
    "LOGLEVEL",
    "MELTANO_",
    "PYTHON",
    "SINGER_SDK_",
    "TARGET_CUSTOMERIO",
)
"""First letters of the variables that change how the command and platforms run."""
OF_THE_INTERPRETER = ("LANG", "LC_", "PYTHON")
"""First letters of the variables that an interpreter reads when it starts."""
PATIENCE = 60
"""Seconds that anything may take on a slow machine."""
SYSTEM_CALLS = {
    "x86_64": {"0": "read", "7": "poll"},
    "aarch64": {"63": "read", "73": "poll"},
}
"""Numbers of the system calls in which a target waits for input."""
LOG_LINE = re.compile(
    r"^\d{4}-\d\d-\d\d \S+ \| (?P<level>[A-Z]+) *\| (?P<logger>\S+) *\| (?P<text>.*)$"
)


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without what would configure the programs, and more."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(NOT_INHERITED)
    }
    return {**kept, **more}


def free_port() -> int:
    """Return a port of loopback that no program listens on.

    It is below those that systems give to connections and to port 0: otherwise another
    test could get it before it is used.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 30_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port of loopback that refuses connections and that no program can get."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


def wait_until(
    condition: Callable[[], object], seconds: float = PATIENCE, what: str = "it"
) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.005)


class Log:
    """What the command logs to standard error."""

    def text(self) -> str:
        """Return what was logged so far."""
        raise NotImplementedError

    def lines(self, level: str) -> list[str]:
        """Return the texts of the log lines of a level."""
        found = map(LOG_LINE.match, self.text().splitlines())
        return [each["text"] for each in found if each and each["level"] == level]

    @property
    def errors(self) -> list[str]:
        """Return the texts of all errors."""
        return self.lines("ERROR")

    def only_error(self) -> str:
        """Return the one line of a run that failed, as every failure is reported."""
        assert "Traceback" not in self.text()
        unlogged = [
            line for line in self.text().splitlines() if not LOG_LINE.match(line)
        ]
        assert unlogged == []
        assert len(self.errors) == 1, self.text()
        return self.errors[0]


@dataclass(frozen=True)
class Outcome(Log):
    """What a finished run leaves behind."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    def text(self) -> str:
        """Return what was logged."""
        return self.stderr

    @property
    def error(self) -> str:
        """Return the error of a run that ended with 1."""
        assert self.code == 1, self.stderr
        return self.only_error()

    @property
    def rejection_error(self) -> str:
        """Return the error of a run that delivered all but the rejected records."""
        assert self.code == 3, self.stderr
        return self.only_error()

    @property
    def states(self) -> list[Any]:
        """Return the STATE values on standard output."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def workspace(self) -> dict[str, Any]:
        """Return the content of the sandbox."""
        return contents_of(self.folder / "workspace.db")

    @property
    def rejected_path(self) -> Path:
        """Return the path of the rejected records."""
        return self.folder / "rejected.singer.jsonl"

    @property
    def rejected_lines(self) -> list[bytes]:
        """Return the lines in the file of rejected records."""
        if not self.rejected_path.exists():
            return []
        return self.rejected_path.read_bytes().splitlines()

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """Return the rejected records."""
        messages = [json.loads(line) for line in self.rejected_lines]
        return [each for each in messages if each["type"] == "RECORD"]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Return reason and field of each rejected record."""
        return [
            (each["rejection"]["reason"], each["rejection"]["field"])
            for each in self.rejected
        ]

    @property
    def table(self) -> dict[str, dict[str, Any]]:
        """Return the summary, by stream."""
        lines = self.lines("INFO")
        (rule,) = [n for n, line in enumerate(lines) if line.startswith("-----")]
        spans = [each.span() for each in re.finditer(r"-+", lines[rule])]
        heads = [lines[rule - 1][start:end].strip() for start, end in spans]
        # The numbers below a named column are in the next one, which has no name.
        heads = [head or f"{before} count" for before, head in pairwise(["", *heads])]
        streams: dict[str, dict[str, Any]] = {}
        for line in lines[rule + 1 :]:
            if line.endswith("can trigger campaigns"):
                break
            texts = [line[start:end].strip() for start, end in spans]
            cells = dict(zip(heads, texts, strict=True))
            if cells["stream"]:
                row: dict[str, Any] = {"delivered": {}, "skipped": {}, "reasons": {}}
                row["read"] = _count(cells["read"])
                row["undelivered"] = _count(cells.get("undelivered", "0"))
                streams[cells["stream"]] = row
            for head, into in (
                ("delivered", "delivered"),
                ("skipped", "skipped"),
                ("rejected", "reasons"),
            ):
                if cells.get(head) and f"{head} count" in cells:
                    row[into][cells[head]] = _count(cells[f"{head} count"])
            row["rejected"] = sum(row["reasons"].values())
        return streams


def _count(text: str) -> int:
    return int(text.replace(",", ""))


@dataclass
class Terminal:
    """A folder to run the command in.

    A run is a process forked from one that has imported everything. A new interpreter
    is started for ``python``, for variables that interpreters read, and for ``fresh``.
    """

    folder: Path
    forks: ForkServer
    environment: dict[str, str] = field(default_factory=dict)

    def type(
        self,
        *arguments: str,
        feed: bytes | Path = b"",
        python: bool = False,
        fresh: bool = False,
        timeout: float = 2 * PATIENCE,
        stdout: int | IO[bytes] = subprocess.PIPE,
    ) -> Outcome:
        """Run the command to its end.

        Args:
            arguments: The arguments of the command.
            feed: Standard input, or the file that is.
            python: Run `python` instead of the command.
            fresh: Start a new interpreter.
            timeout: Seconds until the command is killed.
            stdout: Where STATE goes.
        """
        fresh = fresh or python or not POSSIBLE
        fresh |= any(name.startswith(OF_THE_INTERPRETER) for name in self.environment)
        with contextlib.ExitStack() as stack:
            source: int | IO[bytes] = subprocess.PIPE
            if isinstance(feed, Path):
                source, feed = stack.enter_context(feed.open("rb")), b""
            if fresh:
                command = [sys.executable if python else COMMAND, *arguments]
                return self._started(command, source, feed, stdout, timeout)
            return self._forked(arguments, source, feed, stdout, timeout)

    def _started(
        self,
        command: list[str],
        source: int | IO[bytes],
        feed: bytes,
        stdout: int | IO[bytes],
        timeout: float,
    ) -> Outcome:
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=clean_environment(**self.environment),
            stdin=source,
            stdout=stdout,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                piped = feed if source == subprocess.PIPE else None
                out, err = process.communicate(piped, timeout)
            except BaseException:
                process.kill()
                raise
        return Outcome(
            process.returncode, (out or b"").decode(), err.decode(), self.folder
        )

    def _forked(
        self,
        arguments: Sequence[str],
        source: int | IO[bytes],
        feed: bytes,
        stdout: int | IO[bytes],
        timeout: float,
    ) -> Outcome:
        pipes = _Pipes()
        descriptors = [
            pipes.written(feed) if isinstance(source, int) else source.fileno(),
            pipes.read("stdout") if stdout == subprocess.PIPE else _number(stdout),
            pipes.read("stderr"),
        ]
        try:
            fork = self.forks.start(
                arguments,
                self.folder,
                clean_environment(**self.environment),
                descriptors,
            )
        finally:
            pipes.hand_over()
        try:
            code = fork.wait(timeout)
        except BaseException:
            fork.kill()
            raise
        pipes.join()
        return Outcome(code, pipes.text("stdout"), pipes.text("stderr"), self.folder)

    def write(self, config: Mapping[str, Any]) -> str:
        """Write a configuration file, and return its name."""
        (self.folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return "config.json"

    def run(
        self,
        *messages: Mapping[str, Any] | str | bytes,
        feed: bytes | Path | None = None,
        fresh: bool = False,
        timeout: float = 2 * PATIENCE,
        stdout: int | IO[bytes] = subprocess.PIPE,
        **settings: Any,
    ) -> Outcome:
        """Pipe messages into the command, in a sandbox unless it is set to None."""
        config = self.write({"sandbox": "workspace.db", **settings})
        if feed is None:
            feed = b"".join(map(line_of, messages))
        return self.type(
            "--config", config, feed=feed, fresh=fresh, timeout=timeout, stdout=stdout
        )


class _Pipes:
    """The pipes of a forked run, written and read in the background."""

    def __init__(self) -> None:
        self._theirs: list[int] = []
        self._threads: list[threading.Thread] = []
        self._texts: dict[str, bytes] = {}

    def written(self, feed: bytes) -> int:
        theirs, ours = os.pipe()

        def write() -> None:
            with contextlib.suppress(BrokenPipeError), os.fdopen(ours, "wb") as pipe:
                pipe.write(feed)

        return self._open(theirs, write)

    def read(self, name: str) -> int:
        ours, theirs = os.pipe()

        def read() -> None:
            with os.fdopen(ours, "rb") as pipe:
                self._texts[name] = pipe.read()

        return self._open(theirs, read)

    def hand_over(self) -> None:
        """Close the ends that the process has."""
        for each in self._theirs:
            os.close(each)

    def join(self) -> None:
        for each in self._threads:
            each.join(PATIENCE)

    def text(self, name: str) -> str:
        return self._texts.get(name, b"").decode()

    def _open(self, theirs: int, work: Callable[[], None]) -> int:
        self._theirs.append(theirs)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)
        return theirs


def _number(file: int | IO[bytes]) -> int:
    return file if isinstance(file, int) else file.fileno()


SETTINGS = {
    "site_id": "a-site",
    "api_key": "a-key",
    "on_rejected": "continue",
    "max_retry_seconds": 60,
    "requests_per_second": 1000,
}
"""Settings of a target that delivers to loopback."""


class RunningTarget(Log):
    """The command while it runs, with pipes that a test holds the other ends of."""

    command: Sequence[str] = (COMMAND,)
    """What is started."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        stdin: Any = subprocess.PIPE,
        stdout: Any = subprocess.PIPE,
        shell: str | None = None,
        forks: ForkServer | None = None,
    ) -> None:
        """Start the command.

        Args:
            folder: Where it runs; a file of its settings is put there.
            settings: What is added to, or replaces, the usual settings.
            stdin: Where it reads; a pipe unless said otherwise.
            stdout: Where it writes STATE; a pipe unless said otherwise.
            shell: What a shell adds to the command, such as a redirection.
            forks: Where it is forked, unless one of the other arguments is used.
        """
        folder.mkdir(exist_ok=True, parents=True)
        self.folder = folder
        config = folder / "config.json"
        config.write_text(json.dumps({**SETTINGS, **settings}), encoding="utf-8")
        command = [*self.command, "--config", str(config)]
        if shell is not None:
            command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
        self.stderr_path = folder / "stderr.log"
        piped = stdin == stdout == subprocess.PIPE and shell is None
        with self.stderr_path.open("ab") as log:
            self.process: subprocess.Popen[bytes] | Fork
            if forks is not None and piped and POSSIBLE:
                self.process = _forked(forks, command[1:], folder, log.fileno())
            else:
                self.process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=clean_environment(),
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

    def text(self) -> str:
        """Return what was logged so far."""
        return self.stderr_path.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        """Return what was logged so far."""
        return self.text()

    @property
    def error(self) -> str:
        """Return the error of a run that failed."""
        return self.only_error()

    def rows_of(self, stream: str) -> tuple[int, int]:
        """Return how many records of a stream were read and rejected, by the table."""
        (line,) = [each for each in self.lines("INFO") if each.startswith(f"{stream} ")]
        cells = line.replace(",", "").split()
        return int(cells[1]), int(cells[-1])

    def memory(self, name: str = "VmRSS") -> int:
        """Return how many bytes the process holds now, or ever held (``VmHWM``)."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        (kilobytes,) = re.findall(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
        return int(kilobytes) * 1024

    def send(self, *messages: Message | bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(map(_as_sent, messages)))
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
        return bytes_in(self.process.stdin)

    @property
    def system_call(self) -> str | None:
        """In which call the main thread waits, "" for any other; None if unknown."""
        names = SYSTEM_CALLS.get(platform.machine())
        file = Path(f"/proc/{self.pid}/syscall")
        if names is None or not file.exists():
            return None
        try:
            return names.get(file.read_text(encoding="ascii").split()[0], "")
        except PermissionError:
            return None

    def wait_until_read(
        self, source: IO[bytes] | None = None, system_call: str = "poll"
    ) -> None:
        """Wait until the target has taken in all input, and waits for more.

        Args:
            source: The pipe with the input, if it is not standard input.
            system_call: How the target waits.
        """
        source = source or self.process.stdin
        assert source is not None
        wait_until(lambda: not bytes_in(source), what="reading")
        if self.system_call is None:
            time.sleep(0.3)
        else:
            wait_until(lambda: self.system_call == system_call, what="waiting")

    def is_stuck(self) -> bool:
        """Tell whether the target has stopped reading, though it could go on."""
        before = self.unread, self._waits
        time.sleep(0.3)
        # A process that the system does not run does not read either.
        has_run = self._waits != before[1] or not self._waits
        return before[0] > 0 and self.unread == before[0] and has_run

    @property
    def _waits(self) -> int:
        """How often the main thread has waited for something, 0 if unknown."""
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
            found = re.search(
                r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE
            )
            return int(found[1]) if found else 0
        return 0

    def close_input(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end, and return the exit code."""
        code = self.process.wait(seconds)
        self._let_go()
        return code

    def wait_for_state(self, value: Any) -> None:
        wait_until(lambda: value in self.states, what=f"STATE {value}")

    def kill(self) -> None:
        if self.running:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._let_go()

    def _let_go(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
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


def bytes_in(pipe: IO[bytes]) -> int:
    """Return how many bytes stand in a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def _forked(forks: ForkServer, arguments: list[str], folder: Path, log: int) -> Fork:
    """Fork a run with pipes for input and output."""
    source, stdin = os.pipe()
    stdout, sink = os.pipe()
    try:
        fork = forks.start(arguments, folder, clean_environment(), (source, sink, log))
    finally:
        os.close(source)
        os.close(sink)
    fork.stdin = os.fdopen(stdin, "wb")
    fork.stdout = os.fdopen(stdout, "rb")
    return fork


def _as_sent(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else line_of(message)
