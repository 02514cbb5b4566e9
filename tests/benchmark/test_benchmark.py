"""The benchmark runs, and measures what it reports.

Results of so few records mean nothing and are not checked.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
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
CONTENDERS = {
    "target-customerio",
    "SDK with idle sinks",
    "decode and encode alone",
    "SDK batch sink, 500 KB chunks",
    "official client, a call a record",
}
SENDING = CONTENDERS - {"SDK with idle sinks", "decode and encode alone"}
KINDS = ("RECORD lines", "BATCH, jsonl", "BATCH, jsonl, gzip", "BATCH, parquet")


def output_of(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    folder = tmp_path_factory.mktemp("figures")
    results, chart = folder / "results.json", folder / "chart.svg"
    extent = ("--records", str(RECORDS), "--many", "90", "--rounds", "1")
    kept = ("--results", results, "--chart", chart)
    return results, chart, output_of(HERE, *extent, *kept, "--without-instructions")


def test_the_chart_shows_the_stored_results(tmp_path: Path) -> None:
    drawn = tmp_path / "chart.svg"
    output_of(HERE, "--show", HERE / "results.json", "--chart", drawn)
    kept = (HERE / "chart.svg").read_text(encoding="utf-8")
    assert len(set(numbers_in(kept))) == 3 * 4
    assert numbers_in(kept) == numbers_in(drawn.read_text(encoding="utf-8"))


def numbers_in(picture: str) -> list[str]:
    return re.findall(r'class="value">([\d,]+)<', picture)


def test_the_documented_command_is_this_one(
    measured: tuple[Path, Path, str],
) -> None:
    _, _, rest = PAGE.partition("<!-- run: benchmark -->\n```bash\n")
    command, *arguments = shlex.split(rest.partition("\n```")[0])
    assert (command, ROOT / arguments[0]) == ("python", HERE)
    kept = [str(HERE / "results.json"), str(HERE / "chart.svg")]
    assert [str(ROOT / each) for each in arguments[2::2]] == kept
    assert arguments[1::2] == ["--results", "--chart"]
    assert all(each.exists() for each in measured[:2])


def figures_in(results: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))["figures"]
    return figures


def test_every_contender_delivers_every_record(
    measured: tuple[Path, Path, str],
) -> None:
    figures = figures_in(measured[0])
    expected = CONTENDERS | (
        {"Segment's destination"} if shutil.which("npm") else set()
    )
    assert set(figures["contenders"]) == expected
    for title, each in figures["contenders"].items():
        is_sent = title in SENDING | {"Segment's destination"}
        assert each["operations"] == (each["records"] if is_sent else 0)
        assert each["peak_mb"] > 1


def test_every_load_is_delivered_completely(measured: tuple[Path, Path, str]) -> None:
    figures = figures_in(measured[0])
    for each in [*figures["loads"].values(), figures["long"]]:
        assert each["operations"] == each["records"]


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
    assert figures == {"requests": 2, "bytes": 2 * len(body), "operations": 4}
    assert set(again.values()) == {0}


def test_the_tables_and_the_chart_list_everything(
    measured: tuple[Path, Path, str],
) -> None:
    results, chart, said = measured
    picture = chart.read_text(encoding="utf-8")
    assert output_of(HERE, "--show", results) == said
    for title in figures_in(results)["contenders"]:
        assert f"| {title} " in said
    for title in SENDING:
        assert title in picture


def test_the_batch_file_benchmark_measures_every_format() -> None:
    said = output_of(HERE / "batch_files.py", "500", "1")
    for kind in KINDS:
        assert re.search(rf"^{kind} +-?[\d,]+ records/s", said, re.MULTILINE)
