"""Eight runs over the same input, one per shard, are equal to one run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.command import Terminal
from support.workspace import snapshot

from .project import ROOT
from .shards import ordered, union

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.forks import ForkServer

SHARDS = [f"{number}/8" for number in range(8, 0, -1)]
LAST_ACTIONS = ("User Deleted", "User Suppressed")


def names_one_person_and_needs_no_other(record: dict[str, Any]) -> bool:
    return (
        "userId" in record
        and "previousId" not in record
        and record["userId"] != "lead-017"
        and record.get("event") not in LAST_ACTIONS
    )


def is_not_of_someone_who_is_suppressed(record: dict[str, Any]) -> bool:
    who = record.get("userId") or record.get("anonymousId") or ""
    return not who.endswith("-022")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the shop's selected records as input."""

    def write(keep: Callable[[dict[str, Any]], bool]) -> Path:
        shop = ROOT / "docs/examples/shop/shop.singer.jsonl"
        messages = map(json.loads, shop.read_text(encoding="utf-8").splitlines())
        kept = [
            json.dumps(message)
            for message in messages
            if message["type"] != "RECORD" or keep(message["record"])
        ]
        path = tmp_path / "input.jsonl"
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def deliver(
    tmp_path: Path, forks: ForkServer
) -> Callable[..., tuple[dict[str, Any], list[str]]]:
    """Return a function that delivers an input and returns workspace and log."""

    def deliver(
        source: Path, workspace: str, **settings: Any
    ) -> tuple[dict[str, Any], list[str]]:
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        path = tmp_path / workspace
        config = {"sandbox": str(path), "on_rejected": "continue", **settings}
        (folder / "config.json").write_text(json.dumps(config))
        done = Terminal(folder, forks).type(
            "--config", "config.json", "--input", str(source)
        )
        assert done.code == 0, done.stderr
        assert done.stdout.splitlines()[-1].startswith('{"calls_sent"')
        rejected = folder / "rejected.singer.jsonl"
        lines = rejected.read_text().splitlines() if rejected.exists() else []
        return snapshot(path), [line for line in lines if '"rejection"' in line]

    return deliver


def test_eight_workspaces_together_equal_the_workspace_of_one_run(
    write: Any, deliver: Any
) -> None:
    source = write(names_one_person_and_needs_no_other)
    whole, _ = deliver(source, "whole.db")

    shares = [deliver(source, f"{shard[0]}.db", shard=shard) for shard in SHARDS]

    snapshots = [share for share, _ in shares]
    assert union(snapshots) == ordered(whole)
    assert all(share["people"] for share in snapshots)
    assert sum(len(share["people"]) for share in snapshots) == len(whole["people"])


def test_eight_runs_into_one_workspace_equal_one_run(write: Any, deliver: Any) -> None:
    source = write(is_not_of_someone_who_is_suppressed)
    whole, rejected = deliver(source, "whole.db")

    shares = [deliver(source, "shared.db", shard=shard) for shard in SHARDS]

    assert shares[-1][0] == whole
    assert len(rejected) == 3
    assert sum(len(lines) for _, lines in shares) == 3
