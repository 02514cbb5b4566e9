"""The settings as the user sees them: what each is called, may be and means."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from target_customerio.mapping.actions import ACTIONS
from target_customerio.mapping.identity import USER_ID_TYPES
from target_customerio.streams import CALL, CALLS_OF_STREAMS
from target_customerio.track_api.endpoints import URLS as REGION_URLS
from target_customerio.track_api.endpoints import Limits

DEFAULT_REJECTED_PATH: Final = "rejected.singer.jsonl"

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
        description="The data center that the workspace lives in.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        title="API URL",
        description="Another base URL than the region's, for a proxy or a test "
        "server. It is `https` unless it is on loopback.",
    ),
    th.Property(
        "sandbox",
        th.StringType,
        title="Sandbox",
        description="Path of an SQLite file that takes the place of Customer.io: no "
        "account, no network.",
    ),
    th.Property(
        "sandbox_email_updates",
        th.BooleanType,
        default=False,
        title="Sandbox: update e-mail by ID",
        description="Whether the sandbox lets an identify by `id` change the person's "
        '`email`, as the workspace setting "Allow updates to email using ID" does.',
    ),
    th.Property(
        "stream_calls",
        th.ObjectType(),
        default={},
        title="Stream calls",
        description="The call that the records of a stream are, by the stream's name "
        'or a shell pattern, such as `{"public-users": "identify", "*-orders": '
        '"track"}`. Streams named after a call need no entry. `segment` takes the '
        "members of manual segments, `by_type` archives of calls, in which each "
        "record's `type` names its call. Settings of one stream stand beside its call: "
        '`{"public-users": {"call": "identify", "update_only": true}}`.',
    ),
    th.Property(
        "unmapped_streams",
        th.StringType,
        default="fail",
        allowed_values=["fail", "ignore"],
        title="Unmapped streams",
        description="What happens to a stream that no rule names: `fail` stops the "
        "run, `ignore` drops and counts its records.",
    ),
    th.Property(
        "action_events",
        th.ObjectType(
            *(th.Property(name, th.ArrayType(th.StringType)) for name in ACTIONS),
            additional_properties=False,
        ),
        default={},
        title="Action events",
        description="The names of the track events that are actions, by action. A "
        "list replaces the action's own, an empty one switches the action off.",
    ),
    th.Property(
        "user_id_type",
        th.StringType,
        default="auto",
        allowed_values=list(USER_ID_TYPES),
        title="User ID type",
        description="What `userId` is: an `id`, an `email` or a `cio_id`. `auto` tells "
        "by its form: `cio_` before a cio_id, else an e-mail address, else an id.",
    ),
    th.Property(
        "screen_events",
        th.StringType,
        default="screen",
        allowed_values=["screen", "viewed_event"],
        title="Screen events",
        description="What a screen call becomes: a screen view, or an event `Viewed "
        "{name} Screen`.",
    ),
    th.Property(
        "anonymous_identify",
        th.StringType,
        default="skip",
        allowed_values=["skip", "use_as_id"],
        title="Anonymous identify",
        description="What becomes of an identify with nothing but an anonymous id: "
        "`skip` counts it, `use_as_id` sends the anonymous id as the person's id.",
    ),
    th.Property(
        "convert_timestamps",
        th.BooleanType,
        default=True,
        title="Convert timestamps",
        description="Make Unix seconds of the dates in traits and properties.",
    ),
    th.Property(
        "null_attributes",
        th.StringType,
        default="send",
        allowed_values=["send", "omit"],
        title="Null attributes",
        description="What becomes of a null: `send` clears the attribute in "
        "Customer.io, `omit` leaves it alone.",
    ),
    th.Property(
        "update_only",
        th.BooleanType,
        default=False,
        title="Update only",
        description="Never create a person, only update those who exist.",
    ),
    th.Property(
        "identify_timestamp",
        th.StringType,
        default="record",
        allowed_values=["record", "omit"],
        title="Identify timestamp",
        description="Whether an identify carries its record's time. Customer.io "
        "silently ignores an update that is older than the profile's last change; "
        "`omit` applies updates in the order in which they come.",
    ),
    th.Property(
        "hard_delete",
        th.BooleanType,
        default=False,
        title="Hard delete",
        description="Delete the person or object of an identify or group row whose "
        "`_sdc_deleted_at` is set.",
    ),
    th.Property(
        "requests_per_second",
        th.NumberType(exclusive_minimum=0),
        default=100,
        title="Requests per second",
        description="Most requests in any second, over all connections. Customer.io's "
        "ceiling is 1,000 for the whole account.",
    ),
    th.Property(
        "max_concurrent_requests",
        th.IntegerType(minimum=1, maximum=64),
        default=4,
        title="Concurrent requests",
        description="Most requests in flight at once.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.NumberType(exclusive_minimum=0),
        default=30,
        title="Request timeout",
        description="Longest wait for an answer, in seconds.",
    ),
    th.Property(
        "max_retry_seconds",
        th.NumberType(minimum=0),
        default=600,
        title="Retry time",
        description="Longest time for which a request is tried again, in seconds.",
    ),
    th.Property(
        "on_rejected",
        th.StringType,
        default="fail",
        allowed_values=["fail", "continue", "abort"],
        title="On rejected records",
        description="What rejected records mean for the run: `fail` delivers all "
        "others and exits with 3, `continue` exits with 0, `abort` stops at the "
        "first and exits with 3.",
    ),
    th.Property(
        "rejected_records_path",
        th.StringType(min_length=1),
        default=DEFAULT_REJECTED_PATH,
        title="Rejected records",
        description="The file that rejected records are appended to.",
    ),
    th.Property(
        "shard",
        th.StringType,
        title="Shard",
        description="Deliver one share of the people and objects, such as `2/8` for "
        "the second of eight. As many runs over the same input, one for each share, "
        "deliver all of it; `requests_per_second` is divided between them.",
    ),
    th.Property(
        "batch_size_rows",
        th.IntegerType(minimum=1),
        default=Limits.batch_operations,
        title="Batch size",
        description="Most operations in one request.",
    ),
    th.Property(
        "add_record_metadata",
        th.BooleanType,
        title="Add record metadata",
        description="Accepted for the sake of shared configurations: columns that "
        "begin with `_sdc_` never become attributes.",
    ),
).to_dict()

SETTINGS_OF_STREAMS: Final = (
    "update_only",
    "null_attributes",
    "identify_timestamp",
    "anonymous_identify",
    "convert_timestamps",
    "screen_events",
    "user_id_type",
    "hard_delete",
)
"""The settings that can be given for one stream alone, beside its call."""


def _stream_call(settings: dict[str, Any]) -> dict[str, Any]:
    """Say what may stand for a stream in ``stream_calls``: a call, or an object."""
    call = {"enum": CALLS_OF_STREAMS}
    own = {
        name: {
            rule: settings[name][rule]
            for rule in ("type", "enum")
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


SCHEMA["properties"]["stream_calls"]["additionalProperties"] = _stream_call(
    SCHEMA["properties"]
)
