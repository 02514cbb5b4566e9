"""The target: what the command does, with its settings and its choice of sinks."""

from __future__ import annotations

import signal
import sys
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

import click
from singer_sdk.helpers.capabilities import (
    PluginCapabilities,
    TargetCapabilities,
)

from target_customerio.command_line import (
    END_OF_LIFE,
    HELP,
    PLAN_HAS_CHANGES,
    SETTINGS,
    errors_in_one_line,
    options,
    refuse_contradictions,
    refuse_unread_safeguards,
    settings_given,
    with_check_maximums,
)
from target_customerio.errors import (
    SettingsError,
    UnmappedStreamError,
    telling_what_follows,
)
from target_customerio.log_privacy import silence_libraries
from target_customerio.pipeline import Pipeline
from target_customerio.progress import shown_progress
from target_customerio.report import recording
from target_customerio.run import Run
from target_customerio.settings import Settings
from target_customerio.settings.schema import SCHEMA
from target_customerio.settings.similar_names import unmapped_stream
from target_customerio.singer import SingerTarget
from target_customerio.sinks import SINKS, IgnoredSink

if TYPE_CHECKING:
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput

    from target_customerio.sinks import StreamSink


SENT_AGAIN: Final = (
    "no STATE was written for what is undelivered, so the tap sends it again in the "
    "next run"
)


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
        names = self.settings.streams.names
        raise UnmappedStreamError(unmapped_stream(stream_name, names))

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
        command.params += options()
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
            cls.logger.error(  # noqa: TRY400 - one line
                "Cannot read the configuration from %s: %s",
                " and ".join(value),
                _unreadable(error),
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
        **given: Any,  # noqa: ANN401 - each option has its own type
    ) -> None:
        """Run the command.

        Args:
            about: Print the target's settings and capabilities.
            about_format: Format of that output.
            config: The configuration.
            file_input: The input; default is standard input.
            given: The options of :func:`.command_line.options`.
        """
        if about:
            cls.print_about(about_format)
            return
        silence_libraries()
        warnings.filterwarnings("ignore", message=END_OF_LIFE)
        with errors_in_one_line(cls.logger):
            cls.append_builtin_config(cls.config_jsonschema)
            settings = settings_given(config, cls.config_jsonschema, cls.logger)
            settings |= {name: True for name in SETTINGS if given.pop(name, None)}
            refuse_unread_safeguards(config, settings)
            refuse_contradictions(given, settings, has_input=file_input is not None)
            detailed = given.pop("detailed_exitcode", False)
            forget = given.pop("forget", None)
            if given.pop("snapshot_info", False) or forget is not None:
                cls.look_after_snapshot(settings.get("snapshot"), forget)
                return
            is_check = given.get("check")
            target = cls(config=with_check_maximums(settings) if is_check else settings)
            target.do(file_input, **given)
            plan = target.pipeline.plan
            if detailed and plan is not None and not plan.is_empty:
                sys.exit(PLAN_HAS_CHANGES)

    def do(
        self,
        file_input: IO[str] | None,
        *,
        check: bool = False,
        remove_missing: bool = False,
    ) -> None:
        """Load records, or do something else.

        Args:
            file_input: The input; default is standard input.
            check: Only check settings, credentials and region.
            remove_missing: Remove what is missing from the last runs of streams.

        Raises:
            TargetError: It has failed.
        """
        if check:
            self.check()
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

    @classmethod
    def look_after_snapshot(cls, snapshot: object, forget: str | None) -> None:
        """Show what the snapshot knows, or drop what a stream held.

        Args:
            snapshot: The setting; other settings are not needed.
            forget: The stream; None to show.

        Raises:
            SnapshotError: The snapshot cannot be used, or has no such stream.
        """
        # Only this needs it.
        from target_customerio import snapshot_info  # noqa: PLC0415

        if not snapshot:
            raise SettingsError("snapshot: not set; set it to the path of the snapshot")
        if not isinstance(snapshot, str):
            raise SettingsError("snapshot: expected the path of the snapshot, as text")
        path = Path(snapshot).expanduser()
        if forget is None:
            click.echo(snapshot_info.described(path))
        else:
            cls.logger.info("%s", snapshot_info.forget(path, forget))

    def remove_missing(self) -> None:
        """Remove what is missing from the last runs of streams.

        Raises:
            TargetError: Not everything was removed.
        """
        # Only this step needs it.
        from target_customerio.removal import remove_missing  # noqa: PLC0415

        self.pipeline.close()  # it is for records
        self.when_stopped = "stopped removing, finishing what was started"
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
        if self.settings.plan:
            self.when_stopped = "stopped reading"
        self.logger.info(
            "%s into %s",
            "Planning a load" if self.settings.plan else "Loading records",
            self.settings.connection.destination,
        )
        with (
            recording(self.pipeline, self.logger),
            telling_what_follows(SENT_AGAIN),
            shown_progress(self.pipeline),
            self.run,
        ):
            self.listen(file_input)


def _unreadable(error: Exception) -> str:
    """Return why a configuration file cannot be read, without anything in it."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    if line and column:  # of json or simplejson
        return f"not valid JSON, at line {line}, column {column}"
    return "expected a JSON object in UTF-8"
