from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

KINDS = ("RECORD lines", "BATCH, jsonl", "BATCH, jsonl, gzip", "BATCH, parquet")


def test_the_benchmark_of_inputs_measures_every_kind() -> None:
    script = Path(__file__).with_name("inputs.py")
    done = subprocess.run(
        [sys.executable, script, "500", "1"], check=True, capture_output=True, text=True
    )
    for kind in KINDS:
        assert re.search(rf"^{kind} +-?[\d,]+ records/s", done.stdout, re.MULTILINE)
