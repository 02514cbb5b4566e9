"""The pages of the documentation, and a shell that runs their commands."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sysconfig
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .command import clean_environment

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Page:
    """The text of a Markdown page, or of several."""

    text: str

    @classmethod
    def of(cls, *files: Path) -> Page:
        """Read files as one text."""
        return cls("\n".join(file.read_text(encoding="utf-8") for file in files))

    def block(self, kind: str, name: str) -> str:
        """Return the fenced block below a mark."""
        mark = re.escape(f"<!-- {kind}: {name} -->")
        found = re.search(
            rf"^{mark}\n```\w*\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL
        )
        assert found, f"no {kind} named {name}"
        return found[1]

    def names(self, kind: str) -> list[str]:
        """Return the names of the marks of a kind."""
        return re.findall(rf"^<!-- {kind}: ([\w.-]+) -->$", self.text, re.MULTILINE)


class Shell:
    """A folder in which the commands of a page are run."""

    options = "-euc"

    def __init__(self, folder: Path) -> None:
        """Use a folder; programs in it are found by name."""
        self.folder = folder

    def write(self, name: str, text: str, *, executable: bool = False) -> None:
        """Write a file."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        if executable:
            path.chmod(0o755)

    def run(
        self, command: str, *, code: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, and expect an exit code."""
        path = [sysconfig.get_path("scripts"), str(self.folder), os.environ["PATH"]]
        done = subprocess.run(
            ["bash", self.options, command],
            cwd=self.folder,
            env=clean_environment(**{"PATH": os.pathsep.join(path), **environment}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    def rows(self, query: str, workspace: str = "workspace.db") -> list[Any]:
        """Return what a query finds in a sandbox."""
        with closing(sqlite3.connect(self.folder / workspace)) as database:
            return database.execute(query).fetchall()
