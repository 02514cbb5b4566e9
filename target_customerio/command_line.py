"""The command line: options, help, settings given, and errors in one line."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click
from singer_sdk.exceptions import ConfigValidationError

from target_customerio.errors import SettingsError
from target_customerio.log_privacy import exit_code_of, lines_of, traceback_of
from target_customerio.settings.config import BOOLEANS, settings_in, variables_of_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_sdk.plugin_base import _ConfigInput

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
  target-customerio --config target.json --input corrected.singer.jsonl
  target-customerio --config target.json --remove-missing

\b
Exit codes:
  0  Everything was delivered, or skipped by a documented rule.
  1  The run failed; the last log line says why.
  2  The command line is wrong.
  3  Records were rejected; everything else was delivered, unless on_rejected
     is abort.
  4  With --plan --detailed-exitcode: something would be sent or removed, or a
     removal would be refused.
"""


PLAN_HAS_CHANGES: Final = 4
"""Exit code of a plan with changes, if ``--detailed-exitcode`` asks for it."""

FLAGS: Final = {
    "--check": "Check settings, credentials and region, then exit.",
    "--plan": "Print what a run would send and change; send nothing, and write no "
    "STATE and no file but the report.",
    "--detailed-exitcode": "With --plan, exit with 4 if anything would be sent or "
    "removed, or a removal would be refused.",
    "--refresh": "Send everything again and rebuild the snapshot from it.",
    "--remove-missing": "Remove what streams with remove_missing held before but not "
    "in their last run. Reads no input.",
    "--snapshot-info": "Show the streams of the snapshot, what they hold and their "
    "last runs, then exit.",
}
"""The options without a value that the SDK's command lacks."""

SETTINGS: Final = ("plan", "refresh")
"""The options that are settings too."""


def options() -> list[click.Option]:
    """Return the options that the SDK's command lacks."""
    return [
        *(
            click.Option([flag], is_flag=True, help=text)
            for flag, text in FLAGS.items()
        ),
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
            help="Print Datasette's metadata for a sandbox, then exit.",
        ),
    ]


def _print_sandbox_metadata(
    ctx: click.Context, _: click.Parameter, path: str | None
) -> None:
    if path is not None:
        from target_customerio.sandbox.datasette import metadata  # noqa: PLC0415 - rare

        click.echo(json.dumps(metadata(path), indent=2))
        ctx.exit()


def _is_about_environment(record: logging.LogRecord) -> bool:
    """Return whether it is the SDK's message that the environment is not read."""
    return str(record.msg).startswith("Skipping parse of env var settings")


def _keep_unless_wrong(record: logging.LogRecord) -> bool:
    """Drop the SDK's message that environment variables are not read: they are."""
    return not _is_about_environment(record)


def lower_note_on_environment(record: logging.LogRecord) -> bool:
    """Log the same message at level DEBUG where it is right."""
    if not _is_about_environment(record):
        return True
    record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


def _warn_of_unread_credentials(
    logger: logging.Logger, settings: Mapping[str, Any]
) -> None:
    """Warn if credentials are missing, but are in the environment."""
    names = [] if settings.get("sandbox") else ["site_id", "api_key"]
    for name in names:
        variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
        if not settings.get(name) and os.environ.get(variable):
            logger.warning("%s is set but not read: add --config=ENV", variable)


SAFEGUARDS: Final = {
    "plan": "{name: plan, kind: boolean}",
    "sandbox": "{name: sandbox}",
}
"""The settings without which a run is a real one, each as Meltano lists it."""


def refuse_unread_safeguards(
    config: _ConfigInput | None, settings: Mapping[str, Any]
) -> None:
    """Refuse a run that the environment asks to be harmless, if it would not be.

    Meltano hands over only what the loader lists in its settings, and drops the rest
    without a warning.

    Raises:
        SettingsError: ``plan`` or ``sandbox`` is in the environment, but is not read.
    """
    if config is not None and config.parse_env:
        return
    errors = [
        f"{variable} is set but not read, so this would be a real run. In Meltano, "
        f"add {entry} to the loader's settings in meltano.yml; elsewhere, add "
        "--config=ENV. Or remove the variable"
        for name, entry in SAFEGUARDS.items()
        if not settings.get(name)
        and (value := os.environ.get(variable := f"{ENVIRONMENT_PREFIX}{name.upper()}"))
        and (name != "plan" or BOOLEANS.get(value.lower()) is not False)
    ]
    if errors:
        raise SettingsError(*errors)


STEPS: Final = ("check", "snapshot_info", "forget", "remove_missing")
"""The options that make the command do something else than load records."""


def refuse_contradictions(
    given: Mapping[str, Any], settings: Mapping[str, Any], *, has_input: bool
) -> None:
    """Refuse options that contradict each other or the settings.

    Args:
        given: The options by the names of their parameters.
        settings: The settings that were given.
        has_input: Whether an input was named.

    Raises:
        SettingsError: They do.
    """
    is_plan = settings.get("plan")
    steps = [each for each in STEPS if given.get(each) not in (None, False)]
    if len(steps) > 1:
        names = " and ".join(f"--{each.replace('_', '-')}" for each in steps)
        raise SettingsError(f"{names}: only one of them can be given")
    if "forget" in steps and is_plan:
        raise SettingsError("--forget cannot be planned; leave out plan")
    if "remove_missing" in steps and has_input:
        raise SettingsError("--remove-missing reads no input; leave out --input")
    if given.get("detailed_exitcode") and not is_plan:
        raise SettingsError("--detailed-exitcode: for plans only; add --plan")


def settings_given(
    config: _ConfigInput | None, schema: dict[str, Any], logger: logging.Logger
) -> dict[str, Any]:
    """Return the settings of files and of the environment.

    Args:
        config: The files, and whether the environment counts.
        schema: The schema of the settings.
        logger: Logs a warning about credentials that are not read.
    """
    settings = dict(config.config) if config else {}
    if config is None or not config.parse_env:
        logger.addFilter(lower_note_on_environment)
        _warn_of_unread_credentials(logger, settings)
        return settings
    logger.addFilter(_keep_unless_wrong)
    variables = {**variables_of_file(DOTENV, ENVIRONMENT_PREFIX), **os.environ}
    return settings | settings_in(variables, schema, ENVIRONMENT_PREFIX)


@contextmanager
def errors_in_one_line(logger: logging.Logger) -> Iterator[None]:
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
