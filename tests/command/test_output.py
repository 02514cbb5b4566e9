"""Standard output: STATE in UTF-8, and exit codes when it cannot be written."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Terminal
    from support.customerio import Customerio
    from support.singer import Singer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses /dev/full")

COMMAND = (sys.executable, "-m", "target_customerio")
STATE = {"bookmark": "é 日本 👩‍👩‍👧", "escaped": "\u2028\x00", "half": "\ud83d"}
LOCALES: dict[str, dict[str, str]] = {
    "as it is": {},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "UTF-16": {"PYTHONIOENCODING": "utf-16"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "LANG": "", "PYTHONUTF8": "0"},
    "unbuffered": {"PYTHONUNBUFFERED": "1"},
    "optimised": {"PYTHONOPTIMIZE": "2"},
    "strict": {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
    "safe path": {"PYTHONSAFEPATH": "1"},
}


@pytest.fixture
def feed(singer: Singer) -> bytes:
    messages = [
        singer.schema("identifies"),
        singer.record("identifies", userId="ada", traits={"name": "Zoë"}),
        singer.state(**STATE),
    ]
    return b"".join(json.dumps(each).encode() + b"\n" for each in messages)


@pytest.mark.parametrize("name", LOCALES)
def test_state_does_not_depend_on_the_terminal_encoding(
    name: str, terminal: Terminal, feed: bytes
) -> None:
    terminal.environment |= LOCALES[name]
    with (terminal.folder / "states").open("wb") as file:
        outcome = terminal.run(feed=feed, stdout=file)
    assert outcome.code == 0, outcome.stderr
    written = (terminal.folder / "states").read_bytes()
    assert written.count(b"\n") == 1
    assert json.loads(written.decode("utf-8")) == STATE
    assert outcome.workspace["people"]["id:ada"]["attributes"] == {"name": "Zoë"}


def command(
    terminal: Terminal, redirection: str, *arguments: str, feed: bytes = b""
) -> tuple[int, str]:
    """Run the command in a shell with redirected output; return code and output."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "TARGET_CUSTOMERIO"))
    }
    script = f'exec 2>said; exec "$@" {redirection}'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, *arguments],
        cwd=terminal.folder,
        env={**inherited, **terminal.environment},
        input=feed,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.returncode, (terminal.folder / "said").read_text(encoding="utf-8")


UNTAKEN = {"full": ">/dev/full", "closed": ">&-"}


@pytest.mark.parametrize("how", UNTAKEN)
def test_unwritable_standard_output_exits_with_1_and_no_interpreter_message(
    how: str, terminal: Terminal, feed: bytes
) -> None:
    config = terminal.write({"sandbox": "workspace.db"})
    code, said = command(terminal, UNTAKEN[how], "--config", config, feed=feed)
    assert code == 1
    (error,) = [line for line in said.splitlines() if "INFO" not in line]
    assert "Cannot write STATE" in error
    assert "Exception ignored" not in said


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_unwritable_standard_error_does_not_change_the_exit_code(
    redirection: str, terminal: Terminal, feed: bytes, singer: Singer
) -> None:
    config = terminal.write({"sandbox": "workspace.db"})
    assert command(terminal, redirection, "--config", config, feed=feed)[0] == 0
    wrong = json.dumps(singer.schema("nothing_we_know")).encode()
    assert command(terminal, redirection, "--config", config, feed=wrong)[0] == 1


@pytest.mark.parametrize("option", ["--help", "--version", "--about"])
def test_output_that_cannot_be_written_exits_with_1_and_one_line(
    option: str, terminal: Terminal
) -> None:
    code, said = command(terminal, ">/dev/full", option)
    assert code == 1
    assert said == "Cannot write to standard output (No space left on device)\n"


def test_state_and_log_on_a_terminal(terminal: Terminal, feed: bytes) -> None:
    config = terminal.write({"sandbox": "workspace.db"})
    (terminal.folder / "feed").write_bytes(feed)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "--config", config, "--input", "feed"],
        cwd=terminal.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        assert process.wait(120) == 0
        assert json.loads(os.read(ours, 4096)) == STATE
    os.close(ours)


def test_a_long_state_is_written_completely_to_a_nonblocking_pipe(
    terminal: Terminal, singer: Singer
) -> None:
    state = {"bookmarks": ["x" * 1000] * 500}
    feed = json.dumps(singer.state(**state)).encode()
    config = terminal.write({"sandbox": "workspace.db"})
    (terminal.folder / "feed").write_bytes(feed)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with subprocess.Popen(
        [*COMMAND, "--config", config, "--input", "feed"],
        cwd=terminal.folder,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        with os.fdopen(ours, "rb") as reader:
            assert json.loads(reader.read()) == state
        assert process.wait(120) == 0


def test_a_full_disk_leaves_no_partial_state(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(200, greets=True)
    settings: dict[str, Any] = {"site_id": "a", "api_key": "b", "api_url": server.url}
    config = terminal.write(settings)
    states = [singer.state(number=1), singer.state(number=2, pad="x" * 5000)]
    feed = b"".join(json.dumps(each).encode() + b"\n" for each in states)
    # Files that the command writes are limited to 1,024 bytes.
    script = 'ulimit -f 1; exec "$@" >states 2>/dev/null'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, "--config", config],
        cwd=terminal.folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        input=feed,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    written = Path(terminal.folder / "states").read_bytes()
    assert written == b'{"number":1}\n'
