"""Environments with packages of their own, and programs that a machine may lack."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock

KEPT = "TEST_ENVIRONMENTS"
"""Names a folder that keeps environments from one run of the tests to another."""


def lacking(program: str, package: str) -> NoReturn:
    """Skip the test, or let it fail where the program is required.

    Args:
        program: What is not installed; CI sets ``CI_REQUIRES_`` and its name.
        package: The package of Debian that has it.
    """
    variable = f"CI_REQUIRES_{program.upper()}"
    if os.environ.get(variable):
        pytest.fail(f"no {program} is installed, and {variable} is set")
    pytest.skip(f"no {program} is installed (Debian's package {package} has it)")


class Environments:
    """A folder of environments."""

    def __init__(self, folder: Path) -> None:
        """Use the folder named by the environment, or else this one."""
        self._folder = Path(os.environ.get(KEPT) or folder)

    def __call__(self, name: str, *packages: str, python: str = "") -> Path:
        """Install packages, and return the folder of their commands.

        Args:
            name: The name of the environment.
            packages: What is installed in it.
            python: The version of Python, if it is not that of the tests.
        """
        ours = f"{sys.version_info.major}.{sys.version_info.minor}"
        version = (python or ours).replace(".", "")
        interpreter = sys.executable if python in {"", ours} else f"python{python}"
        environment = self._folder / f"{name}-{version}"
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{environment}.lock"):
            return self._made(environment, packages, interpreter)

    def _made(
        self, environment: Path, packages: tuple[str, ...], interpreter: str
    ) -> Path:
        """Install packages in an environment unless that is done."""
        commands = environment / ("Scripts" if sys.platform == "win32" else "bin")
        ready = environment / "ready"
        if ready.exists():
            return commands
        python = str(commands / "python")
        if uv := shutil.which("uv"):
            make = [uv, "venv", "--quiet", "--clear", "--python", interpreter]
            fetch = [uv, "pip", "install", "--quiet", "--python", python]
        else:
            make = [interpreter, "-m", "venv", "--clear"]
            fetch = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*make, str(environment)], check=True, timeout=600)
        subprocess.run([*fetch, *packages], check=True, timeout=900)
        ready.touch()
        return commands
