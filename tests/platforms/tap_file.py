#!/usr/bin/env python3
"""A tap that writes the contents of a file of Singer messages."""

import argparse
import json
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--config")
config = json.loads(Path(parser.parse_args().config).read_text(encoding="utf-8"))
sys.stdout.write(Path(config["path"]).read_text(encoding="utf-8"))
