"""The views of a workspace, for people to read.

People are named by their e-mail address, times are ISO texts, and booleans are ``true``
and ``false``. The tables have the same data as the API received it.
"""

from __future__ import annotations

from typing import Final

from target_customerio.sandbox.activity import ACTIVITY_REASONS, IDENTIFIER_CHANGE

TIME_NAMES: Final = ("*_at", "*[a-z]At", "*_date", "*[a-z]Date")
"""Names of attributes whose whole numbers are shown as times."""

_FIRST_TIME: Final = -2_208_988_800
_LAST_TIME: Final = 4_102_444_799
"""The years 1900 to 2099; other numbers are shown as they are."""


def literal(text: str) -> str:
    """Return text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def meanings(reasons: dict[str, str]) -> str:
    """Return a common table expression ``meanings`` with a meaning for each reason."""
    rows = ",\n    ".join(
        f"({literal(reason)}, {literal(meaning.replace('`', ''))})"
        for reason, meaning in reasons.items()
    )
    return f"WITH meanings (reason, meaning) AS (VALUES\n    {rows})"


def _iso(seconds: str) -> str:
    """Return SQL for Unix seconds as ISO text."""
    return (
        f"coalesce(strftime('%Y-%m-%dT%H:%M:%SZ', {seconds}, 'unixepoch'), {seconds})"
    )


def _received(table: str) -> str:
    """Return SQL for the time of receipt, without fractions of a second."""
    return f"substr({table}.received_at, 1, 19) || 'Z'"


def _shown(row: str) -> str:
    """Return SQL for the value in a row of ``json_each``."""
    is_time = " OR ".join(f"{row}.key GLOB {literal(name)}" for name in TIME_NAMES)
    return f"""CASE {row}.type
      WHEN 'true' THEN 'true'
      WHEN 'false' THEN 'false'
      WHEN 'null' THEN 'null'
      WHEN 'integer' THEN
        CASE WHEN ({is_time}) AND {row}.value BETWEEN {_FIRST_TIME} AND {_LAST_TIME}
          THEN {_iso(f"{row}.value")} ELSE {row}.value END
      ELSE {row}.value END"""


def _details(attributes: str) -> str:
    """Return SQL for attributes as text, one a line."""
    return f"""(
    SELECT group_concat(field.key || ': ' || {_shown("field")}, char(10))
    FROM json_each({attributes}) AS field)"""


def _readable(name: str) -> str:
    """Return SQL for a person's name such as ``email:ann@example.com``."""
    return f"CASE WHEN {name} LIKE 'email:%' THEN substr({name}, 7) ELSE {name} END"


_PERSON: Final = """coalesce(people.email, 'id:' || people.id,
    'phone:' || people.phone)"""
_MAYBE_ANONYMOUS: Final = f"""coalesce({_PERSON},
    'anonymous_id:' || events.anonymous_id)"""


def _count(table: str, column: str = "*") -> str:
    return f"""(
    SELECT count({column}) FROM {table} WHERE {table}.cio_id = people.cio_id)"""


VIEWS: Final = {
    "person_profiles": f"""
  SELECT {_PERSON} AS person, {_details("people.attributes")} AS attributes,
    people.id, people.phone, {_count("events")} AS events,
    (
    SELECT {_iso("max(events.timestamp)")} FROM events
    WHERE events.cio_id = people.cio_id) AS last_event_at,
    {_count("relationships")} AS objects,
    {_count("devices")} AS devices,
    {_count("segment_members")} AS segments, cio_id
  FROM people""",
    "person_attributes": f"""
  SELECT {_PERSON} AS person, attribute.key AS name, {_shown("attribute")} AS value
  FROM people, json_each(people.attributes) AS attribute""",
    "person_events": f"""
  SELECT events.sequence, {_MAYBE_ANONYMOUS} AS person, events.type, events.name,
    coalesce({_iso("events.timestamp")}, {_received("events")}) AS timestamp,
    {_details("events.attributes")} AS attributes
  FROM events LEFT JOIN people USING (cio_id)""",
    "person_devices": f"""
  SELECT {_PERSON} AS person, devices.platform,
    {_iso("devices.last_used")} AS last_used, devices.token,
    {_details("devices.attributes")} AS attributes
  FROM devices JOIN people USING (cio_id)""",
    "person_segments": f"""
  SELECT segment_id, {_PERSON} AS person
  FROM segment_members JOIN people USING (cio_id)""",
    "object_profiles": f"""
  SELECT object_type_id, object_id, json_extract(attributes, '$.name') AS name,
    (
    SELECT count(*) FROM relationships
    WHERE relationships.object_type_id = objects.object_type_id
      AND relationships.object_id = objects.object_id) AS people,
    {_details("attributes")} AS attributes
  FROM objects""",
    "object_people": f"""
  SELECT object_type_id, object_id, {_PERSON} AS person,
    {_details("relationships.attributes")} AS attributes
  FROM relationships JOIN people USING (cio_id)
  UNION ALL
  SELECT object_type_id, object_id, 'anonymous_id:' || anonymous_id,
    {_details("anonymous_relationships.attributes")}
  FROM anonymous_relationships""",
    "suppressed": f"""
  SELECT CASE kind WHEN 'email' THEN value ELSE kind || ':' || value END AS identifier,
    {_received("suppressions")} AS suppressed_at
  FROM suppressions""",
    "message_reports": f"""
  SELECT {_iso("timestamp")} AS timestamp, recipient, metric, reason, href, delivery_id,
    {_details("attributes")} AS attributes
  FROM deliveries""",
    "not_applied": f"""
  {meanings(ACTIVITY_REASONS)}
  SELECT activity.sequence, {_received("activity")} AS received_at,
    coalesce(people.email, {_readable("activity.person")}) AS person,
    activity.reason, activity.field,
    CASE
      WHEN NOT json_valid(activity.value) THEN activity.value
      WHEN json_type(activity.value) != 'object' THEN activity.value
      WHEN json_extract(activity.value, '$.action') IS NOT NULL THEN
        json_extract(activity.value, '$.action')
        || coalesce(' ' || json_extract(activity.value, '$.name'), '')
      ELSE {_details("activity.value")} END AS value,
    {_readable("activity.holder")} AS held_by, meaning
  FROM activity LEFT JOIN people USING (cio_id)
  LEFT JOIN meanings USING (reason)
  WHERE activity.name <> {literal(IDENTIFIER_CHANGE)}""",
    "changed_identifiers": f"""
  SELECT activity.sequence, {_received("activity")} AS received_at,
    coalesce({_PERSON}, {_readable("activity.person")}) AS person,
    {_readable("activity.holder")} AS before, {_readable("activity.person")} AS after,
    activity.field AS found_by, activity.value
  FROM activity LEFT JOIN people USING (cio_id)
  WHERE activity.name = {literal(IDENTIFIER_CHANGE)}""",
    "run_results": f"""
  SELECT run, {_received("results")} AS ended_at, stream, outcome, detail, records
  FROM results""",
    "person_names": """
  SELECT cio_id,
    coalesce('id:' || id, 'email:' || email_lower, 'phone:' || phone) AS person
  FROM people""",
}
"""The views by name, in the order in which programs list them."""
