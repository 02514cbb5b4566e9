"""Files with personal data, which only their owner may read."""

from __future__ import annotations

import os
import stat
from functools import reduce
from operator import or_
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

OWNER_ONLY: Final = 0o600
"""The mode of new files."""

CAN_BE_PRIVATE: Final = os.name == "posix"
"""Whether files have permissions for others than their owner."""

_ROOT: Final = 0

# Windows does not have this function.
_user = getattr(os, "geteuid", int)


def why_not_writable(path: str) -> str | None:
    """Return why a file cannot be written, None if it can; leave no file behind."""
    try:
        try:
            problem = why_refused(os.lstat(path))
        except FileNotFoundError:
            with TemporaryFile(dir=Path(path).resolve().parent):
                return None
        if problem is None:
            os.close(os.open(path, open_flags()))
    except OSError as error:
        return error.strerror or type(error).__name__
    return problem


def open_flags() -> int:
    """Return how the file is opened: without newline conversion, links or waiting."""
    more = ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK")
    return reduce(or_, (getattr(os, each, 0) for each in more), os.O_RDWR | os.O_APPEND)


def why_refused(file: os.stat_result) -> str | None:
    """Return why a file that exists must not be used; None if it may be."""
    if stat.S_ISLNK(file.st_mode):
        return "a symbolic link"
    if not (stat.S_ISREG(file.st_mode) or stat.S_ISCHR(file.st_mode)):
        return "not a regular file"
    if is_open_to_others(file) and file.st_uid != _user() != _ROOT:
        return "readable by others, and its owner is another user"
    return None


def is_open_to_others(file: os.stat_result) -> bool:
    """Tell whether others than its owner may use a regular file."""
    is_private = not file.st_mode & ~OWNER_ONLY & 0o777
    return CAN_BE_PRIVATE and stat.S_ISREG(file.st_mode) and not is_private
