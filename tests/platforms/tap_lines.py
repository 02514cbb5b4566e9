#!/usr/bin/env python3
"""A tap that writes each line of a file as a record, and its number as STATE.

Unlike published JSONL taps, it resumes after the line in its STATE.
"""

import argparse
import json
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config")
    parser.add_argument("--state")
    options = parser.parse_args()
    config = json.loads(Path(options.config).read_text(encoding="utf-8"))
    state = {}
    if options.state:
        state = json.loads(Path(options.state).read_text(encoding="utf-8"))
    first = state.get("line", 0)
    sys.stderr.write(f"Starting behind line {first}\n")
    stream = config.get("stream", "identifies")
    schema = {"type": "SCHEMA", "stream": stream, "schema": {"properties": {}}}
    say({**schema, "key_properties": []})
    lines = Path(config["path"]).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines[first:], first + 1):
        record = json.loads(line)
        say({"type": "RECORD", "stream": stream, "record": record})
        say({"type": "STATE", "value": {"line": number}})


def say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


main()
