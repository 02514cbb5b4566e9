"""A run over a part of the records costs that part of the whole run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.command import clean_environment

from .project import Copy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.customerio import Customerio
    from support.singer import Singer

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(sys.platform == "win32", reason="wait4 tells the CPU time"),
]
WHOLE, PARTITIONS, ROUNDS = 48_000, 4, 5


def cpu_seconds(folder: Path, file: str) -> float:
    """Return the CPU time of a run."""
    process = subprocess.Popen(
        [
            Copy.command("target-customerio"),
            "--config=target.json",
            f"--input={file}",
        ],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def test_a_partition_costs_its_part_of_the_cpu_time(
    tmp_path: Path, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(greets=True)
    settings = {"site_id": "site", "api_key": "key", "api_url": server.url}
    (tmp_path / "target.json").write_text(json.dumps(settings))
    for name, count in (
        ("none", 0),
        ("part", WHOLE // PARTITIONS),
        ("whole", WHOLE),
    ):
        lines = [singer.schema("tracks", keys=["id"])] + [
            singer.record("tracks", id=number, user_id=f"p-{number}", event="Ordered")
            for number in range(count)
        ]
        (tmp_path / name).write_text("\n".join(map(json.dumps, lines)) + "\n")
    # In turn, so that other programs slow all of them down alike; the shortest counts.
    rounds = [
        [cpu_seconds(tmp_path, name) for name in ("none", "part", "whole")]
        for _ in range(ROUNDS)
    ]
    start, part, whole = map(min, zip(*rounds, strict=True))
    assert (part - start) / (whole - start) == pytest.approx(1 / PARTITIONS, rel=0.5)
