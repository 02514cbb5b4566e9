"""The shell commands of the DAGs, with a scripted tap and target."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

DAGS = Path(__file__).parents[2] / "docs/examples/dags"
REJECTED = "rejected.singer.jsonl"


def commands(dag: str) -> str:
    """Return the commands in a DAG file, which only Airflow can import."""
    tree = ast.parse((DAGS / f"{dag}.py").read_text(encoding="utf-8"))
    (text,) = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and "\n" in str(node.value.value)
    ]
    return str(text)


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Return a function that starts a DAG's commands as Airflow does."""

    def start(
        dag: str, *, target: str = "", tap: str = "", **environment: str
    ) -> subprocess.Popen[bytes]:
        programs = tmp_path / "programs"
        programs.mkdir(exist_ok=True)
        for name, does in (
            ("tap-jsonl", tap),
            ("target-customerio", f"cat > /dev/null\n{target}"),
            ("meltano", target),
        ):
            (programs / name).write_text(f"#!/bin/bash\n{does}\n")
            (programs / name).chmod(0o755)
        with (tmp_path / "log").open("w") as log:
            return subprocess.Popen(
                ["bash", "-c", commands(dag)],
                cwd=tmp_path,
                env={
                    "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
                    "TARGET_CUSTOMERIO_REJECTED_RECORDS_PATH": str(tmp_path / REJECTED),
                    **environment,
                },
                stderr=log,
                start_new_session=True,
            )

    return start


def state_in(folder: Path) -> str:
    return (folder / "state.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("dag", ["shop_pipe", "shop_meltano"])
@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_exit_code_is_passed_on(
    dag: str, code: int, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    assert start(dag, target=f"exit {code}").wait(timeout=120) == code


@pytest.mark.parametrize("dag", ["shop_pipe", "shop_meltano"])
@pytest.mark.parametrize(("code", "then"), [(0, 3), (1, 1), (3, 3)])
def test_a_rejected_records_file_fails_a_successful_run(
    dag: str,
    code: int,
    then: int,
    start: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    (tmp_path / REJECTED).write_text("of an earlier run\n")
    assert start(dag, target=f"exit {code}").wait(timeout=120) == then
    assert str(tmp_path / REJECTED) in (tmp_path / "log").read_text()


@pytest.mark.parametrize("dag", ["shop_pipe", "shop_meltano"])
def test_an_empty_rejected_records_file_does_not_fail_the_run(
    dag: str, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    (tmp_path / REJECTED).touch()
    assert start(dag).wait(timeout=120) == 0


def test_a_failing_tap_fails_the_run(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    assert start("shop_pipe", tap="exit 5").wait(timeout=120) == 5


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        ("", "before\n"),
        ("{}", "before\n"),
        ("{}\\n", "{}\n"),
        ('{}\\n{"a":1}\\n{"b"', '{"a":1}\n'),
    ],
    ids=["none", "half a line", "one", "half a line after others"],
)
def test_the_last_complete_line_of_state_is_kept(
    states: str,
    kept: str,
    start: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    (tmp_path / "state.json").write_text("before\n")
    start("shop_pipe", target=f"printf '{states}'; exit 1").wait(timeout=120)
    assert state_in(tmp_path) == kept


def stop_once(started: Path, process: subprocess.Popen[bytes]) -> None:
    """Stop a run as soon as it has made a file, and wait for its end."""
    wait_until(started.exists, seconds=20)
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=120)


def test_a_stopped_run_saves_its_last_state(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    target = (
        "trap 'sleep 0.5; echo {\\\"delivered\\\":1}; exit 0' TERM\n"
        "touch started\nwhile true; do sleep 0.05; done"
    )
    process = start("shop_pipe", target=target)
    stop_once(tmp_path / "started", process)
    assert state_in(tmp_path) == '{"delivered":1}\n'


def test_stopping_the_run_waits_for_meltano(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    target = (
        "trap 'sleep 0.5; touch ended; exit 0' TERM\n"
        "touch started\nwhile true; do sleep 0.05; done"
    )
    process = start("shop_meltano", target=target)
    stop_once(tmp_path / "started", process)
    assert (tmp_path / "ended").exists()


def test_state_that_cannot_be_saved_fails_the_run(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    (tmp_path / "state.json.new").mkdir()
    assert start("shop_pipe", target="echo {}").wait(timeout=120) == 1


def test_partitions_handle_state_and_rejected_records_like_the_pipeline() -> None:
    pipe, partitions = (
        commands(dag).split("> states.jsonl", 1)[1]
        for dag in ("shop_pipe", "shop_partitions")
    )
    assert partitions == pipe


def test_a_partition_of_files_has_its_own_settings_of_the_tap_and_its_own_state(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    own, other = (tmp_path / f"partition-{number}-of-2" for number in (0, 1))
    own.mkdir()
    (own / "tap.json").write_text('{"path": "first.jsonl"}')
    tap = 'echo "$@" >> ../arguments; cat "$2" >> ../settings'
    (tmp_path / "tap.json").write_text('{"path": "others.jsonl"}')
    for number in (0, 0, 1):
        process = start(
            "shop_partitions",
            tap=tap,
            target=f"echo '{{\"line\": {number}}}'",
            tap_command="tap-jsonl",
            partition=str(number),
            partitions="2",
        )
        assert process.wait(timeout=120) == 0
    assert (tmp_path / "arguments").read_text().splitlines() == [
        "--config tap.json",
        "--config tap.json --state state.json",
        "--config ../tap.json",
    ]
    settings = (tmp_path / "settings").read_text()
    assert [settings.count(each) for each in ("first", "others")] == [2, 1]
    assert (state_in(own), state_in(other)) == ('{"line": 0}\n', '{"line": 1}\n')


def test_a_rejected_records_file_fails_its_partition_alone(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    target = f"[ $partition = 1 ] || echo rejected > {REJECTED}"
    codes = [
        start(
            "shop_partitions",
            target=target,
            tap_command="tap-jsonl",
            partition=str(number),
            partitions="2",
        ).wait(timeout=120)
        for number in (0, 1)
    ]
    assert codes == [3, 0]
    assert (tmp_path / f"partition-0-of-2/{REJECTED}").exists()
