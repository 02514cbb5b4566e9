"""The target: command line, settings, choice of sinks, and errors in one line."""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import (
    PluginCapabilities,
    TargetCapabilities,
)

from target_customerio.advice import closest_name
from target_customerio.config import settings_in, variables_of_file
from target_customerio.errors import (
    MAX_STREAM_CHARACTERS,
    SettingsError,
    UnmappedStreamError,
    shown_name,
    shown_stream,
)
from target_customerio.log_privacy import (
    exit_code_of,
    lines_of,
    silence_libraries,
    traceback_of,
)
from target_customerio.pipeline import Pipeline
from target_customerio.progress import shown_progress
from target_customerio.report import recording
from target_customerio.run import Run
from target_customerio.settings import Settings
from target_customerio.settings_schema import CALLS_OF_STREAMS, SCHEMA
from target_customerio.singer import SingerTarget
from target_customerio.sinks import SINKS, IgnoredSink

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping

    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput

    from target_customerio.sinks import StreamSink

ENVIRONMENT_PREFIX = "TARGET_CUSTOMERIO_"

DOTENV = ".env"
"""File in the working directory with more variables; the environment's own win."""

CHECK_MAXIMUMS = {"max_retry_seconds": 10, "request_timeout_seconds": 10}
"""Maximum values for ``--check``, so that it fails fast."""

END_OF_LIFE = r"Python 3\.\d+ reached its end of life"
"""A warning that the SDK logs on each run; this project still supports 3.10."""


def with_check_maximums(settings: dict[str, Any]) -> dict[str, Any]:
    """Lower settings to the maximums of ``--check``; leave invalid values alone."""
    return settings | {
        name: maximum
        for name, maximum in CHECK_MAXIMUMS.items()
        if (value := settings.get(name)) is None
        or (type(value) in {int, float} and value > maximum)
    }


HELP = """Load the records of a Singer tap into Customer.io.

Reads Singer messages from standard input, and writes STATE to standard output.

\b
Examples:
  some-tap --config tap.json | target-customerio --config target.json
  target-customerio --config target.json --check
  some-tap --config tap.json | target-customerio --config target.json --plan
  target-customerio --config target.json --input rejected.singer.jsonl
  target-customerio --config target.json --remove-missing

\b
Exit codes:
  0  Everything was delivered, or skipped by a documented rule.
  1  The run failed; the last log line says why.
  2  The command line is wrong.
  3  Records were rejected; everything else was delivered, unless on_rejected
     is abort.
  4  With --plan --detailed-exitcode: something would be sent or removed.
"""


PLAN_HAS_CHANGES: Final = 4
"""Exit code of a plan with changes, if ``--detailed-exitcode`` asks for it."""

FLAGS: Final = {
    "--check": "Check settings, credentials and region, then exit.",
    "--plan": "Print what a run would send and change; send nothing, and write no "
    "STATE and no file.",
    "--detailed-exitcode": "With --plan, exit with 4 if anything would be sent or "
    "removed.",
    "--refresh": "Send everything, whatever the snapshot knows, and learn it anew.",
    "--remove-missing": "Read no input: remove what streams with remove_missing held "
    "before and not in their last run.",
    "--snapshot-info": "Show the streams of the snapshot, what they hold and their "
    "last runs, then exit.",
}
"""The options without a value that the SDK's command lacks."""

SETTINGS: Final = ("plan", "refresh")
"""The options that are settings too."""


class TargetCustomerIO(SingerTarget):
    """Loads the records of any tap into Customer.io."""

    name = "target-customerio"
    config_jsonschema: ClassVar[dict[str, Any]] = SCHEMA
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        PluginCapabilities.BATCH,
        TargetCapabilities.VALIDATE_RECORDS,
        TargetCapabilities.HARD_DELETE,
    ]

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own
        """Create the target; nothing is sent yet.

        Args:
            options: The options of the SDK's target.

        Raises:
            SettingsError: Settings are invalid.
        """
        super().__init__(**options)
        self.settings = Settings.of(self.config)
        self.pipeline = Pipeline(
            self.settings, self.logger, on_failure=self.reader.wake
        )
        self.run = Run(self, self.pipeline)

    def get_sink_class(self, stream_name: str) -> type[StreamSink]:
        """Return the sink class of a stream, by its call.

        Args:
            stream_name: The stream's name after stream maps.

        Returns:
            The class of its sink.

        Raises:
            UnmappedStreamError: The stream is not mapped to a call.
        """
        call = self.settings.streams.call_of(stream_name)
        if call is not None:
            return SINKS[call]
        if self.settings.ignore_unmapped:
            self.logger.info("Ignoring stream '%s': not mapped to a call", stream_name)
            return IgnoredSink
        meant = closest_name(stream_name, self.settings.streams.names)
        raise UnmappedStreamError(_unmapped(stream_name, meant))

    def process_endofpipe(self) -> None:
        """Deliver what is still queued, log the summary, and fail the run if due.

        Raises:
            TargetError: The run has failed.
        """
        self.run.finish(is_complete=not self.reader.stopped)
        self.pipeline.recorder.fail_if_rejected()

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the SDK's settings, except ``load_method``, which does not apply.

        Args:
            config_jsonschema: The schema to add them to.
        """
        super().append_builtin_config(config_jsonschema)
        config_jsonschema["properties"].pop("load_method", None)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command with more options and a help text."""
        command = super().get_singer_command()
        command.help = HELP
        command.params += [
            click.Option([flag], is_flag=True, help=text)
            for flag, text in FLAGS.items()
        ]
        command.params += [
            click.Option(
                ["--forget"],
                metavar="STREAM",
                help="Drop what a stream held from the snapshot, then exit. Nothing is "
                "changed in Customer.io.",
            ),
            click.Option(
                ["--sandbox-metadata"],
                metavar="PATH",
                callback=_print_sandbox_metadata,
                expose_value=False,
                is_eager=True,
                help="Print what Datasette needs to show a sandbox well, then exit.",
            ),
        ]
        return command

    @classmethod
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        """Read the configuration files.

        Args:
            ctx: The command's context.
            param: The option ``--config``.
            value: Paths of files, or ``ENV`` for environment variables.

        Returns:
            The configuration.
        """
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, ValueError, TypeError) as error:
            missing = isinstance(error, FileNotFoundError)
            cls.logger.error(  # noqa: TRY400 - one line
                "Cannot read the configuration from %s (%s): %s",
                " and ".join(value),
                type(error).__name__,
                "there is no such file" if missing else "expected a JSON object",
            )
            ctx.exit(1)

    @classmethod
    def invoke(
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[str] | None = None,
        **options: Any,  # noqa: ANN401 - each option has its own type
    ) -> None:
        """Run the command.

        Args:
            about: Print the target's settings and capabilities.
            about_format: Format of that output.
            config: The configuration.
            file_input: The input; default is standard input.
            options: The options of :data:`FLAGS`, and the stream to forget.
        """
        if about:
            cls.print_about(about_format)
            return
        silence_libraries()
        warnings.filterwarnings("ignore", message=END_OF_LIFE)
        with _errors_in_one_line(cls.logger):
            settings = cls._settings_given(config)
            settings |= {name: True for name in SETTINGS if options.pop(name, None)}
            detailed = options.pop("detailed_exitcode", False)
            if detailed and not settings.get("plan"):
                raise SettingsError("--detailed-exitcode: for plans only; add --plan")
            is_check = options.get("check")
            target = cls(config=with_check_maximums(settings) if is_check else settings)
            target.do(file_input, **options)
            plan = target.pipeline.plan
            if detailed and plan is not None and not plan.is_empty:
                sys.exit(PLAN_HAS_CHANGES)

    @classmethod
    def _settings_given(cls, config: _ConfigInput | None) -> dict[str, Any]:
        """Return the settings of files and of the environment."""
        settings = dict(config.config) if config else {}
        if config is None or not config.parse_env:
            _warn_of_unread_credentials(cls.logger, settings)
            return settings
        cls.logger.addFilter(_keep_unless_wrong)
        cls.append_builtin_config(cls.config_jsonschema)
        return settings | settings_in(
            {**variables_of_file(DOTENV), **os.environ},
            cls.config_jsonschema,
            ENVIRONMENT_PREFIX,
        )

    def do(
        self,
        file_input: IO[str] | None,
        *,
        check: bool = False,
        remove_missing: bool = False,
        snapshot_info: bool = False,
        forget: str | None = None,
    ) -> None:
        """Load records, or do something else.

        Args:
            file_input: The input; default is standard input.
            check: Only check settings, credentials and region.
            remove_missing: Remove what is missing from the last runs of streams.
            snapshot_info: Only show what the snapshot knows.
            forget: A stream whose holdings are dropped from the snapshot.

        Raises:
            TargetError: It has failed.
        """
        if check:
            self.check()
            return
        if snapshot_info or forget is not None:
            self.look_after_snapshot(forget)
            return
        self.print_version(print_fn=self.logger.info)
        if remove_missing:
            self.remove_missing()
        else:
            self.process(file_input)

    def check(self) -> None:
        """Check credentials and region, and log the result.

        Raises:
            DeliveryError: They are wrong, or Customer.io cannot be reached.
        """
        # Nothing is queued, so a signal may end the process at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.pipeline.connect()
        self.pipeline.close()
        if self.settings.snapshot is not None:
            self.logger.info("%s", self._snapshot_state(self.settings.snapshot))
        connection = self.settings.connection
        if connection.sandbox is None:
            self.logger.info(
                "Connected to %s in region %s; settings and credentials are valid",
                "Customer.io"
                if self.pipeline.workspace is None
                else f"workspace {self.pipeline.workspace}",
                connection.region,
            )
        else:
            self.logger.info(
                "Settings are valid; records go to sandbox %s, not to Customer.io; "
                "region and credentials are not checked",
                connection.sandbox,
            )

    def look_after_snapshot(self, forget: str | None) -> None:
        """Show what the snapshot knows, or drop what a stream held.

        Args:
            forget: The stream; None to show.

        Raises:
            SnapshotError: The snapshot cannot be used, or has no such stream.
        """
        # Only this needs it.
        from target_customerio import snapshot_info  # noqa: PLC0415

        self.pipeline.close()
        if self.settings.snapshot is None:
            raise SettingsError("snapshot: it is not set; set it to its path")
        path = Path(self.settings.snapshot).expanduser()
        if forget is None:
            click.echo(snapshot_info.described(path))
        else:
            self.logger.info("%s", snapshot_info.forget(path, forget))

    def remove_missing(self) -> None:
        """Remove what is missing from the last runs of streams.

        Raises:
            TargetError: Not everything was removed.
        """
        # Only this step needs it.
        from target_customerio.removal import remove_missing  # noqa: PLC0415

        self.pipeline.close()  # it is for records
        self.logger.info(
            "%s from %s",
            "Planning the removal of what is missing"
            if self.settings.plan
            else "Removing what is missing",
            self.settings.connection.destination,
        )
        self.pipeline.plan = remove_missing(
            self.settings, self.logger, lambda: self.reader.stopped
        )

    def _snapshot_state(self, path: str) -> str:
        """Return whose snapshot a file is.

        Raises:
            SnapshotError: It belongs to another workspace, or is no snapshot.
        """
        # Only runs with a snapshot need SQLite.
        from target_customerio.snapshot.file import check  # noqa: PLC0415

        return check(path, self.pipeline.workspace_name)

    def process(self, file_input: IO[str] | None) -> None:
        """Read the input to its end and deliver its records.

        Args:
            file_input: The input; default is standard input.

        Raises:
            TargetError: The run has failed.
        """
        self.logger.info(
            "%s into %s",
            "Planning a load" if self.settings.plan else "Loading records",
            self.settings.connection.destination,
        )
        with (
            recording(self.pipeline, self.logger),
            shown_progress(self.pipeline),
            self.run,
        ):
            self.listen(file_input)


def _print_sandbox_metadata(
    ctx: click.Context, _: click.Parameter, path: str | None
) -> None:
    if path is not None:
        from target_customerio.sandbox.datasette import metadata  # noqa: PLC0415 - rare

        click.echo(json.dumps(metadata(path), indent=2))
        ctx.exit()


def _keep_unless_wrong(record: logging.LogRecord) -> bool:
    """Drop the SDK's message that environment variables are not read: they are."""
    return not str(record.msg).startswith("Skipping parse of env var settings")


def _warn_of_unread_credentials(
    logger: logging.Logger, settings: Mapping[str, Any]
) -> None:
    """Warn if credentials are missing, but are in the environment."""
    names = [] if settings.get("sandbox") else ["site_id", "api_key"]
    for name in names:
        variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
        if not settings.get(name) and os.environ.get(variable):
            logger.warning("%s is set but not read: add --config=ENV", variable)


def _unmapped(stream: str, meant: str | None) -> str:
    hint = "" if meant is None else f" (stream_calls has a similar name, {meant!r})"
    name = shown_name(stream, MAX_STREAM_CHARACTERS)
    example = json.dumps({"stream_calls": {name: "identify"}}, ensure_ascii=False)
    *calls, last = CALLS_OF_STREAMS
    return (
        f"Stream {shown_stream(stream)} is not mapped to a call{hint}. Set it in "
        f"stream_calls to {', '.join(calls)} or {last}, for example {example}. To drop "
        "the stream, set unmapped_streams to ignore"
    )


@contextmanager
def _errors_in_one_line(logger: logging.Logger) -> Iterator[None]:
    """Log an error in one line and exit; the traceback is logged at level DEBUG."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends the run
        for line in lines_of(error):
            logger.error("%s", line)  # noqa: TRY400 - one line
        if not isinstance(error, ConfigValidationError):
            logger.debug("%s", traceback_of(error))
        code = exit_code_of(error)
    else:
        return
    sys.exit(code)
