"""The settings: what they add up to, and which of them do not go together."""

from __future__ import annotations

import ipaddress
import os
import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from target_customerio.errors import SettingsError
from target_customerio.mapping.actions import events_of_actions
from target_customerio.mapping.settings import ConversionSettings
from target_customerio.rejected import why_not_writable
from target_customerio.shards import Shard
from target_customerio.streams import StreamCalls
from target_customerio.track_api.endpoints import URLS as REGION_URLS
from target_customerio.track_api.endpoints import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Connection:
    """How Customer.io is reached.

    Attributes:
        site_id: User name of the Track API.
        api_key: Password of the Track API.
        region: Where the workspace lives.
        base_url: Where requests go, without a slash at the end.
        sandbox: Path of the workspace file that takes Customer.io's place.
        sandbox_email_updates: Whether ``email`` can be changed by ``id`` there.
    """

    site_id: str
    api_key: str
    region: Literal["us", "eu"]
    base_url: str
    sandbox: str | None
    sandbox_email_updates: bool = False

    @property
    def destination(self) -> str:
        """Where records go, in words."""
        if self.sandbox is not None:
            return f"the sandbox {self.sandbox}"
        return self.base_url

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
        """Read the settings from a configuration that fits their schema.

        Args:
            config: The configuration, defaults filled in.

        Returns:
            The settings.

        Raises:
            SettingsError: Settings do not go together, one line each.
        """
        action_events, errors = events_of_actions(config["action_events"])
        errors += [
            *_credential_errors(config),
            *_url_errors(config.get("api_url")),
            *_path_errors(config),
        ]
        try:
            shard = Shard.of(config.get("shard") or "1/1")
        except ValueError:
            errors.append("shard: expected a share such as 2/8, from 1/8 to 8/8")
        if errors:
            raise SettingsError(*errors)
        conversion = _conversion(config, action_events)
        return cls(
            connection=_connection(config),
            limits=Limits(
                batch_operations=config["batch_size_rows"],
                concurrency=config["max_concurrent_requests"],
                requests_per_second=config["requests_per_second"] / shard.count,
                request_timeout_seconds=float(config["request_timeout_seconds"]),
                max_retry_seconds=float(config["max_retry_seconds"]),
            ),
            conversion=conversion,
            streams=StreamCalls(config["stream_calls"], conversion),
            ignore_unmapped=config["unmapped_streams"] == "ignore",
            on_rejected=config["on_rejected"],
            rejected_path=config["rejected_records_path"],
            shard=shard,
        )


SANDBOX_CREDENTIAL: Final = "sandbox"
WHITE_SPACE: Final = string.whitespace + "\u00a0\u200b\ufeff"
"""What is removed around a credential, a byte order mark included."""


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
    """Return a credential; a secret that comes from a file often ends with a line."""
    return (config.get(name) or "").strip(WHITE_SPACE)


def _credential_errors(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("sandbox"):
        return
    for name in ("site_id", "api_key"):
        if not _credential(config, name):
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


def _path_errors(config: Mapping[str, Any]) -> Iterator[str]:
    paths = {name: config.get(name) for name in ("sandbox", "rejected_records_path")}
    unusable = [name for name, path in paths.items() if path and not _is_a_name(path)]
    for name in unusable:
        yield (
            f"{name}: the locale has no bytes for this path; set PYTHONUTF8=1, or use "
            "ASCII letters alone"
        )
    if "rejected_records_path" not in unusable:
        yield from _rejected_path_errors(config["rejected_records_path"])


def _is_a_name(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _rejected_path_errors(path: str) -> Iterator[str]:
    if not Path(path).parent.is_dir():
        yield f"rejected_records_path: there is no folder for {path}; make it first"
        return
    problem = why_not_writable(path)
    if problem:
        yield (
            f"rejected_records_path: {path} cannot be written ({problem}); change its "
            "permissions, or set another path"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


NO_SETTINGS: Final = frozenset({"loglevel"})
"""What the SDK reads from the environment that is no setting."""

BOOLEANS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def settings_in(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> dict[str, Any]:
    """Read the settings that the environment holds.

    Args:
        environment: The environment.
        schema: The JSON schema of the settings.
        prefix: What the variables begin with.

    Returns:
        The settings by their names; numbers are still text.

    Raises:
        SettingsError: A variable does not hold what the setting may be.
    """
    settings: dict[str, Any] = {}
    errors: list[str] = []
    for name, about in schema["properties"].items():
        text = environment.get(f"{prefix}{name.upper()}")
        if not text:
            continue
        types = about.get("type", ())
        if "boolean" in types:
            settings[name] = BOOLEANS.get(text.lower())
            expected = "true or false"
        elif "object" in types:
            settings[name] = _object(text)
            expected = "a JSON object"
        else:
            settings[name] = text
        if settings[name] is None:
            errors.append(f"{name}: expected {expected} in {prefix}{name.upper()}")
    if errors:
        raise SettingsError(*errors)
    return settings | _unknown(environment, schema, prefix)


def _unknown(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> dict[str, str]:
    """Return what looks like a setting and is none, to be warned of like any other."""
    ours = [
        name for name in environment if name.startswith(prefix) and environment[name]
    ]
    names = {name.removeprefix(prefix).lower() for name in ours}
    unknown = names - schema["properties"].keys() - NO_SETTINGS
    # Meltano has variables of its own, and one for each entry of an object.
    meltanos = ("_", *(f"{name}_" for name in _objects(schema)))
    return {name: "" for name in unknown if not name.startswith(meltanos)}


def _objects(schema: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, about in schema["properties"].items()
        if "object" in about.get("type", ())
    ]


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None
    return value if isinstance(value, dict) else None
