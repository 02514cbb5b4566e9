"""Renders the page and writes its file."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from target_customerio.private_files import OWNER_ONLY
from target_customerio.report import figures, formats, words
from target_customerio.results.counters import counted

if TYPE_CHECKING:
    from pathlib import Path

    from target_customerio.report.content import Content

READABLE: Final = 0o666
"""Readable by all whom the umask allows."""

TEMPLATE: Final = "page.html.jinja"


def render(content: Content) -> str:
    """Return the page as HTML.

    Args:
        content: What it shows.
    """
    script, style = _file("page.js"), _file("page.css")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("target_customerio.report"),
        finalize=_shown,
    )
    environment.filters |= {
        "number": formats.number,
        "moment": formats.moment,
        "duration": formats.duration,
        "json": formats.as_json,
        "words": words.in_words,
        "state": words.state_in_words,
        "counted": counted,
        "instant": formats.instant,
        "time_of": formats.time_of,
        "kind": formats.kind,
        "gist": words.gist,
        "used": formats.used,
    }
    return environment.get_template(TEMPLATE).render(
        content=content,
        charts=figures.charts_of(content),
        verdict=words.verdict_of(content),
        script=Markup(script),  # noqa: S704 - a file of the package
        style=Markup(style),  # noqa: S704 - a file of the package
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def write(path: Path, page: str, *, is_private: bool) -> None:
    """Write a page, in place of an earlier one, whole or not at all.

    Args:
        path: Path of the file.
        page: The page.
        is_private: Whether only the owner may read it, since it holds records.

    Raises:
        OSError: It cannot be written.
    """
    mode = OWNER_ONLY if is_private else READABLE
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(file, "w", encoding="utf-8", newline="\n") as text:
            text.write(page)
            text.flush()
            os.fsync(file)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _shown(value: object) -> object:
    """Return a value as the template shows it; markup has been shown so already."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return formats.visible(value)
    return value


def _file(name: str) -> str:
    folder = resources.files("target_customerio.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source that allows an inline script or style in a policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
