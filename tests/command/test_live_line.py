"""On a terminal, one line shows how far a run is, below the log and STATE."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.command import (
    COMMAND,
    PATIENCE,
    SETTINGS,
    clean_environment,
    wait_until,
)
from support.customerio import REGION_REPLY, Customerio, Reply
from support.forks import POSSIBLE
from support.singer import line_of, record, schema, state
from support.workspace import contents_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.command import Terminal
    from support.customerio import Request
    from support.forks import Fork, ForkServer
    from support.screen import Screen

if not POSSIBLE:
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

LINE = re.compile(
    r"(?P<read>[\d,]+) records?, (?P<delivered>[\d,]+) delivered, "
    r"(?P<rejected>[\d,]+) rejected, [\d,]+ records/s, (?P<flying>\d+) in flight, "
    r"(?P<throttled>\d+) s throttled"
)
LOG = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \| \w+ +\| .*")
USERS = schema("identifies", ["userId"])


def user(number: int) -> dict[str, Any]:
    return record("identifies", userId=str(number))


def no_user(_: int) -> dict[str, Any]:
    return record("identifies", plan="pro")


def after_region_check(reply: Reply) -> Callable[[Request], Reply]:
    """Return the script of a server that accepts the credentials."""

    def script(request: Request) -> Reply:
        return REGION_REPLY if request.path.endswith("/region") else reply

    return script


class Run:
    """The command with its log on a screen."""

    def __init__(
        self,
        screen: Screen,
        forks: ForkServer,
        folder: Path,
        environment: dict[str, str],
        **settings: Any,
    ) -> None:
        self.screen = screen
        config = {"sandbox": "workspace.db", "on_rejected": "continue", **settings}
        (folder / "config.json").write_text(json.dumps(config))
        source, stdin = os.pipe()
        self._stdin = os.fdopen(stdin, "wb")
        self.process: Fork = forks.start(
            ["--config", "config.json"],
            folder,
            clean_environment(**environment),
            # STATE goes to the same terminal
            (source, screen.descriptor, screen.descriptor),
        )
        os.close(source)

    def send(self, *messages: dict[str, Any]) -> None:
        self.write(b"".join(map(line_of, messages)))

    def write(self, content: bytes) -> None:
        self._stdin.write(content)
        self._stdin.flush()

    def end(self) -> int:
        self.close()
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def wait_for(self, condition: Callable[[dict[str, int]], object]) -> dict[str, int]:
        """Wait until the live line has figures that meet a condition."""
        found: dict[str, int] = {}

        def is_met() -> bool:
            match = LINE.fullmatch(self.screen.last)
            if match is not None:
                found.update(
                    {k: int(v.replace(",", "")) for k, v in match.groupdict().items()}
                )
            return match is not None and bool(condition(found))

        what = f"{condition} (on the screen: {self.screen.last!r})"
        wait_until(is_met, what=what)
        return found


@pytest.fixture
def screen() -> Iterator[Screen]:
    from support.screen import Screen  # noqa: PLC0415 - not on every system

    with Screen(columns=250) as screen:
        yield screen


@pytest.fixture
def start(
    screen: Screen, forks: ForkServer, tmp_path: Path
) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(environment: dict[str, str] | None = None, **settings: Any) -> Run:
        variables = {"TERM": "xterm"} if environment is None else environment
        runs.append(Run(screen, forks, tmp_path, variables, **settings))
        return runs[-1]

    yield start
    for each in runs:
        each.process.kill()
        each.process.wait(PATIENCE)
        each.close()


@pytest.fixture
def slow() -> Iterator[Customerio]:
    """A Customer.io that takes long for its answers."""
    server = Customerio(after_region_check(Reply(delay=250)))
    yield server
    server.close()


def unfinished(server: Customerio) -> dict[str, Any]:
    return {**SETTINGS, "sandbox": None, "api_url": server.url}


def has_stopped(pid: int) -> bool:
    """Return whether every thread of a process is stopped."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {(each / "stat").read_text().rpartition(")")[2][1] for each in threads} == {
        "T"
    }


def assert_tidy(screen: Screen) -> None:
    """Expect whole lines of the log and STATE, and nothing else."""
    for line in screen.lines:
        assert LOG.fullmatch(line) or json.loads(line), line
    assert screen.is_as_before


def test_the_line_shows_how_far_the_run_is(start: Callable[..., Run]) -> None:
    run = start()
    run.send(USERS, *map(user, range(1200)), no_user(1))
    found = run.wait_for(lambda line: line["delivered"] == 1200)
    assert found == {
        "read": 1201,
        "delivered": 1200,
        "rejected": 1,
        "flying": 0,
        "throttled": 0,
    }
    run.send(user(7))
    run.wait_for(lambda line: line["read"] == line["delivered"] + 1 == 1202)
    assert run.end() == 0
    assert_tidy(run.screen)
    log = "\n".join(run.screen.lines)
    assert "person identify  1,201" in log
    assert "METRIC" not in log
    assert "records/s" not in log


def test_log_lines_and_state_stay_whole(start: Callable[..., Run]) -> None:
    run = start()
    run.send(USERS)
    expected = [f'{{"after":{number}}}' for number in range(1, 5)]
    for number, written in enumerate(expected, 1):
        rejected = map(no_user, range(number * 10, number * 10 + 3))
        run.send(user(number), *rejected, state({"after": number}))
        wait_until(partial(run.screen.has, written), what=written)
    assert run.end() == 0
    assert_tidy(run.screen)
    states = [line for line in run.screen.lines if line.startswith("{")]
    assert states == expected
    assert sum("record rejected" in line for line in run.screen.lines) == 10


def test_requests_in_flight_and_throttling_are_shown(
    start: Callable[..., Run], slow: Customerio
) -> None:
    run = start(**unfinished(slow), batch_size_rows=1, max_concurrent_requests=3)
    run.send(USERS, *map(user, range(9)))
    run.wait_for(lambda line: line["flying"] == 3)


def test_throttling_is_shown(start: Callable[..., Run]) -> None:
    too_many = Reply(429, headers={"Retry-After": "60"})
    server = Customerio(after_region_check(too_many))
    try:
        run = start(**unfinished(server))
        run.send(USERS, user(1))
        found = run.wait_for(lambda line: line["throttled"] >= 1)
        assert found["delivered"] == 0
    finally:
        server.close()


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_go_back_has_only_the_log(
    start: Callable[..., Run], environment: dict[str, str]
) -> None:
    run = start(environment)
    run.send(USERS, user(1), state(1))
    wait_until(lambda: run.screen.last == "1", what="STATE")
    time.sleep(0.5)
    assert run.end() == 0
    assert b"\r" not in run.screen.raw.replace(b"\r\n", b"")
    assert "METRIC" in "\n".join(run.screen.lines)


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
def test_there_are_no_colours(
    start: Callable[..., Run], environment: dict[str, str]
) -> None:
    run = start({"TERM": "xterm-256color", **environment})
    run.send(USERS, user(1))
    run.wait_for(lambda line: line["delivered"] == 1)
    assert run.end() == 0
    assert b"\x1b[" not in run.screen.raw.replace(b"\x1b[K", b"").replace(
        b"\x1b[A", b""
    )


def test_the_line_is_as_wide_as_the_terminal(start: Callable[..., Run]) -> None:
    run = start()
    screen = run.screen
    run.send(USERS, user(1))
    run.wait_for(lambda line: line["delivered"] == 1)
    for columns in (24, 10, 2, 40):
        # What is drawn in this very moment would have the old width.
        run.process.send_signal(signal.SIGSTOP)
        wait_until(partial(has_stopped, run.process.pid), what="the stop")
        assert screen.lines  # all that was drawn
        screen.resize(columns)
        run.process.send_signal(signal.SIGCONT)
        shown = "1 record, 1 delivered, 0 rejected, 0 records/s"[: columns - 1]
        wait_until(partial(screen.ends_with, shown[:20], columns), what=shown)
        time.sleep(0.5)
        assert sum(line.startswith(shown[:9]) for line in screen.lines) == 1
    screen.resize(250)
    run.wait_for(lambda line: line["read"] == 1)
    assert run.end() == 0
    assert "records/s" not in "\n".join(screen.lines)


@pytest.mark.parametrize(("columns", "rows"), [(0, 0), (100, 0), (100, 1), (100, 2)])
def test_a_terminal_of_unknown_or_little_height_shows_the_line(
    start: Callable[..., Run], screen: Screen, columns: int, rows: int
) -> None:
    # `script` without a terminal of its own and some CI systems give 0.
    screen.resize(columns, rows)
    run = start()
    run.send(USERS, user(1))
    shown = "1 record, 1 delivered, 0 rejected, 0 records/s, 0 in flight"
    wait_until(partial(screen.ends_with, shown, columns or 80), what=shown)
    assert run.end() == 0


def test_the_line_of_a_plan_says_what_it_would_send(
    start: Callable[..., Run], screen: Screen
) -> None:
    run = start(plan=True)
    run.send(USERS, user(1), no_user(2))
    shown = "2 records, 1 to send, 1 to reject"
    wait_until(partial(screen.ends_with, shown, 250), what=shown)
    assert run.end() == 0


def test_the_line_is_gone_after_an_error(start: Callable[..., Run]) -> None:
    run = start()
    run.send(USERS, user(1))
    run.wait_for(lambda line: line["delivered"] == 1)
    run.write(b"no Singer\n")
    assert run.end() == 1
    assert_tidy(run.screen)
    assert "Line 3" in run.screen.last


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_line_is_gone_after_a_signal(
    start: Callable[..., Run], number: signal.Signals
) -> None:
    run = start()
    run.send(USERS, user(1))
    run.wait_for(lambda line: line["delivered"] == 1)
    run.process.send_signal(number)
    assert run.process.wait(PATIENCE) == 0
    assert_tidy(run.screen)


def test_the_line_is_gone_after_a_second_signal(
    start: Callable[..., Run], slow: Customerio
) -> None:
    run = start(**unfinished(slow))
    run.send(USERS, user(1))
    run.wait_for(lambda line: line["flying"] == 1)
    run.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "second signal" in "\n".join(run.screen.lines))
    run.wait_for(lambda line: line["flying"] == 1)
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert_tidy(run.screen)


def test_a_killed_run_leaves_the_modes_of_the_terminal(
    start: Callable[..., Run],
) -> None:
    run = start()
    run.send(USERS, user(1))
    run.wait_for(lambda line: line["delivered"] == 1)
    run.process.kill()
    assert run.process.wait(PATIENCE) == -signal.SIGKILL
    assert run.screen.is_as_before


def test_a_run_goes_on_without_its_terminal(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"sandbox": "workspace.db"}')
    with subprocess.Popen(
        [COMMAND, "--config", "config.json"],
        cwd=tmp_path,
        env=clean_environment(TERM="xterm"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=screen.descriptor,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"".join(map(line_of, [USERS, user(1)])))
        process.stdin.flush()
        wait_until(lambda: LINE.fullmatch(screen.last), what="a live line")
        screen.hang_up()
        time.sleep(0.5)
        process.stdin.write(line_of(user(2)))
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    assert sorted(contents_of(tmp_path / "workspace.db")["people"]) == ["id:1", "id:2"]


# In a shell


@pytest.fixture
def bash(screen: Screen, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An interactive shell on the screen."""
    command = ["bash", "--norc", "--noediting", "-i"]
    with subprocess.Popen(
        [sys.executable, "-c", IN_NEW_SESSION, *command],
        cwd=tmp_path,
        env=clean_environment(TERM="xterm", PS1="shell> "),
        stdin=screen.descriptor,
        stdout=screen.descriptor,
        stderr=screen.descriptor,
        start_new_session=True,
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def shell(
    screen: Screen, tmp_path: Path, bash: subprocess.Popen[bytes]
) -> Iterator[Screen]:
    """The screen of a shell that has run the command."""
    (tmp_path / "config.json").write_text('{"sandbox": "workspace.db"}')
    os.mkfifo(tmp_path / "tap")
    screen.resize(100)
    wait_until(lambda: screen.last == "shell>", what="a shell")
    screen.type(f"{COMMAND} --config config.json < tap > state\n")
    with (tmp_path / "tap").open("wb") as tap:
        tap.write(b"".join(map(line_of, [USERS, user(1)])))
        tap.flush()
        wait_until(lambda: LINE.fullmatch(screen.last), what="a live line")
        yield screen
    bash.kill()


def handles_stop(shell: int) -> bool:
    """Return whether the program that a shell has started handles Ctrl-Z."""
    (program,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    status = Path(f"/proc/{program}/status").read_text()
    (caught,) = re.findall(r"^SigCgt:\s+(\w+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTSTP - 1) & 1)


IN_NEW_SESSION = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_ctrl_z_erases_the_line_and_fg_draws_it_again(
    shell: Screen, bash: subprocess.Popen[bytes]
) -> None:
    shell.type("\x1a")
    wait_until(lambda: shell.last == "shell>", what="a prompt")
    assert not any(LINE.search(line) for line in shell.lines)
    shell.type("fg\n")
    wait_until(lambda: LINE.fullmatch(shell.last), what="the line again")
    wait_until(partial(handles_stop, bash.pid), what="the handler again")
    shell.type("\x1a")
    wait_until(lambda: shell.last == "shell>", what="a second prompt")
    shell.type("fg\n")
    wait_until(lambda: LINE.fullmatch(shell.last), what="the line once more")
    shell.type("\x03")
    wait_until(lambda: shell.last == "shell>", what="the end")
    assert not any(LINE.search(line) for line in shell.lines)
    assert any("SIGINT: stopped reading" in line for line in shell.lines)


def test_nothing_is_drawn_in_the_background(shell: Screen) -> None:
    shell.type("\x1a")
    wait_until(lambda: shell.last == "shell>", what="a prompt")
    shell.type("bg\n")
    wait_until(lambda: shell.last == "shell>" and "&" in shell.lines[-2], what="bg")
    shell.type("half a comm")
    wait_until(lambda: shell.last == "shell> half a comm", what="typing")
    before = shell.raw
    time.sleep(0.7)
    assert shell.raw == before
    shell.type("\x15fg\n")
    wait_until(lambda: LINE.fullmatch(shell.last), what="the line again")


# Without the command


IN_A_PROGRAM = """
import logging, time
from target_customerio import deliver
logging.basicConfig(level="INFO")
def rows():
    yield {"user_id": 1}
    time.sleep(0.6)
deliver(rows(), call="identify", config={"sandbox": "workspace.db"}, stream="users")
"""


def test_a_program_that_delivers_rows_keeps_its_terminal(
    screen: Screen, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-c", IN_A_PROGRAM],
        cwd=tmp_path,
        env=clean_environment(TERM="xterm"),
        stderr=screen.descriptor,
        check=True,
        timeout=2 * PATIENCE,
    )
    wait_until(lambda: "0 retries" in screen.last, what="the summary")
    assert b"\r" not in screen.raw.replace(b"\r\n", b"")


def test_tqdm_is_imported_only_for_a_terminal(terminal: Terminal) -> None:
    code = "import sys, target_customerio.target; sys.exit('tqdm' in sys.modules)"
    assert terminal.type("-c", code, python=True).code == 0
