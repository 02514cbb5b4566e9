"""Conversion alone: the target, with a pipeline that discards what it gets."""

from __future__ import annotations

from target_customerio.__main__ import main
from target_customerio.pipeline import Pipeline


def discard(*_operation: object) -> None:
    """Take an operation, and do nothing with it."""


if __name__ == "__main__":
    setattr(Pipeline, "queue", discard)  # noqa: B010 - it is typed otherwise
    main()
