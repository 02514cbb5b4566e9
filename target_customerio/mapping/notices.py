"""Warnings about a stream's columns, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from target_customerio.errors import shown_name
from target_customerio.mapping.fields import CALL_KINDS
from target_customerio.track_api.operations import (
    ObjectIdentify,
    ObjectIdentifyAnonymous,
    PersonActivity,
    PersonIdentify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from target_customerio.mapping.call import Call, Skipped
    from target_customerio.mapping.columns import Shape
    from target_customerio.mapping.fields import CallName
    from target_customerio.track_api.operations import Operation


BAD_CONTEXT: Final = "context is not an object and is ignored"
MISNAMED: Final = (
    "the columns {} are not read as {}, since only that name is, in camelCase, "
    "snake_case or upper case, with nothing around it; rename them in the tap or by "
    "stream_maps"
)
OVERRIDES_LEFT_OUT: Final = (
    "the columns {} are left out of event properties, where they would redirect a "
    "campaign's messages; put them into an object named properties to send them"
)
ID_LEFT_OUT: Final = (
    "the column id is left out: people are identified by userId or user_id, or else by "
    'their email; if id identifies them, set stream_maps to {"userId": "id"}'
)
CONTAINER_LEFT_OUT: Final = (
    "the columns {} are left out: a row of this call has its attributes in columns of "
    "its own or in {}; rename them in stream_maps to send them"
)
OUTSIDE_BODY_LEFT_OUT: Final = (
    "the columns {} are left out of records that have {}; in stream_maps, put them "
    "into {} to send them, or set them to __NULL__"
)

WITH_ATTRIBUTES: Final = (
    PersonActivity,
    PersonIdentify,
    ObjectIdentify,
    ObjectIdentifyAnonymous,
)
WITHOUT_ATTRIBUTES: Final = frozenset({"alias", "segment"})


class Notices:
    """Issues each warning about a stream once."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        """Start without any warning issued; `notify` receives each one."""
        self._notify = notify
        self._issued: set[str] = set()

    @classmethod
    def of(cls, notify: Notices | Callable[[str], None]) -> Notices:
        """Return notices that are shared with other converters, or new ones."""
        return notify if isinstance(notify, Notices) else cls(notify)

    def warn_once(self, kind: str, notice: str) -> None:
        """Issue a warning, unless one of its kind has been issued."""
        if kind not in self._issued:
            self._issued.add(kind)
            self._notify(notice)

    def bad_context(self) -> None:
        """Warn that a ``context`` is not an object."""
        self.warn_once("context", BAD_CONTEXT)

    def misnamed(self, columns: Sequence[tuple[str, str]]) -> None:
        """Warn of columns with names that are nearly those of fields."""
        given = ", ".join(f"'{shown_name(name)}'" for name, _ in columns)
        meant = ", ".join(field for _, field in columns)
        self.warn_once("misnamed", MISNAMED.format(given, meant))

    def check_row(
        self, name: CallName, row: Call, operation: Operation | Skipped
    ) -> None:
        """Warn of the columns of a record that are not sent."""
        for kind, notice in _left_out(name, row, operation):
            self.warn_once(kind, notice)
        row.shape.is_checked = self._issued.issuperset(_possible_kinds(name, row.shape))


def _left_out(
    name: CallName, row: Call, operation: Operation | Skipped
) -> Iterator[tuple[str, str]]:
    if isinstance(operation, PersonActivity) and row.overrides:
        yield "overrides", OVERRIDES_LEFT_OUT.format(_listed(row.overrides))
    if isinstance(operation, PersonIdentify) and _ignores_id(row):
        yield "id", ID_LEFT_OUT
    body = CALL_KINDS[name].body
    if isinstance(operation, WITH_ATTRIBUTES) and row.left_out:
        yield "containers", CONTAINER_LEFT_OUT.format(_listed(row.left_out), body)
    if isinstance(operation, WITH_ATTRIBUTES) and row.outside_body:
        yield (
            "outside body",
            OUTSIDE_BODY_LEFT_OUT.format(_listed(row.outside_body), body, body),
        )


def _possible_kinds(name: CallName, shape: Shape) -> Iterator[str]:
    """Yield the kinds of warnings that rows of this shape may cause."""
    if shape.overrides:
        yield "overrides"
    if name == "identify" and _has_only_id(shape):
        yield "id"
    if name not in WITHOUT_ATTRIBUTES:
        if shape.left_out:
            yield "containers"
        if shape.outside_body:
            yield "outside body"


def _ignores_id(row: Call) -> bool:
    return row.flat and "id" in row.fields and _has_only_id(row.shape)


def _has_only_id(shape: Shape) -> bool:
    """Tell whether a table of people has an ``id`` but no user ID column."""
    return shape.has("id") and not shape.has("userId", "anonymousId")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(shown_name, sorted(names)))
