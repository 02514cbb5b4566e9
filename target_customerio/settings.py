"""The settings: what each is called, may be and means, and what they add up to."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from singer_sdk import typing as th

from target_customerio.conversion.actions import DEFAULT_EVENTS, events_of_actions
from target_customerio.conversion.fields import MAPPED_CALLS
from target_customerio.conversion.stream import ConversionSettings
from target_customerio.delivery.limits import Limits
from target_customerio.delivery.regions import URLS as REGION_URLS
from target_customerio.errors import SettingsError
from target_customerio.shards import PATTERN, Shard
from target_customerio.streams import StreamCalls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
        "stream_calls",
        th.ObjectType(
            additional_properties=th.StringType(allowed_values=list(MAPPED_CALLS))
        ),
        default={},
        title="Stream calls",
        description="The call that the records of a stream are, by the stream's name "
        'or a shell pattern, such as `{"public-users": "identify", "*-orders": '
        '"track"}`. Streams named after a call need no entry. `segment` takes the '
        "members of manual segments.",
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
            *(
                th.Property(name, th.ArrayType(th.StringType))
                for name in DEFAULT_EVENTS
            ),
            additional_properties=False,
        ),
        default={},
        title="Action events",
        description="The names of the track events that are actions, by action. A "
        "list replaces the action's own, an empty one switches the action off.",
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
        "others and exits with 1, `continue` exits with 0, `abort` stops at the "
        "first.",
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
        th.StringType(pattern=PATTERN),
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


@dataclass(frozen=True)
class Connection:
    """How Customer.io is reached.

    Attributes:
        site_id: User name of the Track API.
        api_key: Password of the Track API.
        region: Where the workspace lives.
        base_url: Where requests go, without a slash at the end.
        sandbox: Path of the workspace file that takes Customer.io's place.
    """

    site_id: str
    api_key: str
    region: Literal["us", "eu"]
    base_url: str
    sandbox: str | None

    def __repr__(self) -> str:
        """Show everything but the credentials."""
        return f"Connection({self.base_url!r}, sandbox={self.sandbox!r})"


@dataclass(frozen=True)
class Settings:
    """All settings, each where it is used.

    Attributes:
        connection: How Customer.io is reached.
        limits: How much is sent at once, and how often.
        conversion: What becomes of a record.
        streams: Which call each stream is.
        ignore_unmapped: Drop the streams that no rule names.
        on_rejected: What rejected records mean for the run.
        rejected_path: The file of rejected records.
        shard: The share of people and objects that is delivered.
    """

    connection: Connection
    limits: Limits
    conversion: ConversionSettings
    streams: StreamCalls
    ignore_unmapped: bool
    on_rejected: Literal["fail", "continue", "abort"]
    rejected_path: str
    shard: Shard

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """Read the settings from a configuration that fits :data:`SCHEMA`.

        Args:
            config: The configuration, defaults filled in.

        Returns:
            The settings.

        Raises:
            SettingsError: Settings do not go together, one line each.
        """
        action_events, errors = events_of_actions(config["action_events"])
        errors += [*_credential_errors(config), *_url_errors(config.get("api_url"))]
        try:
            shard = Shard.of(config.get("shard") or "1/1")
        except ValueError:
            errors.append("shard: expected a share such as 2/8, from 1/8 to 8/8")
        if errors:
            raise SettingsError(*errors)
        return cls(
            connection=_connection(config),
            limits=Limits(
                batch_operations=config["batch_size_rows"],
                concurrency=config["max_concurrent_requests"],
                requests_per_second=config["requests_per_second"] / shard.count,
                request_timeout_seconds=float(config["request_timeout_seconds"]),
                max_retry_seconds=float(config["max_retry_seconds"]),
            ),
            conversion=ConversionSettings(
                screen_events=config["screen_events"],
                anonymous_identify=config["anonymous_identify"],
                convert_timestamps=config["convert_timestamps"],
                null_attributes=config["null_attributes"],
                update_only=config["update_only"],
                identify_timestamp=config["identify_timestamp"],
                hard_delete=config["hard_delete"],
                action_events=action_events,
                flattening_separator=config.get("flattening_separator") or "__",
            ),
            streams=StreamCalls(config["stream_calls"]),
            ignore_unmapped=config["unmapped_streams"] == "ignore",
            on_rejected=config["on_rejected"],
            rejected_path=config["rejected_records_path"],
            shard=shard,
        )


SANDBOX_CREDENTIAL: Final = "sandbox"


def _connection(config: Mapping[str, Any]) -> Connection:
    region = config["region"]
    return Connection(
        site_id=config.get("site_id") or SANDBOX_CREDENTIAL,
        api_key=config.get("api_key") or SANDBOX_CREDENTIAL,
        region=region,
        base_url=(config.get("api_url") or REGION_URLS[region]).rstrip("/"),
        sandbox=config.get("sandbox") or None,
    )


def _credential_errors(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("sandbox"):
        return
    for name in ("site_id", "api_key"):
        if not config.get(name):
            yield (
                f"{name}: missing; set it to your workspace's Track API credentials, "
                "or set sandbox to the path of a workspace file"
            )


def _url_errors(url: str | None) -> Iterator[str]:
    if not url:
        return
    try:
        parts = urlsplit(url)
        port_is_none = parts.port == 0
    except ValueError:
        yield "api_url: expected a URL that starts with https://"
        return
    if port_is_none or parts.scheme not in {"http", "https"} or not parts.hostname:
        yield "api_url: expected a URL that starts with https://"
    elif parts.username or parts.query or parts.fragment:
        yield "api_url: expected neither credentials nor a query nor a fragment in it"
    elif parts.scheme == "http" and not _is_loopback(parts.hostname):
        yield "api_url: expected https, since http is for loopback addresses only"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
