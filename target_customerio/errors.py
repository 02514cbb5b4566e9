"""Everything that can go wrong, each as one line that says what to do.

A :class:`TargetError` ends the run; its message is shown to the user as it stands.
A :class:`RejectedRecord` concerns one record and never ends a run by itself.
No message ever holds a value out of a record, a credential or a header.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from singer_sdk.exceptions import (
    ConfigValidationError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)


class TargetError(Exception):
    """A condition that ends the run, told in one line."""

    exit_code: ClassVar[int] = 1
    """2 is the command line's own."""


class SettingsError(TargetError, ConfigValidationError):
    """A setting has a value that cannot be used."""

    def __init__(self, *errors: str, schema: dict[str, Any] | None = None) -> None:
        """Keep one line for each setting at fault.

        Args:
            errors: One line for each setting at fault.
            schema: The JSON schema of the settings, for the SDK's structured log.
        """
        super().__init__("; ".join(errors), errors=list(errors), schema=schema or {})


class SandboxError(SettingsError):
    """The sandbox's workspace file cannot be used."""


class InputError(TargetError):
    """The input is not what the Singer specification describes."""


class RecordBeforeSchemaError(InputError, RecordsWithoutSchemaException):
    """A RECORD or BATCH came before the SCHEMA of its stream."""


class UnmappedStreamError(InputError):
    """No rule says which call the records of a stream are."""


class DeliveryError(TargetError):
    """Operations could not be delivered to Customer.io."""


class CredentialsError(DeliveryError):
    """Customer.io refuses the site id and API key."""


class RegionError(DeliveryError):
    """The workspace lives in another region."""


class StateError(TargetError):
    """STATE cannot be written, so that what was delivered would be sent again."""


class RejectedFileError(TargetError):
    """The file of rejected records cannot be written."""


class RecordsRejectedError(TargetError):
    """Records were rejected, and ``on_rejected`` says that this fails the run.

    Its exit code tells a scheduler that no retry will help.
    """

    exit_code = 3


class MissingKeyPropertyError(RecordsRejectedError, MissingKeyPropertiesError):
    """The run was to stop at the first rejection, and a key property was missing."""


REASONS: Final = {
    "blank": "an identifier is blank",
    "invalid_date": "text in a field that the schema types as a date is not a date",
    "invalid_email": "text is not an e-mail address, and there is no `userId`",
    "invalid_json": "`traits` or `properties` is text, but not a JSON object",
    "invalid_text": "text holds half a surrogate pair, which is not valid Unicode",
    "invalid_timestamp": "the call's own time is not a time",
    "invalid_type": "a value has a type that its field does not allow",
    "missing_key": "a key property of the stream is missing",
    "no_identifier": "no usable identifier of a person",
    "not_finite": "a number is NaN or infinite",
    "refused": "Customer.io refuses it without a reason of its own",
    "required": "a required field is missing",
    "same_person": "a person would be merged with themselves",
    "schema": "the record does not match the stream's schema (`validate_records`)",
    "stream_map": "an expression of `stream_maps` fails",
    "too_deep": "the record is nested too deeply",
    "too_large": "the operation has more than 32,768 bytes",
    "unknown_action": "the action is unknown",
    "unknown_platform": "the platform of a device is neither `ios` nor `android`",
    "unknown_segment": "Customer.io has no manual segment with this id",
    "wrong_call": "the record's `type` names another call than its stream's, or none",
}
"""The reasons of rejections here, and their meaning; Customer.io adds its own."""


class RejectedRecord(Exception):  # noqa: N818 - the field's own name for it
    """One record cannot become an operation, or Customer.io refuses it."""

    def __init__(self, reason: str, field: str, message: str) -> None:
        """Say what is wrong without quoting the record.

        Args:
            reason: One of :data:`REASONS`, or a word of Customer.io's.
            field: The field at fault, in dotted form, such as ``traits.email``.
            message: One sentence for people.
        """
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.message = message
