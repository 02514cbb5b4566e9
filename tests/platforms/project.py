"""A Meltano project in a folder."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from support.command import clean_environment
from support.workspace import contents_of

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
LOG_LINE = re.compile(r"\S+Z \[(?P<level>\w+) *\] (?P<who>\S+)(?P<said>.*)")
STATES = "states"
NAME_WIDTH = 12
"""The width of Meltano's column of plugin names."""
ACCOUNT: dict[str, Any] = {
    "TARGET_CUSTOMERIO_SITE_ID": "made-up-site",
    "TARGET_CUSTOMERIO_API_KEY": "made-up-key",
}


@dataclass(frozen=True)
class Done:
    """The result of a finished command."""

    code: int
    stdout: str
    stderr: str

    @property
    def log(self) -> list[tuple[str, str]]:
        """Return Meltano's log: plugin name and text of each line."""
        found = []
        for line in self.stderr.splitlines():
            match = LOG_LINE.fullmatch(line)
            assert match, line
            who = match["who"]
            said = match["said"][max(NAME_WIDTH - len(who), 0) + 1 :]
            found.append((who, said.rstrip()))
        return found

    def said_by(self, plugin: str) -> list[str]:
        return [said for who, said in self.log if who == plugin]


class Copy:
    """A folder with a Meltano project in it."""

    def __init__(self, folder: Path, meltano: str) -> None:
        self.folder = folder
        self.meltano = meltano

    @staticmethod
    def command(name: str) -> str:
        return str(Path(sysconfig.get_path("scripts")) / name)

    def configure(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the copy of the checkout's project file; copy it first if missing."""
        path = self.folder / "meltano.yml"
        there = path if path.exists() else ROOT / "meltano.yml"
        content = yaml.safe_load(there.read_text(encoding="utf-8"))
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def run(self, *arguments: str, code: int | None = 0, **environment: str) -> Done:
        done = subprocess.run(
            [self.meltano, *arguments],
            cwd=self.folder,
            env=clean_environment(COLUMNS="1000", NO_COLOR="1", **environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if code is not None:
            assert done.returncode == code, done.stdout + done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def people(self, *numbers: int) -> None:
        """Append people to the input of the tap of lines."""
        with (self.folder / "lines.jsonl").open("a", encoding="utf-8") as file:
            for number in numbers:
                record = {"userId": f"p-{number}", "traits": {"number": number}}
                file.write(json.dumps(record) + "\n")

    def state(self, environment: str = "sandbox") -> Any:
        """Return the STATE that Meltano would pass to the tap of lines."""
        name = f"{environment}:tap-lines-to-target-customerio"
        kept = self.folder / STATES / name / "state.json"
        state = json.loads(kept.read_text(encoding="utf-8"))
        return {**state["completed"], **state["partial"]}["singer_state"]

    def workspace(self, name: str = "workspace.db") -> dict[str, Any]:
        return contents_of(self.folder / name)
