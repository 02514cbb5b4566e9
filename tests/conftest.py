"""What all tests have in common."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def generate() -> Any:
    """Return ``docs/generate.py`` as a module."""
    file = Path(__file__).parents[1] / "docs/generate.py"
    spec = importlib.util.spec_from_file_location("generate", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
