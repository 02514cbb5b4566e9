"""One run of one contender: time, memory and instructions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
CONTENDERS = HERE / "contenders"
SEGMENT = CONTENDERS / "segment"
IN_KILOBYTES = 1 if sys.platform == "linux" else 1024
VALGRIND = (
    "valgrind",
    "--tool=cachegrind",
    "--cache-sim=no",
    f"--cachegrind-out-file={os.devnull}",
)
COUNTED = re.compile(r"I +refs: +([\d,]+)")


@dataclass(frozen=True)
class Contender:
    """A program that reads Singer messages and delivers them.

    Attributes:
        title: Its name in the tables.
        command: The command that runs it.
        takes: How many of 100,000 records it gets, so that it does not take hours.
    """

    title: str
    command: tuple[str, ...]
    takes: int = 100_000


def script(name: str) -> tuple[str, ...]:
    """Return the command of a contender that is a script in this folder."""
    return (sys.executable, str(CONTENDERS / f"{name}.py"))


PRODUCT = Contender(
    "target-customerio",
    (sys.executable, "-m", "target_customerio", "--config", "target.json"),
)
SDK_FLOOR = Contender("SDK with idle sinks", script("sdk_floor"))
BARE_FLOOR = Contender("decode and encode alone", script("bare_floor"))
CLIENT = Contender("official client, a call a record", script("official_client"), 2_000)
CHUNKS = Contender("SDK batch sink, 500 KB chunks", script("batch_sink"))


START = Contender("empty target of the SDK", (*script("empty_target"), "--version"))
VERSION = Contender("target-customerio", (*PRODUCT.command[:3], "--version"))
"""The input for measuring start-up."""


def segment(folder: Path) -> Contender | None:
    """Install Segment's destination if Node.js is installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    target = folder / "segment"
    shutil.copytree(SEGMENT, target)
    subprocess.run(
        ["npm", "install", "--no-package-lock", "--ignore-scripts", "--silent"],
        cwd=target,
        check=True,
    )
    return Contender("Segment's destination", ("node", str(target / "segment.mjs")))


@dataclass(frozen=True)
class Result:
    """The cost of a run.

    Attributes:
        seconds: Wall-clock time, start-up included.
        peak_mb: Peak memory.
        requests: Number of requests received.
        bytes: Bytes in their bodies.
        operations: Operations in them.
    """

    seconds: float
    peak_mb: float
    requests: int
    bytes: int
    operations: int


@dataclass
class Server:
    """A loopback server in a separate process."""

    url: str

    def figures(self) -> dict[str, int]:
        """Return the counts since the last call."""
        with urllib.request.urlopen(f"{self.url}/figures") as answer:
            figures: dict[str, int] = json.load(answer)
        return figures


@contextmanager
def serving(milliseconds: int, stall_seconds: int = 0) -> Iterator[Server]:
    """Run a server with this response time."""
    command = [sys.executable, str(HERE / "loopback.py")]
    with subprocess.Popen(
        [*command, str(milliseconds), str(stall_seconds)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield Server(f"http://127.0.0.1:{process.stdout.readline().strip()}")
        finally:
            process.terminate()


@dataclass
class Bench:
    """The environment in which contenders run.

    Attributes:
        server: The server they deliver to.
        connections: Maximum number of connections of the target.
        folder: Their working directory.
    """

    server: Server
    connections: int = 4
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp()))

    def run(self, contender: Contender, source: Path) -> Result:
        """Run a contender once.

        Args:
            contender: The contender.
            source: Its input.

        Returns:
            The cost of the run.
        """
        self._configure()
        self.server.figures()
        started = time.perf_counter()
        peak = self._wait(contender.command, source)
        seconds = time.perf_counter() - started
        return Result(seconds, peak, **self.server.figures())

    def instructions(self, contender: Contender, source: Path) -> int | None:
        """Count the instructions of a run, if valgrind is available.

        Args:
            contender: The contender.
            source: Its input.

        Returns:
            The number, or None.
        """
        if shutil.which("valgrind") is None or contender.command[0] != sys.executable:
            return None
        self._configure()
        with source.open("rb") as lines:
            done = subprocess.run(
                [*VALGRIND, *contender.command],
                stdin=lines,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self.folder,
                env={**self._environment(), "PYTHONHASHSEED": "0"},
                check=True,
                text=True,
            )
        (counted,) = COUNTED.findall(done.stderr)
        return int(counted.replace(",", ""))

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)

    def _wait(self, command: tuple[str, ...], source: Path) -> float:
        with source.open("rb") as lines, tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                command,
                stdin=lines,
                stdout=subprocess.DEVNULL,
                stderr=said,
                cwd=self.folder,
                env=self._environment(),
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                text = said.read().decode(errors="replace")
                raise RuntimeError(f"{command}: {text[-2000:]}")
        return usage.ru_maxrss / IN_KILOBYTES / 1000

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LOOPBACK": self.server.url}

    def _configure(self) -> None:
        settings = {
            "site_id": "made-up",
            "api_key": "made-up",
            "api_url": self.server.url,
            "max_concurrent_requests": self.connections,
        }
        (self.folder / "target.json").write_text(json.dumps(settings), encoding="utf-8")
