"""Settings parsed from the configuration, with the checks that a schema cannot make."""

from __future__ import annotations

import ipaddress
import os
import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values

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
        ignore_unmapped: Whether unmapped streams are dropped.
        on_rejected: What happens when a record is rejected.
        rejected_path: Path of the file of rejected records.
        shard: Share of the people and objects to deliver.
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
        if not _credential(config, name):
            yield (
                f"{name}: missing; set it to your workspace's Track API credentials, "
                "or set sandbox to the path of a file to use instead"
            )


def _url_errors(url: str | None) -> Iterator[str]:
    if not url:
        return
    try:
        parts = urlsplit(url)
        port_is_zero = parts.port == 0
    except ValueError:
        yield "api_url: expected a URL that starts with https://"
        return
    if port_is_zero or parts.scheme not in {"http", "https"} or not parts.hostname:
        yield "api_url: expected a URL that starts with https://"
    elif parts.username or parts.query or parts.fragment:
        yield "api_url: expected a URL without credentials, query and fragment"
    elif parts.scheme == "http" and not _is_loopback(parts.hostname):
        yield "api_url: expected https; http is allowed on loopback addresses only"


def _path_errors(config: Mapping[str, Any]) -> Iterator[str]:
    paths = {name: config.get(name) for name in ("sandbox", "rejected_records_path")}
    unusable = [
        name for name, path in paths.items() if path and not _can_be_encoded(path)
    ]
    for name in unusable:
        yield (
            f"{name}: the path cannot be encoded in this locale; set PYTHONUTF8=1, or "
            "use ASCII characters only"
        )
    if "rejected_records_path" not in unusable:
        yield from _rejected_path_errors(config["rejected_records_path"])


def _can_be_encoded(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _rejected_path_errors(path: str) -> Iterator[str]:
    if not Path(path).parent.is_dir():
        yield f"rejected_records_path: the folder of {path} does not exist; create it"
        return
    problem = why_not_writable(path)
    if problem:
        yield (
            f"rejected_records_path: {path} is not writable ({problem}); change its "
            "permissions, or set another path"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


NOT_SETTINGS: Final = frozenset({"loglevel"})
"""Variables with the settings' prefix that the SDK reads for other purposes."""

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


def variables_of_file(path: str) -> dict[str, str]:
    """Return the variables in a ``.env`` file; none if there is no such file.

    The SDK searches parent folders too and lets the file override the environment,
    either of which could send a sandbox run to production.

    Raises:
        SettingsError: The file cannot be read.
    """
    try:
        # Values are JSON, in which a dollar sign is only text.
        variables = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"Cannot read {path} ({type(error).__name__}): expected lines NAME=value "
            "in UTF-8"
        ) from error
    return {name: value for name, value in variables.items() if value is not None}


def settings_in(
    environment: Mapping[str, str], schema: Mapping[str, Any], prefix: str
) -> dict[str, Any]:
    """Return the settings in environment variables; numbers are still text.

    The SDK's own parser reads a misspelt boolean as false and quotes values in errors.

    Raises:
        SettingsError: Variables have invalid values; one line each, without the value.
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
    """Return the variables with the prefix that are not settings; the caller warns."""
    ours = [
        name for name in environment if name.startswith(prefix) and environment[name]
    ]
    names = {name.removeprefix(prefix).lower() for name in ours}
    unknown = names - schema["properties"].keys() - NOT_SETTINGS
    # Meltano adds variables of its own, and one for each entry of an object.
    of_meltano = ("_", *(f"{name}_" for name in _objects(schema)))
    return {name: "" for name in unknown if not name.startswith(of_meltano)}


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
