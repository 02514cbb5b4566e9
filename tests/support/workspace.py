"""The content of a sandbox's workspace, in a form that can be compared."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from target_customerio.sandbox import Workspace
from target_customerio.sandbox.catalogue import apply as apply_operation
from target_customerio.sandbox.workspace import decode

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime
    from pathlib import Path

_ROWS = {
    "people": """
      SELECT person, id, email, phone, attributes, attributes_updated_at
      FROM people JOIN person_names USING (cio_id) ORDER BY person
    """,
    "anonymous_ids": """
      SELECT anonymous_id, person
      FROM anonymous_ids JOIN person_names USING (cio_id) ORDER BY anonymous_id
    """,
    "objects": """
      SELECT object_type_id || ':' || object_id AS object, attributes
      FROM objects ORDER BY object
    """,
    "relationships": """
      SELECT object_type_id || ':' || object_id AS object, person, attributes
      FROM relationships JOIN person_names USING (cio_id)
      UNION ALL
      SELECT object_type_id || ':' || object_id, 'anonymous_id:' || anonymous_id,
             attributes
      FROM anonymous_relationships
      ORDER BY object, person
    """,
    "devices": """
      SELECT token, person, platform, last_used, attributes
      FROM devices JOIN person_names USING (cio_id) ORDER BY token
    """,
    "events": """
      SELECT id, type, name, timestamp, person, anonymous_id, attributes
      FROM events LEFT JOIN person_names USING (cio_id)
      ORDER BY id, type, name, timestamp, person, anonymous_id, attributes
    """,
    "suppressions": """
      SELECT kind || ':' || value AS identifier FROM suppressions ORDER BY identifier
    """,
    "segment_members": """
      SELECT segment_id, person
      FROM segment_members JOIN person_names USING (cio_id)
      ORDER BY segment_id, person
    """,
    "deliveries": """
      SELECT delivery_id, metric, timestamp, recipient, reason, href, attributes
      FROM deliveries
      ORDER BY delivery_id, metric, timestamp, recipient, reason, href, attributes
    """,
}

_KEYED = {
    "people": "person",
    "anonymous_ids": "anonymous_id",
    "objects": "object",
    "devices": "token",
}


def apply(
    workspace: Workspace, *operations: Any, received_at: datetime | None = None
) -> list[dict[str, Any]]:
    """Apply operations without HTTP, and return what is wrong with them."""
    with workspace.transaction(received_at) as transaction:
        return [
            error
            for operation in operations
            for error in apply_operation(transaction, operation)
        ]


def contents_of(path: Path) -> dict[str, Any]:
    """Return what a workspace has, except ``cio_id``, row numbers and receipt times.

    A person's name is ``id:...``, else ``email:...``, else ``phone:...``; an object's
    is its type and id. A missing file counts as an empty workspace and is created.

    Args:
        path: The workspace file. It may be open elsewhere.

    Returns:
        ``people``, ``anonymous_ids``, ``objects`` and ``devices`` by name;
        ``relationships``, ``events``, ``suppressions``, ``segment_members`` and
        ``deliveries`` as sorted lists.
    """
    with closing(Workspace(path)) as opened, opened.transaction() as transaction:
        return {part: _read(transaction.database, part) for part in _ROWS}


def _read(database: sqlite3.Connection, part: str) -> Any:
    cursor = database.execute(_ROWS[part])
    columns = [column for column, *_ in cursor.description]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor]
    for row in rows:
        if "attributes" in row:
            row["attributes"] = decode(row["attributes"])
    if key := _KEYED.get(part):
        return {row.pop(key): row for row in rows}
    return rows
