"""The settings that are paths of files, checked before anything is read."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final

from target_customerio.private_files import why_not_writable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATHS: Final = ("sandbox", "snapshot", "rejected_records_path", "report_path")
"""The settings that are paths of files."""

SQLITE_PATHS: Final = ("sandbox", "snapshot")
"""Those of SQLite files, beside which SQLite keeps further files."""


def path_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each path that cannot be used."""
    paths = {name: config.get(name) for name in PATHS}
    unusable = {
        name: problem
        for name, path in paths.items()
        if path and (problem := _why_unusable(path))
    }
    for name, problem in unusable.items():
        yield f"{name}: {problem}"
    yield from _shared_path_errors(
        {name: path for name, path in paths.items() if path and name not in unusable}
    )
    if "rejected_records_path" not in unusable:
        yield from _rejected_path_errors(rejected_path(config))
    if "report_path" not in unusable:
        yield from _report_path_errors(config)


def _why_unusable(path: str) -> str | None:
    """Return why no file can have a path; None if one can."""
    if "\0" in path:
        return "the path holds a NUL character"
    try:
        os.fsencode(Path(path).expanduser())
    except UnicodeEncodeError:
        return (
            "the path cannot be encoded in this locale; set PYTHONUTF8=1, or use "
            "ASCII characters only"
        )
    except RuntimeError:
        return f"{path} is in the home folder of a user who does not exist"
    return None


def _shared_path_errors(paths: Mapping[str, str]) -> Iterator[str]:
    """Yield an error for each two settings that name the same file."""
    for one, other in combinations(paths, 2):
        if _files(one, paths[one]) & _files(other, paths[other]):
            yield (
                f"{other}: {paths[other]} is the path of {one} too, or of a file "
                "beside it; choose another"
            )


def _files(name: str, path: str) -> set[str]:
    """Return the file of a setting and those that are kept beside it."""
    file = os.path.realpath(Path(path).expanduser())
    beside = ("-wal", "-shm", "-journal", "-lock") if name in SQLITE_PATHS else ()
    return {file, *(f"{file}{ending}" for ending in beside)}


def rejected_path(config: Mapping[str, Any]) -> str:
    """Return the path of the rejected records."""
    return str(Path(config["rejected_records_path"]).expanduser())


def _rejected_path_errors(path: str) -> Iterator[str]:
    if not Path(path).parent.is_dir():
        yield f"rejected_records_path: the folder of {path} does not exist; create it"
        return
    problem = why_not_writable(path)
    if problem:
        yield (
            f"rejected_records_path: {path} cannot be used ({problem}); set the path "
            "of a file that you can write"
        )


def report_path(config: Mapping[str, Any]) -> Path | None:
    """Return the path of the page, whatever the working directory becomes."""
    path = config.get("report_path")
    return Path(path).expanduser().absolute() if path else None


def _report_path_errors(config: Mapping[str, Any]) -> Iterator[str]:
    path = report_path(config)
    if path is None:
        return
    problem = _why_not_replaceable(path)
    if problem:
        yield f"report_path: {path} cannot be used: {problem}"


def _why_not_replaceable(path: Path) -> str | None:
    """Return why a file cannot be created or replaced at a path; None if it can."""
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        return "it is not a regular file; set the path of a file"
    if not path.parent.is_dir():
        return "its folder does not exist; create it"
    try:
        with TemporaryFile(dir=path.parent):
            return None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return f"its folder cannot be written ({reason}); set another path"
