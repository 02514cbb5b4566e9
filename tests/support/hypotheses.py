"""How many examples property tests try."""

from __future__ import annotations

import os

DEFAULT_EXAMPLES = 25


def examples(in_ci: int) -> int:
    """Return a number for the profile ``ci``, and fewer for others."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "ci":
        return in_ci
    return min(in_ci, DEFAULT_EXAMPLES)
