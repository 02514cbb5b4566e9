"""The code works on every operating system."""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.results.rejected import RejectedRecords

from .project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted((ROOT / "target_customerio").rglob("*.py"))
ONLY_ON_UNIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}
ONLY_ON_WINDOWS = {"msvcrt", "winreg", "winsound", "_winapi"}
EVERYWHERE = {"SIGINT", "SIGTERM", "SIG_DFL"}
BINARY = 1 << 30


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_modules_and_signals_exist_on_every_system(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert not imported & (ONLY_ON_UNIX | ONLY_ON_WINDOWS)
    assert set(re.findall(r"signal\.(SIG\w+)", text)) <= EVERYWHERE
    assert not re.search(r"os\.(fork|getuid|geteuid|kill|killpg|fchmod|mkfifo)\b", text)


def test_rejected_records_are_written_as_bytes_on_windows_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags: list[int] = []
    really = os.open

    def note(path: Any, given: int, *mode: Any) -> int:
        flags.append(given)
        return really(path, given & ~BINARY, *mode)

    monkeypatch.setattr(os, "O_BINARY", BINARY, raising=False)
    monkeypatch.setattr(os, "open", note)
    records = RejectedRecords(str(tmp_path / "rejected.jsonl"))
    records._open()  # noqa: SLF001 - needs no record

    assert flags
    assert all(given & BINARY for given in flags)
