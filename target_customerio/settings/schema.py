"""The settings: names, types, defaults and descriptions (JSON schema)."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from target_customerio.mapping.actions import ACTIONS
from target_customerio.mapping.fields import BY_TYPE, CALL_KINDS
from target_customerio.mapping.identity import USER_ID_TYPES
from target_customerio.track_api.endpoints import URLS as REGION_URLS
from target_customerio.track_api.endpoints import Limits

CALLS_OF_STREAMS: Final = [*CALL_KINDS, BY_TYPE]
"""The values that ``stream_calls`` accepts."""

CALL: Final = "call"
"""The key that marks an object as settings of a stream, not as part of its name."""

DEFAULT_REJECTED_PATH: Final = "rejected.singer.jsonl"

DEFAULT_MAX_DELETIONS: Final = "10%"
MAX_DELETIONS: Final = r"^([0-9]+|(100|[0-9]{1,2}(\.[0-9]+)?)\s*%)$"
"""A number as text, or a share of up to 100 %."""

MAX_SECONDS: Final = 366 * 86_400
"""A year: sockets and locks cannot wait for any number of seconds."""

SCHEMA: Final[dict[str, Any]] = th.PropertiesList(
    th.Property(
        "site_id",
        th.StringType,
        secret=True,
        title="Site ID",
        description="Site ID of the workspace's Track API credentials. Required "
        "unless `sandbox` is set.",
    ),
    th.Property(
        "api_key",
        th.StringType,
        secret=True,
        title="API key",
        description="API key of the workspace's Track API credentials. Required "
        "unless `sandbox` is set.",
    ),
    th.Property(
        "region",
        th.StringType,
        default="us",
        allowed_values=list(REGION_URLS),
        title="Region",
        description="Data center of the workspace.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        title="API URL",
        description="Base URL to use instead of the region's, for a proxy or a test "
        "server. It must be `https`, except on loopback.",
    ),
    th.Property(
        "sandbox",
        th.StringType,
        title="Sandbox",
        description="Path of a SQLite file to load into instead of Customer.io: needs "
        "no account and no network.",
    ),
    th.Property(
        "sandbox_email_updates",
        th.BooleanType,
        default=False,
        title="Sandbox: update e-mail by ID",
        description="Whether the sandbox lets an identify by `id` change the person's "
        '`email`, like the workspace setting "Allow updates to email using '
        'ID".',
    ),
    th.Property(
        "stream_calls",
        th.ObjectType(),
        default={},
        title="Stream calls",
        description="Maps stream names or shell patterns to calls, for example "
        '`{"public-users": "identify", "*-orders": "track"}`. Streams named'
        " after a call need no entry. `segment` is for membership of manual"
        " segments, `by_type` for archives of calls in which each record's "
        "`type` names its call. To change conversion settings for one "
        'stream, use an object: `{"public-users": {"call": "identify", '
        '"update_only": true}}`.',
    ),
    th.Property(
        "unmapped_streams",
        th.StringType,
        default="fail",
        allowed_values=["fail", "ignore"],
        title="Unmapped streams",
        description="What to do with a stream that is not mapped to a call: `fail` "
        "stops the run, `ignore` drops its records and counts them.",
    ),
    th.Property(
        "action_events",
        th.ObjectType(
            *(th.Property(name, th.ArrayType(th.StringType)) for name in ACTIONS),
            additional_properties=False,
        ),
        default={},
        title="Action events",
        description="Names of the track events that trigger each action. A list "
        "replaces the default names of that action, an empty list turns the"
        " action off.",
    ),
    th.Property(
        "user_id_type",
        th.StringType,
        default="auto",
        allowed_values=list(USER_ID_TYPES),
        title="User ID type",
        description="How to read `userId`: as an `id`, an `email` or a `cio_id`. `auto`"
        " decides by its form: `cio_...` is a cio_id, an e-mail address is "
        "an email, anything else is an id.",
    ),
    th.Property(
        "screen_events",
        th.StringType,
        default="screen",
        allowed_values=["screen", "viewed_event"],
        title="Screen events",
        description="What a screen call becomes: a screen view, or an event named "
        "`Viewed {name} Screen`.",
    ),
    th.Property(
        "anonymous_identify",
        th.StringType,
        default="skip",
        allowed_values=["skip", "use_as_id"],
        title="Anonymous identify",
        description="What to do with an identify that has only an anonymous ID: `skip` "
        "skips and counts it, `use_as_id` uses the anonymous ID as the "
        "person's id.",
    ),
    th.Property(
        "convert_timestamps",
        th.BooleanType,
        default=True,
        title="Convert timestamps",
        description="Convert dates in traits and properties to Unix seconds.",
    ),
    th.Property(
        "null_attributes",
        th.StringType,
        default="send",
        allowed_values=["send", "omit"],
        title="Null attributes",
        description="What to do with null attributes: `send` clears the attribute in "
        "Customer.io, `omit` leaves it unchanged.",
    ),
    th.Property(
        "update_only",
        th.BooleanType,
        default=False,
        title="Update only",
        description="Update existing people only: an identify never creates a person. "
        "Events, devices and group calls still do.",
    ),
    th.Property(
        "identify_timestamp",
        th.StringType,
        default="record",
        allowed_values=["record", "omit"],
        title="Identify timestamp",
        description="Whether to send a record's timestamp with an identify. Customer.io"
        " silently ignores an update that is older than the profile's last "
        "change; with `omit` updates apply in the order in which they "
        "arrive.",
    ),
    th.Property(
        "hard_delete",
        th.BooleanType,
        default=False,
        title="Hard delete",
        description="Delete what a row stands for if its `_sdc_deleted_at` is set: the "
        "person (identify), the object (group) or the membership (segment).",
    ),
    th.Property(
        "requests_per_second",
        th.NumberType(exclusive_minimum=0),
        default=100,
        title="Requests per second",
        description="Maximum requests per second, over all connections. Customer.io's "
        "limit is 1,000 for the whole account.",
    ),
    th.Property(
        "max_concurrent_requests",
        th.IntegerType(minimum=1, maximum=64),
        default=8,
        title="Concurrent requests",
        description="Maximum concurrent requests. Raise it if latency limits the "
        "speed.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.NumberType(exclusive_minimum=0, maximum=MAX_SECONDS),
        default=30,
        title="Request timeout",
        description="Seconds to wait for the response to a request before it is "
        "retried.",
    ),
    th.Property(
        "max_retry_seconds",
        th.NumberType(minimum=0, maximum=MAX_SECONDS),
        default=600,
        title="Retry time",
        description="How long to retry while Customer.io accepts nothing, in seconds. "
        "After that, the run ends. An operation that alone keeps failing for this time "
        "is rejected.",
    ),
    th.Property(
        "on_rejected",
        th.StringType,
        default="fail",
        allowed_values=["fail", "continue", "abort"],
        title="On rejected records",
        description="What to do if records are rejected: `fail` delivers the others and"
        " exits with code 3, `continue` exits with code 0, `abort` stops at"
        " the first and exits with code 3.",
    ),
    th.Property(
        "rejected_records_path",
        th.StringType(min_length=1),
        default=DEFAULT_REJECTED_PATH,
        title="Rejected records",
        description="Path of the file that rejected records are appended to. A "
        "relative path begins in the working directory.",
    ),
    th.Property(
        "snapshot",
        th.StringType,
        title="Snapshot",
        description="Path of a SQLite file that keeps hashes of what was delivered, so "
        "that only what has changed is sent. It must outlive the run. One file per "
        "workspace.",
    ),
    th.Property(
        "refresh",
        th.BooleanType,
        default=False,
        title="Refresh",
        description="Whether to send everything again and rebuild the snapshot from "
        "it. Which stream holds what is kept.",
    ),
    th.Property(
        "plan",
        th.BooleanType,
        default=False,
        title="Plan",
        description="Whether to print what a run would send and change instead of "
        "doing it. Nothing is sent, and nothing is written but the report.",
    ),
    th.Property(
        "remove_missing",
        th.BooleanType,
        default=False,
        title="Remove missing",
        description="Whether `target-customerio --remove-missing`, run after the "
        "pipeline, removes what a stream held before but not in its last run: the "
        "people of an identify stream, the objects and relationships of a group "
        "stream, the memberships of a `segment` stream. Needs `snapshot`.",
    ),
    th.Property(
        "max_deletions",
        th.CustomType(
            {"type": ["integer", "string"], "minimum": 0, "pattern": MAX_DELETIONS}
        ),
        default=DEFAULT_MAX_DELETIONS,
        title="Maximum deletions",
        description="How many people, objects, relationships or memberships of a "
        "stream `--remove-missing` may remove: a number, or a share of what the stream "
        "held. A share allows at least one, but never all. If more are missing, "
        "nothing is removed for the stream.",
    ),
    th.Property(
        "report_path",
        th.StringType,
        title="Report",
        description="Path of an HTML page about the run, written when it ends, also if "
        "it fails. A relative path begins in the working directory.",
    ),
    th.Property(
        "batch_size_rows",
        th.IntegerType(minimum=1),
        default=Limits.batch_operations,
        title="Batch size",
        description="Maximum operations per request.",
    ),
    th.Property(
        "add_record_metadata",
        th.BooleanType,
        title="Add record metadata",
        description="Has no effect; accepted so that configurations can be shared. "
        "Columns that begin with `_sdc_` never become attributes.",
    ),
    th.Property(
        "validate_records",
        th.BooleanType,
        default=True,
        title="Validate records",
        description="Whether to check each record against the schema of its stream. A "
        "record that does not match is rejected.",
    ),
).to_dict()

REMOVED_SETTINGS: Final = {
    "shard": "divide the source into partitions, and run the target once per partition "
    "with its share of requests_per_second (docs/scaling.md)",
}
"""Settings that are gone, and what to do instead."""

SETTINGS_OF_STREAMS: Final = (
    "update_only",
    "null_attributes",
    "identify_timestamp",
    "anonymous_identify",
    "convert_timestamps",
    "screen_events",
    "user_id_type",
    "hard_delete",
    "remove_missing",
    "max_deletions",
)
"""Settings that `stream_calls` can override for one stream."""


def _stream_call(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value of `stream_calls`: a call or an object with one."""
    call = {"enum": CALLS_OF_STREAMS}
    own = {
        name: {
            rule: settings[name][rule]
            for rule in ("type", "enum", "minimum", "pattern")
            if rule in settings[name]
        }
        for name in SETTINGS_OF_STREAMS
    }
    with_settings = {
        "properties": {CALL: call, **own},
        "required": [CALL],
        "additionalProperties": False,
    }
    return {"if": {"type": "object"}, "then": with_settings, "else": call}


STREAM_CALL: Final = _stream_call(SCHEMA["properties"])
"""The schema of a value of ``stream_calls``."""

SCHEMA["properties"]["stream_calls"]["additionalProperties"] = STREAM_CALL
