"""Observes what a run changes in a workspace: people before and after it.

Triggers note each person as they were before the first change. Notes and triggers are
SQLite's temporary ones: they belong to the connection, leave nothing in the file, and
are kept on disk by SQLite if there are many.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from target_customerio.sandbox.sample_reader import SampleReader

if TYPE_CHECKING:
    from target_customerio.sandbox.sample import People
    from target_customerio.sandbox.workspace import Workspace

_NOTE_PERSON: Final = """
CREATE TEMP TRIGGER {name} BEFORE {change} ON main.people BEGIN
  INSERT INTO before SELECT old.cio_id, old.id, old.email, old.phone, old.attributes
  WHERE NOT EXISTS (SELECT 1 FROM before WHERE cio_id = old.cio_id);
END
"""

_NOTE_GONE: Final = """
CREATE TEMP TRIGGER {name} AFTER {change} ON main.{table} BEGIN
  INSERT INTO gone SELECT old.cio_id, '{kind}', {key}
  WHERE NOT EXISTS (
    SELECT 1 FROM gone
    WHERE cio_id = old.cio_id AND kind = '{kind}' AND name = {key}
  );
END
"""

_NOTES: Final = (
    # The attributes of people who did not exist before are null.
    """
CREATE TEMP TABLE before (
  cio_id TEXT PRIMARY KEY, id TEXT, email TEXT, phone TEXT, attributes TEXT
) WITHOUT ROWID
""",
    """
CREATE TEMP TABLE gone (
  cio_id TEXT, kind TEXT, name TEXT, PRIMARY KEY (cio_id, kind, name)
) WITHOUT ROWID
""",
    # OR IGNORE would be overridden by the statement that fires the trigger.
    """
CREATE TEMP TRIGGER note_created AFTER INSERT ON main.people BEGIN
  INSERT INTO before (cio_id) SELECT new.cio_id
  WHERE NOT EXISTS (SELECT 1 FROM before WHERE cio_id = new.cio_id);
END
""",
    _NOTE_PERSON.format(name="note_changed", change="UPDATE"),
    _NOTE_PERSON.format(name="note_removed", change="DELETE"),
    *(
        _NOTE_GONE.format(
            name=f"note_{kind}_{number}", change=change, table=table, kind=kind, key=key
        )
        for kind, table, key in (
            ("device", "devices", "old.token"),
            ("object", "relationships", "old.object_type_id || ':' || old.object_id"),
            ("segment", "segment_members", "CAST(old.segment_id AS TEXT)"),
        )
        for number, change in enumerate(("DELETE", "UPDATE OF cio_id"))
    ),
)

_START: Final = """
SELECT (SELECT coalesce(max(sequence), 0) FROM events),
       (SELECT coalesce(max(sequence), 0) FROM activity)
"""

_CONCERNED: Final = """
CREATE TEMP TABLE concerned AS
SELECT cio_id, sum(weight) AS weight,
  CASE
    WHEN people.cio_id IS NULL THEN 'removed'
    WHEN before.cio_id IS NULL THEN 'unchanged'
    WHEN before.attributes IS NULL THEN 'created'
    WHEN before.id IS NOT people.id OR before.email IS NOT people.email
      OR before.phone IS NOT people.phone OR before.attributes <> people.attributes
      THEN 'changed'
    ELSE 'unchanged'
  END AS state
FROM (
  SELECT cio_id, 3 AS weight FROM before
  UNION ALL SELECT cio_id, count(*) FROM events
    WHERE sequence > :events AND cio_id IS NOT NULL GROUP BY cio_id
  UNION ALL SELECT cio_id, 3 * count(*) FROM activity
    WHERE sequence > :activity AND cio_id IS NOT NULL GROUP BY cio_id
  UNION ALL SELECT cio_id, count(*) FROM devices
    WHERE received_at >= :since GROUP BY cio_id
  UNION ALL SELECT cio_id, count(*) FROM relationships
    WHERE received_at >= :since GROUP BY cio_id
  UNION ALL SELECT cio_id, count(*) FROM segment_members
    WHERE received_at >= :since GROUP BY cio_id
  UNION ALL SELECT cio_id, count(*) FROM gone GROUP BY cio_id
) LEFT JOIN people USING (cio_id) LEFT JOIN before USING (cio_id)
WHERE people.cio_id IS NOT NULL OR before.attributes IS NOT NULL
GROUP BY cio_id
"""
"""The people whom the run concerned, with a weight by which they are chosen."""


class Observation:
    """Observes a workspace until :meth:`end`.

    Attributes:
        people: After the end, the people whom the run concerned; ``None`` if they
            cannot be read.
    """

    def __init__(self, workspace: Workspace) -> None:
        """Start to note changes.

        Args:
            workspace: The open workspace.

        Raises:
            SandboxError: Its file cannot be read.
        """
        self.people: People | None = None
        self._workspace = workspace
        self._is_open = True
        with workspace.transaction() as transaction:
            for statement in _NOTES:
                transaction.database.execute(statement)
            events, activity = transaction.database.execute(_START).fetchone()
            self._start: dict[str, int | str] = {
                "since": transaction.received_at,
                "events": events,
                "activity": activity,
            }

    def end(self) -> None:
        """Read the people, before the workspace is closed."""
        if self._is_open:
            self._is_open = False
            # A report is not worth a run that fails.
            with suppress(Exception), self._workspace.transaction() as transaction:
                transaction.database.execute(_CONCERNED, self._start)
                self.people = SampleReader(transaction.database, self._start).people()
