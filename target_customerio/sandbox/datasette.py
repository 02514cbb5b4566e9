"""What Datasette shows of a workspace: its metadata, with ready queries.

Source: https://docs.datasette.io/en/stable/metadata.html and
https://docs.datasette.io/en/stable/sql_queries.html.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

from target_customerio.errors import REASONS
from target_customerio.sandbox.store import TABLES
from target_customerio.sandbox.views import meanings


class Query(NamedTuple):
    """A ready query."""

    title: str
    description: str
    sql: str


QUERIES: Final = {
    "person": Query(
        "Everything about one person",
        "Enter an e-mail address, an id or a phone number",
        """WITH everything AS (
  SELECT NULL AS timestamp, 'person' AS type, person AS name, attributes, person
  FROM person_profiles
  UNION ALL
  SELECT NULL, 'object', object_type_id || ':' || object_id, attributes, person
  FROM object_people
  UNION ALL
  SELECT last_used, 'device', platform, attributes, person FROM person_devices
  UNION ALL
  SELECT timestamp, type, name, attributes, person FROM person_events
  UNION ALL
  SELECT received_at, 'not applied', reason, value, person FROM not_applied
  UNION ALL
  SELECT received_at, 'new identifier', after, 'before: ' || before, person
  FROM changed_identifiers
)
SELECT timestamp, type, name, attributes FROM everything
WHERE lower(person) = lower(trim(:person))
  OR person IN ('id:' || trim(:person), 'phone:' || trim(:person))
  OR person IN (
    SELECT person FROM person_profiles
    WHERE trim(:person) IN (id, 'id:' || id, phone, 'phone:' || phone, cio_id))
ORDER BY timestamp IS NOT NULL, timestamp DESC""",
    ),
    "could_trigger_campaigns": Query(
        "Events that could trigger campaigns",
        "Events, page views and screen views that were younger than 72 hours when they "
        "arrived: in a real workspace, campaigns could react to them and send messages",
        """SELECT person_events.timestamp, person,
  person_events.type, person_events.name, person_events.attributes
FROM person_events JOIN events USING (sequence)
WHERE events.timestamp IS NULL
  OR events.timestamp > strftime('%s', events.received_at) - 72 * 3600
ORDER BY sequence DESC""",
    ),
    "would_be_ignored": Query(
        "What would be ignored",
        "What Customer.io accepts and does not apply, by reason. The view not_applied "
        "has each case",
        """SELECT reason, meaning, count(*) AS times, count(DISTINCT person) AS people,
  min(person) AS for_example
FROM not_applied GROUP BY reason ORDER BY times DESC""",
    ),
    "without_email": Query(
        "People without an e-mail address",
        "They get no e-mail messages",
        """SELECT person, attributes, phone, events, last_event_at
FROM person_profiles
WHERE cio_id IN (SELECT cio_id FROM people WHERE email IS NULL)
ORDER BY person""",
    ),
    "rejected_by_reason": Query(
        "Rejected records by reason",
        "Records that could not be loaded, latest run first. They are in the file of "
        "rejected records",
        f"""{meanings(REASONS)}
SELECT ended_at, stream, detail AS reason,
  coalesce(meaning, 'refused by Customer.io') AS meaning, records
FROM run_results LEFT JOIN meanings ON reason = detail
WHERE outcome = 'rejected'
ORDER BY ended_at DESC, records DESC, stream""",
    ),
    "events_by_name": Query(
        "Events by name",
        "How many there are, of how many people, and when",
        """SELECT type, name, count(*) AS events, count(DISTINCT person) AS people,
  min(timestamp) AS first, max(timestamp) AS last
FROM person_events GROUP BY type, name ORDER BY events DESC""",
    ),
    "attributes_by_name": Query(
        "Attributes of people",
        "How many people have each attribute, and how many different values it has",
        """SELECT name, count(*) AS people, count(DISTINCT value) AS different_values,
  min(value) AS for_example
FROM person_attributes GROUP BY name ORDER BY people DESC, name""",
    ),
}

DESCRIPTIONS: Final = {
    "person_profiles": "Everyone, by e-mail address if there is one",
    "person_attributes": "The attributes of everyone, one a row",
    "person_events": "Events, page views and screen views",
    "person_devices": "Devices for push messages",
    "person_segments": "Members of manual segments",
    "object_profiles": "Objects, such as companies and accounts",
    "object_people": "Which people belong to which objects",
    "suppressed": "Identifiers of suppressed people, whose data is ignored",
    "message_reports": "Reports on messages, such as opened and clicked",
    "not_applied": "What Customer.io accepts and does not apply, and why",
    "changed_identifiers": "People found by an attribute who got a new identifier",
    "run_results": "What happened to the records of each run",
    "person_names": "The internal id of everyone in the tables",
}
"""The views of :mod:`.views`, in a few words."""

_TABLES: Final = [*re.findall(r"CREATE TABLE (\w+)", TABLES), "sqlite_sequence"]


def metadata(path: str) -> dict[str, Any]:
    """Return Datasette's metadata for a workspace file.

    Args:
        path: The file, by whose name Datasette knows it.

    Returns:
        The metadata, for its option ``--metadata``.
    """
    workspace = {
        "title": f"Sandbox {Path(path).name}",
        "description": "What a run would do in Customer.io. Start with the queries; "
        "the views below them have everything. Times are UTC.",
        "queries": {
            name: {**query._asdict(), "hide_sql": True}
            for name, query in QUERIES.items()
        },
        "tables": {
            **{table: {"hidden": True} for table in _TABLES},
            **{view: {"description": text} for view, text in DESCRIPTIONS.items()},
        },
    }
    return {"databases": {Path(path).stem: workspace}}
