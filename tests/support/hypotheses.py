"""How many examples property tests try."""

from __future__ import annotations

import os

DEFAULT_EXAMPLES = 25
IN_CI = os.environ.get("HYPOTHESIS_PROFILE") == "ci"
"""Whether tests are to try as much as they can."""


def examples(in_ci: int) -> int:
    """Return a number for the profile ``ci``, and fewer for others."""
    return in_ci if IN_CI else min(in_ci, DEFAULT_EXAMPLES)
