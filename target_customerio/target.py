"""The target: settings in, sinks out, and one line for whatever goes wrong."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import (
    PluginCapabilities,
    TargetCapabilities,
)

from target_customerio.errors import (
    TargetError,
    UnmappedStreamError,
)
from target_customerio.reader import LONGEST_NAME
from target_customerio.run import Run
from target_customerio.settings import Settings, settings_in
from target_customerio.settings_schema import SCHEMA
from target_customerio.singer import SingerTarget
from target_customerio.sinks import SINKS, IgnoredSink
from target_customerio.streams import CALLS_OF_STREAMS
from target_customerio.suggestions import (
    ALIKE,
    lookalike,
    unmatched_calls,
    unmatched_maps,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput

    from target_customerio.sinks import StreamSink

PATIENCE_SECONDS = 5.0
ENVIRONMENT_PREFIX = "TARGET_CUSTOMERIO_"

CHECK_SETTINGS = {"max_retry_seconds": 10, "request_timeout_seconds": 10}
"""Somebody waits for the answer to ``--check``."""

END_OF_LIFE = r"Python 3\.\d+ reached its end of life"
"""What the SDK warns of on each run; the supported versions are the project's own."""


class TargetCustomerIO(SingerTarget):
    """Makes the records of any tap happen in Customer.io."""

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
        """Start the target; nobody is contacted yet.

        Args:
            options: What the SDK's target takes.

        Raises:
            SettingsError: A setting cannot be used.
        """
        super().__init__(**options)
        self.settings = Settings.of(self.config)
        self.run = Run(self.settings, self.logger, self.message_reader.wake)
        self.message_reader.before_waiting = self.run.hand_over
        self.run.place = self.place

    def get_sink_class(self, stream_name: str) -> type[StreamSink]:
        """Choose the sink of a stream by its call.

        Args:
            stream_name: The stream's name.

        Returns:
            The sink's class.

        Raises:
            UnmappedStreamError: No rule names the stream.
        """
        call = self.settings.streams.call_of(stream_name)
        if call is not None:
            return SINKS[call]
        if self.settings.ignore_unmapped:
            self.logger.info("Stream '%s' is ignored: no rule names it", stream_name)
            return IgnoredSink
        meant = lookalike(stream_name, self.settings.streams.names, alike=ALIKE)
        raise UnmappedStreamError(_unmapped(stream_name[:LONGEST_NAME], meant))

    def process_endofpipe(self) -> None:
        """Deliver what is left, say what was done, and judge the run.

        Raises:
            TargetError: The run has failed.
        """
        super().process_endofpipe()
        self.run.drain()
        if not self.message_reader.stopped:
            self._tell_unmatched_names()
        self.run.end()
        self.run.accounts.judge()

    def _tell_unmatched_names(self) -> None:
        """Report the names in the settings that matched no stream of the input."""
        raw, mapped = self.stream_names()
        if not raw:
            return
        maps = self.config.get("stream_maps") or {}
        for setting, names in (
            ("stream_calls", unmatched_calls(self.settings.streams.names, mapped)),
            ("stream_maps", unmatched_maps(maps, raw)),
        ):
            for each in names:
                if each.closest is not None:
                    self.logger.warning(
                        "%s: no stream matched %r (did you mean %r?)",
                        setting,
                        each.name,
                        each.closest,
                    )
            others = [each.name for each in names if each.closest is None]
            if others:
                self.logger.info(
                    "%s: no stream matched %s", setting, ", ".join(map(repr, others))
                )

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the settings that the SDK brings, but for the one that means nothing.

        Args:
            config_jsonschema: The schema that they are added to.
        """
        super().append_builtin_config(config_jsonschema)
        config_jsonschema["properties"].pop("load_method", None)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Add the target's own option to the SDK's command."""
        command = super().get_singer_command()
        command.params.append(
            click.Option(
                ["--check"],
                is_flag=True,
                help="Check the settings, the credentials and the region, and exit.",
            )
        )
        return command

    @classmethod
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        """Read the configuration files.

        Args:
            ctx: The command.
            param: Its option.
            value: The files, or ``ENV`` for the environment.

        Returns:
            What they hold.
        """
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, ValueError, TypeError) as error:
            cls.logger.error(  # noqa: TRY400 - in one line
                "The configuration cannot be read (%s): expected a file that holds a "
                "JSON object in %s",
                type(error).__name__,
                " or ".join(value),
            )
            ctx.exit(1)

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[str] | None = None,
        check: bool = False,
    ) -> None:
        """Run the command.

        Args:
            about: Show what the target is and which settings it has.
            about_format: As what.
            config: The configuration.
            file_input: The input; standard input if left out.
            check: Only check the settings, the credentials and the region.
        """
        if about:
            cls.print_about(about_format)
            return
        warnings.filterwarnings("ignore", message=END_OF_LIFE)
        with _errors_in_one_line(cls.logger):
            settings = dict(config.config) if config else {}
            if config is not None and config.parse_env:
                cls.logger.addFilter(_is_true_of_the_environment)
                cls.append_builtin_config(cls.config_jsonschema)
                settings |= settings_in(
                    os.environ, cls.config_jsonschema, ENVIRONMENT_PREFIX
                )
            target = cls(config=settings | (CHECK_SETTINGS if check else {}))
            if check:
                target.check()
                return
            target.print_version(print_fn=cls.logger.info)
            target.process(file_input)

    def check(self) -> None:
        """Check the settings, the credentials and the region, and nothing else.

        Raises:
            DeliveryError: They are not in order.
        """
        # There is nothing to deliver that a signal should wait for.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.run.meet()
        self.run.close()
        connection = self.settings.connection
        if connection.sandbox is None:
            self.logger.info(
                "Connected to %s in region %s; settings and credentials are in order",
                "Customer.io"
                if self.run.workspace is None
                else f"workspace {self.run.workspace}",
                connection.region,
            )
        else:
            self.logger.info(
                "The settings are in order; the sandbox %s, in region %s, takes any "
                "credentials",
                connection.sandbox,
                connection.region,
            )

    def process(self, file_input: IO[str] | None) -> None:
        """Read the input to its end, and deliver what can be delivered of it.

        Args:
            file_input: The input; standard input if left out.

        Raises:
            TargetError: The run has failed.
        """
        self.logger.info("Records go to %s", self.settings.connection.destination)
        self.run.begin()
        try:
            self.listen(file_input)
        except Exception as error:
            self._deliver_what_came_before(error)
            raise
        finally:
            self.run.end(patience_seconds=PATIENCE_SECONDS)

    def _deliver_what_came_before(self, error: Exception) -> None:
        """Deliver what was read before an error ended the reading.

        Raises:
            TargetError: It cannot be delivered, which is worse than the error.
        """
        try:
            self.run.drain()
        except TargetError as undelivered:
            # Where the delivery ended the reading, it says so again.
            if undelivered is not error:
                raise undelivered from error


def _is_true_of_the_environment(record: logging.LogRecord) -> bool:
    """Leave out what the SDK says when it does not read the environment itself."""
    return not str(record.msg).startswith("Skipping parse of env var settings")


def _unmapped(stream: str, meant: str | None) -> str:
    hint = "" if meant is None else f" (it has {meant!r})"
    example = json.dumps({"stream_calls": {stream: "identify"}}, ensure_ascii=False)
    return (
        f"Stream {stream!r} is not mapped to a call; add it to the setting "
        f"stream_calls{hint}, for example {example}, as one of "
        f"{', '.join(CALLS_OF_STREAMS)}, or set unmapped_streams to ignore"
    )


@contextmanager
def _errors_in_one_line(logger: logging.Logger) -> Iterator[None]:
    """Exit with one line and a code; the traceback is for the debug log level."""
    code = 1
    try:
        yield
    except ConfigValidationError as error:
        for line in error.errors or [str(error)]:
            logger.error("%s", line)  # noqa: TRY400 - in one line
    except TargetError as error:
        code = error.exit_code
        logger.error("%s", error)  # noqa: TRY400 - in one line
        logger.debug("What led to it:", exc_info=True)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        logger.error(  # noqa: TRY400 - in one line, and its text could quote a record
            "Unexpected %s at %s:%s; run with the log level DEBUG for more",
            type(error).__name__,
            Path(place.filename).name,
            place.lineno,
        )
        logger.debug("What led to it:", exc_info=True)
    else:
        return
    sys.exit(code)
