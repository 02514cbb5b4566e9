"""Settings parsed from the configuration, with the checks that a schema cannot make."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import requests

from target_customerio.errors import SettingsError
from target_customerio.mapping.actions import events_of_actions
from target_customerio.mapping.call import ConversionSettings
from target_customerio.settings.paths import path_errors, rejected_path, report_path
from target_customerio.settings.stream_calls import (
    REMOVAL_SETTINGS,
    REMOVE_MISSING,
    RemovalSettings,
    StreamCalls,
    asks_for_removal,
    removal_errors,
)
from target_customerio.track_api.endpoints import URLS as REGION_URLS
from target_customerio.track_api.endpoints import Limits, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Connection:
    """Where records are sent, and the credentials for it.

    Attributes:
        site_id: User name for the Track API.
        api_key: Password for the Track API.
        region: Region of the workspace.
        base_url: Base URL of the API, without a trailing slash.
        sandbox: Path of the sandbox file, or ``None`` for Customer.io itself.
        sandbox_email_updates: Whether an identify by ``id`` can change ``email`` in the
            sandbox.
    """

    site_id: str
    api_key: str
    region: Literal["us", "eu"]
    base_url: str
    sandbox: str | None
    sandbox_email_updates: bool = False

    @property
    def destination(self) -> str:
        """The destination as shown in the log."""
        if self.sandbox is not None:
            return f"sandbox {self.sandbox}"
        return self.base_url

    def __repr__(self) -> str:
        """Show everything but the credentials."""
        return f"Connection({self.base_url!r}, sandbox={self.sandbox!r})"


@dataclass(frozen=True)
class Settings:
    """All settings, grouped by the part of the target that uses them.

    Attributes:
        connection: Where records are sent.
        limits: Limits on requests, rate and memory.
        conversion: How records become operations.
        streams: Which call each stream is mapped to.
        ignore_unmapped: Whether the records of unmapped streams are dropped.
        on_rejected: What follows when a record is rejected.
        rejected_path: Path of the file of rejected records.
        snapshot: Path of the snapshot, if one is used.
        refresh: Whether to make everything in the snapshot unknown and send it again.
        report_path: Path of the page about the run, if there is to be one.
        given: The settings as they were given, with the defaults.
        plan: Whether to plan the run instead of sending anything.
    """

    connection: Connection
    limits: Limits
    conversion: ConversionSettings
    streams: StreamCalls
    ignore_unmapped: bool
    on_rejected: Literal["fail", "continue", "abort"]
    rejected_path: str
    snapshot: str | None = None
    refresh: bool = False
    report_path: Path | None = None
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)
    plan: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """Parse a configuration that is valid by the schema of the settings.

        Args:
            config: The configuration with defaults filled in.

        Returns:
            The settings.

        Raises:
            SettingsError: Settings are invalid or contradict each other; one line each.
        """
        action_events, errors = events_of_actions(config["action_events"])
        errors += [
            *_credential_errors(config),
            *_url_errors(config.get("api_url")),
            *path_errors(config),
            *_snapshot_errors(config),
        ]
        if errors:
            raise SettingsError(*errors)
        conversion = _conversion(config, action_events)
        return cls(
            connection=_connection(config),
            limits=_limits(config),
            conversion=conversion,
            streams=StreamCalls(
                config["stream_calls"],
                conversion,
                RemovalSettings(*(config[name] for name in REMOVAL_SETTINGS)),
            ),
            ignore_unmapped=config["unmapped_streams"] == "ignore",
            on_rejected=config["on_rejected"],
            rejected_path=rejected_path(config),
            snapshot=config.get("snapshot") or None,
            refresh=config["refresh"],
            report_path=report_path(config),
            given=config,
            plan=config["plan"],
        )


SANDBOX_CREDENTIAL: Final = "sandbox"
"""Sent instead of missing credentials, which a sandbox does not need."""

WHITE_SPACE: Final = string.whitespace + "\u00a0\u200b\ufeff"
"""Characters stripped from credentials; includes the byte order mark."""


def _conversion(
    config: Mapping[str, Any], action_events: Mapping[str, str]
) -> ConversionSettings:
    return ConversionSettings(
        user_id_type=config["user_id_type"],
        screen_events=config["screen_events"],
        anonymous_identify=config["anonymous_identify"],
        convert_timestamps=config["convert_timestamps"],
        null_attributes=config["null_attributes"],
        update_only=config["update_only"],
        identify_timestamp=config["identify_timestamp"],
        hard_delete=config["hard_delete"],
        action_events=action_events,
        flattening_separator=config.get("flattening_separator") or "__",
    )


def _limits(config: Mapping[str, Any]) -> Limits:
    return Limits(
        batch_operations=config["batch_size_rows"],
        concurrency=config["max_concurrent_requests"],
        requests_per_second=config["requests_per_second"],
        request_timeout_seconds=float(config["request_timeout_seconds"]),
        max_retry_seconds=float(config["max_retry_seconds"]),
    )


def _connection(config: Mapping[str, Any]) -> Connection:
    region = config["region"]
    return Connection(
        site_id=_credential(config, "site_id") or SANDBOX_CREDENTIAL,
        api_key=_credential(config, "api_key") or SANDBOX_CREDENTIAL,
        region=region,
        base_url=(config.get("api_url") or REGION_URLS[region]).rstrip("/"),
        sandbox=config.get("sandbox") or None,
        sandbox_email_updates=config["sandbox_email_updates"],
    )


def _credential(config: Mapping[str, Any], name: str) -> str:
    """Return a credential, stripped: secrets read from files often end in a newline."""
    return (config.get(name) or "").strip(WHITE_SPACE)


def _credential_errors(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("sandbox"):
        return
    for name in ("site_id", "api_key"):
        if not _is_unicode(_credential(config, name)):
            yield f"{name}: not text in UTF-8; copy it again from your workspace"
        elif not _credential(config, name):
            yield (
                f"{name}: missing; copy it from the Track API credentials of your "
                "workspace, or set sandbox to the path of a file to load into instead"
            )


def _url_errors(url: str | None) -> Iterator[str]:
    if not url:
        return
    try:
        parts = urlsplit(url)
        port_is_zero = parts.port == 0
        requests.Request("GET", url).prepare()
        (parts.hostname or "").encode("idna")
    except ValueError:
        yield "api_url: expected a valid URL that starts with https://"
        return
    if port_is_zero or parts.scheme not in {"http", "https"} or not parts.hostname:
        yield "api_url: expected a URL that starts with https://"
    elif parts.username or parts.query or parts.fragment:
        yield "api_url: expected a URL without credentials, query and fragment"
    elif parts.scheme == "http" and not is_loopback(parts.hostname):
        yield "api_url: expected https; http is allowed on loopback addresses only"


def _snapshot_errors(config: Mapping[str, Any]) -> Iterator[str]:
    calls = config["stream_calls"]
    for name, value in calls.items():
        yield from removal_errors(value, f"stream_calls.{name}")
    if config.get("snapshot"):
        return
    if config["refresh"]:
        yield "refresh: needs a snapshot; set snapshot to its path"
    if config[REMOVE_MISSING] or any(map(asks_for_removal, calls.values())):
        yield "remove_missing: needs a snapshot; set snapshot to its path"


def _is_unicode(text: str) -> bool:
    """Return whether a text is Unicode; undecodable bytes of a variable are not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
