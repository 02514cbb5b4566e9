"""Settings parsed from the configuration, with the checks that a schema cannot make."""

from __future__ import annotations

import os
import re
import string
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import requests

from target_customerio.errors import SettingsError
from target_customerio.mapping.actions import events_of_actions
from target_customerio.mapping.call import ConversionSettings
from target_customerio.mapping.fields import CALL_KINDS, CallName, StreamCall
from target_customerio.rejected import why_not_writable
from target_customerio.settings_schema import CALL, DEFAULT_MAX_DELETIONS
from target_customerio.track_api.endpoints import URLS as REGION_URLS
from target_customerio.track_api.endpoints import Limits, is_loopback

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
        snapshot: Path of the snapshot, if one is used.
        refresh: Whether to take everything in the snapshot as unknown.
        report_path: Path of the page about the run, if there is to be one.
        given: The settings as they were given, with the defaults.
        plan: Whether to say what a run would do instead of doing it.
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
            *_path_errors(config),
            *_removal_errors(config),
        ]
        if errors:
            raise SettingsError(*errors)
        conversion = _conversion(config, action_events)
        return cls(
            connection=_connection(config),
            limits=Limits(
                batch_operations=config["batch_size_rows"],
                concurrency=config["max_concurrent_requests"],
                requests_per_second=config["requests_per_second"],
                request_timeout_seconds=float(config["request_timeout_seconds"]),
                max_retry_seconds=float(config["max_retry_seconds"]),
            ),
            conversion=conversion,
            streams=StreamCalls(
                config["stream_calls"],
                conversion,
                RemovalSettings(*(config[name] for name in OF_REMOVAL)),
            ),
            ignore_unmapped=config["unmapped_streams"] == "ignore",
            on_rejected=config["on_rejected"],
            rejected_path=config["rejected_records_path"],
            snapshot=config.get("snapshot") or None,
            refresh=config["refresh"],
            report_path=_report_path(config),
            given=config,
            plan=config["plan"],
        )


CALL_OF_NAME: Final[dict[str, CallName]] = {
    stream: call
    for call, kind in CALL_KINDS.items()
    if kind.plural is not None
    for stream in (call, kind.plural)
}
"""Stream names that need no setting, in lower case."""

_SEPARATOR: Final = re.compile(r"[-.]")


@dataclass(frozen=True)
class RemovalSettings:
    """What ``--remove-missing`` may remove of a stream.

    Attributes:
        remove_missing: Whether it removes anything.
        max_deletions: How many, of each kind: a number, or a share such as ``10%``.
    """

    remove_missing: bool = False
    max_deletions: int | str = DEFAULT_MAX_DELETIONS


@dataclass(frozen=True)
class StreamRule:
    """The call of a stream and its settings.

    Attributes:
        call: The call.
        conversion: The conversion settings, with those given for this stream.
        removal: The settings of its removal, likewise.
    """

    call: StreamCall
    conversion: ConversionSettings
    removal: RemovalSettings = RemovalSettings()


OF_REMOVAL: Final = tuple(each.name for each in fields(RemovalSettings))
REMOVE_MISSING: Final = "remove_missing"
REMOVABLE: Final = ("identify", "group", "segment")
"""The calls of streams that hold what ``--remove-missing`` can remove."""


class StreamCalls:
    """Finds the rule of a stream by the setting ``stream_calls`` and by its name."""

    def __init__(
        self,
        stream_calls: Mapping[str, Any],
        conversion: ConversionSettings | None = None,
        removal: RemovalSettings | None = None,
    ) -> None:
        """Parse ``stream_calls``: a call, or an object with one, by name or pattern."""
        self._conversion = conversion or ConversionSettings()
        self._removal = removal or RemovalSettings()
        self._rules = {
            name: self._rule(value if isinstance(value, dict) else {CALL: value})
            for name, value in stream_calls.items()
        }

    @property
    def names(self) -> list[str]:
        """The stream names and patterns in the setting."""
        return list(self._rules)

    @property
    def removing(self) -> list[str]:
        """The stream names and patterns in the setting that have ``remove_missing``."""
        return [
            name for name, rule in self._rules.items() if rule.removal.remove_missing
        ]

    def rule_of(self, stream: str) -> StreamRule | None:
        """Return the rule of a stream, named as after stream maps, if it has one.

        Exact names in the setting take precedence, then the names that need no setting,
        then patterns in the setting, in order.
        """
        if stream in self._rules:
            return self._rules[stream]
        named = CALL_OF_NAME.get(_SEPARATOR.split(stream)[-1].lower())
        if named is not None:
            return StreamRule(named, self._conversion, self._removal)
        for pattern, rule in self._rules.items():
            if fnmatchcase(stream, pattern):
                return rule
        return None

    def removal_of(self, stream: str) -> tuple[StreamCall, int | str] | None:
        """Return the call and ``max_deletions`` of a stream that asks for removal."""
        rule = self.rule_of(stream)
        if rule is None or not rule.removal.remove_missing:
            return None
        if rule.call not in REMOVABLE:
            return None
        return rule.call, rule.removal.max_deletions

    def call_of(self, stream: str) -> StreamCall | None:
        """Return the call of a stream, named as after stream maps, if it is mapped."""
        rule = self.rule_of(stream)
        return rule.call if rule else None

    def _rule(self, value: Mapping[str, Any]) -> StreamRule:
        own = {name: each for name, each in value.items() if name != CALL}
        removal = {name: own.pop(name) for name in OF_REMOVAL if name in own}
        return StreamRule(
            value[CALL],
            replace(self._conversion, **own),
            replace(self._removal, **removal),
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
        if not _is_unicode(_credential(config, name)):
            yield f"{name}: not text in UTF-8; copy it again from your workspace"
        elif not _credential(config, name):
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


PATHS: Final = ("sandbox", "snapshot", "rejected_records_path", "report_path")
"""The settings that are paths of files."""

SQLITE_PATHS: Final = ("sandbox", "snapshot")


def _path_errors(config: Mapping[str, Any]) -> Iterator[str]:
    paths = {name: config.get(name) for name in PATHS}
    unusable = {
        name: problem
        for name, path in paths.items()
        if path and (problem := _why_unusable(path))
    }
    for name, problem in unusable.items():
        yield f"{name}: {problem}"
    yield from _shared_path_errors(
        {name: path for name, path in paths.items() if path and name not in unusable}
    )
    if config["refresh"] and not config.get("snapshot"):
        yield "refresh: there is no snapshot to learn anew; set snapshot to its path"
    if "rejected_records_path" not in unusable:
        yield from _rejected_path_errors(config["rejected_records_path"])
    if "report_path" not in unusable:
        yield from _report_path_errors(config)


def _removal_errors(config: Mapping[str, Any]) -> Iterator[str]:
    own = {
        name: value[CALL]
        for name, value in config["stream_calls"].items()
        if isinstance(value, dict) and value.get(REMOVE_MISSING)
    }
    for name, call in own.items():
        if call not in REMOVABLE:
            yield (
                f"stream_calls.{name}.remove_missing: a {call} stream has nothing "
                f"that can be removed; only {', '.join(REMOVABLE)} streams have"
            )
    if (own or config[REMOVE_MISSING]) and not config.get("snapshot"):
        yield (
            "remove_missing: there is no snapshot of what streams held; set snapshot "
            "to its path"
        )


def _why_unusable(path: str) -> str | None:
    """Return why no file can have a path."""
    if "\0" in path:
        return "the path holds a NUL character"
    try:
        os.fsencode(Path(path).expanduser())
    except UnicodeEncodeError:
        return (
            "the path cannot be encoded in this locale; set PYTHONUTF8=1, or use "
            "ASCII characters only"
        )
    except RuntimeError:
        return f"{path} is in the home folder of a user who does not exist"
    return None


def _shared_path_errors(paths: Mapping[str, str]) -> Iterator[str]:
    """Yield an error for each two settings that name the same file."""
    for one, other in combinations(paths, 2):
        if _files(one, paths[one]) & _files(other, paths[other]):
            yield (
                f"{other}: {paths[other]} is the path of {one} too, or of a file "
                "beside it; choose another"
            )


def _files(name: str, path: str) -> set[str]:
    """Return the files of a setting: SQLite keeps some beside its own."""
    file = os.path.realpath(Path(path).expanduser())
    beside = ("-wal", "-shm", "-journal", "-lock") if name in SQLITE_PATHS else ()
    return {file, *(f"{file}{ending}" for ending in beside)}


def _is_unicode(text: str) -> bool:
    """Return whether a text is Unicode; undecodable bytes of a variable are not."""
    try:
        text.encode()
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
            f"rejected_records_path: {path} cannot be used ({problem}); set the path "
            "of a file that you can write"
        )


def _report_path(config: Mapping[str, Any]) -> Path | None:
    path = config.get("report_path")
    return Path(path).expanduser().absolute() if path else None


def _report_path_errors(config: Mapping[str, Any]) -> Iterator[str]:
    path = _report_path(config)
    if path is None:
        return
    problem = _why_not_replaceable(path)
    if problem:
        yield f"report_path: {path} cannot be used: {problem}"


def _why_not_replaceable(path: Path) -> str | None:
    """Return why a file cannot be created at a path, in the place of another."""
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        return "it is not a regular file; set the path of a file"
    if not path.parent.is_dir():
        return "its folder does not exist; create it"
    try:
        with TemporaryFile(dir=path.parent):
            return None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return f"its folder cannot be written ({reason}); set another path"
