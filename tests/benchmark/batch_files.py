"""Compare the speed of lines and of batch files of each format.

``python tests/benchmark/batch_files.py [RECORDS] [ROUNDS]`` has the command deliver
them to a server that accepts everything at once, once for each input format in every
round, and prints medians with start-up subtracted.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from measure import PRODUCT, serving
from pyarrow import parquet
from records import Load
from rounds import without_start_up

LINES = "RECORD lines"


def write(folder: Path, load: Load) -> dict[str, Path]:
    """Write the records as lines and as batch files; return the input of each run."""
    records = [each["record"] for each in load.messages() if each["type"] == "RECORD"]
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    (folder / "rows.jsonl").write_bytes(text)
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(text))
    parquet.write_table(pa.Table.from_pylist(records), folder / "rows.parquet")
    encodings: dict[str, tuple[str, dict[str, str]]] = {
        "BATCH, jsonl": ("rows.jsonl", {"format": "jsonl"}),
        "BATCH, jsonl, gzip": (
            "rows.jsonl.gz",
            {"format": "jsonl", "compression": "gzip"},
        ),
        "BATCH, parquet": ("rows.parquet", {"format": "parquet"}),
    }
    inputs = {LINES: load.write(folder)}
    for kind, (name, encoding) in encodings.items():
        batch: dict[str, Any] = {
            "type": "BATCH",
            "stream": "tracks",
            "encoding": encoding,
            "manifest": [(folder / name).as_uri()],
        }
        inputs[kind] = folder / f"{name}.singer"
        inputs[kind].write_text(
            "".join(json.dumps(each) + "\n" for each in [*load.schemas(), batch]),
            encoding="utf-8",
        )
    return inputs


def main(count: int, rounds: int) -> None:
    """Measure, and print the results."""
    taken: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, serving(Path(name), 0) as bench:
        inputs = write(bench.folder, Load(count))
        nothing = Load(0).write(bench.folder)
        for _ in range(rounds):
            taken[""].append(bench.run(PRODUCT, nothing).seconds)
            for kind, source in inputs.items():
                result = bench.run(PRODUCT, source)
                assert result.operations == count
                taken[kind].append(result.seconds)
    empty = statistics.median(taken.pop(""))
    medians = {
        kind: without_start_up(statistics.median(each), empty)
        for kind, each in taken.items()
    }
    print(f"{count:,} records, {rounds} rounds, start-up {empty:.2f} s subtracted")
    for kind, median in medians.items():
        ratio = medians[LINES] / median
        print(f"{kind:20}{count / median:10,.0f} records/s {ratio:6.2f} of lines")


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:3]]
    main(*(given + [50_000, 3][len(given) :]))
