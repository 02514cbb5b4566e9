"""A Singer target for Customer.io.

Programs that have rows instead of a tap call :func:`deliver`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_customerio.rows import DeliverySummary, deliver

__all__ = ["DeliverySummary", "deliver"]


def __getattr__(name: str) -> object:
    """Import what is public when it is first used: all of it takes about a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from target_customerio import rows  # noqa: PLC0415

    value: object = getattr(rows, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
