"""One run of one contender: time, memory and instructions."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HERE = Path(__file__).parent
CONTENDERS = HERE / "contenders"
SEGMENT = CONTENDERS / "segment"
DESTINATION = "Segment's destination"
LATENCIES = (0, 50, 200)
"""Response times of the server in milliseconds."""

CONNECTIONS = 8
"""The target's concurrent requests: its default."""

IN_KILOBYTES = 1 if sys.platform == "linux" else 1024
VALGRIND = (
    "valgrind",
    "--tool=cachegrind",
    "--cache-sim=no",
    f"--cachegrind-out-file={os.devnull}",
)
NPM_INSTALL = (
    *("npm", "install", "--silent", "--no-audit", "--no-fund"),
    *("--no-package-lock", "--ignore-scripts"),
)
COUNTED = re.compile(r"I +refs: +([\d,]+)")


@dataclass(frozen=True)
class Contender:
    """A program that reads Singer messages and delivers them.

    Attributes:
        title: Its name in the tables.
        command: The command that runs it.
        takes: How many of 100,000 records it gets, by latency, so that it does not
            take hours.
    """

    title: str
    command: tuple[str, ...]
    takes: Mapping[int, int] = field(
        default_factory=lambda: dict.fromkeys(LATENCIES, 100_000), compare=False
    )


def script(name: str) -> tuple[str, ...]:
    """Return the command of a contender that is a script in this folder."""
    return (sys.executable, str(CONTENDERS / f"{name}.py"))


PRODUCT = Contender(
    "target-customerio",
    (sys.executable, "-m", "target_customerio", "--config", "target.json"),
)
SDK_FLOOR = Contender("SDK with idle sinks", script("sdk_floor"))
BARE_FLOOR = Contender("decode and encode alone", script("bare_floor"))
CLIENT = Contender(
    "official client, a call a record",
    script("official_client"),
    {0: 1_500, 50: 50, 200: 15},
)
CHUNKS = Contender(
    "SDK batch sink, 500 KB chunks",
    script("batch_sink"),
    {0: 40_000, 50: 10_000, 200: 5_000},
)

START = Contender("empty target of the SDK", (*script("empty_target"), "--version"))
VERSION = Contender("target-customerio", (*PRODUCT.command[:3], "--version"))
"""The input for measuring start-up."""


def segment(folder: Path) -> Contender | None:
    """Install Segment's destination if Node.js is installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    target = folder / "segment"
    shutil.copytree(SEGMENT, target)
    subprocess.run(NPM_INSTALL, cwd=target, check=True)
    return Contender(
        DESTINATION,
        ("node", str(target / "segment.mjs")),
        {0: 30_000, 50: 4_000, 200: 1_000},
    )


@dataclass(frozen=True)
class Result:
    """The cost of a run.

    Attributes:
        seconds: Wall-clock time, start-up included.
        peak_mb: Peak memory.
        requests: Number of requests received.
        bytes: Bytes in their bodies.
        operations: Operations in them.
        cpu_seconds: CPU time of the server.
    """

    seconds: float
    peak_mb: float
    requests: int
    bytes: int
    operations: int
    cpu_seconds: float


@dataclass(frozen=True)
class Bench:
    """Where contenders run.

    Attributes:
        url: The URL of the server that they deliver to.
        folder: Their working directory, and that of their inputs.
    """

    url: str
    folder: Path

    def run(self, contender: Contender, source: Path) -> Result:
        """Run a contender once.

        Args:
            contender: The contender.
            source: Its input.

        Returns:
            The cost of the run.
        """
        self._configure()
        self._figures()
        seconds, peak = cost(
            contender.command, source, cwd=self.folder, env=self._environment()
        )
        return Result(seconds, peak, **self._figures())

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

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LOOPBACK": self.url}

    def _configure(self) -> None:
        settings = {
            "site_id": "made-up",
            "api_key": "made-up",
            "api_url": self.url,
            "max_concurrent_requests": CONNECTIONS,
        }
        (self.folder / "target.json").write_text(json.dumps(settings), encoding="utf-8")

    def _figures(self) -> dict[str, Any]:
        """Return what the server has counted since the last call."""
        with urllib.request.urlopen(f"{self.url}/figures") as answer:
            figures: dict[str, Any] = json.load(answer)
        return figures


def cost(command: Sequence[str], source: Path, **options: Any) -> tuple[float, float]:
    """Run a command that has to succeed.

    Args:
        command: The command.
        source: Its input.
        options: Other options of its process.

    Returns:
        Its seconds, and its peak memory in MB.
    """
    with (
        source.open("rb") as lines,
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(HERE / "launch.py"), *command],
            stdin=lines,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        ) as process,
    ):
        try:
            printed, said = process.communicate()
        except BaseException:  # the benchmark is stopped
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise RuntimeError(f"{command}: {said[-2000:]}")
    seconds, peak = printed.split()
    return float(seconds), int(peak) / IN_KILOBYTES / 1000


@contextmanager
def serving(folder: Path, milliseconds: int, stall_seconds: int = 0) -> Iterator[Bench]:
    """Run a server with this response time, in a process of its own.

    Args:
        folder: The folder of the bench.
        milliseconds: The response time.
        stall_seconds: The response time of the first request.
    """
    command = [sys.executable, str(HERE / "loopback.py")]
    with subprocess.Popen(
        [*command, str(milliseconds), str(stall_seconds)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            yield Bench(f"http://127.0.0.1:{port}", folder)
        finally:
            process.terminate()
