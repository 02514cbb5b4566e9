"""Why an expression of ``stream_maps`` fails on a record, told without its values."""

from __future__ import annotations

from traceback import walk_tb
from typing import TYPE_CHECKING, Final

from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from types import TracebackType

LONGEST: Final = 100
"""Most characters of a name or an expression that are shown."""

UNKNOWN_NAME: Final = "NameNotDefined"
QUOTE_NO_VALUE: Final = {
    "AttributeDoesNotExist",
    "FeatureNotAvailable",
    "FunctionNotDefined",
    "OperatorNotDefined",
    "TypeError",
    "ZeroDivisionError",
}
"""Errors of Python, and of the ``simpleeval`` that the SDK uses, whose text holds no
values: it names types, functions and parts of the expression at most."""

FILTER: Final = "__filter__"


def unmappable(error: Exception) -> RejectedRecord:
    """Say which expression fails, and why.

    Args:
        error: What applying a stream map to a record has raised.

    Returns:
        The rejection of the record.
    """
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    place = _place(error.__traceback__)
    if place is None:
        return RejectedRecord(
            "stream_map", "", f"stream_maps cannot be applied to it: {_why(cause, '')}"
        )
    key, expression = place
    where = f"the expression {expression[:LONGEST]!r} for {key[:LONGEST]!r}"
    if type(cause).__name__ == UNKNOWN_NAME:
        name = str(getattr(cause, "name", ""))[:LONGEST]
        return RejectedRecord(
            "stream_map",
            name,
            f"in stream_maps, {where} has a name that the record does not have: "
            f"{name!r}; put text into quotes, or let the tap send nulls too",
        )
    why = _why(cause, expression)
    return RejectedRecord("stream_map", key, f"in stream_maps, {where} fails: {why}")


def _place(traceback: TracebackType | None) -> tuple[str, str] | None:
    """Find the field and the expression that the SDK was evaluating.

    They are in no exception, only among the variables of the SDK's function.
    """
    for frame, _ in walk_tb(traceback):
        names = frame.f_locals
        expression = names.get("expr")
        if "property_name" in names and isinstance(expression, str):
            return str(names["property_name"] or FILTER), expression
    return None


def _why(error: Exception, expression: str) -> str:
    name = type(error).__name__
    if name in QUOTE_NO_VALUE:
        return f"{name}: {str(error).rstrip('.')}"
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(key, str) and repr(key) in expression:
        return f"there is no {key!r}"
    return name
