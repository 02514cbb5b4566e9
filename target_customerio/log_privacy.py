"""What the log may show: no text of other libraries, no names that are data."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.exceptions import ConfigValidationError

from target_customerio.errors import TargetError, shown_name
from target_customerio.json_codec import decode_line
from target_customerio.mapping.fields import CONTAINERS
from target_customerio.mapping.schema_types import alternatives_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_customerio.records import Line

OURS: Final = ("target-customerio", "target_customerio", "py")
"""First parts of the names of loggers whose records are shown."""

LOG_LEVEL: Final = "TARGET_CUSTOMERIO_LOGLEVEL"
"""The environment variable that sets the log level."""

SDK: Final = "singer_sdk"
"""The SDK's loggers, which quote values at level DEBUG."""


def silence_libraries() -> None:
    """Drop what libraries log: it may quote records, URLs with secrets and headers."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_may_be_shown)


def _may_be_shown(record: logging.LogRecord) -> bool:
    name = record.name.partition(".")[0]
    return name in OURS or (name == SDK and record.levelno > logging.DEBUG)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of the command after an error that ended the run."""
    return error.exit_code if isinstance(error, TargetError) else 1


def lines_of(error: BaseException) -> Iterator[str]:
    """Yield an error that ended the run as users see it: a line, or one per setting.

    The text of an exception of another library could quote a record.
    """
    if isinstance(error, ConfigValidationError):
        yield from error.errors or [str(error)]
    elif isinstance(error, TargetError):
        yield str(error)
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        yield (
            f"Unexpected {type(error).__name__} at {Path(place.filename).name}:"
            f"{place.lineno}; set {LOG_LEVEL}=DEBUG to see the traceback"
        )


def traceback_of(error: BaseException) -> str:
    """Return a traceback without the texts of exceptions, which may quote a record."""
    parts: list[str] = []
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and not any(cause is each for each in seen):
        seen.append(cause)
        frames = "".join(traceback.format_tb(cause.__traceback__))
        text = f": {cause}" if isinstance(cause, TargetError) else ""
        parts.append(
            f"Traceback (most recent call last):\n{frames}{type(cause).__name__}{text}"
        )
        hidden = cause.__suppress_context__
        cause = cause.__cause__ or (None if hidden else cause.__context__)
    return "\n\nwhich led to:\n\n".join(reversed(parts))


QUOTING: Final = frozenset({"invalid_date", "invalid_type", "not_finite", "schema"})
"""Reasons whose field may be named by the record instead of the code or the schema."""


def shown_field(field: str, reason: str, schema_message: Line) -> str:
    """Return the field of a rejection as the log shows it.

    Args:
        field: The field in dotted form.
        reason: The reason of the rejection.
        schema_message: The SCHEMA message of the stream.

    Returns:
        The names that the stream's schema declares or that are columns of the record,
        each shortened and on one line; further ones are left out, since they may be
        data.
    """
    if reason not in QUOTING or not field:
        return shown_name(field)
    message, _ = decode_line(schema_message)
    root = message["schema"]
    names, rest = _declared_names(field.split("."), root, root)
    if names:
        return ".".join(map(shown_name, [*names, *(["*"] if rest else [])]))
    # The name of an attribute stands without its container.
    containers = [
        each for each in CONTAINERS if _declared(each, root, root) is not None
    ]
    for each in containers:
        names, _ = _declared_names([each, *field.split(".")], root, root)
        if names[1:]:
            return ".".join(map(shown_name, names[1:]))
    first, *more = rest
    if first in CONTAINERS:
        return f"{first}.*" if more else first
    if containers or _names_are_data(root):
        return "*"
    return shown_name(first) + (".*" if more else "")


def _declared_names(
    steps: list[str],
    schema: Any,  # noqa: ANN401 - a schema is any JSON
    root: Any,  # noqa: ANN401 - a schema is any JSON
) -> tuple[list[str], list[str]]:
    """Return the names that a schema declares, from the first on, and the other steps.

    A name may have dots of its own.
    """
    names: list[str] = []
    while steps:
        for end in range(len(steps), 0, -1):
            name = ".".join(steps[:end])
            found = _declared(name, schema, root)
            if found is not None:
                break
        else:
            break
        names.append(name)
        schema, steps = found, steps[end:]
    return names, steps


def _declared(name: str, schema: Any, root: Any) -> Any:  # noqa: ANN401 - a schema is any JSON
    """Return the schema of a field, or of an item of a list; None if not declared."""
    for branch in alternatives_of([schema], root):
        columns, items = branch.get("properties"), branch.get("items")
        if isinstance(columns, Mapping) and name in columns:
            return columns[name] if columns[name] is not None else {}
        if name.isdigit() and items is not None:
            return items
    return None


def _names_are_data(schema: Any) -> bool:  # noqa: ANN401 - a schema is any JSON
    return any(
        isinstance(each.get("additionalProperties"), Mapping)
        for each in alternatives_of([schema], schema)
    )
