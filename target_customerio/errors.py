"""The exceptions that users see, and the reasons of rejections.

A :class:`TargetError` ends the run; the user sees its message in one line.
A :class:`RejectedRecord` concerns one record and does not end the run::

    TargetError
        DeliveryError
            CredentialsError
            RegionError
            UndeliveredError
        InputError
            RecordBeforeSchemaError
            UnmappedStreamError
        PlanError
        RecordsRejectedError
            MissingKeyPropertyError
        RejectedFileError
        RemovalRefusedError
        SettingsError
            SandboxError
            SnapshotError
        StateError
    RejectedRecord

Some of them are also exceptions of the SDK. Other modules have exceptions of their own,
which never leave the target: a caller turns them into one of these, or goes on.
Messages never contain values of records, credentials or headers.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from singer_sdk.exceptions import (
    ConfigValidationError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NAME_CHARACTERS: Final = 60
"""Maximum characters of a name from the input, such as a column's, in a message."""

MAX_STREAM_CHARACTERS: Final = 100
"""The same for a stream's name, which users copy into their settings."""


def shown_name(name: str, max_characters: int = MAX_NAME_CHARACTERS) -> str:
    """Return a name from the input as messages show it: short, and on one line."""
    text = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in name[: max_characters + 1]
    )
    return text if len(text) <= max_characters else f"{text[:max_characters]}..."


def shown_stream(name: str) -> str:
    """Return a stream's name, or a message's type, in quotes as messages show it."""
    return f"'{shown_name(name, MAX_STREAM_CHARACTERS)}'"


class TargetError(Exception):
    """An error that ends the run; its message says what is wrong and what to do."""

    exit_code: ClassVar[int] = 1
    """Exit code of the command; 2 is reserved for errors in command-line options."""


class SettingsError(TargetError, ConfigValidationError):
    """Settings are invalid."""

    def __init__(self, *errors: str, schema: dict[str, Any] | None = None) -> None:
        """Create an error for one or more settings.

        Args:
            errors: One line for each invalid setting.
            schema: The JSON schema of the settings, for the SDK's structured log.
        """
        super().__init__("; ".join(errors), errors=list(errors), schema=schema or {})


class SandboxError(SettingsError):
    """The sandbox file cannot be used."""


class SnapshotError(SettingsError):
    """The snapshot file cannot be used."""


class PlanError(TargetError):
    """A plan cannot be made."""


class InputError(TargetError):
    """The input is not valid Singer."""


class RecordBeforeSchemaError(InputError, RecordsWithoutSchemaException):
    """A RECORD or BATCH message precedes the SCHEMA of its stream."""


class UnmappedStreamError(InputError):
    """A stream is not mapped to a call."""


class DeliveryError(TargetError):
    """Operations could not be delivered to Customer.io."""


class CredentialsError(DeliveryError):
    """Customer.io rejected the site ID and API key."""


class RegionError(DeliveryError):
    """The workspace is in another region."""


class UndeliveredError(DeliveryError):
    """Customer.io accepted nothing for ``max_retry_seconds``."""


@contextmanager
def telling_what_follows(text: str) -> Iterator[None]:
    """Add to an :class:`UndeliveredError` of the block what the next run does.

    Args:
        text: What becomes of the operations that could not be delivered.
    """
    try:
        yield
    except UndeliveredError as error:
        raise UndeliveredError(f"{error}; {text}") from error


class StateError(TargetError):
    """STATE cannot be written."""


class RejectedFileError(TargetError):
    """The file of rejected records cannot be written."""


class RecordsRejectedError(TargetError):
    """Records were rejected and ``on_rejected`` is ``fail`` or ``abort``.

    The exit code tells a scheduler that a retry will not help.
    """

    exit_code = 3


class RemovalRefusedError(TargetError):
    """``--remove-missing`` has removed nothing for some streams."""


class MissingKeyPropertyError(RecordsRejectedError, MissingKeyPropertiesError):
    """A record lacks a key property and ``on_rejected`` is ``abort``."""


REASONS: Final = {
    "blank": "an identifier is blank",
    "invalid_date": "text in a field that the schema types as a date is not a date",
    "invalid_email": "text is not an e-mail address, and there is no `userId`",
    "invalid_json": "`traits` or `properties` is text, but not a JSON object",
    "invalid_text": "text has a lone surrogate, which is not valid Unicode",
    "invalid_timestamp": "the call's own time, or `_sdc_deleted_at`, is not a time",
    "invalid_type": "a value has a type that its field does not allow",
    "missing_key": "a key property of the stream is missing",
    "no_identifier": "no usable identifier of a person",
    "not_finite": "a number is NaN or infinite",
    "refused": "Customer.io refused the operation without giving a reason",
    "required": "a required field is missing",
    "same_name": "flattening would give two values of the record one name",
    "same_person": "a person would be merged with themselves",
    "schema": "the record does not match the stream's schema (`validate_records`)",
    "stream_map": "an expression of `stream_maps` fails",
    "too_deep": "the record is nested too deeply",
    "too_large": "the operation has more than 32,768 bytes",
    "undeliverable": (
        "the operation alone kept failing for `max_retry_seconds` while others were"
        " accepted"
    ),
    "unknown_action": "the action is unknown",
    "unknown_platform": "the platform of a device is neither `ios` nor `android`",
    "unknown_segment": "Customer.io has no manual segment with this id",
    "wrong_call": "the record's `type` is not a call, or not the stream's call",
}
"""The reasons of rejections by the target; Customer.io gives others."""


class RejectedRecord(Exception):  # noqa: N818 - "rejected record" is the term everywhere
    """A record cannot become an operation, or Customer.io refused its operation."""

    def __init__(self, reason: str, field: str, message: str) -> None:
        """Describe what is wrong without quoting the record.

        Args:
            reason: One of :data:`REASONS`, or a reason given by Customer.io.
            field: The field at fault in dotted form, for example ``traits.email``.
            message: What is wrong, in words.
        """
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.message = message


def nested_too_deeply() -> RejectedRecord:
    """Return the rejection of a record that some part of the target cannot descend."""
    return RejectedRecord("too_deep", "", "the record is nested too deeply")
