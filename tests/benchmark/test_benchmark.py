"""The benchmark runs, and measures what it reports.

Results of so few records mean nothing and are not checked.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.benchmark

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
RECORDS = 60
EXTENT = (
    f"--records {RECORDS} --rows {RECORDS} --many 90"
    " --rounds 1 --fewer 1 --counted 0 --stall 1"
).split()
CONTENDERS = {
    "target-customerio",
    "SDK with idle sinks",
    "decode and encode alone",
    "SDK batch sink, 500 KB chunks",
    "official client, a call a record",
}
LATENCIES = {"0", "50", "200"}
SENDING = CONTENDERS - {"SDK with idle sinks", "decode and encode alone"}
KINDS = ("RECORD lines", "BATCH, jsonl", "BATCH, jsonl, gzip", "BATCH, parquet")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, text=True
    )


def output_of(*arguments: str | Path) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr[-3_000:]
    return done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder of the results and charts, and what was printed."""
    folder = tmp_path_factory.mktemp("figures")
    return folder, output_of(HERE, *EXTENT, "--keep", folder)


def test_the_charts_show_the_stored_results(tmp_path: Path) -> None:
    output_of(HERE, "--show", HERE / "results.json", "--keep", tmp_path)
    counts = {}
    for kept in HERE.glob("*.svg"):
        values = values_in(kept)
        assert values == values_in(tmp_path / kept.name)
        counts[kept.name] = len(values)
    # Each value is written twice: also as a description.
    assert counts == {"contenders.svg": 2 * 3 * 4, "recurring.svg": 2 * 2 * 7}


def values_in(chart: Path) -> list[str]:
    return re.findall(r'class="value">([\d,-]+)<', chart.read_text(encoding="utf-8"))


def test_the_documented_command_stores_results_and_updates_the_page(
    measured: tuple[Path, str], tmp_path: Path
) -> None:
    _, _, rest = PAGE.partition("<!-- run: benchmark -->\n```bash\n")
    command, *arguments = shlex.split(rest.partition("\n```")[0])
    assert command == "python"
    copy = tmp_path / "copy"
    unneeded = shutil.ignore_patterns(".*", "__pycache__", "node_modules")
    shutil.copytree(ROOT, copy, ignore=unneeded)
    results = (measured[0] / "results.json").read_text(encoding="utf-8")
    (tmp_path / "results.json").write_text(
        results.replace("cores", "cores, here"), encoding="utf-8"
    )
    shown = ("--show", str(tmp_path / "results.json"))
    subprocess.run([sys.executable, *arguments, *shown], check=True, cwd=copy)
    kept = json.loads((copy / "tests/benchmark/results.json").read_text("utf-8"))
    assert "cores, here" in kept["long"]["made"]
    page = (copy / "docs/performance.md").read_text(encoding="utf-8")
    assert f"\n{kept['long']['made']}.\n" in page
    for name in ("contenders.svg", "recurring.svg"):
        drawn = (copy / "tests/benchmark" / name).read_bytes()
        assert drawn == (copy / "docs" / name).read_bytes()
        assert drawn != (ROOT / "docs" / name).read_bytes()


@pytest.fixture
def figures(measured: tuple[Path, str]) -> dict[str, Any]:
    text = (measured[0] / "results.json").read_text(encoding="utf-8")
    return {name: part["figures"] for name, part in json.loads(text).items()}


def test_every_contender_delivers_every_record(figures: dict[str, Any]) -> None:
    segment = {"Segment's destination"} if shutil.which("npm") else set()
    assert set(figures["contenders"]) == LATENCIES
    for latency, each in figures["contenders"].items():
        assert set(each) == segment | (CONTENDERS if latency == "0" else SENDING)
        for title, run in each.items():
            is_sent = title in SENDING | segment
            assert run["operations"] == (run["records"] if is_sent else 0)
            assert run["peak_mb"] > 1


def test_every_load_is_delivered_completely(figures: dict[str, Any]) -> None:
    assert set(figures["recurring"]) == LATENCIES
    recurring = [run for each in figures["recurring"].values() for run in each.values()]
    assert len(recurring) == 9 + 2 * 7
    loads = [*figures["loads"].values(), *figures["long"].values()]
    for each in [*loads, *recurring]:
        assert each["operations"] == each["records"]
        assert each["peak_mb"] > 1
        assert all(seconds > 0 for seconds in each["server_seconds"])


def test_a_run_with_a_snapshot_sends_what_changed(figures: dict[str, Any]) -> None:
    snapshots = figures["snapshots"]
    assert set(snapshots["runs"]) == LATENCIES
    for runs in snapshots["runs"].values():
        sent = {name: run["operations"] for name, run in runs.items()}
        assert sent.pop("nothing changed", 0) == 0
        assert {*sent.values()} == {RECORDS}
        changed = runs["one attribute of each row changed"]["bytes"]
        assert changed < runs["without a snapshot"]["bytes"] / 3
    for run in ("nothing changed", "conversion alone"):
        assert snapshots["long"]["runs"][run]["operations"] == 0
        assert snapshots["long"]["runs"][run]["records"] == 90
    assert snapshots["long"]["bytes_per_person"] > 200


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_benchmark_that_is_stopped_has_kept_what_it_measured(
    tmp_path: Path, stop: signal.Signals
) -> None:
    kept = tmp_path / "results.json"
    options = [*EXTENT, "--keep", str(tmp_path), "--parts"]
    with subprocess.Popen(
        [sys.executable, HERE, *options, "start_up", "recurring"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not kept.exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(stop)
        # Ends when no process that it started has the pipe any more.
        _, said = process.communicate(timeout=30)
    assert process.returncode != 0
    assert said.startswith("start_up: ")
    assert [*json.loads(kept.read_text("utf-8"))] == ["start_up"]
    stalled = output_of(HERE, *options, "stalled")
    assert [*json.loads(kept.read_text("utf-8"))] == ["start_up", "stalled"]
    assert "Rounds: start-up 3, stalled 1." in stalled


def test_a_part_that_does_not_exist_is_refused() -> None:
    refused = run(HERE, "--parts", "nonsense")
    assert refused.returncode == 2
    assert "invalid choice: 'nonsense'" in refused.stderr


def test_the_server_delays_responses_and_counts_requests() -> None:
    with subprocess.Popen(
        [sys.executable, HERE / "loopback.py", "50", "0.3"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        body = b'{"batch":[{"action":"event"},{"action":"event"}]}' + b" " * 3_000_000
        taken = []
        for _ in range(2):
            started = time.perf_counter()
            requests.post(url, data=body, timeout=10).raise_for_status()
            taken.append(time.perf_counter() - started)
        figures = requests.get(f"{url}/figures", timeout=10).json()
        again = requests.get(f"{url}/figures", timeout=10).json()
        process.terminate()
    assert taken[0] >= 0.3
    assert taken[1] >= 0.05
    assert 0 < figures.pop("cpu_seconds") < 1
    assert again.pop("cpu_seconds") < 0.1
    assert figures == {"requests": 2, "bytes": 2 * len(body), "operations": 4}
    assert set(again.values()) == {0}


def test_the_tables_and_the_charts_list_everything(
    measured: tuple[Path, str], figures: dict[str, Any]
) -> None:
    folder, said = measured
    assert output_of(HERE, "--show", folder / "results.json") == said
    contenders = (folder / "contenders.svg").read_text(encoding="utf-8")
    recurring = (folder / "recurring.svg").read_text(encoding="utf-8")
    for title in figures["contenders"]["0"]:
        assert f"| {title} " in said
    for title in SENDING:
        assert title in contenders
    for name in figures["snapshots"]["runs"]["200"]:
        assert f"| {name} " in said
    for name in figures["recurring"]["200"]:
        assert f"| {name} " in said
        assert name in recurring


def test_the_batch_file_benchmark_measures_every_format() -> None:
    said = output_of(HERE / "batch_files.py", "500", "1")
    for kind in KINDS:
        assert re.search(rf"^{kind} +-?[\d,]+ records/s", said, re.MULTILINE)
