"""The command as its users have it: a child process, a folder, files and pipes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.workspace import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

COMMAND = str(Path(sysconfig.get_path("scripts")) / "target-customerio")
SHOP = Path(__file__).parents[2] / "docs/examples/shop"
NOT_INHERITED = ("LOGLEVEL", "PYTHON", "TARGET_CUSTOMERIO")
"""What the names of variables begin with that would change how the command runs."""
LOG_LINE = re.compile(
    r"^\d{4}-\d\d-\d\d \S+ \| (?P<level>[A-Z]+) *\| (?P<logger>\S+) *\| (?P<text>.*)$"
)


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves behind."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    def lines(self, level: str) -> list[str]:
        """Return the log lines of a level, without what the logger puts before."""
        found = map(LOG_LINE.match, self.stderr.splitlines())
        return [each["text"] for each in found if each and each["level"] == level]

    @property
    def errors(self) -> list[str]:
        return self.lines("ERROR")

    @property
    def error(self) -> str:
        """Return the one line of a run that failed, as every failure must be told."""
        return self._failure(code=1)

    @property
    def rejection_error(self) -> str:
        """Return the one line of a run that delivered all but the rejected records."""
        return self._failure(code=3)

    def _failure(self, code: int) -> str:
        assert self.code == code, self.stderr
        assert "Traceback" not in self.stderr
        unlogged = [
            line for line in self.stderr.splitlines() if not LOG_LINE.match(line)
        ]
        assert unlogged == []
        assert len(self.errors) == 1, self.stderr
        return self.errors[0]

    @property
    def states(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def workspace(self) -> dict[str, Any]:
        return snapshot(self.folder / "workspace.db")

    @property
    def rejected_path(self) -> Path:
        return self.folder / "rejected.singer.jsonl"

    @property
    def rejected_lines(self) -> list[bytes]:
        if not self.rejected_path.exists():
            return []
        return self.rejected_path.read_bytes().splitlines()

    @property
    def rejected(self) -> list[dict[str, Any]]:
        messages = [json.loads(line) for line in self.rejected_lines]
        return [each for each in messages if each["type"] == "RECORD"]

    @property
    def reasons(self) -> list[tuple[str, str]]:
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
    """A folder and a prompt."""

    folder: Path
    compiled: Path
    environment: dict[str, str] = field(default_factory=dict)

    def type(
        self,
        *arguments: str,
        feed: bytes | Path = b"",
        python: bool = False,
        timeout: float = 60,
        stdout: int | Any = subprocess.PIPE,
    ) -> Outcome:
        """Run the command to its end.

        Args:
            arguments: What stands behind the command.
            feed: What is piped in, or the file that is.
            python: Run `python` instead of the command.
            timeout: When to give up.
            stdout: Where STATE goes.
        """
        command = [sys.executable if python else COMMAND, *arguments]
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(NOT_INHERITED)
        }
        # Compiled once for all runs, which saves half of what a start takes.
        inherited["PYTHONPYCACHEPREFIX"] = str(self.compiled)
        options: dict[str, Any] = {
            "cwd": self.folder,
            "env": {**inherited, **self.environment},
            "stdout": stdout,
            "stderr": subprocess.PIPE,
            "timeout": timeout,
        }
        if isinstance(feed, Path):
            with feed.open("rb") as file:
                done = subprocess.run(command, check=False, stdin=file, **options)
        else:
            done = subprocess.run(command, check=False, input=feed, **options)
        return Outcome(
            done.returncode,
            (done.stdout or b"").decode(),
            done.stderr.decode(),
            self.folder,
        )

    def write(self, config: Mapping[str, Any]) -> str:
        """Write a configuration file, and return its name."""
        (self.folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return "config.json"

    def run(
        self,
        *messages: Mapping[str, Any] | str | bytes,
        feed: bytes | Path | None = None,
        timeout: float = 60,
        stdout: int | Any = subprocess.PIPE,
        **settings: Any,
    ) -> Outcome:
        """Pipe messages into the command, in a sandbox unless it is set to None."""
        config = self.write({"sandbox": "workspace.db", **settings})
        if feed is None:
            feed = b"".join(map(_line, messages))
        return self.type("--config", config, feed=feed, timeout=timeout, stdout=stdout)


def _line(message: Mapping[str, Any] | str | bytes) -> bytes:
    if isinstance(message, bytes):
        return message + b"\n"
    text = message if isinstance(message, str) else json.dumps(message)
    return text.encode() + b"\n"


class Singer:
    """Singer messages in few words."""

    @staticmethod
    def schema(
        stream: str,
        properties: Mapping[str, Any] | Iterable[str] = (),
        keys: Iterable[str] = (),
        **schema: Any,
    ) -> dict[str, Any]:
        if not isinstance(properties, dict):
            properties = {name: {} for name in properties}
        return {
            "type": "SCHEMA",
            "stream": stream,
            "schema": {"type": "object", "properties": properties, **schema},
            "key_properties": list(keys),
        }

    @staticmethod
    def record(stream: str, **record: Any) -> dict[str, Any]:
        return {"type": "RECORD", "stream": stream, "record": record}

    @staticmethod
    def state(**value: Any) -> dict[str, Any]:
        return {"type": "STATE", "value": value}


@pytest.fixture(scope="session")
def singer() -> Singer:
    return Singer()


@pytest.fixture(scope="session")
def shop_folder() -> Path:
    return SHOP


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def terminal(tmp_path: Path, compiled: Path) -> Terminal:
    return Terminal(tmp_path, compiled)


@pytest.fixture(scope="session")
def new_terminal(
    tmp_path_factory: pytest.TempPathFactory, compiled: Path
) -> Callable[[], Terminal]:
    """Return what makes a terminal, for runs that several tests look at."""
    return lambda: Terminal(tmp_path_factory.mktemp("run"), compiled)


class StandIn:
    """Customer.io on loopback: answers every request in one way, and keeps it.

    It may tell its region all the same, so that the run gets beyond that.
    """

    def __init__(
        self, status: int, body: bytes, headers: dict[str, str], greeting: bytes | None
    ) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stand_in.requests.append(
                    (self.command, self.path, dict(self.headers), content)
                )
                if self.command == "GET" and greeting is not None:
                    self.say(200, {}, greeting)
                else:
                    self.say(status, headers, body)

            def say(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = answer  # noqa: N815 - the standard library's name
            do_POST = answer  # noqa: N815 - the standard library's name

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def stand_in() -> Iterator[Callable[..., StandIn]]:
    """Return what starts a stand-in for Customer.io."""
    started: list[StandIn] = []

    def start(
        status: int = 200,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        greets: bool = False,
    ) -> StandIn:
        content = json.dumps(body or {}).encode()
        greeting = json.dumps({"region": "us"}).encode() if greets else None
        started.append(StandIn(status, content, headers or {}, greeting))
        return started[-1]

    yield start
    for each in started:
        each.close()
